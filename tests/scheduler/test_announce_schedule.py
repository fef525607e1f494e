"""Which tracker is due when (BEP 3, 12, 31)."""

import math
import random

import pytest

from protocol.tracker_messages import AnnounceResponse
from scheduler import announce_schedule as module
from scheduler.announce_schedule import AnnounceSchedule
from tests.scheduler.announce_steps import Unmoved, answered, asked, failed, started

# ── when ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_due_before_the_start_after_the_stop_or_without_trackers():
    schedule = AnnounceSchedule([["a"]], Unmoved())
    assert schedule.due_at(0.0) is None and schedule.take(0.0) is None
    schedule.start(0.0, is_complete=False)
    schedule.stop()
    assert schedule.due_at(9e9) is None and schedule.take(9e9) is None
    assert started().due_at(0.0) is None and started(()).take(0.0) is None


@pytest.mark.parametrize(("response", "due_in"), [
    (AnnounceResponse(interval=1800), 1800.0),
    (AnnounceResponse(interval=60), 60.0),
    (AnnounceResponse(), module.DEFAULT_INTERVAL_SECONDS),
    (AnnounceResponse(interval=0), module.SHORTEST_INTERVAL_SECONDS),
    (AnnounceResponse(interval=10 ** 18), module.LONGEST_INTERVAL_SECONDS),
])
def test_the_next_announce_is_due_after_the_interval_of_the_tracker_within_bounds(response, due_in):
    schedule = started(("a",))
    answered(schedule, 5.0, response)
    assert schedule.due_at(5.0) == 5.0 + due_in
    assert schedule.take(5.0 + due_in - 0.001) is None
    assert asked(schedule, 5.0 + due_in) == ("a", "")


@pytest.mark.parametrize(("response", "soonest"), [
    (AnnounceResponse(interval=1800, min_interval=300), 300.0),
    (AnnounceResponse(interval=1800), module.DEFAULT_MIN_INTERVAL_SECONDS),
    (AnnounceResponse(interval=1800, min_interval=0), module.SHORTEST_INTERVAL_SECONDS),
    (AnnounceResponse(interval=100, min_interval=10 ** 18), 100.0),
])
def test_who_is_in_a_hurry_waits_for_the_minimum_interval(response, soonest):
    schedule = started(("a",))
    answered(schedule, 0.0, response)
    schedule.hurry(1.0)
    assert schedule.due_at(1.0) == soonest
    schedule.hurry(2.0)
    assert schedule.due_at(2.0) == soonest


def test_a_hurry_after_the_minimum_interval_is_due_at_once():
    schedule = started(("a",))
    answered(schedule, 0.0)
    schedule.hurry(1000.0)
    assert schedule.due_at(1000.0) == 1000.0


def test_a_hurry_never_delays():
    schedule = started(("a",))
    answered(schedule, 0.0, AnnounceResponse(interval=100, min_interval=100))
    schedule.hurry(99.0)
    assert schedule.due_at(99.0) == 100.0


def test_a_hurry_does_not_shorten_a_backoff_nor_start_anything():
    schedule = started(("a",))
    failed(schedule, 0.0)
    schedule.hurry(1.0)
    assert schedule.due_at(1.0) == 15.0
    schedule.stop()
    schedule.hurry(2.0)
    assert schedule.due_at(2.0) is None


def test_a_tracker_that_fails_is_asked_after_15_seconds_then_twice_that_up_to_half_an_hour():
    schedule, now, waits = started(("a",)), 0.0, []
    for _ in range(12):
        failed(schedule, now)
        waits.append(schedule.due_at(now) - now)
        now = schedule.due_at(now)
    assert waits == [15.0, 30.0, 60.0, 120.0, 240.0, 480.0, 960.0, *[1440.0] * 5]


def test_jitter_spreads_every_wait_and_none_is_longer_than_half_an_hour():
    schedule, now = started(("a",), jitter=0.999999), 0.0
    for failures in range(2_000):
        failed(schedule, now)
        wait = schedule.due_at(now) - now
        now = schedule.due_at(now)
        assert wait == pytest.approx(min(15.0 * 2 ** min(failures, 10), 1440.0) * 1.25, rel=1e-5)
        assert wait <= module.LONGEST_RETRY_SECONDS


