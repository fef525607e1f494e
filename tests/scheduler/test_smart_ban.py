"""SmartBan: who sent the bad block; never an innocent."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.limits import BLOCK_BYTES
from scheduler.smart_ban import SmartBan, block_digests

RIGHT = [b"r0", b"r1", b"r2", b"r3"]                    # digests


def test_the_only_sender_of_a_bad_piece_is_convicted_at_once():
    ban = SmartBan()
    assert ban.piece_failed(0, ["a", "a"], []) == {"a"}
    assert not ban.is_suspect(0)


def test_of_several_senders_nobody_is_convicted_before_the_piece_is_right():
    ban = SmartBan()
    assert ban.piece_failed(0, ["a", "a", "b", "b"], [b"r0", b"r1", b"bad", b"r3"]) == set()
    assert ban.is_suspect(0)
    assert ban.piece_verified(0, RIGHT) == {"b"}
    assert not ban.is_suspect(0)


def test_all_that_sent_bad_blocks_are_convicted_over_several_failures():
    ban = SmartBan()
    ban.piece_failed(0, ["a", "b", "c", "d"], [b"bad", b"r1", b"r2", b"r3"])
    ban.piece_failed(0, ["b", "c", "d", "a"], [b"r0", b"bad", b"r2", b"r3"])
    assert ban.piece_verified(0, RIGHT) == {"a", "c"}


def test_who_sends_two_different_blocks_for_one_place_is_convicted_without_knowing_which_is_right():
    ban = SmartBan()
    ban.piece_failed(0, ["a", "b"], [b"x", b"y"])
    assert ban.piece_failed(0, ["a", "b"], [b"z", b"y"]) == {"a"}


def test_pieces_do_not_mix():
    ban = SmartBan()
    ban.piece_failed(0, ["a", "b"], [b"bad", b"r1"])
    assert ban.piece_verified(1, RIGHT) == set()
    assert ban.piece_verified(0, RIGHT) == {"a"}


def test_the_oldest_failures_are_forgotten_first():
    ban = SmartBan(max_kept_blocks=6)
    for piece_index in range(4):
        ban.piece_failed(piece_index, ["a", "b"], [b"bad", b"r1"])
    assert ban.num_kept_blocks == 6
    assert [ban.is_suspect(piece_index) for piece_index in range(4)] == [False, True, True, True]


def test_a_digest_is_of_one_block_and_the_last_block_may_be_short():
    piece = bytes(BLOCK_BYTES) + b"x" * BLOCK_BYTES + b"tail"
    digests = block_digests(piece)
    assert len(digests) == 3
    assert digests[1] == block_digests(b"x" * BLOCK_BYTES)[0]
    assert digests[2] == block_digests(memoryview(b"tail"))[0]


@settings(deadline=None, max_examples=100)
@given(st.integers(min_value=0), st.sampled_from([8, 50, 10_000]))
def test_no_innocent_peer_is_ever_convicted_and_a_bad_one_is_when_its_piece_verifies(seed, max_kept_blocks):
    rng = random.Random(seed)
    ban = SmartBan(max_kept_blocks)
    peers = range(rng.randrange(2, 8))
    bad_peers = {peer for peer in peers if rng.random() < 0.4}
    num_blocks = rng.randrange(1, 9)
    culprits: dict[int, set[int]] = {}                  # piece: who sent a bad block of it since it was verified
    convicted: dict[int, set[int]] = {}
    for _ in range(200):
        piece_index = rng.randrange(5)
        right = [bytes([piece_index, block_index]) for block_index in range(num_blocks)]
        senders = [rng.choice(peers) for _ in range(num_blocks)]
        blocks = [
            bytes([99, rng.randrange(3)]) if sender in bad_peers and rng.random() < 0.5 else block
            for sender, block in zip(senders, right, strict=True)
        ]
        wrong = {sender for sender, block, good in zip(senders, blocks, right, strict=True) if block != good}
        if wrong:
            culprits.setdefault(piece_index, set()).update(wrong)
            found = ban.piece_failed(piece_index, senders, blocks)
        else:
            found = ban.piece_verified(piece_index, right)
        assert found <= bad_peers
        assert ban.num_kept_blocks <= max_kept_blocks
        convicted.setdefault(piece_index, set()).update(found)
        if not wrong and max_kept_blocks == 10_000:
            assert convicted[piece_index] == culprits.get(piece_index, set())
        if not wrong:
            culprits.pop(piece_index, None)
            convicted.pop(piece_index)
