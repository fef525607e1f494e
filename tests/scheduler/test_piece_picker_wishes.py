"""PiecePicker: only what is wanted, in the order in which it is wanted, also when the user changes that in the middle."""

import random

import pytest

from scheduler.file_selection import HIGH, LOW, NORMAL, SKIP, PieceWishes
from tests.scheduler.picker_swarm import BLOCKS, FAST, has_begun, leech_joins, pick, pieces_of, receive, seed_joins
from tests.scheduler.simulated_download import SimulatedDownload, SimulatedPeer


def wish(picker, levels, sequential=False):
    return picker.wish(PieceWishes(picker.layout.num_pieces, bytes(levels), sequential))


def order_of_all(picker, key):
    """The pieces as this peer is asked for them, each received before the next."""
    order = []
    while runs := pick(picker, key, BLOCKS):
        receive(picker, key, runs)
        picker.piece_verified(runs[0].piece_index)
        order.append(runs[0].piece_index)
    return order


def test_only_wanted_pieces_are_picked():
    picker = has_begun(20)
    seed_joins(picker, "seed")
    wish(picker, [NORMAL if index % 3 == 0 else SKIP for index in range(20)])
    assert sorted(order_of_all(picker, "seed")) == [6, 9, 12, 15, 18]
    assert picker.is_finished and not picker.is_interesting("seed")
    picker.check_invariants()


def test_high_comes_before_normal_before_low():
    picker = has_begun(20)
    seed_joins(picker, "seed")
    levels = [(HIGH, NORMAL, LOW, SKIP)[index % 4] for index in range(20)]
    wish(picker, levels)
    picked = [levels[index] for index in order_of_all(picker, "seed")]
    assert picked == [HIGH] * 4 + [NORMAL] * 4 + [LOW] * 4


def test_of_one_priority_the_rarest_comes_first():
    picker = has_begun(10)
    leech_joins(picker, "lacks 5 and 7", 4, 6, 8)
    leech_joins(picker, "lacks 5", 4, 6, 7, 8)
    seed_joins(picker, "seed")
    wish(picker, [SKIP if index == 9 else HIGH if index > 5 else LOW for index in range(10)])
    order = order_of_all(picker, "seed")
    assert order[0] == 7 and order.index(5) < order.index(4)


def test_a_piece_of_lower_priority_is_taken_from_a_peer_that_has_nothing_better():
    picker = has_begun(10)
    leech_joins(picker, "poor", 8)
    wish(picker, [LOW if index == 8 else HIGH for index in range(10)])
    assert pieces_of(pick(picker, "poor", FAST)) == [8]


def test_sequential_goes_from_the_first_to_the_last_also_when_others_are_rarer():
    picker = has_begun(20)
    leech_joins(picker, "leech", *range(10))
    seed_joins(picker, "seed")
    wish(picker, [], sequential=True)
    assert order_of_all(picker, "seed") == list(range(4, 20))


def test_sequential_within_a_priority():
    picker = has_begun(10)
    seed_joins(picker, "seed")
    wish(picker, [HIGH if index >= 8 else NORMAL for index in range(10)], sequential=True)
    assert order_of_all(picker, "seed") == [8, 9, 4, 5, 6, 7]


def test_a_begun_piece_that_is_not_wanted_any_more_is_dropped_before_half_of_it_is_here():
    picker = has_begun(20)
    seed_joins(picker, "seed")
    runs = pick(picker, "seed", FAST)
    receive(picker, "seed", [runs[0]._replace(num_blocks=BLOCKS // 2 - 1)])
    piece_index = runs[0].piece_index
    assert wish(picker, [SKIP] * 20) == [piece_index]
    assert not picker.is_finished                       # until it is dropped
    picker.release_all("seed")
    assert picker.drop_piece(piece_index) == BLOCKS // 2 - 1
    assert picker.is_finished and not picker.is_interesting("seed") and not pick(picker, "seed", FAST)
    picker.check_invariants()


def test_a_begun_piece_that_is_half_here_is_finished_though_it_is_not_wanted_any_more():
    picker = has_begun(20)
    seed_joins(picker, "seed")
    runs = pick(picker, "seed", FAST)
    receive(picker, "seed", [runs[0]._replace(num_blocks=BLOCKS // 2)])
    assert wish(picker, [SKIP] * 20) == []
    assert picker.is_interesting("seed") and not picker.is_finished
    picker.release_all("seed")
    rest = pick(picker, "seed", FAST)
    assert pieces_of(rest) == [runs[0].piece_index]
    receive(picker, "seed", rest)
    picker.piece_verified(runs[0].piece_index)
    assert picker.is_finished
    picker.check_invariants()


def test_an_unwanted_piece_that_fails_its_hash_is_not_begun_again():
    picker = has_begun(20)
    seed_joins(picker, "seed")
    runs = pick(picker, "seed", FAST)
    receive(picker, "seed", runs)
    wish(picker, [SKIP] * 20)
    picker.piece_failed(runs[0].piece_index)
    assert picker.is_finished and not pick(picker, "seed", FAST)


def test_what_is_wanted_again_is_picked_again_also_from_a_peer_that_had_nothing_to_give():
    picker = has_begun(20)
    seed_joins(picker, "seed")
    wish(picker, [SKIP] * 20)
    assert not pick(picker, "seed", FAST) and not picker.is_interesting("seed")
    wish(picker, [])
    assert picker.is_interesting("seed") and pick(picker, "seed", FAST)


def test_a_have_of_a_piece_that_is_not_wanted_makes_no_peer_interesting():
    picker = has_begun(20)
    leech_joins(picker, "leech")
    wish(picker, [SKIP] * 10 + [NORMAL] * 10)
    picker.peer_has("leech", 5)
    assert not picker.is_interesting("leech")
    picker.peer_has("leech", 15)
    assert picker.is_interesting("leech")


def test_allowed_fast_pieces_are_requested_only_when_wanted():
    picker = has_begun(20)
    seed_joins(picker, "seed")
    wish(picker, [NORMAL if index == 7 else SKIP for index in range(20)])
    assert pieces_of(picker.pick_among("seed", FAST, lambda _: True, [5, 6, 7])) == [7]


@pytest.mark.parametrize("seed", range(12))
def test_in_a_download_whose_wishes_change_all_the_time_exactly_what_is_wanted_in_the_end_is_completed(seed):
    rng = random.Random(seed)
    num_pieces = 200
    run = SimulatedDownload(num_pieces, 16, [SimulatedPeer(key, rng.choice((20, 100, 400))) for key in range(8)], num_buffers=20, seed=seed)
    may_be_there, levels = set(), [NORMAL] * num_pieces
    for number in range(12):
        run.run(0.5 * (number + 1))
        may_be_there |= set(run.begun)
        levels = [rng.choice((SKIP, SKIP, LOW, HIGH)) for _ in range(num_pieces)]
        run.wish(PieceWishes(num_pieces, bytes(levels), rng.random() < 0.3))
        run.picker.check_invariants()
        may_be_there |= set(run.verified) | run.begun
    run.run(1_000)
    wanted = {index for index, level in enumerate(levels) if level}
    assert run.picker.is_finished
    assert wanted <= set(run.verified) <= wanted | may_be_there
    assert len(set(run.verified)) == len(run.verified)
    run.picker.check_invariants()
