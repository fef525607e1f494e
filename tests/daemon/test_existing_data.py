"""What lies on the disk before a torrent starts: found when it is right, and nothing is paid for what cannot be there."""

import os
import random

import gevent
import pytest
from gevent.event import AsyncResult

from daemon import existing_data
from daemon.disk_pool import DiskPool
from daemon.existing_data import DataChecker, ExistingDataCheck
from daemon.open_files import OpenFiles
from daemon.piece_store import PieceStore
from protocol.bitfield import Bitfield
from protocol.errors import StorageError
from tests.daemon.built_torrents import PIECE, build_torrent, single_file
from tests.daemon.test_piece_store import ODD_FILES, write_all


class ReadsCounted(PieceStore):
    """Notes which pieces are read."""

    def __init__(self, *args):
        super().__init__(*args)
        self.read = []

    def read_if_there(self, piece_index, offset, views):
        self.read.append(piece_index)
        return super().read_if_there(piece_index, offset, views)


def a_store(torrent, folder):
    return ReadsCounted(str(folder), torrent.info, OpenFiles())


def known_of(torrent, *piece_indices):
    known = Bitfield(torrent.info.layout.num_pieces)
    for piece_index in piece_indices:
        known.add(piece_index)
    return known


def check(store, *known):
    work = ExistingDataCheck(store, known_of(store, *known))
    while not work.step():
        pass
    assert work.pieces_checked == store.info.layout.num_pieces
    return sorted(work.verified)


@pytest.fixture(params=[[], ODD_FILES], ids=["single file", "many files"])
def torrent(request):
    return build_torrent(request.param) if request.param else single_file(7 * PIECE + 1)


def test_nothing_is_found_where_nothing_is(tmp_path, torrent):
    store = a_store(torrent, tmp_path / "new")
    assert check(store) == []
    assert store.read == [] and list(tmp_path.iterdir()) == []


def test_everything_is_found_where_everything_is(tmp_path, torrent):
    store = a_store(torrent, tmp_path)
    write_all(store, torrent)
    assert check(store) == list(range(torrent.info.layout.num_pieces))


def test_exactly_the_right_pieces_are_found(tmp_path, torrent):
    rng, num_pieces = random.Random(1), torrent.info.layout.num_pieces
    for number in range(20):
        store = a_store(torrent, tmp_path / str(number))
        there = [index for index in range(num_pieces) if rng.random() < 0.5]
        wrong = {index for index in there if rng.random() < 0.2}
        for piece_index in there:
            piece = torrent.piece(piece_index)
            store.write_piece(piece_index, bytes(byte ^ 1 for byte in piece) if piece_index in wrong else piece)
        assert check(store) == [index for index in there if index not in wrong]


def test_pieces_of_files_that_are_too_short_are_not_read(tmp_path):
    torrent = single_file(10 * PIECE)
    store = a_store(torrent, tmp_path)
    write_all(store, torrent)
    os.truncate(tmp_path / "file.bin", 4 * PIECE - 1)
    assert check(store) == [0, 1, 2]
    assert store.read == [0, 1, 2]


def test_a_missing_file_in_the_middle_takes_its_own_pieces_away_and_they_are_not_read(tmp_path):
    torrent = build_torrent([("a", 2 * PIECE + 5), ("b", 3 * PIECE), ("c", 3 * PIECE)])
    store = a_store(torrent, tmp_path)
    write_all(store, torrent)
    os.unlink(tmp_path / "torrent" / "b")
    with (tmp_path / "torrent" / "a").open("ab") as file:
        file.write(bytes(4 * PIECE))                    # too long: that does not stand for the next file
    store = a_store(torrent, tmp_path)
    assert check(store) == [0, 1, 6, 7, 8]
    assert store.read == [0, 1, 6, 7, 8]


def test_a_file_that_is_longer_than_it_should_be_is_good(tmp_path, torrent):
    store = a_store(torrent, tmp_path)
    write_all(store, torrent)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            with path.open("ab") as file:
                file.write(b"more")
    assert check(store) == list(range(torrent.info.layout.num_pieces))


def test_a_hole_is_not_read_and_still_a_right_piece_when_zeros_are_right(tmp_path):
    data = random.Random(1).randbytes(4 * PIECE) + bytes(8 * PIECE) + b"end" * 100     # the first part is not there
    torrent = single_file(len(data), data=data)
    store = a_store(torrent, tmp_path)
    store.write_piece(12, torrent.piece(12))
    assert (tmp_path / "file.bin").stat().st_blocks * 512 < 4 * PIECE       # the rest is a hole
    assert check(store) == [*range(4, 12), 12]
    assert set(store.read) <= {11, 12}                  # file systems count by blocks, which may reach into the piece before


def test_a_piece_of_padding_only_is_right(tmp_path):
    torrent = build_torrent([("a", PIECE), ("pad", 3 * PIECE, "padding"), ("b", PIECE)])
    store = a_store(torrent, tmp_path)
    assert check(store) == [1, 2, 3]
    store.write_piece(4, torrent.piece(4))
    assert check(store) == [1, 2, 3, 4]


def test_known_pieces_are_not_read_as_long_as_their_bytes_are_there(tmp_path):
    torrent = single_file(6 * PIECE)
    store = a_store(torrent, tmp_path)
    write_all(store, torrent)
    assert check(store, 0, 2, 4) == list(range(6))
    assert store.read == [1, 3, 5]
    os.truncate(tmp_path / "file.bin", 4 * PIECE)
    assert check(store, 0, 2, 4, 5) == [0, 1, 2, 3]
    os.unlink(tmp_path / "file.bin")
    assert check(a_store(torrent, tmp_path), 0, 2, 4) == []


