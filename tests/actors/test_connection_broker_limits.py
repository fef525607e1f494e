"""ConnectionBroker: incoming connections, limits that change while it runs, and what it tells of itself."""

import pytest

from actors import messages as m
from actors.snapshots import FlowStats
from protocol import daemon_messages as dm
from scheduler.settings import settings_from
from tests.actors.broker_world import BrokerWorld
from tests.actors.pump import RecordingRef

# ── incoming ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_incoming_connection_gets_a_place_that_can_be_given_back():
    world = BrokerWorld("a")
    world.tell(m.ReserveIncoming(world.hash_of("a"), connection_id=7))
    (answer,) = world.torrents["a"].take()
    assert answer == m.IncomingReserved(7, answer.grant_id)
    assert (world.stats.connected, world.stats.incoming) == (1, 1)
    assert world.log.named("incoming_reserved") == [{"info_hash": world.hash_of("a"), "grant_id": answer.grant_id, "connection_id": 7}]
    world.tell(m.ConnectionClosed(answer.grant_id))
    assert world.stats.connected == 0


def test_an_incoming_connection_without_a_place_is_told_which_limit_said_no():
    world = BrokerWorld("a", global_connection_limit=1)
    world.tell(m.ReserveIncoming(world.hash_of("a"), 7), m.ReserveIncoming(world.hash_of("a"), 8))
    reason = "global limit: 1 of 1 connections"
    assert world.torrents["a"].take(m.IncomingRefused) == [m.IncomingRefused(8, reason)]
    assert world.log.named("incoming_refused") == [{"info_hash": world.hash_of("a"), "connection_id": 8, "reason": reason}]


def test_an_incoming_connection_of_a_dead_actor_keeps_no_place():
    world = BrokerWorld("a")
    world.torrents["a"].is_dead = True
    world.tell(m.ReserveIncoming(world.hash_of("a"), 7))
    assert world.stats.connected == 0


# ── live limits ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("per_second", "burst", "expected"), [(5.0, None, 10), (0.4, None, 1), (0, None, 1), (25.0, 7, 7), (2.5, None, 5)])
def test_the_burst_of_a_new_rate_is_twice_the_rate_unless_it_is_given(per_second, burst, expected):
    world = BrokerWorld()
    world.tell(m.SetConnectionRateLimit(per_second, burst))
    assert (world.stats.rate_per_second, world.stats.burst) == (per_second, expected)
    assert world.log.named("connection_rate_changed") == [{"per_second": per_second, "burst": expected}]


def test_a_rate_of_0_lets_all_go_at_once():
    world = BrokerWorld("a", connection_rate=1, connection_burst=1, half_open_limit=100)
    world.ask("a", 40)
    assert len(world.grants("a")) == 1
    world.tell(m.SetConnectionRateLimit(0))
    assert len(world.grants("a", seconds=0.0)) == 39


def test_limits_that_are_not_given_stay():
    world = BrokerWorld()
    world.tell(m.SetConnectionLimits(half_open=7, unanswered=50))
    stats = world.stats
    assert (stats.half_open_limit, stats.unanswered_limit, stats.global_limit, stats.torrent_limit) == (7, 50, 200, 50)
    assert world.log.named("connection_limits_changed") == [
        {"half_open": 7, "global_connections": 200, "torrent_connections": 50, "unanswered": 50},
    ]


def test_a_raised_limit_is_used_at_once():
    world = BrokerWorld("a", half_open_limit=2)
    world.ask("a", 10)
    world.dials("a")
    world.tell(m.SetConnectionLimits(half_open=5))
    assert len(world.grants("a", seconds=0.0)) == 3


