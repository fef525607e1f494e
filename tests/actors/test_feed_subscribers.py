"""UIFeed's subscribers: differences that always give what there is, at most twice a second, and slow ones that cost nothing."""

import random
from collections import Counter

import msgspec

from actors import messages as m
from actors.snapshots import FeedDifference
from actors.ui_feed import LOOK_SECONDS, UIFeed
from protocol import daemon_messages as dm
from tests.actors.pump import RecordingRef, VirtualTime, pump
from tests.actors.test_ui_feed import CALM, A, FeedWorld, snapshot_of
from tests.actors.torrent_world import INFO_HASH, TorrentWorld, address

TIMED = ("since", "until", "swarm_peer")                # they tell seconds that pass


class Viewer:
    """A subscriber that applies what it gets, as a page does."""

    def __init__(self) -> None:
        self.ref = RecordingRef()
        self.version, self.torrents, self.queue, self.peers = 0, {}, {}, {}

    def take(self) -> list[FeedDifference]:
        differences = self.ref.take(FeedDifference)
        for difference in differences:
            self.apply(difference)
        return differences

    def apply(self, difference: FeedDifference) -> None:
        assert difference.from_version in (0, self.version)
        if difference.from_version == 0:
            self.torrents, self.queue, self.peers = {}, {}, {}
        for change in difference.torrents:
            self.torrents.setdefault(change["info_hash"], {}).update(change)
        for info_hash in difference.removed:
            del self.torrents[info_hash]
        self.queue.update(difference.queue)
        for info_hash, part in difference.peers.items():
            rows = self.peers.setdefault(info_hash, {}) if part.from_version else self.peers.__setitem__(info_hash, {}) or self.peers[info_hash]
            rows.update({row.key: row for row in (*part.changed, *part.moving)})
            for key in part.removed:
                del rows[key]
        self.version = difference.to_version


def subscribe(world: FeedWorld, viewer: Viewer, *peers_of: bytes, from_version: int = 0) -> None:
    world.tell(m.Subscribe(viewer.ref, 1, peers_of, from_version))


def test_a_subscriber_gets_everything_and_then_the_fields_that_changed():
    world, viewer = FeedWorld(A), Viewer()
    subscribe(world, viewer)
    world.answer(snapshot_of(A))
    world.broker_answers()
    first, = viewer.take()
    assert (first.from_version, viewer.torrents[A]["name"], viewer.queue["burst"]) == (0, "debian.iso", 20)
    world.tell(m.FeedTaken(viewer.ref, 1), m.TorrentChanged(A))
    world.time.advance(0.5, world.feed)
    world.answer(snapshot_of(A, downloaded=7))
    world.broker_answers()
    second, = viewer.take()
    assert second.torrents == ({"info_hash": A, "downloaded": 7},) and not second.queue


def test_who_does_not_take_the_last_difference_gets_no_other_and_nothing_is_gathered_for_him():
    world, viewer = FeedWorld(A), Viewer()
    subscribe(world, viewer)
    world.answer(snapshot_of(A))
    world.broker_answers()
    viewer.take()
    world.asked()
    world.time.advance(LOOK_SECONDS + 60, world.feed)
    world.tell(m.TorrentChanged(A))
    world.time.advance(60, world.feed)
    assert (world.asked(), world.broker.take(), world.time.timers, viewer.ref.messages) == ([], [], [], [])
    world.tell(m.FeedTaken(viewer.ref, 1))
    assert world.asked() == [A], "he reads again, so it goes on at once"


def test_a_dead_subscriber_is_forgotten():
    world, viewer = FeedWorld(A), Viewer()
    subscribe(world, viewer)
    viewer.ref.is_dead = True
    world.answer(snapshot_of(A))
    world.broker_answers()
    world.time.advance(60, world.feed)
    assert world.time.timers == []


def test_differences_come_at_most_twice_a_second_however_fast_they_are_taken():
    world, viewer, number = FeedWorld(A), Viewer(), 0
    subscribe(world, viewer)
    for step in range(1_000):                           # 10 seconds
        world.tell(m.TorrentChanged(A))
        if world.asked():
            world.answer(snapshot_of(A, downloaded=step))
        world.broker_answers()
        if differences := viewer.take():
            number += len(differences)
            world.tell(m.FeedTaken(viewer.ref, 1))
        world.time.advance(0.01, world.feed)
    assert 18 <= number <= 21


