"""Each limit: reached, never exceeded, changed while it runs, and named when it says no."""

import pytest

from scheduler.grant_ledger import Grant
from tests.scheduler.queue_steps import grants_by_name, steps_with

# ── rate ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_dials_come_at_the_rate_after_the_burst():
    steps = steps_with("a", connection_rate=10, connection_burst=20)
    steps.ask("a", 1_000)
    when = [slot.when - steps.settings.drain_interval for slot in steps.dial(10.05)]
    assert len(when) == 20 + 99
    for index, last in enumerate(when):                 # in every window
        assert all(index - first + 1 <= 20 + 10 * (last - when[first]) + 1e-6 for first in range(index))


def test_a_rate_of_0_is_unlimited():
    steps = steps_with("a", connection_rate=0, connection_burst=1)
    steps.ask("a", 900)
    assert len(steps.take()) == 900


def test_a_new_rate_holds_at_once():
    steps = steps_with("a", connection_rate=1, connection_burst=1)
    steps.ask("a", 1_000)
    assert len(steps.dial(3.15)) == 4
    steps.queue.set_rate(10, 1, steps.now)
    steps.drain()
    assert 29 <= len(steps.dial(3.0)) <= 31


def test_without_tokens_a_torrent_is_told_when_its_turn_comes():
    steps = steps_with("a", "b", connection_rate=10, connection_burst=1)
    steps.ask("a", 5)
    steps.ask("b", 5)
    steps.dial(0.1)
    assert steps.binding("a") == "rate"
    assert steps.why("a", turn_in=3.2) == "its turn comes in about 3 s (rate 10/s, 2 torrents wait)"


def test_between_two_drains_it_is_just_not_its_turn():
    steps = steps_with("a")
    steps.ask("a", 1)
    assert steps.binding("a") == "not_its_turn"
    assert steps.why("a") == "its turn comes in about 1 s (no rate limit, 1 torrent waits)"


def test_there_is_no_timer_where_only_an_event_can_help():
    steps = steps_with("a", half_open_limit=2)
    steps.ask("a", 10)
    assert len(steps.dial(0.1)) == 2
    assert not steps.has_timer
    steps.queue.pause("the network is down")
    steps.drain()
    assert not steps.has_timer


def test_a_timer_is_never_sooner_than_the_drain_interval():
    steps = steps_with("a", connection_rate=1_000, connection_burst=1, drain_interval=0.25)
    steps.ask("a", 50)
    assert sorted({round(slot.when - 1_000.0, 6) for slot in steps.dial(1.0)}) == [0.25, 0.5, 0.75, 1.0]


# ── half-open ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_half_open_dials_and_leases_together_reach_the_limit_and_stay_there():
    steps = steps_with("a", "b", half_open_limit=30)
    steps.ask("a", 100)
    steps.ask("b", 100)
    slots = steps.take()
    assert len(slots) == 30
    for slot in slots[:10]:
        steps.start(slot)
    assert steps.take(1.0) == []
    steps.end(slots[0])
    assert len(steps.given) == 1
    assert steps.binding("b") in ("half_open", "half_open_share")


def test_all_half_open_slots_in_use_is_what_it_says():
    steps = steps_with("a", half_open_limit=30)
    steps.ask("a", 100)
    steps.dial(0.1)
    assert (steps.binding("a"), steps.why("a")) == ("half_open", "waits: all 30 half-open slots are in use")


def test_a_share_of_the_half_open_slots_is_for_each_who_asks():
    steps = steps_with("hog", half_open_limit=30)
    steps.ask("hog", 500)
    hogs = steps.dial(0.1)
    assert len(hogs) == 30
    steps.register("b")
    steps.register("c")
    steps.ask("b", 500)
    steps.ask("c", 500)
    for slot in hogs[:20]:
        steps.end(slot)
    assert grants_by_name(steps.dial(0.1)) == {"b": 10, "c": 10}    # the hog has its 10 left
    steps.end(hogs[20])
    assert grants_by_name(steps.dial(0.1)) == {"hog": 1}            # under its share again, and the others have theirs


def test_what_others_leave_of_the_half_open_slots_is_used():
    steps = steps_with("a", "b", half_open_limit=30)
    steps.ask("a", 100)
    steps.ask("b", 2)
    assert grants_by_name(steps.dial(0.1)) == {"a": 28, "b": 2}


def test_a_torrent_with_its_share_is_told_so_while_others_wait():
    steps = steps_with("hog", "b", "c", half_open_limit=4, connection_rate=10, connection_burst=4)
    steps.ask("hog", 50)
    hogs = steps.dial(0.1)
    assert len(hogs) == 4
    steps.ask("b", 50)
    steps.ask("c", 50)
    steps.end(hogs[0])
    assert (steps.binding("hog"), steps.why("hog")) == ("half_open_share", "its share of the half-open slots is in use (3 of 2)")


def test_more_slots_are_used_at_once():
    steps = steps_with("a", half_open_limit=3)
    steps.ask("a", 100)
    steps.dial(0.1)
    steps.queue.set_limits(steps.now, half_open=5)
    steps.drain()
    assert len(steps.given) == 2


