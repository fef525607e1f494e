"""PieceStore: pieces to files and back."""

import os
import random
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon.file_bytes import MOST_VECTORS
from daemon.open_files import OpenFiles
from daemon.piece_store import PieceStore
from protocol.errors import StorageError
from tests.daemon.built_torrents import PIECE, build_torrent, single_file

NOBODY = 65_534
ODD_FILES = [
    ("a", 10), ("folder/b", 3 * PIECE + 1), (".pad/1", PIECE - 11, "padding"), ("empty", 0), ("folder/c", 1), ("folder/sub/d", 1),
    ("e", PIECE - 2), (".pad/2", 5, "padding"), ("f", PIECE),
]


def a_store(torrent, folder, files=None):
    return PieceStore(str(folder), torrent.info, files or OpenFiles())


def write_all(store, torrent, order=None):
    for piece_index in order or range(torrent.info.layout.num_pieces):
        store.write_piece(piece_index, torrent.piece(piece_index))


def files_below(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def expected_files(torrent):
    info = torrent.info
    prefix = "" if info.is_single_file else f"{info.name}/"
    return {prefix + "/".join(file.path): torrent.data[file.offset:file.offset + file.length] for file in info.files if not file.padding}


@pytest.fixture(params=[[], ODD_FILES], ids=["single file", "many files"])
def torrent(request):
    return build_torrent(request.param) if request.param else single_file(5 * PIECE + 1)


def test_pieces_written_in_any_order_make_the_files(tmp_path, torrent):
    store, order = a_store(torrent, tmp_path), list(range(torrent.info.layout.num_pieces))
    random.Random(1).shuffle(order)
    write_all(store, torrent, order)
    store.create_empty_files()
    assert files_below(tmp_path) == expected_files(torrent)


def test_what_was_written_is_read_in_any_portions(tmp_path, torrent):
    store, rng = a_store(torrent, tmp_path), random.Random(1)
    write_all(store, torrent)
    for _ in range(300):
        piece_index = rng.randrange(torrent.info.layout.num_pieces)
        piece = torrent.piece(piece_index)
        begin, end = sorted((rng.randrange(len(piece) + 1), rng.randrange(len(piece) + 1)))
        cuts = sorted(rng.randrange(begin, end + 1) for _ in range(rng.randrange(5)))
        views = [bytearray(after - before) for before, after in zip([begin, *cuts], [*cuts, end], strict=True)]
        store.read_into(piece_index, begin, views)
        assert b"".join(views) == piece[begin:end]


def test_a_buffer_may_be_larger_than_the_last_piece(tmp_path):
    torrent = single_file(PIECE + 10)
    store, buffer = a_store(torrent, tmp_path), bytearray(b"x" * PIECE)
    buffer[:10] = torrent.piece(1)
    assert store.verify(1, buffer)
    store.write_piece(1, memoryview(buffer))
    store.write_piece(0, torrent.piece(0))
    assert files_below(tmp_path) == expected_files(torrent)


def test_only_the_right_piece_is_verified(torrent, tmp_path):
    store = a_store(torrent, tmp_path)
    for piece_index in range(torrent.info.layout.num_pieces):
        assert store.verify(piece_index, torrent.piece(piece_index))
        assert not store.verify(piece_index, b"x" + torrent.piece(piece_index)[1:])


def test_nothing_is_on_the_disk_before_the_first_write(tmp_path, torrent):
    store = a_store(torrent, tmp_path / "new")
    store.check_names()
    assert [store.size_on_disk(index) for index in range(len(torrent.info.files))] == [None] * len(torrent.info.files)
    with pytest.raises(StorageError):
        store.read_into(0, 0, [bytearray(1)])
    assert list(tmp_path.iterdir()) == []


def test_files_are_sparse(tmp_path):
    torrent = single_file(16 << 20, piece_length=1 << 20, data=bytes(15 << 20) + random.Random(1).randbytes(1 << 20))
    a_store(torrent, tmp_path).write_piece(15, torrent.piece(15))
    found = (tmp_path / "file.bin").stat()
    assert found.st_size == 16 << 20
    assert found.st_blocks * 512 < 4 << 20


def test_padding_files_are_not_written_and_read_as_zeros(tmp_path):
    torrent = build_torrent([("a", 10), ("pad", PIECE - 10, "padding"), ("b", 5)])
    store = a_store(torrent, tmp_path)
    write_all(store, torrent)
    assert set(files_below(tmp_path)) == {"torrent/a", "torrent/b"}
    buffer = bytearray(b"x" * PIECE)
    store.read_into(0, 0, [buffer])
    assert buffer == torrent.piece(0)


def test_what_lies_beyond_the_end_of_a_file_that_is_too_long_is_kept(tmp_path):
    torrent = single_file(100)
    (tmp_path / "file.bin").write_bytes(b"x" * 150)
    a_store(torrent, tmp_path).write_piece(0, torrent.data)
    assert (tmp_path / "file.bin").read_bytes() == torrent.data + b"x" * 50


def test_a_file_that_became_too_short_is_named_when_it_is_read(tmp_path):
    torrent = build_torrent([("a", PIECE), ("folder/b", PIECE)])
    store = a_store(torrent, tmp_path)
    write_all(store, torrent)
    os.truncate(tmp_path / "torrent/folder/b", 100)
    with pytest.raises(StorageError, match="cannot read torrent/folder/b: it has become too short"):
        store.read_into(1, 0, [bytearray(PIECE)])
    assert not store.read_if_there(1, 0, [bytearray(PIECE)])
    assert store.read_if_there(1, 0, [bytearray(100)])


def test_a_file_that_is_missing_is_named_when_it_is_read(tmp_path):
    torrent = single_file(100)
    store = a_store(torrent, tmp_path)
    with pytest.raises(StorageError, match=r"cannot read file.bin: no such file or directory \(in .*\)"):
        store.read_into(0, 0, [bytearray(1)])
    assert not store.read_if_there(0, 0, [bytearray(1)])


def test_more_views_than_one_call_takes_are_filled(tmp_path):
    torrent = single_file(4 * MOST_VECTORS)
    store, views = a_store(torrent, tmp_path), [bytearray(1) for _ in range(2 * MOST_VECTORS + 7)]
    write_all(store, torrent)
    store.read_into(0, 3, views)
    assert b"".join(views) == torrent.data[3:3 + len(views)]


def test_a_torrent_of_many_files_keeps_few_of_them_open(tmp_path):
    torrent, files = build_torrent([(f"d/{number}", 100) for number in range(60)]), OpenFiles(8)
    store = a_store(torrent, tmp_path, files)
    write_all(store, torrent)
    buffer = bytearray(100)
    for number in range(0, 60, 7):
        store.read_into(0, number * 100, [buffer])
    store.sync()
    assert files.num_open == 8
    assert files_below(tmp_path) == expected_files(torrent)
    store.close()
    assert files.num_open == 0


def test_a_complete_torrent_that_may_not_be_written_to_is_read(tmp_path):
    torrent = single_file(100)
    write_all(a_store(torrent, tmp_path), torrent)
    (tmp_path / "file.bin").chmod(0o444)
    with as_nobody(tmp_path):
        buffer = bytearray(100)
        a_store(torrent, tmp_path).read_into(0, 0, [buffer])
        assert buffer == torrent.data


def test_a_folder_that_may_not_be_written_to_is_an_error_with_advice(tmp_path):
    torrent = single_file(100)
    tmp_path.chmod(0o555)
    with as_nobody(tmp_path), pytest.raises(StorageError, match=r"cannot write file.bin: permission denied \(in .*; give the user who runs this"):
        a_store(torrent, tmp_path).write_piece(0, torrent.data)


def test_a_file_that_may_not_be_read_is_an_error_also_when_it_is_only_looked_for(tmp_path):
    torrent = single_file(100)
    write_all(a_store(torrent, tmp_path), torrent)
    (tmp_path / "file.bin").chmod(0)
    with as_nobody(tmp_path), pytest.raises(StorageError, match="permission denied"):
        a_store(torrent, tmp_path).read_if_there(0, 0, [bytearray(1)])


@contextmanager
def as_nobody(folder):
    """Root may do everything; so be somebody else meanwhile, who can walk to `folder`."""
    if os.geteuid():
        yield
        return
    parents = [path for path in folder.parents if not path.stat().st_mode & 0o001]
    modes = [path.stat().st_mode for path in parents]
    for path in parents:
        path.chmod(0o755)
    if not folder.stat().st_mode & 0o001:
        folder.chmod(folder.stat().st_mode | 0o055)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        for path, mode in zip(parents, modes, strict=True):
            path.chmod(mode)


FILL_A_SMALL_DISK = """
import resource, sys
from tests.daemon.built_torrents import single_file
from daemon.open_files import OpenFiles
from daemon.piece_store import PieceStore
from protocol.errors import StorageError

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
torrent = single_file(3_000, piece_length=600)
store = PieceStore(sys.argv[1], torrent.info, OpenFiles())
store.write_piece(0, torrent.piece(0))
try:
    store.write_piece(1, torrent.piece(1))
except StorageError as error:
    print(error)
"""


def test_a_write_that_stops_in_the_middle_is_an_error(tmp_path):
    """The kernel writes what fits, then refuses: the same as on a full disk."""
    done = subprocess.run([sys.executable, "-c", FILL_A_SMALL_DISK, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("cannot write file.bin: file too large (in ")
    assert (tmp_path / "file.bin").stat().st_size == 1_000


# ── Durable ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def synced(monkeypatch):
    """The paths of what was made durable, in order."""
    paths = []

    def note(fd):
        paths.append(os.readlink(f"/proc/self/fd/{fd}"))

    monkeypatch.setattr("daemon.piece_store.make_durable", note)
    monkeypatch.setattr("os.fsync", note)
    return paths


def test_a_sync_makes_files_and_new_folders_durable_that_changed_since_the_last_one(tmp_path, synced):
    torrent = build_torrent([("a", PIECE), ("folder/b", PIECE), ("c", PIECE)])
    store, folder = a_store(torrent, tmp_path), str(tmp_path)
    store.write_piece(0, torrent.piece(0))
    store.write_piece(1, torrent.piece(1))
    store.sync()
    assert synced == [
        f"{folder}/torrent/a", f"{folder}/torrent/folder/b", folder, f"{folder}/torrent", f"{folder}/torrent/folder",
    ]
    synced.clear()
    store.sync()
    assert synced == []
    store.write_piece(0, torrent.piece(0))
    store.sync()
    assert synced == [f"{folder}/torrent/a"]


def test_files_that_were_closed_in_between_are_made_durable_too(tmp_path, synced):
    torrent = build_torrent([(str(number), PIECE) for number in range(5)])
    store = a_store(torrent, tmp_path, OpenFiles(1))
    write_all(store, torrent)
    store.sync()
    assert synced[:5] == [f"{tmp_path}/torrent/{number}" for number in range(5)]


def test_what_could_not_be_made_durable_is_tried_again(tmp_path, monkeypatch):
    torrent, attempts = single_file(100), []
    store = a_store(torrent, tmp_path)
    store.write_piece(0, torrent.data)

    def fail(fd):
        attempts.append(fd)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("daemon.piece_store.make_durable", fail)
    for _ in range(2):
        with pytest.raises(StorageError, match=r"cannot write file.bin: input/output error"):
            store.sync()
    assert len(attempts) == 2


def test_a_file_that_somebody_deleted_is_an_error_and_not_made_again(tmp_path):
    torrent = single_file(100)
    store = a_store(torrent, tmp_path)
    store.write_piece(0, torrent.data)
    store.close()
    (tmp_path / "file.bin").unlink()
    with pytest.raises(StorageError, match="no such file"):
        store.sync()
    assert files_below(tmp_path) == {}
