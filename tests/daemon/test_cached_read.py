"""Reads that need no disk: what is in memory comes at once, what is not is left to the thread."""

import os
import shutil
from pathlib import Path

import pytest

from daemon.cached_read import RWF_NOWAIT, file_system_of, is_in_memory, read_cached
from daemon.open_files import OpenFiles
from daemon.piece_store import PieceStore
from tests.daemon.built_torrents import PIECE, build_torrent

pytestmark = pytest.mark.skipif(RWF_NOWAIT is None, reason="only Linux tells what it has in memory")
DATA = bytes(range(256)) * 64


def in_memory_folder(tmp_path):
    """A folder on a RAM disk, made for this test."""
    if file_system_of(Path("/dev/shm").stat().st_dev) != "tmpfs":
        pytest.skip("no tmpfs at /dev/shm: mount -t tmpfs tmpfs /dev/shm")
    folder = Path("/dev/shm") / f"evenswarm-{tmp_path.name}-{os.getpid()}"
    folder.mkdir()
    return folder


@pytest.fixture(params=["disk", "memory"])
def folder(request, tmp_path):
    if request.param == "disk":
        yield tmp_path
    else:
        made = in_memory_folder(tmp_path)
        yield made
        shutil.rmtree(made)


@pytest.fixture
def file(folder):
    path = folder / "file"
    path.write_bytes(DATA)
    fd = os.open(path, os.O_RDONLY)
    yield fd
    os.close(fd)


def test_bytes_that_were_just_written_are_in_memory(file):
    views = [memoryview(bytearray(size)) for size in (1, 5_000, 10)]
    assert read_cached(file, views, 3)
    assert b"".join(views) == DATA[3:5_014]


def test_a_file_that_ends_before_is_left_to_the_thread(file):
    assert not read_cached(file, [memoryview(bytearray(2))], len(DATA) - 1)


def test_a_read_that_cannot_be_raises(folder):
    fd = os.open(folder / "file", os.O_WRONLY | os.O_CREAT)
    with pytest.raises(OSError, match="Bad file descriptor"):
        read_cached(fd, [memoryview(bytearray(1))], 0)
    os.close(fd)


def test_bytes_that_are_only_on_the_disk_are_left_to_the_thread(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(DATA * 64)
    fd = os.open(path, os.O_RDONLY)
    if is_in_memory(os.fstat(fd).st_dev):
        pytest.skip("the folder for temporary files is a RAM disk: TMPDIR=/var/tmp")
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    assert not read_cached(fd, [memoryview(bytearray(len(DATA)))], 0)
    os.close(fd)


def test_a_device_that_is_mounted_nowhere_is_no_memory():
    assert file_system_of(os.makedev(4_000, 4_000)) == ""


# ── a torrent's files ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def torrent():
    return build_torrent([("a", PIECE + 100), ("b", 2 * PIECE), (".pad/1", PIECE - 100, "padding")])


@pytest.fixture
def store(torrent, folder):
    store = PieceStore(str(folder), torrent.info, OpenFiles())
    for piece_index in range(torrent.info.layout.num_pieces):
        store.write_piece(piece_index, torrent.piece(piece_index))
    return store


def test_a_file_that_is_open_is_read_as_by_the_thread(store, torrent):
    view = memoryview(bytearray(500))
    assert store.read_cached(0, 7, [view])
    assert view == torrent.piece(0)[7:507]


def test_a_file_that_is_closed_is_left_to_the_thread_which_opens_it(store, torrent):
    store.close()
    view = memoryview(bytearray(500))
    assert not store.read_cached(0, 0, [view])
    store.read_into(0, 0, [view])
    assert store.read_cached(0, 500, [view])
    assert view == torrent.piece(0)[500:1_000]


@pytest.mark.parametrize(("piece_index", "offset"), [(1, 0), (3, 0), (3, 200)], ids=["two files", "a file and padding", "padding"])
def test_what_lies_in_several_files_or_in_none_is_left_to_the_thread(store, piece_index, offset):
    assert not store.read_cached(piece_index, offset, [memoryview(bytearray(500))])


def test_who_is_just_at_the_table_of_files_is_not_waited_for(store):
    view = [memoryview(bytearray(1))]
    with store._open_files._lock:
        assert not store.read_cached(0, 0, view)
    assert store.read_cached(0, 0, view)