def test_a_success_ends_the_backoff():
    schedule = started(("a",))
    failed(schedule, 0.0)
    failed(schedule, 15.0)
    answered(schedule, 45.0)
    failed(schedule, 2000.0)
    assert schedule.due_at(2000.0) == 2015.0


@pytest.mark.parametrize(("retry_in", "due_in"), [
    (300.0, 300.0), (0.0, 15.0), (None, 15.0), (10.0 ** 12, module.LONGEST_INTERVAL_SECONDS), (math.inf, None),
])
def test_what_a_refusal_says_about_another_try_is_honoured(retry_in, due_in):
    schedule = started(("a",))
    failed(schedule, 0.0, retry_in)
    assert schedule.due_at(0.0) == due_in


def test_a_tracker_that_said_never_is_asked_after_the_next_start():
    schedule = started(("a",))
    failed(schedule, 0.0, math.inf)
    schedule.hurry(5.0)
    assert schedule.take(9e9) is None
    schedule.stop()
    schedule.start(10.0, is_complete=False)
    assert asked(schedule, 10.0) == ("a", "started")


def test_one_announce_is_under_way_at_a_time():
    schedule = started(("a", "b"))
    assert asked(schedule, 0.0) == ("a", "started")
    assert schedule.due_at(0.0) is None and schedule.take(0.0) is None


# ── which ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_tiers_are_gone_through_in_order_until_one_answers():
    schedule = started(("a", "b"), ("c", "d"))
    assert [failed(schedule, 0.0)[0], failed(schedule, 1.0)[0], answered(schedule, 2.0)[0]] == ["a", "b", "c"]
    assert schedule.due_at(2.0) == 1802.0


def test_the_tracker_that_answered_moves_to_the_front_of_its_tier_and_stays_in_its_tier():
    schedule = started(("a", "b"), ("c", "d"))
    failed(schedule, 0.0)
    answered(schedule, 0.0)
    assert [failed(schedule, 1800.0)[0] for _ in range(4)] == ["b", "a", "c", "d"]
    schedule = started(("a", "b"), ("c", "d"))
    for _ in range(3):
        failed(schedule, 0.0)
    answered(schedule, 0.0)
    assert [failed(schedule, 1800.0)[0] for _ in range(4)] == ["a", "b", "d", "c"]


def test_each_tier_is_shuffled_and_no_tracker_leaves_its_tier():
    orders = set()
    for seed in range(200):
        schedule = AnnounceSchedule([["a", "b", "c"], ["d", "e"]], random.Random(seed))
        schedule.start(0.0, is_complete=False)
        orders.add("".join(failed(schedule, 0.0)[0] for _ in range(5)))
    assert {order[:3] for order in orders} == {"abc", "acb", "bac", "bca", "cab", "cba"}
    assert {order[3:] for order in orders} == {"de", "ed"}


def test_a_tracker_named_twice_in_a_tier_is_asked_once():
    schedule = started(("a", "a"))
    failed(schedule, 0.0)
    assert schedule.due_at(0.0) == 15.0


def test_trackers_that_take_long_to_fail_do_not_keep_the_last_ones_from_being_asked():
    schedule, now, order = started(("a",), ("b",), ("c",)), 0.0, []
    for _ in range(6):
        announce = asked(schedule, now)
        now += 30.0                                     # longer than the first backoff
        schedule.failed(now)
        order.append(announce[0])
        now = schedule.due_at(now)
    assert order[:3] == ["a", "b", "c"]


def test_a_better_tier_is_tried_first_again_when_its_backoff_is_over():
    schedule = started(("a",), ("b",))
    failed(schedule, 0.0)
    answered(schedule, 0.0, AnnounceResponse(interval=30))
    assert answered(schedule, 30.0)[0] == "a"


def test_a_tracker_in_backoff_is_left_out_of_a_round():
    schedule = started(("a",), ("b",))
    failed(schedule, 0.0, 1000.0)
    answered(schedule, 0.0, AnnounceResponse(interval=30))
    assert answered(schedule, 30.0)[0] == "b"
