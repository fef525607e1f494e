"""ConnectionBroker: messages in, messages out, one timer, and what it logs."""

from typing import Any

import gevent
import pykka
import pytest

from actors import messages as m
from actors.connection_broker import ConnectionBroker
from actors.snapshots import ConnectionQueueStats
from protocol import daemon_messages as dm
from scheduler.settings import settings_from
from tests.actors.pump import RecordingLog, RecordingRef, VirtualTime, pump

DEADLINE_SECONDS = 10


class ItDidNotCome(Exception):
    """What a test waited for."""


class BrokerWorld:
    """A broker that was not started, torrents that only remember, and virtual time."""

    def __init__(self, *names: str, **settings: Any) -> None:
        self.time, self.log, self.session = VirtualTime(), RecordingLog(), RecordingRef()
        self.broker = ConnectionBroker(
            settings_from(settings), self.session, clock=self.time.clock, call_later=self.time.call_later, log=self.log,
        )
        self.torrents: dict[str, RecordingRef] = {}
        for name in names:
            self.register(name)

    @staticmethod
    def hash_of(name: str) -> bytes:
        return name.encode().ljust(20, b"\0")

    def tell(self, *messages: Any) -> None:
        for message in messages:
            self.broker.actor_ref.tell(message)
        pump(self.broker)

    def register(self, name: str, priority: str = "normal") -> RecordingRef:
        self.torrents[name] = RecordingRef()
        self.tell(m.RegisterTorrent(self.hash_of(name), self.torrents[name], priority))
        return self.torrents[name]

    def ask(self, name: str, count: int) -> None:
        self.tell(m.RequestConnections(self.hash_of(name), count))

    def pass_time(self, seconds: float) -> None:
        self.time.advance(seconds, self.broker)

    def grants(self, name: str, seconds: float = 0.1) -> list[int]:
        """Let time pass; return the ids of the grants that the torrent got."""
        self.pass_time(seconds)
        return [message.grant_id for message in self.torrents[name].take(m.ConnectOnePeer)]

    def dials(self, name: str, seconds: float = 0.1) -> list[int]:
        """The same, and all of them are used."""
        grant_ids = self.grants(name, seconds)
        self.tell(*(m.AttemptStarted(grant_id, "192.0.2.1:6881") for grant_id in grant_ids))
        return grant_ids

    @property
    def stats(self) -> ConnectionQueueStats:
        return self.broker.on_receive(m.GetConnectionQueueStats())


def test_a_torrent_that_asks_is_told_to_connect_one_peer_for_each_slot():
    world = BrokerWorld("a")
    world.ask("a", 3)
    world.pass_time(0.1)
    messages = world.torrents["a"].messages
    assert [type(message) for message in messages] == [m.ConnectOnePeer] * 3
    assert len({message.grant_id for message in messages}) == 3
    assert [message.deadline for message in messages] == [pytest.approx(world.time.now + 2.0)] * 3


def test_grants_go_to_the_torrent_that_asked():
    world = BrokerWorld("a", "b", "c")
    world.ask("b", 2)
    assert (len(world.grants("a")), len(world.grants("b")), len(world.grants("c"))) == (0, 2, 0)


def test_an_attempt_goes_from_lease_to_half_open_to_connected_to_closed():
    world = BrokerWorld("a")
    world.ask("a", 1)
    (grant_id,) = world.grants("a")
    seen = []
    for message in (m.AttemptStarted(grant_id, "192.0.2.1:6881"), m.AttemptEnded(grant_id, dm.CONNECTED, 0.3), m.ConnectionClosed(grant_id)):
        seen.append((world.stats.leases, world.stats.half_open, world.stats.connected))
        world.tell(message)
    seen.append((world.stats.leases, world.stats.half_open, world.stats.connected))
    assert seen == [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0)]


def test_a_declined_slot_goes_to_the_next_torrent_at_once():
    world = BrokerWorld("a", "b", connection_burst=1)
    world.ask("a", 1)
    (grant_id,) = world.grants("a")
    world.ask("b", 1)
    assert world.grants("b", seconds=0.2) == []
    world.tell(m.SlotDeclined(grant_id, "no_candidate"))
    assert len(world.grants("b", seconds=0.0)) == 1
    assert world.stats.declined == {"no_candidate": 1}


def test_after_a_cancel_there_is_no_grant():
    world = BrokerWorld("a", connection_burst=1)
    world.ask("a", 10)
    world.dials("a")
    world.tell(m.CancelRequests(world.hash_of("a")))
    assert world.grants("a", seconds=3_600) == []
    assert world.log.named("requests_cancelled") == [{"info_hash": world.hash_of("a"), "dropped": 9}]


