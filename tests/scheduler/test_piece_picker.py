"""PiecePicker: which block from whom."""

import random

import pytest

from protocol.bitfield import Bitfield
from protocol.limits import BLOCK_BYTES
from protocol.piece_layout import PieceLayout
from scheduler.piece_picker import (
    ENDGAME_DEPTH,
    ENDGAME_PEERS,
    OWN_PIECE_PIPELINES,
    RANDOM_FIRST_PIECES,
    BlockRun,
    PiecePicker,
)

BLOCKS = 64                                             # a piece, unless a test says otherwise
SLOW = 2                                                # pipelines: a slow peer does not fill a piece soon, a fast one does
FAST = BLOCKS
assert SLOW * OWN_PIECE_PIPELINES < BLOCKS


def bitfield(num_pieces, *piece_indices):
    pieces = Bitfield(num_pieces)
    for piece_index in piece_indices:
        pieces.add(piece_index)
    return pieces


def a_picker(num_pieces, verified=(), blocks=BLOCKS, seed=1):
    layout = PieceLayout(blocks * BLOCK_BYTES, num_pieces * blocks * BLOCK_BYTES)
    return PiecePicker(layout, bitfield(num_pieces, *verified), random.Random(seed))


def has_begun(num_pieces=20, blocks=BLOCKS, **others):
    """A picker beyond its random first pieces: 0 to 3 are verified."""
    return a_picker(num_pieces, range(RANDOM_FIRST_PIECES), blocks, **others)


def seed_joins(picker, key):
    picker.peer_joined(key, Bitfield.full(picker.layout.num_pieces))


def leech_joins(picker, key, *piece_indices):
    picker.peer_joined(key, bitfield(picker.layout.num_pieces, *piece_indices))


def pick(picker, key, count, room=True):
    return picker.pick(key, count, lambda _: room)


def receive(picker, key, runs):
    for run in runs:
        assert picker.received_run(key, run.piece_index, run.first_block, run.num_blocks) == run.num_blocks


def pieces_of(runs):
    return [run.piece_index for run in runs]


# ── Which piece ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_rarest_piece_comes_first():
    picker = has_begun()
    seed_joins(picker, "seed")
    leech_joins(picker, "a", *range(20))
    leech_joins(picker, "b", *(index for index in range(20) if index != 7))
    leech_joins(picker, "c", *(index for index in range(20) if index not in (7, 9)))
    assert pieces_of(pick(picker, "seed", 2 * FAST)) == [7, 9]


def test_pieces_are_equally_rare_when_all_peers_are_seeds_and_chance_decides():
    first = set()
    for seed in range(50):
        picker = has_begun(seed=seed)
        seed_joins(picker, "seed")
        first.update(pieces_of(pick(picker, "seed", FAST)))
    assert len(first) > 10


def test_the_first_pieces_are_random_ones_though_others_are_rarer():
    first = set()
    for seed in range(50):
        picker = a_picker(20, seed=seed)
        seed_joins(picker, "seed")
        leech_joins(picker, "leech", *range(1, 20))     # 0 is the rarest
        first.update(pieces_of(pick(picker, "seed", FAST)))
    assert len(first) > 10


def test_news_of_a_piece_make_it_less_rare():
    picker = has_begun(6)
    seed_joins(picker, "seed")
    leech_joins(picker, "leech")
    picker.peer_has("leech", 4)
    assert pieces_of(pick(picker, "seed", FAST)) == [5]


def test_a_peer_that_leaves_makes_its_pieces_rarer():
    picker = has_begun(6)
    seed_joins(picker, "seed")
    leech_joins(picker, "a", 4)
    leech_joins(picker, "b", 5)
    leech_joins(picker, "c", 5)
    picker.peer_left("b")
    picker.peer_left("c")
    assert pieces_of(pick(picker, "seed", FAST)) == [5]


def test_a_leech_that_gets_the_last_piece_counts_as_a_seed():
    picker = has_begun(6)
    leech_joins(picker, "a", 0, 1, 2, 3, 4)
    picker.peer_has("a", 5)
    leech_joins(picker, "b", 4)
    assert pieces_of(pick(picker, "a", FAST)) == [5]
    picker.check_invariants()


def test_only_pieces_that_the_peer_has_are_picked():
    picker = has_begun()
    leech_joins(picker, "leech", 1, 8, 15)
    assert sorted(pieces_of(pick(picker, "leech", 10 * FAST))) == [8, 15]


def test_a_second_bitfield_replaces_the_first():
    picker = has_begun()
    leech_joins(picker, "peer", 8)
    leech_joins(picker, "peer", 9)
    assert pieces_of(pick(picker, "peer", 10 * FAST)) == [9]
    picker.check_invariants()