def test_who_was_away_too_long_gets_everything_anew():
    world, viewer = FeedWorld(A), Viewer()
    subscribe(world, viewer)
    world.answer(snapshot_of(A))
    world.broker_answers()
    viewer.take()
    for step in range(1_200):
        world.look()
        world.tell(m.TorrentChanged(A))
        world.time.advance(0.5, world.feed)
        world.asked()
        world.answer(snapshot_of(A, downloaded=step))
        world.broker_answers()
    world.tell(m.FeedTaken(viewer.ref, 1))
    world.time.advance(0.5, world.feed)
    difference, = viewer.take()
    assert (difference.from_version, viewer.torrents[A]["downloaded"]) == (0, 1_199)


def without_time(row) -> dict:
    return {name: value for name, value in msgspec.structs.asdict(row).items() if name not in TIMED}


def test_rows_counts_and_log_agree_and_what_a_viewer_puts_together_is_what_the_torrent_says_under_random_events():
    for seed in range(30):
        rng, viewer = random.Random(seed), Viewer()
        torrent = TorrentWorld(peers=tuple(map(address, range(1, 30))), seed=seed).run()
        log = LogBook()
        time: VirtualTime = torrent.time
        broker = RecordingRef()
        feed = UIFeed(broker, clock=time.clock, call_later=time.call_later)
        feed.actor_ref.tell(m.WatchTorrent(INFO_HASH, torrent.actor.actor_ref))
        feed.actor_ref.tell(m.Subscribe(viewer.ref, 1, (INFO_HASH,)))
        torrent.ui_feed.tell = feed.actor_ref.tell      # what the torrent says goes to the real feed
        dialling, connected = [], []
        for _ in range(80):
            event = rng.randrange(8)
            if event <= 1:
                dialling.append(torrent.grant())
            elif event == 2 and dialling:
                torrent.tell(dm.Dialled(INFO_HASH, rng.choice(dialling), 0.1))
            elif event == 3 and dialling:
                torrent.fail(dialling.pop(), rng.choice([dm.REFUSED, dm.TIMED_OUT, dm.LOCAL_BUSY, dm.CANCELLED]))
            elif event == 4 and dialling:
                connected.append(torrent.connect(dialling.pop()))
            elif event == 5 and connected:
                torrent.disconnect(connected.pop(), seconds=rng.choice([1.0, 60.0]))
            elif event == 6 and connected:
                number = rng.randrange(1_000)
                torrent.tell(dm.TorrentStats(INFO_HASH, number, 0, 0, 0, 0, [dm.PeerStats(each, 1, number, 0, number, 0, "D", 1) for each in connected]))
            else:
                torrent.tell(m.PeersFound("pex", (address(rng.randrange(100, 140)),)))
            pump(feed, torrent.actor)
            torrent.advance(rng.choice([0.0, 0.2, 0.6]))
            if broker.take(m.GetConnectionQueueStats):
                feed.actor_ref.tell(CALM)
            pump(feed, torrent.actor)
            log.read(torrent.log.events)
            snapshot = torrent.snapshot()
            states = Counter(row.state for row in snapshot.peers)
            assert snapshot.peers_by_state == {state: states[state] for state in snapshot.peers_by_state}
            assert log.busy == {row.key: row.state for row in snapshot.peers if row.state in ("connecting", "handshaking", "connected")}
            if viewer.take() and rng.random() < 0.7:
                feed.actor_ref.tell(m.FeedTaken(viewer.ref, 1))
            pump(feed, torrent.actor)
        for _ in range(6):                              # all is told in the end, and the rows of what is gone have had their second
            viewer.take()
            feed.actor_ref.tell(m.FeedTaken(viewer.ref, 1))
            time.advance(0.5, feed, torrent.actor)
            if broker.take(m.GetConnectionQueueStats):
                feed.actor_ref.tell(CALM)
            pump(feed, torrent.actor)
        viewer.take()
        expected = {row.key: without_time(row) for row in torrent.snapshot().peers}
        assert {key: without_time(row) for key, row in viewer.peers[INFO_HASH].items()} == expected, f"seed {seed}"


class LogBook:
    """The states that follow from the events of the log alone."""

    def __init__(self) -> None:
        self.busy: dict[str, str] = {}
        self._read = 0

    def read(self, events: list) -> None:
        for event, fields in events[self._read:]:
            match event:
                case "connect_started":                      self.busy[fields["peer"]] = "connecting"
                case "handshake_started":                    self.busy[fields["peer"]] = "handshaking"
                case "peer_connected":                       self.busy[fields["peer"]] = "connected"
                case "connect_failed" | "peer_disconnected": del self.busy[fields["peer"]]
        self._read = len(events)
