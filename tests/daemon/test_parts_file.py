"""Skipped files are not touched; pieces that they share with wanted ones are kept in the parts file, whatever is chosen when, and
whenever the client dies.
"""

import errno
import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon import file_bytes, parts_file
from daemon.existing_data import ExistingDataCheck
from daemon.open_files import OpenFiles
from daemon.parts_file import PartsFile
from daemon.piece_store import PieceStore
from protocol.bitfield import Bitfield
from protocol.errors import StorageError
from tests.daemon.built_torrents import PIECE, build_torrent, single_file
from tests.daemon.test_piece_store import expected_files, files_below

FILES = [("a", PIECE + 100), ("b", 2 * PIECE), ("c", 50), ("d", 3 * PIECE), ("empty", 0)]     # pieces 1, 3 are shared, 3 by three
A, B, C, D, EMPTY = range(5)


@pytest.fixture
def torrent():
    return build_torrent(FILES)


def a_store(torrent, folder, *skipped):
    return PieceStore(str(folder), torrent.info, OpenFiles(), frozenset(skipped))


def parts_of(torrent, folder):
    return folder / f".{torrent.info.info_hash.hex()}.evenswarm-parts"


def write(store, torrent, *pieces):
    for piece_index in pieces:
        store.write_piece(piece_index, torrent.piece(piece_index))


def read(store, torrent, piece_index):
    piece = bytearray(torrent.info.layout.piece_size(piece_index))
    store.read_into(piece_index, 0, [piece])
    return bytes(piece)


def check(torrent, folder, *skipped, known=()):
    """As after a new start: (the store, the pieces that are found)."""
    store = a_store(torrent, folder, *skipped)
    bitfield = Bitfield(torrent.info.layout.num_pieces)
    for piece_index in known:
        bitfield.add(piece_index)
    work = ExistingDataCheck(store, bitfield)
    while not work.step():
        pass
    store.sync()
    return store, sorted(work.verified)


def real_files(torrent, folder):
    return {name: data for name, data in files_below(folder).items() if not name.startswith(".")}


def test_a_skipped_file_is_not_made_and_what_it_shares_can_be_read(tmp_path, torrent):
    store = a_store(torrent, tmp_path, B, EMPTY)
    write(store, torrent, 0, 1, 3, 4)
    store.create_empty_files()
    assert sorted(real_files(torrent, tmp_path)) == ["torrent/a", "torrent/c", "torrent/d"]
    assert real_files(torrent, tmp_path)["torrent/a"] == expected_files(torrent)["torrent/a"]
    for piece_index in (0, 1, 3, 4):
        assert read(store, torrent, piece_index) == torrent.piece(piece_index)
    with pytest.raises(StorageError, match="torrent/b"):
        read(store, torrent, 2)


def test_parts_of_pieces_are_read_at_any_offset(tmp_path, torrent):
    store, rng = a_store(torrent, tmp_path, B, C), random.Random(1)
    write(store, torrent, 1, 3)
    for piece_index in (1, 3):
        piece = torrent.piece(piece_index)
        for _ in range(50):
            begin, end = sorted((rng.randrange(len(piece)), rng.randrange(len(piece))))
            view = bytearray(end - begin)
            store.read_into(piece_index, begin, [view])
            assert view == piece[begin:end]


def test_without_skipped_files_there_is_no_parts_file(tmp_path, torrent):
    store = a_store(torrent, tmp_path)
    write(store, torrent, *range(torrent.info.layout.num_pieces))
    store.create_empty_files()
    store.sync()
    assert files_below(tmp_path) == expected_files(torrent)


def test_a_file_that_becomes_wanted_gets_its_bytes_and_the_parts_file_vanishes(tmp_path, torrent):
    store = a_store(torrent, tmp_path, B)
    write(store, torrent, 0, 1, 3, 4, 5)
    store.sync()
    assert parts_of(torrent, tmp_path).exists()
    store.skip(frozenset())
    assert [read(store, torrent, index) for index in (1, 3)] == [torrent.piece(index) for index in (1, 3)]
    write(store, torrent, 2, 6)
    store.sync()
    assert files_below(tmp_path) == expected_files(torrent)