def test_there_is_no_new_piece_without_a_buffer():
    picker = has_begun()
    seed_joins(picker, "seed")
    asked = []
    assert picker.pick("seed", 3 * FAST, lambda index: bool(asked.append(index))) == []
    assert len(asked) == 1
    assert pick(picker, "seed", FAST) != []             # once there is one again


def test_a_piece_may_be_dropped_to_make_room_for_another():
    picker = has_begun()
    leech_joins(picker, "gone", 8)
    receive(picker, "gone", pick(picker, "gone", SLOW))
    picker.peer_left("gone")
    leech_joins(picker, "peer", 9)
    assert pieces_of(picker.pick("peer", FAST, lambda _: picker.drop_piece(8))) == [9]
    picker.check_invariants()


def test_only_allowed_pieces_are_picked_of_a_peer_that_chokes_us():
    picker = has_begun()
    leech_joins(picker, "peer", 8, 9, 10)
    runs = picker.pick_among("peer", 10 * FAST, lambda _: True, [2, 9, 10, 11])
    assert pieces_of(runs) == [9, 10]
    picker.check_invariants()


# ── Which blocks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_fast_peer_gets_a_whole_piece_in_one_run():
    picker = has_begun()
    seed_joins(picker, "seed")
    (run,) = pick(picker, "seed", FAST)
    assert (run.first_block, run.num_blocks, run.shared) == (0, BLOCKS, False)


def test_a_peer_goes_on_with_its_piece_before_it_begins_another():
    picker = has_begun()
    seed_joins(picker, "seed")
    (first,) = pick(picker, "seed", 40)
    rest, second = pick(picker, "seed", 40)
    assert (rest.piece_index, rest.first_block, rest.num_blocks) == (first.piece_index, 40, 24)
    assert (second.first_block, second.num_blocks) == (0, 16) and second.piece_index != first.piece_index


def test_fast_peers_have_pieces_of_their_own():
    picker = has_begun()
    for key in "abcd":
        seed_joins(picker, key)
    runs = [run for key in "abcd" for run in pick(picker, key, 40)]
    assert len(set(pieces_of(runs))) == 4


def test_slow_peers_share_a_piece():
    picker = has_begun()
    for key in "abcd":
        seed_joins(picker, key)
    runs = [run for key in "abcd" for run in pick(picker, key, SLOW)]
    assert len(set(pieces_of(runs))) == 1
    assert [run.first_block for run in runs] == [0, SLOW, 2 * SLOW, 3 * SLOW]


def test_a_fast_peer_finishes_a_begun_piece_before_it_takes_a_new_one():
    picker = has_begun()
    seed_joins(picker, "slow")
    seed_joins(picker, "fast")
    (begun,) = pick(picker, "slow", SLOW)
    joined, own = pick(picker, "fast", FAST)
    assert (joined.piece_index, joined.first_block, joined.num_blocks) == (begun.piece_index, SLOW, BLOCKS - SLOW)
    assert own.piece_index != begun.piece_index


def test_a_peer_that_finds_no_buffer_helps_another_one_from_the_end_of_its_piece():
    picker = has_begun()
    seed_joins(picker, "owner")
    seed_joins(picker, "helper")
    (own,) = pick(picker, "owner", 40)
    assert pick(picker, "helper", 10, room=False) == [BlockRun(own.piece_index, 54, 10, False)]
    assert pick(picker, "owner", 10)[0] == BlockRun(own.piece_index, 40, 10, False)


def test_small_pieces_are_picked_many_at_once():
    picker = has_begun(1_000, blocks=1)
    seed_joins(picker, "seed")
    runs = pick(picker, "seed", 100)
    assert len(set(pieces_of(runs))) == 100 and {run.num_blocks for run in runs} == {1}


def test_the_last_piece_may_be_short():
    layout = PieceLayout(4 * BLOCK_BYTES, 5 * BLOCK_BYTES + 1)
    picker = PiecePicker(layout, bitfield(2, 0), random.Random(1))
    seed_joins(picker, "seed")
    assert pick(picker, "seed", 10) == [BlockRun(1, 0, 2, False)]


# ── Given back ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_a_choke_gives_back_is_requested_elsewhere_and_what_is_here_is_kept():
    picker = has_begun(5)
    seed_joins(picker, "a")
    seed_joins(picker, "b")
    pick(picker, "a", FAST)
    assert picker.received_run("a", 4, 0, 10) == 10
    picker.release_all("a")
    assert pick(picker, "b", FAST) == [BlockRun(4, 10, BLOCKS - 10, False)]