def test_a_cancel_that_drops_nothing_is_no_event():
    world = BrokerWorld("a")
    world.tell(m.CancelRequests(world.hash_of("a")), m.CancelRequests(world.hash_of("unknown")))
    assert world.log.named("requests_cancelled") == []


# ── the timer ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_there_is_no_timer_while_nobody_waits():
    world = BrokerWorld("a", "b")
    assert world.time.timers == []
    world.ask("a", 1)
    assert world.time.timers == [pytest.approx(0.1)]
    world.dials("a")
    assert world.time.timers == []


def test_there_is_exactly_one_timer_while_somebody_waits_for_a_token():
    world = BrokerWorld("a", "b", connection_burst=1)
    for _ in range(10):
        world.ask("a", 30)
        world.ask("b", 30)
        world.pass_time(0.03)
        world.dials("a", 0.0)
        world.dials("b", 0.0)
        assert len(world.time.timers) == 1


def test_there_is_no_timer_while_only_an_event_can_help():
    world = BrokerWorld("a", half_open_limit=2)
    world.ask("a", 30)
    world.dials("a")
    assert world.time.timers == []


def test_the_timer_goes_when_the_last_who_waited_cancels():
    world = BrokerWorld("a", connection_burst=1)
    world.ask("a", 30)
    world.dials("a")
    assert len(world.time.timers) == 1
    world.tell(m.CancelRequests(world.hash_of("a")))
    assert world.time.timers == []


def test_a_timer_that_comes_too_late_to_be_cancelled_does_no_harm():
    world = BrokerWorld("a", connection_burst=1)
    world.ask("a", 30)
    world.dials("a")
    world.tell(m.DrainDue(world.time.now - 5.0), m.DrainDue(world.time.now))
    assert len(world.time.timers) == 1
    assert len(world.dials("a", 1.0)) <= 11


def test_the_rate_is_kept_by_the_timer():
    world = BrokerWorld("a", half_open_limit=1_000, unanswered_limit=1_000, global_connection_limit=1_000, torrent_connection_limit=1_000)
    world.ask("a", 500)
    dials = 0
    for _ in range(600):
        dials += len(world.dials("a", 0.05))
    assert dials == pytest.approx(20 + 10 * 30, abs=2)


# ── leases and torrents that are gone ────────────────────────────────────────────────────────────────────────────────────


def test_a_lease_that_nobody_uses_expires_and_its_slot_goes_to_the_next():
    world = BrokerWorld("stuck", "b", half_open_limit=1)
    world.ask("stuck", 1)
    (grant_id,) = world.grants("stuck")
    world.ask("b", 1)
    assert world.grants("b", seconds=1.9) == []
    assert len(world.grants("b", seconds=0.2)) == 1
    assert world.log.named("slot_lease_expired") == [{"info_hash": world.hash_of("stuck"), "grant_id": grant_id}]
    assert world.stats.expired == 1


def test_an_answer_that_lay_in_the_inbox_when_the_lease_ended_is_in_time():
    world = BrokerWorld("a", "b", half_open_limit=1)
    world.ask("a", 1)
    (grant_id,) = world.grants("a")
    world.ask("b", 1)
    world.pass_time(1.95)
    world.broker.actor_ref.tell(m.AttemptStarted(grant_id, "192.0.2.1:6881"))   # and the broker is busy for a while
    world.time.now += 30.0
    world.pass_time(0.1)
    assert (world.stats.half_open, world.stats.expired) == (1, 0)


def test_a_torrent_that_is_gone_frees_all_that_it_held():
    world = BrokerWorld("a", "b", half_open_limit=3)
    world.ask("a", 3)
    first, second, _ = world.grants("a")
    world.tell(m.AttemptStarted(first, "192.0.2.1:6881"), m.AttemptEnded(first, dm.CONNECTED, 1.0), m.AttemptStarted(second, "192.0.2.2:6881"))
    world.ask("b", 5)
    world.tell(m.TorrentGone(world.hash_of("a")))
    assert len(world.grants("b")) == 3
    assert world.log.named("grants_freed") == [
        {"info_hash": world.hash_of("a"), "reason": "the torrent is gone", "leased": 1, "half_open": 1, "connected": 1},
    ]


def test_the_grants_of_a_dead_actor_are_freed_at_once():
    world = BrokerWorld("dead", "b")
    world.torrents["dead"].is_dead = True
    world.ask("dead", 50)
    world.ask("b", 50)
    assert len(world.grants("b")) == 20                 # all of the burst, in the same drain
    assert world.stats.granted - world.stats.cancelled == 20
    assert world.hash_of("dead") not in world.stats.torrents