def test_a_pause_stops_everyone_and_a_resume_goes_on():
    world = BrokerWorld("a")
    world.tell(m.PauseConnecting("the network is down"))
    world.ask("a", 5)
    assert world.grants("a", seconds=600.0) == [] and world.time.timers == []
    assert world.stats.paused == "the network is down"
    world.tell(m.ResumeConnecting())
    assert len(world.grants("a", seconds=0.0)) == 5
    assert world.log.named("connecting_paused") == [{"reason": "the network is down"}] and len(world.log.named("connecting_resumed")) == 1


def test_connecting_goes_on_when_the_last_of_several_reasons_is_gone():
    world = BrokerWorld("a")
    world.tell(m.PauseConnecting("the network is down"), m.PauseConnecting("too many open files"), m.PauseConnecting("the network is down"))
    world.ask("a", 5)
    assert world.stats.paused == "the network is down; too many open files"
    assert world.stats.torrents[world.hash_of("a")].why == "paused: the network is down; too many open files"
    world.tell(m.ResumeConnecting("the network is down"), m.ResumeConnecting("the kill switch"))
    assert world.grants("a", seconds=60.0) == [] and world.stats.paused == "too many open files"
    world.tell(m.ResumeConnecting("too many open files"))
    assert len(world.grants("a", seconds=0.0)) == 5
    assert [event["reason"] for event in world.log.named("connecting_paused")] == ["the network is down", "too many open files"]
    assert [event["still_paused"] for event in world.log.named("connecting_resumed")] == ["too many open files", ""]


def test_a_resume_without_a_reason_ends_all_pauses():
    world = BrokerWorld("a")
    world.tell(m.PauseConnecting("the network is down"), m.PauseConnecting("the user"), m.ResumeConnecting())
    world.ask("a", 1)
    assert len(world.grants("a")) == 1


def test_an_idle_connection_is_asked_for_when_a_torrent_that_downloads_lacks_a_place():
    world = BrokerWorld("seed", "new", global_connection_limit=2, incoming_reserve=0.0)
    world.ask("seed", 2)
    grant_ids = world.dials("seed")
    world.tell(*(m.AttemptEnded(grant_id, dm.CONNECTED, 0.1) for grant_id in grant_ids))
    world.tell(m.IdleConnectionOffered(world.hash_of("seed"), grant_ids[0], 400.0))
    assert world.torrents["seed"].take(m.CloseIdleConnection) == []
    world.ask("new", 3)
    world.pass_time(0.2)
    assert world.torrents["seed"].take(m.CloseIdleConnection) == [m.CloseIdleConnection(grant_ids[0])]
    assert world.log.named("idle_close_requested") == [{"info_hash": world.hash_of("seed"), "grant_id": grant_ids[0]}]
    world.tell(m.ConnectionClosed(grant_ids[0]))
    assert len(world.grants("new", 0.0)) == 1


# ── stats ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_stats_tell_what_there_is_and_what_binds():
    world = BrokerWorld("a", "b", "idle", half_open_limit=4)
    world.ask("a", 10)
    world.ask("b", 10)
    world.grants("a")
    world.dials("b", 0.0)
    world.pass_time(1.0)
    stats = world.stats
    assert (stats.leases, stats.half_open, stats.pending, stats.granted) == (2, 2, 16, 4)
    assert stats.tokens == 20 - 2 and (stats.burst, stats.rate_per_second) == (20, 10)
    assert stats.oldest_wait == pytest.approx(1.0)
    assert set(stats.next_up) == {world.hash_of("a"), world.hash_of("b")}
    a, idle = stats.torrents[world.hash_of("a")], stats.torrents[world.hash_of("idle")]
    assert (a.pending, a.granted, a.binding, a.why) == (8, 2, "half_open", "waits: all 4 half-open slots are in use")
    assert (idle.pending, idle.binding, idle.why, idle.waiting_for) == (0, "", "", 0.0)


