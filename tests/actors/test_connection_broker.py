"""ConnectionBroker: messages in, messages out, one timer, and what it logs."""

import gevent
import pykka
import pytest

from actors import messages as m
from actors.connection_broker import ConnectionBroker
from protocol import daemon_messages as dm
from scheduler.settings import settings_from
from tests.actors.broker_world import BrokerWorld
from tests.actors.pump import RecordingLog

DEADLINE_SECONDS = 10


class ItDidNotCome(Exception):
    """What a test waited for."""


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
    world.broker.actor_ref.tell(m.DrainDue(world.time.now))         # a timer for something else, then the answer,
    world.broker.actor_ref.tell(m.AttemptStarted(grant_id, "192.0.2.1:6881"))
    world.time.now += 30.0                                          # and the broker is busy for a while
    world.pass_time(0.1)
    assert world.log.named("slot_lease_expired") == []
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


@pytest.mark.parametrize("outcome", dm.OUTCOMES)
def test_each_outcome_is_counted_under_its_own_name(outcome):
    world = BrokerWorld("a")
    world.ask("a", 1)
    (grant_id,) = world.dials("a")
    world.tell(m.AttemptEnded(grant_id, outcome, 1.0), m.AttemptEnded(grant_id, outcome, 1.0))
    stats = world.stats
    counted = {"connected": stats.connected_total, "cancelled": stats.cancelled, **stats.failed}
    assert {name: number for name, number in counted.items() if number} == {outcome: 1}


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