def test_another_actor_for_the_same_torrent_begins_anew_and_what_the_old_one_held_is_free():
    world = BrokerWorld("a", half_open_limit=5)
    world.ask("a", 5)
    old = world.torrents["a"]
    (grant_id, *_) = world.dials("a")
    world.register("a")
    world.ask("a", 5)
    assert len(world.grants("a")) == 5 and old.messages == []
    world.tell(m.AttemptEnded(grant_id, dm.CONNECTED, 1.0))         # of the old one, late
    assert world.stats.connected == 0


def test_the_same_actor_may_register_again_with_another_priority():
    world = BrokerWorld("a", "b", half_open_limit=1_000)
    world.tell(m.RegisterTorrent(world.hash_of("a"), world.torrents["a"], "high"))
    world.ask("a", 30)
    world.ask("b", 30)
    world.pass_time(0.1)
    assert (len(world.grants("a")), len(world.grants("b"))) == (15, 5)


@pytest.mark.parametrize("message", [
    m.RequestConnections(b"?" * 20, 5), m.CancelRequests(b"?" * 20), m.TorrentGone(b"?" * 20), m.ReserveIncoming(b"?" * 20, 1),
    m.AttemptStarted(99, "192.0.2.1:6881"), m.AttemptEnded(99, dm.CONNECTED, 1.0), m.ConnectionClosed(99), m.SlotDeclined(99, "stopped"),
    m.DrainDue(0.0), m.ResumeConnecting(),
], ids=lambda message: type(message).__name__)
def test_what_is_about_nothing_changes_nothing(message):
    world = BrokerWorld("a")
    before = world.stats
    world.tell(message, message)
    assert world.stats == before and world.time.timers == []


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


@pytest.mark.parametrize("outcome", dm.OUTCOMES)
def test_each_outcome_is_counted_under_its_own_name(outcome):
    world = BrokerWorld("a")
    world.ask("a", 1)
    (grant_id,) = world.dials("a")
    world.tell(m.AttemptEnded(grant_id, outcome, 1.0), m.AttemptEnded(grant_id, outcome, 1.0))
    stats = world.stats
    counted = {"connected": stats.connected_total, "cancelled": stats.cancelled, **stats.failed}
    assert {name: number for name, number in counted.items() if number} == {outcome: 1}


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


def test_every_grant_is_logged_with_how_long_it_was_waited_for():
    world = BrokerWorld("a", connection_rate=1, connection_burst=1)
    world.ask("a", 2)
    grant_ids = world.dials("a") + world.dials("a", 1.0)
    assert world.log.named("slot_granted") == [
        {"info_hash": world.hash_of("a"), "grant_id": grant_ids[0], "waited": pytest.approx(0.1)},
        {"info_hash": world.hash_of("a"), "grant_id": grant_ids[1], "waited": pytest.approx(1.0)},
    ]


# ── started ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Dialler(pykka.ThreadingActor):
    """A torrent whose dials all fail at once."""

    def __init__(self, broker):
        super().__init__()
        self.broker, self.num_dials = broker, 0

    def on_receive(self, message):
        self.num_dials += 1
        self.broker.tell(m.AttemptStarted(message.grant_id, "192.0.2.1:6881"))
        self.broker.tell(m.AttemptEnded(message.grant_id, dm.HANDSHAKE_FAILED, 0.0))


def test_a_started_broker_serves_started_torrents_with_real_timers():
    broker = ConnectionBroker.start(settings_from({"connection_rate": 200, "connection_burst": 1, "drain_interval": 0.01}), log=RecordingLog())
    torrents = [Dialler.start(broker) for _ in range(3)]
    try:
        for number, torrent in enumerate(torrents):
            broker.tell(m.RegisterTorrent(bytes([number]) * 20, torrent))
            broker.tell(m.RequestConnections(bytes([number]) * 20, 10))
        with gevent.Timeout(DEADLINE_SECONDS, ItDidNotCome):
            while broker.ask(m.GetConnectionQueueStats(), timeout=DEADLINE_SECONDS).failed.get(dm.HANDSHAKE_FAILED) != 30:
                gevent.sleep(0.01)
        assert broker.ask(m.Ping(), timeout=DEADLINE_SECONDS)
        assert [torrent._actor_weakref().num_dials for torrent in torrents] == [10, 10, 10]
    finally:
        pykka.ActorRegistry.stop_all(timeout=DEADLINE_SECONDS)