def test_the_parts_file_keeps_what_another_skipped_file_still_needs(tmp_path, torrent):
    store = a_store(torrent, tmp_path, B, C)
    write(store, torrent, 0, 1, 3)
    store.sync()
    store.skip(frozenset({C}))
    store.sync()
    assert read(store, torrent, 3) == torrent.piece(3)
    assert parts_of(torrent, tmp_path).exists()
    store.skip(frozenset({B}))                          # what b has already, it keeps: piece 1 does not come back
    store.sync()
    assert [read(store, torrent, index) for index in (0, 1, 3)] == [torrent.piece(index) for index in (0, 1, 3)]
    store.skip(frozenset())
    store.sync()
    assert not parts_of(torrent, tmp_path).exists()
    assert [read(store, torrent, index) for index in (0, 1, 3)] == [torrent.piece(index) for index in (0, 1, 3)]


def test_the_parts_file_shrinks_from_its_end_and_uses_free_slots_again(tmp_path):
    torrent = build_torrent([(str(number), PIECE) for number in range(10)], piece_length=PIECE * 4 // 3)
    store = a_store(torrent, tmp_path, 1, 3, 5, 7, 9)
    write(store, torrent, *range(torrent.info.layout.num_pieces))
    store.sync()
    full = parts_of(torrent, tmp_path).stat().st_size
    store.skip(frozenset({1}))
    store.sync()
    small = parts_of(torrent, tmp_path).stat().st_size
    assert small < full - 2 * PIECE
    store.skip(frozenset({1, 2}))
    write(store, torrent, 2)
    store.sync()
    assert parts_of(torrent, tmp_path).stat().st_size <= small + torrent.info.layout.piece_length


def test_a_file_that_is_skipped_after_it_was_begun_keeps_what_it_has(tmp_path, torrent):
    store = a_store(torrent, tmp_path)
    write(store, torrent, 0, 1, 2)
    begun = real_files(torrent, tmp_path)["torrent/b"]
    store.skip(frozenset({B}))
    write(store, torrent, 3)
    store.sync()
    assert real_files(torrent, tmp_path)["torrent/b"] == begun
    store, found = check(torrent, tmp_path, B)
    assert found == [0, 1, 2, 3]
    assert [read(store, torrent, index) for index in found] == [torrent.piece(index) for index in found]


@pytest.mark.parametrize("known", [(), (0, 1, 3)], ids=["hashed", "known"])
def test_after_a_restart_the_parts_file_is_found(tmp_path, torrent, known):
    store = a_store(torrent, tmp_path, B, C)
    write(store, torrent, 0, 1, 3)
    store.sync()
    store, found = check(torrent, tmp_path, B, C, known=known)
    assert found == [0, 1, 3]
    assert [read(store, torrent, index) for index in found] == [torrent.piece(index) for index in found]


def test_a_wanted_file_that_was_deleted_gets_back_what_the_parts_file_has_of_it(tmp_path, torrent):
    store = a_store(torrent, tmp_path, B)
    write(store, torrent, 0, 1)
    store.sync()
    (tmp_path / "torrent" / "a").unlink()
    assert check(torrent, tmp_path, B)[1] == [1]
    assert (tmp_path / "torrent" / "a").read_bytes()[PIECE:] == torrent.data[PIECE:PIECE + 100]


def test_wrong_bytes_in_the_parts_file_are_not_believed_and_leave_it(tmp_path, torrent):
    store = a_store(torrent, tmp_path, B)
    write(store, torrent, 1)
    store.sync()
    data = bytearray(parts_of(torrent, tmp_path).read_bytes())
    data[-5] ^= 1
    parts_of(torrent, tmp_path).write_bytes(data)
    assert check(torrent, tmp_path, B)[1] == []
    assert not parts_of(torrent, tmp_path).exists()


@pytest.mark.parametrize("content", [b"x" * 200, b"EVSWPART\0\0\0\1\0\0\0\1" + bytes(200)])
def test_a_file_that_is_no_parts_file_of_this_torrent_is_left_alone_and_named(tmp_path, torrent, content):
    parts_of(torrent, tmp_path).write_bytes(content)
    with pytest.raises(StorageError, match=rf"\.{torrent.info.info_hash.hex()}\.evenswarm-parts.*move it away"):
        check(torrent, tmp_path, B)
    assert parts_of(torrent, tmp_path).read_bytes() == content


@pytest.mark.parametrize("content", [b"", bytes(20), bytes(10_000)])
def test_a_parts_file_of_which_nothing_came_is_used(tmp_path, torrent, content):
    parts_of(torrent, tmp_path).write_bytes(content)
    store, found = check(torrent, tmp_path, B)
    assert found == []
    write(store, torrent, 1)
    store.sync()
    assert check(torrent, tmp_path, B)[1] == [1]


def test_entries_that_point_nowhere_or_to_the_same_slot_are_cleared(tmp_path, torrent):
    store = a_store(torrent, tmp_path, B)
    write(store, torrent, 1)
    store.sync()
    path = parts_of(torrent, tmp_path)
    data = bytearray(path.read_bytes())
    for piece_index, entry in ((2, 1), (4, 2), (5, 1 << 31)):
        at = parts_file.TABLE_START + 4 * piece_index
        data[at:at + 4] = entry.to_bytes(4, "big")
    path.write_bytes(data)
    store, found = check(torrent, tmp_path, B)
    assert found == [1]
    write(store, torrent, 3)
    store.sync()
    assert check(torrent, tmp_path, B)[1] == [1, 3]


def test_no_link_is_followed_to_a_parts_file(tmp_path, torrent):
    (tmp_path / "d").mkdir()
    (tmp_path / "elsewhere").write_bytes(b"mine")
    parts_of(torrent, tmp_path / "d").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="no symbolic link is followed"):
        write(a_store(torrent, tmp_path / "d", B), torrent, 1)
    assert (tmp_path / "elsewhere").read_bytes() == b"mine"