def test_stats_say_when_the_turn_of_each_torrent_comes():
    world = BrokerWorld(*"abcdef", connection_rate=1, connection_burst=1)
    for name in "abcdef":
        world.ask(name, 5)
    world.dials("a")
    why = {name: world.stats.torrents[world.hash_of(name)].why for name in "abcdef"}
    assert why["b"] == "its turn comes in about 1 s (rate 1/s, 6 torrents wait)"
    assert why["f"] == "its turn comes in about 5 s (rate 1/s, 6 torrents wait)"
    assert why["a"] == "its turn comes in about 6 s (rate 1/s, 6 torrents wait)"


def test_at_most_20_are_shown_as_next():
    world = BrokerWorld(*(f"t{number}" for number in range(30)), connection_rate=1, connection_burst=1)
    for number in range(30):
        world.ask(f"t{number}", 5)
    assert len(world.stats.next_up) == 20 and world.stats.next_up[0] == world.hash_of("t0")


def test_stats_can_be_told_to_somebody():
    world, asker = BrokerWorld("a"), RecordingRef()
    world.tell(m.GetConnectionQueueStats(reply_to=asker))
    assert asker.messages == [world.stats]


def test_asking_for_stats_changes_nothing():
    world = BrokerWorld("a", connection_burst=1)
    world.ask("a", 3)
    for _ in range(10):
        _ = world.stats
    assert world.torrents["a"].messages == [] and len(world.time.timers) == 1


def test_tokens_without_a_limit_are_a_number_that_can_be_shown():
    world = BrokerWorld("a", connection_rate=0)
    assert world.stats.tokens == world.stats.burst


# ── settings as a whole ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_another_profile_holds_at_once_and_the_daemons_limits_follow_it():
    world = BrokerWorld("a")
    world.ask("a", 50)
    assert len(world.dials("a")) == 20
    world.tell(m.ApplySettings(settings_from({"profile": "weak-router"})))
    stats = world.stats
    assert (stats.rate_per_second, stats.burst, stats.half_open_limit, stats.unanswered_limit) == (5, 10, 15, 150)
    assert world.session.take(m.LimitDials) == [m.LimitDials(15)]
    world.tell(m.SetConnectionLimits(half_open=40))
    assert world.session.take(m.LimitDials) == [m.LimitDials(40)]


def test_local_overload_halves_the_pace_once_and_is_shown():
    world = BrokerWorld("a", connection_rate=10, half_open_limit=30)
    world.ask("a", 50)
    grant_ids = world.dials("a")
    world.tell(*(m.AttemptEnded(grant_id, dm.LOCAL_BUSY, 0.0) for grant_id in grant_ids[:5]))
    stats = world.stats
    assert (stats.rate_per_second, stats.burst, stats.half_open_limit) == (5, 10, 15)
    assert (stats.highest_rate, stats.highest_half_open, stats.slowdowns, stats.slowed_by) == (10, 30, 1, "this machine is busy")
    assert world.log.named("dialling_slowed") == [{"reason": "this machine is busy", "per_second": 5.0, "burst": 10, "half_open": 15}]
    assert world.session.take(m.LimitDials) == []       # the daemon's own limits stay
    world.pass_time(10.0)
    world.ask("a", 1)
    assert (world.stats.rate_per_second, world.stats.half_open_limit) == (10, 30)


def test_the_stats_tell_of_each_torrent_and_of_other_flows():
    flows = {"announce": FlowStats(20.0, 50, 1, 30, 2, 3)}
    world = BrokerWorld("a", "b")
    world.broker._flow_stats = lambda: flows
    world.ask("a", 50)
    world.ask("b", 50, is_finished=True)
    world.dials("a", 0.1)
    stats = world.stats
    a, b = stats.torrents[world.hash_of("a")], stats.torrents[world.hash_of("b")]
    assert stats.flows == flows and stats.granted_last_minute == 20
    assert (a.granted_last_minute + b.granted_last_minute, a.is_finished, b.is_finished) == (20, False, True)
    assert a.share_last_minute == a.granted_last_minute / 20 and abs(a.lag) <= 1