def test_a_rejected_block_is_requested_elsewhere():
    picker = has_begun(5)
    seed_joins(picker, "a")
    seed_joins(picker, "b")
    pick(picker, "a", FAST)
    picker.released("a", 4, 17, 1)
    assert pick(picker, "b", FAST) == [BlockRun(4, 17, 1, False)]


def test_a_peer_that_rejects_all_requests_for_its_own_piece_loses_it():
    picker = has_begun()
    seed_joins(picker, "a")
    seed_joins(picker, "b")
    (own,) = pick(picker, "a", 40)
    for block_index in range(40):                       # BEP 6: a choke rejects each request
        picker.released("a", own.piece_index, block_index, 1)
    assert pick(picker, "b", SLOW) == [BlockRun(own.piece_index, 0, SLOW, False)]


def test_a_peer_that_leaves_gives_its_own_piece_to_everybody():
    picker = has_begun()
    seed_joins(picker, "a")
    seed_joins(picker, "b")
    (own,) = pick(picker, "a", 40)
    picker.received_run("a", own.piece_index, 0, 40)
    picker.peer_left("a")
    assert pick(picker, "b", SLOW) == [BlockRun(own.piece_index, 40, SLOW, False)]


def test_a_late_block_is_kept_if_nobody_sent_it_since():
    picker = has_begun(5)
    seed_joins(picker, "a")
    seed_joins(picker, "b")
    pick(picker, "a", FAST)
    picker.release_all("a")
    pick(picker, "b", FAST)
    assert picker.received("a", 4, 0)
    assert picker.endgame_rivals(4, 0) == ["b"]
    assert not picker.received("b", 4, 0)
    picker.check_invariants()


def test_a_block_of_a_piece_that_nobody_wants_is_not_kept():
    picker = has_begun(5)
    seed_joins(picker, "a")
    assert not picker.received("a", 0, 0)
    assert not picker.received("a", 4, 0)


def test_pieces_that_nobody_connected_can_finish_are_the_first_to_drop():
    picker = has_begun()
    leech_joins(picker, "a", 8)
    leech_joins(picker, "b", 9)
    leech_joins(picker, "c", 10)
    for key, count in (("a", 3), ("b", 2), ("c", 1)):
        receive(picker, key, pick(picker, key, count))
    picker.peer_left("a")
    assert [tuple(piece) for piece in picker.idle_pieces()] == [(8, 3, False), (10, 1, True), (9, 2, True)]
    assert picker.drop_piece(8) == 3
    assert pieces_of(picker.idle_pieces()) == [10, 9]
    picker.check_invariants()


# ── Endgame ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def in_endgame(*others):
    """The one missing piece, 4, is requested from "a"."""
    picker = has_begun(5)
    for key in ("a", *others):
        seed_joins(picker, key)
    assert pick(picker, "a", FAST) == [BlockRun(4, 0, BLOCKS, False)]
    return picker


def test_in_the_endgame_an_idle_peer_is_asked_for_the_last_blocks_of_others():
    picker = in_endgame("b")
    assert pick(picker, "b", FAST) == [BlockRun(4, BLOCKS - ENDGAME_DEPTH, ENDGAME_DEPTH, True)]
    assert pick(picker, "b", FAST) == []                # it has enough to do


def test_who_comes_second_in_the_endgame_is_to_be_cancelled():
    picker = in_endgame("b")
    pick(picker, "b", FAST)
    assert picker.received("b", 4, BLOCKS - 1)
    assert picker.endgame_rivals(4, BLOCKS - 1) == ["a"]
    picker.released("a", 4, BLOCKS - 1, 1)
    assert picker.endgame_rivals(4, BLOCKS - 1) == []
    assert not picker.received("a", 4, BLOCKS - 1)


def test_each_block_is_outstanding_to_a_few_peers_at_most():
    picker = in_endgame(*range(2 * BLOCKS))
    times = [1] * BLOCKS
    for key in range(2 * BLOCKS):
        for run in pick(picker, key, FAST):
            for block_index in range(run.first_block, run.first_block + run.num_blocks):
                times[block_index] += 1
    assert times == [ENDGAME_PEERS] * BLOCKS
    picker.check_invariants()


def test_there_is_no_endgame_while_a_piece_waits_for_a_buffer():
    picker = has_begun(6)
    seed_joins(picker, "a")
    seed_joins(picker, "b")
    pick(picker, "a", FAST)
    assert pick(picker, "b", FAST, room=False) == []