@pytest.mark.parametrize("obstacle", ["link", "folder", "long name"])
def test_what_is_in_the_way_of_a_skipped_file_is_no_fault_until_it_is_wanted(tmp_path, obstacle):
    torrent = build_torrent([("a", PIECE), ("x" * 256 if obstacle == "long name" else "b", PIECE)])
    (tmp_path / "torrent").mkdir()
    if obstacle == "link":
        (tmp_path / "torrent" / "b").symlink_to("/etc/passwd")
    elif obstacle == "folder":
        (tmp_path / "torrent" / "b").mkdir()
    store, found = check(torrent, tmp_path, 1)
    assert found == []
    write(store, torrent, 0)
    with pytest.raises(StorageError, match=r"torrent/[bx]"):
        store.skip(frozenset())
        write(store, torrent, 1)


def test_the_user_who_removes_the_torrent_keeps_no_parts_file(tmp_path, torrent):
    store = a_store(torrent, tmp_path, B)
    write(store, torrent, 0, 1)
    store.sync()
    store.remove_parts()
    assert sorted(files_below(tmp_path)) == ["torrent/a"]


def test_a_full_disk_names_the_parts_file_and_nothing_that_was_durable_is_lost(tmp_path, torrent, monkeypatch):
    store = a_store(torrent, tmp_path, B)
    write(store, torrent, 1)
    store.sync()
    with monkeypatch.context() as patch:
        def full(fd, view, offset):
            raise OSError(errno.ENOSPC, "No space left on device")
        patch.setattr(parts_file, "write_all", full)
        with pytest.raises(StorageError, match=r"cannot write \..*evenswarm-parts: no space left on device .*make room"):
            write(store, torrent, 3)
    assert check(torrent, tmp_path, B)[1] == [1]