def test_a_known_piece_whose_bytes_have_become_a_hole_is_not_believed(tmp_path):
    """As after a crash of a file system that had noted the length of the file, and not yet its blocks."""
    torrent = single_file(64 * PIECE)
    (tmp_path / "file.bin").touch()
    os.truncate(tmp_path / "file.bin", 64 * PIECE)
    assert check(a_store(torrent, tmp_path), *range(64)) == []


def test_a_file_that_shrinks_while_it_is_checked_is_no_error(tmp_path):
    torrent = single_file(6 * PIECE)
    store = a_store(torrent, tmp_path)
    write_all(store, torrent)

    class Shrinks(PieceStore):
        def read_if_there(self, piece_index, offset, views):
            os.truncate(tmp_path / "file.bin", 2 * PIECE)
            return super().read_if_there(piece_index, offset, views)

    assert check(Shrinks(str(tmp_path), torrent.info, OpenFiles())) == [0, 1]


def test_a_step_does_a_bounded_part_of_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(existing_data, "STEP_BYTES", 2 * PIECE)
    monkeypatch.setattr(existing_data, "CHUNK_BYTES", 1_000)
    torrent = single_file(7 * PIECE)
    store = a_store(torrent, tmp_path)
    write_all(store, torrent)
    work, steps = ExistingDataCheck(store, known_of(torrent)), 1
    while not work.step():
        steps += 1
        assert len(set(store.read)) <= 2 * steps + 1
    assert steps >= 4
    assert work.verified.is_complete


@pytest.mark.parametrize("obstacle", ["link", "folder", "long name"])
def test_what_can_never_be_written_is_an_error_before_the_start(tmp_path, obstacle):
    torrent = build_torrent([("a", PIECE), ("x" * 256 if obstacle == "long name" else "b", PIECE)])
    (tmp_path / "torrent").mkdir()
    if obstacle == "link":
        (tmp_path / "torrent" / "b").symlink_to("/etc/passwd")
    elif obstacle == "folder":
        (tmp_path / "torrent" / "b").mkdir()
    with pytest.raises(StorageError, match=r"torrent/[bx]"):
        check(a_store(torrent, tmp_path))


# ── Many at once ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def pool():
    pool = DiskPool()
    yield pool
    assert pool.close(timeout=10)


def test_torrents_take_turns(tmp_path, pool, monkeypatch):
    monkeypatch.setattr(existing_data, "STEP_BYTES", PIECE)
    large, small = single_file(50 * PIECE, "large"), single_file(2 * PIECE, "small")
    stores = [a_store(torrent, tmp_path) for torrent in (large, small)]
    for store, torrent in zip(stores, (large, small), strict=True):
        write_all(store, torrent)
    checker, order, results = DataChecker(pool.checker), [], [AsyncResult(), AsyncResult()]
    under_way = [
        checker.check(store, known_of(store), lambda found, number=number: order.append(number) or results[number].set(found))
        for number, store in enumerate(stores)
    ]
    assert results[1].get(timeout=10).is_complete
    assert under_way[0].pieces_checked < 10             # the large one is not done when the small one is
    assert results[0].get(timeout=10).is_complete
    assert order == [1, 0] and under_way[0].pieces_checked == 50


def test_a_check_that_is_stopped_says_nothing_more(tmp_path, pool, monkeypatch):
    monkeypatch.setattr(existing_data, "STEP_BYTES", PIECE)
    torrent = single_file(20 * PIECE)
    store = a_store(torrent, tmp_path)
    write_all(store, torrent)
    checker, said, after = DataChecker(pool.checker), [], AsyncResult()
    under_way = checker.check(store, known_of(torrent), said.append)
    with gevent.Timeout(10):
        while under_way.pieces_checked < 3:
            gevent.sleep(0.001)
    under_way.stop()
    checker.check(a_store(torrent, tmp_path / "new"), known_of(torrent), after.set)
    assert after.get(timeout=10).count == 0
    assert said == [] and under_way.pieces_checked < 20


def test_an_error_is_delivered_and_the_others_go_on(tmp_path, pool):
    torrent = single_file(PIECE)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "file.bin").mkdir()
    checker, bad, good = DataChecker(pool.checker), AsyncResult(), AsyncResult()
    checker.check(a_store(torrent, tmp_path / "bad"), known_of(torrent), bad.set)
    checker.check(a_store(torrent, tmp_path / "good"), known_of(torrent), good.set)
    assert isinstance(bad.get(timeout=10), StorageError)
    assert good.get(timeout=10).count == 0


def test_a_thousand_torrents_without_any_file_are_done_without_reading(tmp_path, pool):
    torrent = build_torrent([(f"folder/{number}", PIECE) for number in range(20)])
    checker, results = DataChecker(pool.checker), [AsyncResult() for _ in range(1_000)]
    stores = [a_store(torrent, tmp_path / str(number)) for number in range(1_000)]
    for store, result in zip(stores, results, strict=True):
        checker.check(store, known_of(torrent), result.set)
    assert [result.get(timeout=30).count for result in results] == [0] * 1_000
    assert not any(store.read for store in stores)