def test_fewer_slots_run_out_by_themselves():
    steps = steps_with("a", half_open_limit=5)
    steps.ask("a", 100)
    slots = steps.dial(0.1)
    steps.queue.set_limits(steps.now, half_open=3)
    for slot in slots[:2]:
        steps.end(slot)
    assert steps.given == []
    steps.end(slots[2])
    assert len(steps.given) == 1


# ── connections ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("setting", "rule", "why"), [
    ("global_connection_limit", "global", "global limit: 20 of 20 connections"),
    ("torrent_connection_limit", "torrent", "this torrent's limit: 20 of 20"),
])
def test_a_limit_of_connections_is_reached_and_not_exceeded_and_named(setting, rule, why):
    steps = steps_with("a", **{setting: 20})
    steps.ask("a", 100)
    slots = steps.take()
    assert len(slots) == 20
    steps.connect(slots[0])                             # a connection counts as its dial did
    assert steps.take(1.0) == []
    assert (steps.binding("a"), steps.why("a")) == (rule, why)
    assert not any(isinstance(steps.incoming("a"), Grant) for _ in range(3))
    steps.close(slots[0])
    assert len(steps.given) == 1


def test_the_limit_of_a_torrent_stops_only_that_torrent():
    steps = steps_with("a", "b", torrent_connection_limit=3)
    steps.ask("a", 100)
    steps.ask("b", 100)
    assert grants_by_name(steps.take()) == {"a": 3, "b": 3}


def test_a_tenth_of_the_connections_is_kept_for_incoming_ones():
    steps = steps_with("a", "b", "c", "d", global_connection_limit=200, torrent_connection_limit=1_000, incoming_reserve=0.1)
    for name in "abcd":
        steps.ask(name, 100)
    assert len(steps.dial(0.1)) == 180
    assert steps.why("a") == "global limit: 180 of 200 connections, 20 kept for incoming"
    taken = [isinstance(steps.incoming("a"), Grant) for _ in range(25)]
    assert taken == [True] * 20 + [False] * 5           # both limits are reached
    assert steps.queue.ledger.count.total == 200


def test_incoming_connections_that_are_there_already_are_of_the_tenth():
    steps = steps_with("a", global_connection_limit=200, incoming_reserve=0.1)
    for _ in range(30):
        steps.incoming("a")
    steps.ask("a", 500)
    assert len(steps.dial(0.1)) == 170


def test_a_tenth_of_a_torrents_connections_is_kept_for_incoming_ones():
    steps = steps_with("a", torrent_connection_limit=50, incoming_reserve=0.1)
    steps.ask("a", 100)
    assert len(steps.dial(0.1)) == 45
    assert [isinstance(steps.incoming("a"), Grant) for _ in range(6)] == [True] * 5 + [False]


@pytest.mark.parametrize(("limits", "reason"), [
    ({"global_connection_limit": 2}, "global limit: 2 of 2 connections"),
    ({"torrent_connection_limit": 2}, "this torrent's limit: 2 of 2"),
])
def test_an_incoming_connection_is_refused_by_the_limit_that_is_reached(limits, reason):
    steps = steps_with("a", **limits)
    for _ in range(2):
        assert isinstance(steps.incoming("a"), Grant)
    assert steps.incoming("a").sentence(0, 0) == reason


def test_an_incoming_connection_that_closes_makes_room():
    steps = steps_with("a", global_connection_limit=1)
    grant = steps.incoming("a")
    steps.ask("a", 1)
    assert steps.take() == []
    steps.queue.connection_closed(grant.grant_id, steps.now)
    steps.drain()
    assert len(steps.given) == 1


def test_a_raised_limit_of_torrents_lets_those_dial_that_were_full():
    steps = steps_with("a", torrent_connection_limit=2)
    steps.ask("a", 10)
    assert len(steps.dial(0.1)) == 2
    steps.queue.set_limits(steps.now, torrent_connections=5)
    steps.drain()
    assert len(steps.given) == 3


# ── pausing ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_pause_stops_all_grants_and_keeps_what_was_asked():
    steps = steps_with("a", "b")
    steps.queue.pause("interface tun0 is gone (kill switch)")
    steps.ask("a", 3)
    steps.ask("b", 3)
    assert steps.take(3_600.0) == [] and not steps.has_timer
    assert (steps.binding("a"), steps.why("a")) == ("paused", "paused: interface tun0 is gone (kill switch)")
    steps.queue.resume()
    steps.drain()
    assert grants_by_name(steps.given) == {"a": 3, "b": 3}


def test_a_pause_saves_up_no_more_than_a_burst():
    steps = steps_with("a", connection_rate=10, connection_burst=20)
    steps.ask("a", 500)
    steps.dial(5.0)
    steps.queue.pause("the network is down")
    steps.drain()
    steps.pass_time(3_600.0)
    steps.queue.resume()
    assert len(steps.dial(0.05)) == 0                   # nothing was told: it is drained at the next event
    steps.drain()
    assert len(steps.given) == 20


def test_a_declined_torrent_is_told_when_it_is_asked_again():
    steps = steps_with("a")
    steps.ask("a", 1)
    (slot,) = steps.take()
    steps.decline(slot, retry_after=42.0)
    assert steps.binding("a") == "retry"
    assert steps.why("a") == "it declined its last slot (no_candidate), it is asked again in 42 s"


def test_who_asks_for_nothing_is_kept_by_nothing():
    steps = steps_with("a")
    assert (steps.binding("a"), steps.why("a")) == ("", "")
