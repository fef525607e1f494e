"""Each limit: reached, never exceeded, changed while it runs, and named when it says no."""

import pytest

from protocol import daemon_messages as dm
from scheduler.grant_ledger import Grant
from tests.scheduler.queue_steps import QueueSteps, grants_by_name

NO_OTHER_LIMIT = {
    "connection_rate": 0, "half_open_limit": 1_000, "unanswered_limit": 10_000, "global_connection_limit": 10_000,
    "torrent_connection_limit": 1_000, "incoming_reserve": 0,
}


def steps_with(*names, **settings):
    return QueueSteps(*names, **{**NO_OTHER_LIMIT, **settings})


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


# ── what the router remembers ────────────────────────────────────────────────────────────────────────────────────────────


def dial_dead_peers(steps, seconds, *, timeout=1.0, outcome=dm.TIMED_OUT):
    """Every dial ends after `timeout`. Return the moments at which they ended."""
    under_way, ended = [], []
    for _ in range(round(seconds / 0.1)):
        under_way += steps.dial(0.1)
        while under_way and under_way[0].when + timeout <= steps.now:
            steps.end(under_way.pop(0), outcome)
            ended.append(steps.now)
    return ended


def test_no_120_seconds_have_more_unanswered_dials_than_the_limit():
    steps = steps_with("a", connection_rate=10, connection_burst=20, half_open_limit=30, unanswered_limit=50)
    steps.ask("a", 10_000)
    ended = dial_dead_peers(steps, 600)
    assert all(sum(start <= moment < start + 120 for moment in ended) <= 50 for start in ended)
    assert len(ended) >= 50 * 4                         # and the limit is reached again and again


def test_the_memory_of_the_router_is_named():
    steps = steps_with("a", unanswered_limit=50)
    steps.ask("a", 10_000)
    dial_dead_peers(steps, 5)
    assert (steps.binding("a"), steps.why("a")) == ("unanswered", "waits: 50 of 50 unanswered dials that the router remembers")
    assert steps.has_timer


def test_refused_dials_are_forgotten_after_10_seconds():
    steps = steps_with("a", unanswered_limit=50, half_open_limit=30)
    steps.ask("a", 100_000)
    assert len(dial_dead_peers(steps, 100, outcome=dm.REFUSED)) >= 38 * 8


def test_what_no_router_remembers_is_not_counted():
    steps = steps_with("a", unanswered_limit=50, half_open_limit=30, connection_rate=10)
    steps.ask("a", 100_000)
    assert len(dial_dead_peers(steps, 60, outcome=dm.HANDSHAKE_FAILED)) >= 500


def test_half_of_what_the_router_remembers_is_kept_for_torrents_without_a_peer():
    steps = steps_with("rich", "poor", unanswered_limit=40, half_open_limit=1_000)
    steps.incoming("rich")
    steps.ask("poor", 1)
    (waiting,) = steps.dial(0.1)                        # poor has a dial under way; now it holds still
    steps.ask("rich", 500)
    assert len(steps.dial(0.1)) == 30                   # nobody without a peer asks: but some may come
    assert steps.why("rich") == (
        "waits: 30 of 40 unanswered dials that the router remembers, a quarter is kept for torrents that begin to look for their first peer"
    )
    assert waiting.name == "poor"


@pytest.mark.parametrize("has_peer", [True, False])
def test_who_comes_dials_at_once_though_another_one_dials_dead_peers_for_ever(has_peer):
    steps = steps_with("hog", "late", unanswered_limit=100, half_open_limit=8)
    if has_peer:
        steps.incoming("hog")
    steps.ask("hog", 10_000)
    dial_dead_peers(steps, 60)
    steps.ask("late", 1)
    assert grants_by_name(steps.dial(0.1)) == {"late": 1}


def test_what_only_newcomers_may_use_is_theirs_for_twenty_dials_each():
    steps = steps_with("hog", "late", unanswered_limit=100)
    steps.ask("hog", 10_000)
    dial_dead_peers(steps, 60)
    steps.ask("late", 10_000)
    assert grants_by_name(steps.dial(5)) == {"late": 5}  # 95 are the hog's, of which 20 were its first ones


def test_who_waits_for_what_the_router_forgets_has_a_timer_for_that_and_for_nothing_sooner():
    steps = steps_with("hog", unanswered_limit=40)
    steps.incoming("hog")
    steps.ask("hog", 10_000)
    for slot in steps.dial(0.1):
        steps.end(slot)
    assert steps.queue.next_drain(steps.now) == pytest.approx(120.0, abs=0.2)
    assert len(steps.dial(121)) == 30


def test_no_idle_connection_goes_for_a_torrent_that_could_not_dial_then():
    steps = steps_with("hog", unanswered_limit=4, global_connection_limit=5)
    grants = [steps.incoming("hog") for _ in range(2)]
    steps.ask("hog", 10_000)
    (slot, *others) = steps.dial(0.1)
    assert len(others) == 2                             # three of four, and every place is taken
    steps.offer_idle("hog", grants[0].grant_id, 1_000.0)
    assert steps.idle_to_close() is None
    steps.end(slot, dm.HANDSHAKE_FAILED)
    assert len(steps.given) == 1


def test_while_a_torrent_without_a_peer_asks_the_others_use_half():
    steps = steps_with("rich", "poor", unanswered_limit=40, half_open_limit=8)
    steps.incoming("rich")
    steps.ask("rich", 5_000)
    steps.ask("poor", 5_000)
    ended = {"rich": 0, "poor": 0}
    under_way = []
    for _ in range(200):
        under_way += steps.dial(0.1)
        for slot in under_way:
            steps.end(slot, dm.TIMED_OUT)
            ended[slot.name] += 1
        under_way = []
    assert ended["rich"] <= 20 and sum(ended.values()) == 40


def test_it_is_told_that_half_is_kept():
    steps = steps_with("rich", "poor", unanswered_limit=4, half_open_limit=100, connection_rate=10, connection_burst=2)
    steps.incoming("rich")
    steps.ask("rich", 50)
    assert len(steps.dial(0.1)) == 2
    steps.queue.set_rate(0, 1, steps.now)
    steps.queue.pause("not yet")
    steps.ask("poor", 1)
    steps.queue.resume()
    why = "waits: 2 of 4 unanswered dials that the router remembers, half is kept for torrents without a peer"
    assert (steps.binding("rich"), steps.why("rich")) == ("unanswered", why)


def test_a_dial_of_a_torrent_that_is_gone_is_still_remembered():
    steps = steps_with("a", "b", unanswered_limit=5)
    steps.ask("a", 5)
    steps.dial(0.1)
    steps.gone("a")
    steps.ask("b", 5)
    assert steps.take(119.0) == []
    assert len(steps.take(2.0)) == 5


def test_dials_that_others_never_began_are_not_remembered():
    steps = steps_with("a", "b", unanswered_limit=5)
    steps.ask("a", 5)
    steps.take()
    steps.gone("a")
    steps.ask("b", 5)
    assert len(steps.take()) == 5


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
