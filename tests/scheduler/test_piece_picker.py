"""PiecePicker: which piece, and which of its blocks, from whom."""

import random

from protocol.limits import BLOCK_BYTES
from protocol.piece_layout import PieceLayout
from scheduler.piece_picker import BlockRun, PiecePicker
from tests.scheduler.picker_swarm import (
    BLOCKS,
    FAST,
    SLOW,
    a_picker,
    bitfield,
    has_begun,
    leech_joins,
    pick,
    pieces_of,
    receive,
    seed_joins,
)

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


def test_a_fast_peer_stays_out_of_the_piece_of_slow_ones():
    picker = has_begun()
    seed_joins(picker, "slow")
    seed_joins(picker, "fast")
    (begun,) = pick(picker, "slow", SLOW)
    (own,) = pick(picker, "fast", FAST)
    assert own.piece_index != begun.piece_index
    assert pick(picker, "slow", SLOW) == [BlockRun(begun.piece_index, SLOW, SLOW, False)]


def test_a_fast_peer_helps_slow_ones_when_there_is_no_other_piece():
    picker = has_begun(5)
    seed_joins(picker, "slow")
    seed_joins(picker, "fast")
    pick(picker, "slow", SLOW)
    assert pick(picker, "fast", 10) == [BlockRun(4, BLOCKS - 10, 10, False)]


def test_a_piece_that_its_slow_peers_gave_up_is_finished_before_a_new_one_is_begun():
    picker = has_begun()
    for key in ("a", "b", "fast"):
        seed_joins(picker, key)
    (begun,) = pick(picker, "a", SLOW)
    pick(picker, "b", SLOW)
    receive(picker, "a", [begun])
    picker.peer_left("a")
    picker.peer_left("b")
    rest, own = pick(picker, "fast", FAST)
    assert (rest.piece_index, rest.first_block, rest.num_blocks) == (begun.piece_index, SLOW, BLOCKS - SLOW)
    assert own.piece_index != begun.piece_index


def test_a_peer_that_finds_no_buffer_helps_another_one_from_the_end_of_its_piece():
    picker = has_begun()
    seed_joins(picker, "owner")
    seed_joins(picker, "helper")
    (own,) = pick(picker, "owner", 40)
    assert pick(picker, "helper", 10, room=False) == [BlockRun(own.piece_index, 54, 10, False)]
    assert pick(picker, "owner", 10)[0] == BlockRun(own.piece_index, 40, 10, False)


def test_a_slow_peer_that_finds_no_buffer_stays_out_of_the_pieces_of_fast_ones():
    picker = has_begun()
    seed_joins(picker, "owner")
    seed_joins(picker, "slow")
    pick(picker, "owner", 40)
    assert pick(picker, "slow", SLOW, room=False) == []


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
