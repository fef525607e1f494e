"""PieceBuffers: bounded memory for pieces, used again."""

import random

import pytest

from daemon.piece_buffers import LEAST_COST_BYTES, PieceBuffers, cost_of

KIB = 1024


def test_buffers_are_handed_out_until_the_limit_is_reached():
    buffers = PieceBuffers(64 * KIB)
    taken = [buffers.acquire(16 * KIB) for _ in range(4)]
    assert [len(buffer) for buffer in taken] == [16 * KIB] * 4
    assert len({id(buffer) for buffer in taken}) == 4
    assert buffers.acquire(1) is None


def test_a_released_buffer_is_handed_out_again():
    buffers = PieceBuffers(64 * KIB)
    buffer = buffers.acquire(16 * KIB)
    buffers.release(buffer)
    assert buffers.acquire(16 * KIB) is buffer


def test_a_torrent_without_a_buffer_may_exceed_the_limit():
    buffers = PieceBuffers(16 * KIB)
    assert buffers.acquire(64 * KIB) is None
    large = buffers.acquire(64 * KIB, may_exceed=True)
    assert len(large) == 64 * KIB
    assert buffers.acquire(1) is None
    buffers.release(large)
    assert (buffers.used_bytes, buffers.idle_bytes) == (0, 0)       # what exceeded is not kept


def test_idle_buffers_of_another_size_make_room():
    buffers = PieceBuffers(64 * KIB)
    for buffer in [buffers.acquire(16 * KIB) for _ in range(4)]:
        buffers.release(buffer)
    assert buffers.idle_bytes == 64 * KIB
    assert len(buffers.acquire(48 * KIB)) == 48 * KIB
    assert buffers.idle_bytes == 16 * KIB


def test_the_number_of_tiny_buffers_is_bounded_too():
    buffers = PieceBuffers(10 * LEAST_COST_BYTES)
    taken = [buffers.acquire(1) for _ in range(10)]
    assert None not in taken and buffers.acquire(1) is None
    buffers.release(taken.pop())
    assert buffers.acquire(1) is not None


def test_a_buffer_comes_back_only_once():
    buffers = PieceBuffers(64 * KIB)
    buffer = buffers.acquire(16 * KIB)
    buffers.release(buffer)
    with pytest.raises(KeyError):
        buffers.release(buffer)


def test_idle_memory_can_be_given_back():
    buffers = PieceBuffers(64 * KIB)
    buffers.release(buffers.acquire(16 * KIB))
    buffers.drop_idle()
    assert buffers.idle_bytes == 0


def test_no_order_of_use_holds_more_memory_than_the_limit():
    rng = random.Random(1)
    buffers = PieceBuffers(1_000 * KIB)
    taken: list[bytearray] = []
    for _ in range(20_000):
        if rng.random() < 0.5:
            buffer = buffers.acquire(rng.choice((1, 7, 100, 333, 1_000)) * KIB)
            if buffer is not None:
                assert not any(buffer is other for other in taken)
                taken.append(buffer)
        elif taken:
            buffers.release(taken.pop(rng.randrange(len(taken))))
        assert buffers.used_bytes == sum(cost_of(len(buffer)) for buffer in taken)
        assert buffers.used_bytes + buffers.idle_bytes <= 1_000 * KIB
