"""PiecePicker: what comes of requests: given back, overtaken in the endgame, verified, failed."""

import pytest

from scheduler.piece_picker import ENDGAME_DEPTH, ENDGAME_PEERS, BlockRun
from tests.scheduler.picker_swarm import (
    BLOCKS,
    FAST,
    SLOW,
    has_begun,
    leech_joins,
    pick,
    pieces_of,
    receive,
    seed_joins,
)

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


def test_a_piece_whose_one_peer_left_when_nothing_was_free_is_finished_by_others():
    picker = with_a_failed_piece()
    pick(picker, "c", 40)
    picker.received_run("c", 4, 0, 30)
    picker.release_all("c")                             # ten blocks are free again, and 24 were never requested
    pick(picker, "a", 10)
    pick(picker, "b", FAST)                             # the rest: it belongs to "b" now, and "a" still has requests
    assert picker.received_run("b", 4, 40, 24) == 24
    picker.peer_left("b")
    picker.release_all("a")
    assert pick(picker, "c", FAST) == [BlockRun(4, 30, 10, False)]
    picker.check_invariants()


def test_a_slow_peer_goes_on_with_its_own_piece_though_others_are_untouched_and_wait_for_a_buffer():
    picker = has_begun(6)
    seed_joins(picker, "a")
    (own,) = pick(picker, "a", FAST)
    picker.released("a", own.piece_index, 17, 1)
    receive(picker, "a", [BlockRun(own.piece_index, 0, 17, False), BlockRun(own.piece_index, 18, BLOCKS - 18, False)])
    assert pick(picker, "a", SLOW, room=False) == [BlockRun(own.piece_index, 17, 1, False)]


def test_a_piece_that_failed_with_one_sender_may_be_shared():
    picker = in_endgame("b", "c")
    picker.received_run("a", 4, 0, BLOCKS)
    picker.piece_failed(4)
    picker.peer_left("a")
    pick(picker, "b", SLOW)
    assert pick(picker, "c", FAST) == [BlockRun(4, SLOW, BLOCKS - SLOW, False)]