def test_pieces_that_nobody_has_do_not_keep_the_endgame_away():
    picker = has_begun(6)
    leech_joins(picker, "a", 4)
    leech_joins(picker, "b", 4)
    leech_joins(picker, "gone", 5)
    receive(picker, "gone", pick(picker, "gone", SLOW))
    picker.peer_left("gone")
    pick(picker, "a", FAST)
    assert [run.shared for run in pick(picker, "b", FAST)] == [True]


@pytest.mark.parametrize("happens", ["released", "news"])
def test_a_peer_for_which_there_was_nothing_is_served_when_something_comes(happens):
    picker = has_begun(6)
    leech_joins(picker, "a", 4)
    leech_joins(picker, "b", 4)
    for key in ("a", *range(ENDGAME_PEERS * BLOCKS)):
        if key != "a":
            leech_joins(picker, key, 4)
        pick(picker, key, FAST)
    assert pick(picker, "b", FAST) == []
    if happens == "released":
        picker.peer_left(0)
    else:
        picker.peer_has("b", 5)
    assert pick(picker, "b", FAST) != []


# ── Verified, failed ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_piece_is_complete_when_all_its_blocks_are_here():
    picker = in_endgame()
    assert picker.received_run("a", 4, 0, BLOCKS - 1) == BLOCKS - 1
    assert not picker.piece_complete(4)
    assert picker.received("a", 4, BLOCKS - 1)
    assert picker.piece_complete(4)
    assert picker.senders(4) == ["a"] * BLOCKS


def test_a_peer_is_interesting_as_long_as_it_has_what_we_lack():
    picker = has_begun(6)
    leech_joins(picker, "peer", 0, 4)
    leech_joins(picker, "empty")
    seed_joins(picker, "seed")
    assert [picker.is_interesting(key) for key in ("peer", "empty", "seed")] == [True, False, True]
    picker.piece_verified(4)
    assert [picker.is_interesting(key) for key in ("peer", "empty", "seed")] == [False, False, True]
    picker.peer_has("peer", 4)
    picker.peer_has("empty", 5)
    assert [picker.is_interesting(key) for key in ("peer", "empty", "seed")] == [False, True, True]
    picker.piece_verified(5)
    assert not picker.is_interesting("empty") and not picker.is_interesting("seed")


def with_a_failed_piece():
    """Piece 4, the last one, failed: its first half came from "a", the other from "b"."""
    picker = has_begun(5)
    for key in ("a", "b", "c"):
        seed_joins(picker, key)
    receive(picker, "a", pick(picker, "a", BLOCKS // 2))
    picker.release_all("a")
    receive(picker, "b", pick(picker, "b", FAST))
    assert picker.senders(4) == ["a"] * (BLOCKS // 2) + ["b"] * (BLOCKS // 2)
    picker.piece_failed(4)
    return picker


def test_all_blocks_of_a_failed_piece_are_missing_again():
    picker = with_a_failed_piece()
    assert pick(picker, "c", FAST) == [BlockRun(4, 0, BLOCKS, False)]
    picker.check_invariants()


def test_the_one_peer_of_a_piece_that_had_failed_is_asked_again_for_what_it_rejected():
    picker = with_a_failed_piece()
    pick(picker, "c", FAST)
    picker.released("c", 4, 17, 1)
    assert pick(picker, "a", FAST) == []
    assert pick(picker, "c", FAST) == [BlockRun(4, 17, 1, False)]


@pytest.mark.parametrize("depth", [SLOW, 40, FAST])
def test_a_piece_that_failed_with_several_senders_is_not_shared_again(depth):
    picker = with_a_failed_piece()
    (run,) = pick(picker, "c", depth)
    assert pick(picker, "a", SLOW) == pick(picker, "b", FAST) == []         # not in the endgame either
    receive(picker, "c", [run])
    receive(picker, "c", pick(picker, "c", FAST))
    assert set(picker.senders(4)) == {"c"}


def test_when_its_one_peer_leaves_another_one_goes_on_with_a_piece_that_had_failed():
    picker = with_a_failed_piece()
    pick(picker, "c", 40)
    picker.received_run("c", 4, 0, 10)
    picker.peer_left("c")
    assert pick(picker, "a", SLOW) == [BlockRun(4, 10, SLOW, False)]
    assert pick(picker, "b", FAST) == []
    picker.check_invariants()


def test_a_piece_that_failed_with_one_sender_may_be_shared():
    picker = in_endgame("b", "c")
    picker.received_run("a", 4, 0, BLOCKS)
    picker.piece_failed(4)
    picker.peer_left("a")
    pick(picker, "b", SLOW)
    assert pick(picker, "c", FAST) == [BlockRun(4, SLOW, BLOCKS - SLOW, False)]
