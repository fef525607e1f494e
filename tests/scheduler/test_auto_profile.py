"""The profile auto: what it takes a router to hold, and for whom."""

import pytest

from protocol import daemon_messages as dm
from tests.scheduler.queue_steps import QueueSteps, grants_by_name

AUTO = {"profile": "auto", "connection_rate": 0, "half_open_limit": 1_000, "unanswered_limit": 10_000}


def dial_dead(steps: QueueSteps, seconds: float) -> list:
    """Every dial times out at once."""
    given = []
    while seconds > 0:
        seconds -= 0.1
        for slot in steps.dial(0.1):
            steps.end(slot, dm.TIMED_OUT)
            given.append(slot)
    return given


def test_dials_and_connections_together_are_seventy_percent_of_a_small_router_and_no_more():
    steps = QueueSteps("a", "b", "c", "d", **AUTO)
    steps.ask("a", 20)
    for slot in steps.take():
        steps.connect(slot)
    steps.ask("a", 10_000)
    dial_dead(steps, 30.0)
    assert steps.queue.rules.num_flows(0.0) == 20 + 0.75 * (179 - 20) + 0.75
    for name in "bcd":                                  # the rest is for those that come
        steps.ask(name, 20)
    dial_dead(steps, 30.0)
    assert steps.queue.rules.num_flows(0.0) == 179
    assert steps.binding("a") == "router" and "179 of 179 connections and dials, for a router that may have room for only 256" in steps.why("a")


def test_who_knows_the_router_may_say_that_it_holds_more():
    steps = QueueSteps("a", **AUTO | {"router_entries": 1_000})
    steps.ask("a", 10_000)
    assert len(dial_dead(steps, 30.0)) == 20 + 0.75 * 700    # the first twenty are a newcomer's


def test_what_the_router_forgot_may_be_used_again_without_an_event():
    steps = QueueSteps("a", **AUTO)
    steps.ask("a", 10_000)
    dial_dead(steps, 10.0)
    assert dial_dead(steps, 100.0) == []
    assert len(dial_dead(steps, 30.0)) == 135


def test_three_quarters_are_kept_for_torrents_without_a_peer_while_one_waits():
    steps = QueueSteps("rich", "poor", **AUTO | {"connection_rate": 10, "connection_burst": 1})
    steps.incoming("rich")
    steps.ask("rich", 10_000)
    while steps.queue.rules.num_flows(0.0) < 60:
        dial_dead(steps, 0.5)
    steps.ask("poor", 15)
    assert grants_by_name(dial_dead(steps, 1.6)) ["poor"] == 15


def test_a_torrent_whose_first_twenty_dials_gave_no_peer_comes_before_nobody():
    steps = QueueSteps("hog", "rich", **AUTO | {"connection_rate": 20, "connection_burst": 1})
    steps.incoming("rich")
    steps.ask("hog", 10_000)
    dial_dead(steps, 1.4)
    steps.ask("rich", 10_000)
    dial_dead(steps, 2.0)
    given = grants_by_name(dial_dead(steps, 2.0))
    assert abs(given["hog"] - given["rich"]) <= 1


@pytest.mark.parametrize("profile", ["conservative", "moderate", "aggressive", "weak-router"])
def test_other_profiles_do_not_guess_what_the_router_holds(profile):
    steps = QueueSteps("a", **AUTO | {"profile": profile, "global_connection_limit": 10_000})
    steps.ask("a", 10_000)
    assert len(dial_dead(steps, 10.0)) > 179
