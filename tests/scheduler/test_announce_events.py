"""With which event a tracker is asked (BEP 3): started, completed, stopped, each once, to those who know us."""

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from protocol.tracker_messages import AnnounceResponse
from scheduler import announce_schedule as module
from scheduler.announce_schedule import AnnounceSchedule
from tests.scheduler.announce_steps import OK, answered, asked, failed, started


def test_the_first_announce_that_a_tracker_answers_is_started_and_the_next_has_no_event():
    schedule = started(("a",))
    assert failed(schedule, 0.0)[1] == "started"
    assert answered(schedule, 15.0)[1] == "started"
    assert answered(schedule, 1815.0)[1] == ""


def test_a_tracker_that_is_asked_for_the_first_time_later_hears_started():
    schedule = started(("a",), ("b",))
    answered(schedule, 0.0)
    assert failed(schedule, 1800.0) == ("a", "")
    assert answered(schedule, 1800.0) == ("b", "started")


def test_completion_is_said_at_once_and_once():
    schedule = started(("a",))
    answered(schedule, 0.0)
    schedule.complete(10.0)
    assert answered(schedule, 10.0) == ("a", "completed")
    assert schedule.due_at(10.0) == 1810.0
    assert answered(schedule, 1810.0)[1] == ""


def test_who_starts_complete_never_says_completed():
    schedule = started(("a",), is_complete=True)
    assert answered(schedule, 0.0)[1] == "started"
    assert schedule.due_at(0.0) == 1800.0
    assert answered(schedule, 1800.0)[1] == ""


def test_a_completion_while_started_is_under_way_follows_it():
    schedule = started(("a",))
    asked(schedule, 0.0)
    schedule.complete(1.0)
    schedule.answered(OK, 2.0)
    assert answered(schedule, 2.0) == ("a", "completed")
    assert schedule.due_at(2.0) == 1802.0


def test_a_completion_before_any_tracker_answered_is_no_event():
    schedule = started(("a",))
    failed(schedule, 0.0)
    schedule.complete(1.0)
    assert schedule.due_at(1.0) == 15.0
    assert answered(schedule, 15.0)[1] == "started"
    assert schedule.due_at(15.0) == 1815.0


def test_completed_goes_first_to_the_tracker_that_knows_us():
    schedule = started(("a",), ("b",))
    failed(schedule, 0.0)
    answered(schedule, 0.0)
    schedule.complete(20.0)
    assert answered(schedule, 20.0) == ("b", "completed")


def test_completed_is_repeated_until_it_was_taken():
    schedule = started(("a",))
    answered(schedule, 0.0)
    schedule.complete(10.0)
    assert failed(schedule, 10.0)[1] == "completed"
    assert answered(schedule, 25.0)[1] == "completed"


def test_stopped_goes_to_those_that_know_us():
    schedule = started(("a", "b"), ("c",))
    failed(schedule, 0.0)
    answered(schedule, 0.0)
    [tracker] = schedule.stop()
    assert (tracker.url, schedule.last_words(tracker)) == ("b", "stopped")
    schedule.said(tracker, "stopped")
    assert schedule.last_words(tracker) is None
    assert schedule.stop() == []


def test_completed_that_is_still_owed_at_the_end_goes_before_stopped():
    schedule = started(("a",))
    answered(schedule, 0.0)
    schedule.complete(1.0)
    [tracker] = schedule.stop()
    assert schedule.last_words(tracker) == "completed"
    schedule.said(tracker, "completed")
    assert schedule.last_words(tracker) == "stopped"


def test_completed_that_was_taken_is_not_said_again_at_the_end():
    schedule = started(("a",))
    answered(schedule, 0.0)
    schedule.complete(1.0)
    answered(schedule, 1.0)
    [tracker] = schedule.stop()
    assert schedule.last_words(tracker) == "stopped"


def test_an_announce_that_is_under_way_at_the_end_is_waited_for():
    schedule = started(("a",))
    announce = schedule.take(0.0)
    assert schedule.stop() == []
    assert schedule.last_words(announce.tracker) is None
    schedule.answered(OK, 1.0)
    assert schedule.last_words(announce.tracker) == "stopped"
    assert schedule.due_at(1.0) is None


def test_a_tracker_whose_announce_fails_at_the_end_hears_no_more():
    schedule = started(("a",))
    announce = schedule.take(0.0)
    schedule.stop()
    schedule.failed(1.0)
    assert schedule.last_words(announce.tracker) is None
    assert schedule.due_at(1.0) is None


def test_a_start_after_a_stop_says_started_again():
    schedule = started(("a",))
    answered(schedule, 0.0)
    schedule.stop()
    schedule.start(1.0, is_complete=False)
    assert answered(schedule, 1.0)[1] == "started"


def test_the_id_that_a_tracker_gave_is_kept_until_it_gives_another_or_all_begins_anew():
    schedule = started(("a",))
    tracker_ids = []
    for number, given_id in enumerate([b"x", b"", b"y"]):
        announce = schedule.take(number * 1800.0)
        tracker_ids.append(announce.tracker.tracker_id)
        schedule.answered(AnnounceResponse(interval=1800, tracker_id=given_id), number * 1800.0)
    assert tracker_ids == [b"", b"x", b"x"]
    schedule.stop()
    schedule.start(9e3, is_complete=False)
    assert schedule.take(9e3).tracker.tracker_id == b""


# ── whatever happens ─────────────────────────────────────────────────────────────────────────────────────────────────────


STEPS = st.lists(st.tuples(
    st.sampled_from(["take", "answered", "failed", "never", "complete", "hurry", "stop", "start", "wait"]), st.floats(0, 4000),
), max_size=120)


@given(STEPS, st.lists(st.lists(st.sampled_from("abcdef"), max_size=3), max_size=3), st.integers())
def test_events_follow_their_order_and_no_tracker_is_asked_without_a_pause(steps, tiers, seed):
    schedule = AnnounceSchedule(tiers, random.Random(seed))
    now, under_way, known, last_failed = 0.0, None, {}, {}
    for step, seconds in steps:
        if step == "wait":
            now += seconds
        elif step == "start" and under_way is None:
            schedule.start(now, is_complete=False)
            known, last_failed = {}, {}
        elif step == "stop":
            goodbyes = schedule.stop()
            assert {id(tracker) for tracker in goodbyes} == set(known) - ({id(under_way.tracker)} if under_way else set())
            for tracker in goodbyes:
                assert schedule.last_words(tracker) == "stopped" or known[id(tracker)] == "leech"
                schedule.said(tracker, "stopped")
            known = {tracker: seen for tracker, seen in known.items() if under_way and tracker == id(under_way.tracker)}
        elif step == "complete":
            schedule.complete(now)
        elif step == "hurry":
            schedule.hurry(now)
        elif step == "take":
            due_at = schedule.due_at(now)
            announce = schedule.take(now)
            assert (announce is not None) == (due_at is not None and due_at <= now)
            if announce is not None:
                under_way, tracker = announce, id(announce.tracker)
                assert (announce.event == "started") == (tracker not in known)
                assert announce.event != "completed" or known[tracker] == "leech"
                assert now - last_failed.get(tracker, -math.inf) >= module.FIRST_RETRY_SECONDS
        elif under_way is not None:
            if step == "answered":
                schedule.answered(OK, now)
                known[id(under_way.tracker)] = "leech" if under_way.says == 1 else "seed"
            else:
                schedule.failed(now, math.inf if step == "never" else None)
                last_failed[id(under_way.tracker)] = now
            under_way = None
