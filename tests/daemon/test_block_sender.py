"""Serving: requests in, wire bytes out, whatever order, spans and cache; with a store whose reads end when the test says so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.block_sender import BlockSender
from daemon.outflow import Outflow
from daemon.span_cache import SPAN_BLOCKS, WIRE_BLOCK_BYTES, SpanCache
from protocol.errors import StorageError
from protocol.limits import BLOCK_BYTES, MAX_PEER_REQUESTS
from protocol.peer_messages import piece_header
from protocol.piece_layout import PieceLayout

LAYOUT = PieceLayout(70 * BLOCK_BYTES, 145 * BLOCK_BYTES + 9)   # pieces of 70, 70 and 6 blocks, the last one of 9 bytes
DATA = bytes(index // 1000 % 251 for index in range(LAYOUT.total_length))


class Store:
    """Reads from DATA; counts the reads. Pieces of which `is_cached` says so are read without the thread."""

    num_reads = 0
    error: Exception | None = None

    def __init__(self, is_cached) -> None:
        self.is_cached = is_cached

    def read_cached(self, piece_index, offset, views) -> bool:
        if self.is_cached(piece_index):
            self.read_into(piece_index, offset, views)
        return self.is_cached(piece_index)

    def read_into(self, piece_index, offset, views) -> None:
        if self.error is not None:
            raise self.error
        Store.num_reads += 1
        at = piece_index * LAYOUT.piece_length + offset
        for view in views:
            view[:] = DATA[at:at + len(view)]
            at += len(view)


class Torrent:
    info_hash = b"h" * 20
    layout = LAYOUT

    def __init__(self, is_cached) -> None:
        self.store = Store(is_cached)


class Reader:
    """The reading thread, by hand."""

    def __init__(self, by_itself: bool = True) -> None:
        self.by_itself, self.jobs = by_itself, []

    def submit(self, job, done) -> None:
        self.jobs.append((job, done))
        if self.by_itself:
            self.run()

    def run(self) -> None:
        while self.jobs:
            job, done = self.jobs.pop(0)
            try:
                result = job()
            except StorageError as error:
                result = error
            done(result)


class Socket:
    def __init__(self) -> None:
        self.taken = b""

    def send(self, data) -> int:
        self.taken += bytes(data)
        return len(data)


class Served:
    """A peer being served; `pump` is what its connection does."""

    def __init__(
        self, limit_bytes: int = 16 << 20, by_itself: bool = True, cache: SpanCache | None = None, is_cached=lambda piece_index: False,
    ) -> None:
        self.torrent, self.reader, self.socket, self.outflow = Torrent(is_cached), Reader(by_itself), Socket(), Outflow()
        self.cache = cache or SpanCache(limit_bytes, self.reader.submit)
        self.sender = BlockSender(self.torrent, self.cache, self.outflow, self.pump)

    def pump(self) -> None:
        while self.outflow.send(self.socket) and self.sender.provide():
            pass


def answer(piece_index: int, begin: int, length: int) -> bytes:
    start = piece_index * LAYOUT.piece_length + begin
    return piece_header(piece_index, begin, length) + DATA[start:start + length]


def block(piece_index: int, block_index: int) -> tuple[int, int, int]:
    return piece_index, block_index * BLOCK_BYTES, LAYOUT.block_size(piece_index, block_index)


BLOCKS = [block(index, number) for index in range(LAYOUT.num_pieces) for number in range(LAYOUT.num_blocks(index))]
ODD = st.tuples(st.just(1), st.integers(0, 9 * BLOCK_BYTES), st.integers(1, 3 * BLOCK_BYTES))


@given(st.data())
def test_each_request_is_answered_once_and_in_order(data):
    cached = data.draw(st.sets(st.integers(0, LAYOUT.num_pieces - 1)))
    limit_bytes = data.draw(st.sampled_from([1, 5 * WIRE_BLOCK_BYTES, 200 * WIRE_BLOCK_BYTES]))
    served = Served(limit_bytes, is_cached=cached.__contains__)
    expected = b""
    for _ in range(data.draw(st.integers(1, 6))):
        served.sender.rate_is(data.draw(st.sampled_from([0.0, 400_000.0, 1e9])))
        first = data.draw(st.integers(0, len(BLOCKS) - 1))
        requests = BLOCKS[first:first + data.draw(st.integers(1, 60))] + data.draw(st.lists(ODD, max_size=2))
        for request in requests:
            assert served.sender.add(*request)
            expected += answer(*request)
        if data.draw(st.booleans()):
            served.pump()
    served.pump()
    assert served.socket.taken == expected
    assert served.sender.num_queued == 0
    served.sender.close()
    served.cache.forget(served.torrent.info_hash)
    assert served.cache.used_bytes == 0


def test_consecutive_requests_are_answered_with_one_read():
    served = Served()
    served.sender.rate_is(1e9)
    reads = Store.num_reads
    for request in BLOCKS[:64]:
        served.sender.add(*request)
    served.pump()
    assert Store.num_reads - reads == 1
    assert served.socket.taken == b"".join(answer(*request) for request in BLOCKS[:64])


def test_the_next_span_is_read_while_the_first_is_sent():
    served = Served(by_itself=False)
    for request in BLOCKS[:32]:
        served.sender.add(*request)
    assert not served.sender.provide()
    served.reader.run()                                 # which wakes it: the first span is taken, the next one asked for
    assert served.socket.taken == b"".join(answer(*request) for request in BLOCKS[:32])


def test_what_is_in_memory_is_served_without_the_thread_and_not_read_ahead():
    served = Served(by_itself=False, is_cached=lambda piece_index: True)
    reads = Store.num_reads
    for request in BLOCKS[:32]:
        served.sender.add(*request)
    assert served.sender.provide()
    assert Store.num_reads - reads == 1
    served.pump()
    assert not served.reader.jobs
    assert Store.num_reads - reads == 2
    assert served.socket.taken == b"".join(answer(*request) for request in BLOCKS[:32])


def test_two_peers_share_what_was_read():
    served = Served()
    other = Served(cache=served.cache)
    reads = Store.num_reads
    for peer in (served, other):
        for request in BLOCKS[:16]:
            peer.sender.add(*request)
        peer.pump()
    assert Store.num_reads - reads == 1
    assert served.socket.taken == other.socket.taken


def test_a_slow_peer_gets_small_spans():
    served = Served(by_itself=False)
    served.sender.rate_is(1_000.0)
    served.sender.add(*BLOCKS[0])
    served.sender.provide()
    assert served.cache.used_bytes == SPAN_BLOCKS[-1] * WIRE_BLOCK_BYTES


def test_the_cache_stays_within_its_limit_and_drops_what_was_used_longest_ago():
    served = Served(limit_bytes=32 * WIRE_BLOCK_BYTES)
    for request in (*BLOCKS[:48], *BLOCKS[:16]):
        served.sender.add(*request)
        served.pump()
        assert served.cache.used_bytes <= 32 * WIRE_BLOCK_BYTES


def test_a_run_of_requests_is_queued_as_single_ones_are():
    served = Served()
    assert served.sender.add_run(0, 0, 3)
    assert served.sender.add(*BLOCKS[3])
    assert served.sender.add_run(0, 4, 2)
    assert served.sender.add_run(2, 0, 6)
    assert served.sender.num_queued == 12
    served.pump()
    assert served.socket.taken == b"".join(answer(*request) for request in (*BLOCKS[:6], *BLOCKS[-6:]))


def test_a_cancelled_request_is_not_answered():
    served = Served()
    for request in BLOCKS[:5]:
        served.sender.add(*request)
    served.sender.add(1, 7, 10)
    assert served.sender.cancel(*BLOCKS[2])
    assert served.sender.cancel(1, 7, 10)
    assert not served.sender.cancel(*BLOCKS[2])
    assert not served.sender.cancel(*BLOCKS[9])
    served.pump()
    assert served.socket.taken == b"".join(answer(*request) for request in (BLOCKS[0], BLOCKS[1], BLOCKS[3], BLOCKS[4]))


def test_a_choke_gives_back_what_is_not_sent_but_the_block_under_way():
    served = Served()
    for request in BLOCKS[:10]:
        served.sender.add(*request)
    assert served.sender.provide()
    served.outflow._chunk_sent(WIRE_BLOCK_BYTES + 100)  # as a socket would that took so much
    assert served.sender.clear() == BLOCKS[2:10]
    served.pump()
    assert served.socket.taken == answer(*BLOCKS[1])[100:]
    assert served.sender.num_queued == 0


def test_only_so_many_requests_wait():
    served = Served()
    assert all(served.sender.add(*BLOCKS[number % 60]) for number in range(MAX_PEER_REQUESTS))
    assert not served.sender.add(*BLOCKS[0])
    assert not served.sender.add_run(0, 0, 2)


def test_a_file_that_cannot_be_read_is_said():
    served = Served()
    served.torrent.store.error = StorageError("cannot read a: gone")
    served.sender.add(*BLOCKS[0])
    with pytest.raises(StorageError, match="gone"):
        served.sender.provide()
    served.sender.close()
    assert served.cache.used_bytes == 0


def test_a_span_that_was_being_read_when_its_peer_left_stays_for_others():
    served = Served(by_itself=False)
    served.sender.add(*BLOCKS[0])
    served.sender.provide()
    served.sender.close()
    served.reader.run()
    assert served.socket.taken == b""
    served.cache.forget(served.torrent.info_hash)
    assert served.cache.used_bytes == 0