def test_a_parts_file_that_was_removed_under_us_is_an_error_that_names_it(tmp_path, torrent):
    store = a_store(torrent, tmp_path, B)
    write(store, torrent, 1)
    store.close()
    parts_of(torrent, tmp_path).unlink()
    with pytest.raises(StorageError, match=r"evenswarm-parts.*check the torrent again"):
        store.sync()


# ── Killed at any moment ─────────────────────────────────────────────────────────────────────────────────────────────────


class Killed(BaseException):
    """Nothing of the process goes on after this."""


class Disk:
    """Counts the writes, and dies at one of them, which may be done in part."""

    def __init__(self, monkeypatch, dies_at, rng):
        self.left, self.rng, self.is_dead = dies_at, rng, False
        for name in ("pwrite", "ftruncate", "unlink", "fdatasync"):
            monkeypatch.setattr(os, name, self._counted(name, getattr(os, name)))
        monkeypatch.setattr(file_bytes, "make_durable", os.fdatasync)
        for module in ("daemon.parts_file", "daemon.piece_store"):
            monkeypatch.setattr(f"{module}.make_durable", os.fdatasync)

    def _counted(self, name, real):
        def call(*arguments, **others):
            if self.is_dead:
                raise Killed
            self.left -= 1
            if self.left < 0:
                self.is_dead = True
                if name == "pwrite":
                    fd, view, offset = arguments
                    real(fd, view[:self.rng.randrange(len(view) + 1)], offset)
                raise Killed
            return real(*arguments, **others)
        return call


@given(st.integers(min_value=0))
@settings(max_examples=150, deadline=None)
def test_whatever_is_chosen_and_whenever_it_dies_what_was_durable_is_there_and_files_become_right(tmp_path_factory, seed):
    rng = random.Random(seed)
    torrent = build_torrent([(str(number), rng.choice((0, 1, 700, 2_000, 5_000))) for number in range(rng.randrange(2, 7))] + [("last", 3_000)], piece_length=1_500)
    num_pieces, num_files = torrent.info.layout.num_pieces, len(torrent.info.files)
    folder = tmp_path_factory.mktemp("swarm")
    durable: set[int] = set()

    def some_files():
        return frozenset(index for index in range(num_files) if rng.random() < 0.5)

    skipped = some_files()
    for _ in range(rng.randrange(1, 5)):                # lives
        with pytest.MonkeyPatch.context() as patch:
            Disk(patch, rng.randrange(1, 80), rng)
            written: set[int] = set()
            try:
                store, found = check(torrent, folder, *skipped, known=durable if rng.random() < 0.5 else ())
                assert durable <= set(found)
                for _ in range(30):
                    match rng.randrange(4):
                        case 0:
                            skipped = some_files()
                            store.skip(skipped)
                        case 1:
                            store.sync()
                            durable |= written
                        case _:
                            piece_index = rng.randrange(num_pieces)
                            if piece_index not in durable | set(found) | written:
                                write(store, torrent, piece_index)
                                written.add(piece_index)
                    for piece_index in durable | written:
                        assert read(store, torrent, piece_index) == torrent.piece(piece_index)
            except Killed:
                pass
            finally:
                patch.undo()
    store, found = check(torrent, folder, *skipped)
    assert durable <= set(found)
    store.skip(frozenset())
    write(store, torrent, *(index for index in range(num_pieces) if index not in found))
    store.sync()
    assert files_below(folder) == expected_files(torrent)


def test_a_table_of_many_pieces_is_read_and_written(tmp_path):
    torrent = single_file(3_000 * 16, piece_length=16)
    parts = PartsFile(str(tmp_path), torrent.info, OpenFiles())
    for piece_index in range(0, 3_000, 7):
        parts.write(piece_index, torrent.piece(piece_index))
    parts.sync(set())
    again = PartsFile(str(tmp_path), torrent.info, OpenFiles())
    again.load()
    assert again.pieces == list(range(0, 3_000, 7))
