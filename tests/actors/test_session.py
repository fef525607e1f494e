"""Session: what it does when the actors of a torrent fail. It is pumped by hand; the actors that it starts are real."""

import random
from collections.abc import Callable
from dataclasses import replace

import gevent
import pykka
import pytest

from actors import messages as m
from actors import snapshots
from actors.session import MAX_RESTARTS, Session
from actors.torrent import TorrentActor
from actors.tracker_announcer import TrackerAnnouncer
from protocol import daemon_messages as dm
from scheduler.settings import Settings
from tests.actors.pump import RecordingLog, RecordingRef, pump
from tests.actors.torrent_world import INFO_HASH, add_order

DEADLINE_SECONDS = 10


class ItDidNotCome(AssertionError):
    """What a test waited for."""


class Part(RecordingRef):
    """Stands for the broker, the feed or a daemon's link."""

    actor_urn = "urn:one of the parts that all share"


class AttentiveSession(Session):
    """Remembers of whom it heard that they failed."""

    def __init__(self, *values: object, **more: object) -> None:
        super().__init__(*values, **more)
        self.failed: list[str] = []

    def on_receive(self, message: object) -> object:
        if isinstance(message, m.ActorFailed):
            self.failed.append(message.actor_urn)
        return super().on_receive(message)


class World:
    """A session whose torrent has a tracker; `changes` is what whoever runs the engine hears."""

    def __init__(self) -> None:
        self.broker, self.ui_feed, self.daemon = Part(), Part(), Part()
        self.changes: list[object] = []
        self.session = AttentiveSession(Settings(), b"-EW0100-123456789012", random.Random(1), self.changes.append, log=RecordingLog())
        self.tell(m.PartsStarted(self.broker, self.ui_feed, (self.daemon,)))
        order = add_order()
        self.tell(m.AddTorrent(replace(order.metainfo, tiers=(("http://127.0.0.1:9/announce",),)), order.folder, order.source))

    def tell(self, message: object) -> None:
        self.session.actor_ref.tell(message)
        pump(self.session)

    def fail(self, actor: pykka.ActorRef) -> None:
        """Have it die of a message that it does not know, and let the session hear of it."""
        actor.tell("nonsense")
        self.pump_until(lambda: actor.actor_urn in self.session.failed)

    def pump_until(self, condition: Callable[[], bool]) -> None:
        with gevent.Timeout(DEADLINE_SECONDS, ItDidNotCome):
            while not condition():
                gevent.sleep(0.001)
                pump(self.session)

    @property
    def bad_news(self) -> list[object]:
        """What whoever runs the engine heard of failures."""
        return [change for change in self.changes if isinstance(change, m.ActorFailed) or change.state == snapshots.ERROR]

    @property
    def torrent(self) -> pykka.ActorRef:
        return the_living(TorrentActor)[-1]

    @property
    def announcer(self) -> pykka.ActorRef:
        return the_living(TrackerAnnouncer)[-1]

    def to_broker(self, kind: type) -> list[object]:
        return [message for message in self.broker.messages if isinstance(message, kind)]

    def to_daemon(self, kind: type) -> list[object]:
        return [message.message for message in self.daemon.messages if isinstance(message, m.SendToDaemon) and isinstance(message.message, kind)]


def the_living(kind: type) -> list[pykka.ActorRef]:
    return [ref for ref in pykka.ActorRegistry.get_by_class(kind) if ref.is_alive()]


@pytest.fixture
def world():
    yield World()
    pykka.ActorRegistry.stop_all(block=True)


def test_of_a_torrent_whose_announcer_failed_only_the_announcer_is_made_anew(world):
    torrent, announcer = world.torrent, world.announcer
    world.fail(announcer)
    assert the_living(TorrentActor) == [torrent]
    assert the_living(TrackerAnnouncer) == [world.announcer] != [announcer]
    assert world.to_broker(m.TorrentGone) == [] == world.to_daemon(dm.RemoveTorrent)
    assert world.bad_news == []


def test_an_announcer_that_fails_again_and_again_is_given_up_and_its_torrent_goes_on(world):
    torrent = world.torrent
    for _ in range(MAX_RESTARTS + 1):
        world.fail(world.announcer)
    assert the_living(TrackerAnnouncer) == []
    assert the_living(TorrentActor) == [torrent]
    shown = torrent.ask(m.GetTorrentSnapshot(with_peers=False), timeout=DEADLINE_SECONDS)
    assert "no tracker is asked any more" in shown.tracker_error
    assert world.bad_news == []


def test_a_torrent_whose_own_actor_failed_is_made_anew_with_its_announcer(world):
    torrent, announcer = world.torrent, world.announcer
    world.fail(torrent)
    assert world.torrent != torrent
    assert world.announcer != announcer
    assert world.to_broker(m.TorrentGone) == [m.TorrentGone(INFO_HASH)]
    assert world.to_daemon(dm.RemoveTorrent) == [dm.RemoveTorrent(INFO_HASH)]


def test_a_torrent_whose_actor_fails_again_and_again_ends_in_an_error(world):
    for _ in range(MAX_RESTARTS + 1):
        world.fail(world.torrent)
    assert len(world.bad_news) == 1


def test_the_failure_of_an_actor_that_was_replaced_meanwhile_is_no_news(world):
    announcer = world.announcer
    world.fail(world.torrent)
    torrent = world.torrent
    world.tell(m.ActorFailed("the announcer", "late", announcer.actor_urn))
    assert world.torrent == torrent
    assert world.bad_news == []


def test_the_failure_of_a_part_that_all_share_is_told_to_whoever_runs_the_engine(world):
    failed = m.ActorFailed("ConnectionBroker", "KeyError", world.broker.actor_urn)
    world.tell(failed)
    assert world.bad_news == [failed]


def test_a_torrent_whose_actor_fails_while_all_stop_is_not_waited_for(world):
    done = gevent.event.Event()
    torrent = world.torrent
    torrent.tell("nonsense")                            # before it can answer
    world.session.on_receive(m.StopAllTorrents(done.set))
    world.pump_until(done.is_set)
    assert the_living(TorrentActor) == []


def test_a_removed_torrent_whose_actor_fails_leaves_nothing_behind(world):
    world.torrent.tell("nonsense")
    world.session.on_receive(m.RemoveTorrent(INFO_HASH))
    world.pump_until(lambda: not the_living(TrackerAnnouncer))
    assert the_living(TorrentActor) == []
    assert world.to_daemon(dm.RemoveTorrent) == [dm.RemoveTorrent(INFO_HASH)]
