"""UIFeed: what is gathered, when, and what it costs while nobody looks or nothing happens."""

import itertools
import math
from dataclasses import replace

from actors import messages as m
from actors.snapshots import ConnectionQueueStats, TorrentQueueStats, TorrentSnapshot
from actors.ui_feed import MAX_SNAPSHOTS, MAX_TIMED_SNAPSHOTS, UIFeed
from tests.actors.pump import RecordingRef, VirtualTime, pump

A, B = b"a" * 20, b"b" * 20
CALM = ConnectionQueueStats(
    tokens=20.0, burst=20, rate_per_second=10.0, pending=0, half_open=0, half_open_limit=30, leases=0, connected=0, global_limit=200,
    torrent_limit=50, granted=0, connected_total=0, declined={}, failed={}, expired=0, cancelled=0, oldest_wait=0.0, paused="", next_up=(),
)


def snapshot_of(info_hash: bytes, why: str = "", downloaded: int = 0) -> TorrentSnapshot:
    return TorrentSnapshot(
        info_hash=info_hash, name="debian.iso", state="downloading", error="", total_bytes=100, verified_bytes=0, pieces_checked=0,
        num_pieces=1, downloaded=downloaded, uploaded=0, wasted=0, download_rate=0, upload_rate=0, peers_by_state={}, known_peers=0,
        tracker_error="", why=why,
    )


class FeedWorld:
    """A feed, the torrents that it watches and the broker, which only remember."""

    def __init__(self, *info_hashes: bytes) -> None:
        self.time, self.broker = VirtualTime(), RecordingRef()
        self.feed = UIFeed(self.broker, clock=self.time.clock, call_later=self.time.call_later)
        self.torrents = {info_hash: RecordingRef() for info_hash in info_hashes}
        for info_hash, torrent in self.torrents.items():
            self.tell(m.WatchTorrent(info_hash, torrent))

    def tell(self, *messages) -> None:
        for message in messages:
            self.feed.actor_ref.tell(message)
        pump(self.feed)

    def look(self, *peers_of: bytes):
        return self.feed.on_receive(m.GetView(peers_of))

    def asked(self) -> list[bytes]:
        """Return and forget who was asked for a snapshot."""
        return [info_hash for info_hash, torrent in self.torrents.items() for _ in torrent.take(m.GetTorrentSnapshot)]

    def answer(self, *snapshots: TorrentSnapshot, changes_with_time: bool = False) -> None:
        self.tell(*[m.SnapshotTaken(snapshot, changes_with_time) for snapshot in snapshots])

    def broker_answers(self, stats: ConnectionQueueStats = CALM) -> None:
        if self.broker.take(m.GetConnectionQueueStats):
            self.tell(stats)

    def gather(self) -> list[bytes]:
        """Let the next gathering come, with somebody looking; return who was asked."""
        self.look()
        self.time.advance(0.5, self.feed)
        self.broker_answers()
        return self.asked()


def test_while_nobody_looks_nothing_is_gathered():
    world = FeedWorld(A, B)
    world.tell(m.TorrentChanged(A))
    world.time.advance(60, world.feed)
    assert (world.asked(), world.broker.take(), world.time.timers) == ([], [], [])


def test_the_first_look_starts_gathering_and_the_next_sees_what_came():
    world = FeedWorld(A, B)
    assert world.look().torrents == ()
    assert world.asked() == [A, B]
    assert world.broker.take() == [m.GetConnectionQueueStats(world.feed.actor_ref)]
    world.answer(snapshot_of(A), snapshot_of(B))
    world.tell(CALM)
    view = world.look()
    assert ([row.info_hash for row in view.torrents], view.queue) == ([A, B], CALM)


def test_torrents_keep_their_place_whoever_answers_first():
    world = FeedWorld(A, B)
    world.look()
    world.answer(snapshot_of(B), snapshot_of(A))
    assert [row.info_hash for row in world.look().torrents] == [A, B]


def test_gathering_is_done_at_most_twice_a_second_however_often_somebody_looks():
    world = FeedWorld(A)
    asked = 0
    for _ in range(100):
        world.look()
        world.tell(m.TorrentChanged(A))
        world.time.advance(0.01, world.feed)
        if world.asked():
            asked += 1
            world.answer(snapshot_of(A, downloaded=asked))
    assert 2 <= asked <= 3


def test_gathering_ends_three_seconds_after_the_last_look():
    world = FeedWorld(A)
    world.look()
    world.time.advance(10, world.feed)
    assert world.time.timers == []
    world.asked()
    world.tell(m.SnapshotTaken(snapshot_of(A)), m.TorrentChanged(A))
    assert world.asked() == []
    world.look()
    assert world.asked() == [A]


def test_a_torrent_that_did_not_change_is_not_asked_again():
    world = FeedWorld(A, B)
    world.look()
    world.asked()
    world.answer(snapshot_of(A), snapshot_of(B))
    world.tell(m.TorrentChanged(B))
    assert (world.gather(), world.gather()) == ([B], [])


def test_the_version_grows_only_when_something_differs():
    world = FeedWorld(A)
    world.look()
    row = snapshot_of(A)
    world.answer(row)
    first = world.look()
    world.tell(m.TorrentChanged(A))
    world.gather()
    world.answer(row)
    world.broker_answers()
    second = world.look()
    assert second.version == world.look().version and second.torrents[0] is row
    world.answer(snapshot_of(A, downloaded=1))
    assert world.look().version == second.version + 1 > first.version


def test_a_snapshot_that_tells_a_time_is_taken_again_without_being_asked_for():
    world = FeedWorld(A)
    world.look()
    world.asked()
    world.answer(snapshot_of(A, why="next try in 42 s"), changes_with_time=True)
    assert world.gather() == [A]
    world.answer(snapshot_of(A))
    assert world.gather() == []


def test_many_snapshots_that_tell_a_time_take_turns():
    hashes = [number.to_bytes(20, "big") for number in range(3 * MAX_TIMED_SNAPSHOTS)]
    world = FeedWorld(*hashes)
    world.look()
    world.asked()
    world.answer(*map(snapshot_of, hashes), changes_with_time=True)
    rounds = []
    for _ in range(3):
        rounds.append(world.gather())
        world.answer(*map(snapshot_of, rounds[-1]), changes_with_time=True)
    assert [len(asked) for asked in rounds] == [MAX_TIMED_SNAPSHOTS] * 3
    assert sorted(itertools.chain(*rounds)) == hashes


def test_torrents_whose_actors_died_take_no_turns_from_the_others():
    hashes = [number.to_bytes(20, "big") for number in range(MAX_TIMED_SNAPSHOTS + 1)]
    world = FeedWorld(*hashes)
    world.look()
    world.asked()
    world.answer(*map(snapshot_of, hashes), changes_with_time=True)
    for info_hash in hashes[:-1]:
        world.torrents[info_hash].is_dead = True
    assert world.gather() + world.gather() == [hashes[-1]]


def test_one_gathering_is_bounded_and_the_rest_comes_next():
    hashes = [number.to_bytes(20, "big") for number in range(MAX_SNAPSHOTS + 5)]
    world = FeedWorld(*hashes)
    world.look()
    assert world.asked() == hashes[:MAX_SNAPSHOTS]
    world.answer(*map(snapshot_of, hashes[:MAX_SNAPSHOTS]))
    assert world.gather() == hashes[MAX_SNAPSHOTS:]


def test_a_torrent_that_has_not_answered_is_not_asked_twice_but_after_a_while():
    world = FeedWorld(A)
    world.look()
    world.asked()
    world.tell(m.TorrentChanged(A))
    asked = [world.gather() for _ in range(12)]
    assert [bool(who) for who in asked] == [False] * 9 + [True, False, False]


def test_rows_of_peers_come_only_of_torrents_whose_peers_are_looked_at():
    world = FeedWorld(A, B)
    world.look(B)
    assert [torrent.take(m.GetTorrentSnapshot)[0].rows_from for torrent in world.torrents.values()] == [None, 0]


def test_peers_that_are_looked_at_are_gathered_each_time_and_once_more_without_rows():
    world = FeedWorld(A)
    for _ in range(3):
        world.look(A)
        world.answer(snapshot_of(A))
        world.time.advance(0.5, world.feed)
    world.answer(snapshot_of(A))
    assert [question.rows_from for question in world.torrents[A].take()] == [0] * 4
    for _ in range(10):                                 # somebody looks at the torrents, nobody at the peers
        world.look()
        world.time.advance(0.5, world.feed)
        world.answer(snapshot_of(A))
    rows_from = [question.rows_from for question in world.torrents[A].take()]
    assert rows_from == [0] * (len(rows_from) - 1) + [None]


def test_a_torrent_that_is_gone_is_not_shown_and_its_late_answer_is_not_taken():
    world = FeedWorld(A, B)
    world.look()
    world.answer(snapshot_of(A), snapshot_of(B))
    world.tell(m.UnwatchTorrent(A))
    world.answer(snapshot_of(A))
    world.tell(m.TorrentChanged(A))
    assert [row.info_hash for row in world.look().torrents] == [B]


def test_a_torrent_whose_actor_died_keeps_its_row_and_holds_up_nobody():
    world = FeedWorld(A, B)
    world.look()
    world.answer(snapshot_of(A), snapshot_of(B))
    world.asked()
    world.torrents[A].is_dead = True
    world.tell(m.TorrentChanged(A), m.TorrentChanged(B))
    assert world.gather() == [B]
    world.answer(snapshot_of(B))
    assert len(world.look().torrents) == 2 and world.look().age == 0


def test_a_torrent_with_a_new_actor_is_asked_there():
    world = FeedWorld(A)
    world.look()
    world.asked()
    world.torrents[A] = RecordingRef()
    world.tell(m.WatchTorrent(A, world.torrents[A]))
    assert world.gather() == [A]


def test_a_torrent_that_waits_for_the_broker_shows_the_brokers_reason():
    world = FeedWorld(A, B)
    world.look()
    world.answer(snapshot_of(A), replace(snapshot_of(B, why="no peers known yet"), why_rule="no_peers"))
    waits = TorrentQueueStats(pending=3, half_open=0, connected=0, granted=0, waiting_for=1.0, binding="rate", why="its turn comes in about 3 s")
    world.tell(replace(CALM, pending=3, torrents={A: waits, B: waits}))
    assert [row.why for row in world.look().torrents] == ["its turn comes in about 3 s", "no peers known yet"]


def test_a_queue_in_which_nothing_happens_is_looked_at_rarely():
    world = FeedWorld()
    questions = 0
    for _ in range(20):                                 # 10 seconds
        world.look()
        questions += len(world.broker.messages)
        world.broker_answers()
        world.time.advance(0.5, world.feed)
    assert 4 <= questions <= 6


def test_a_queue_in_which_somebody_waits_is_looked_at_each_time():
    world = FeedWorld()
    world.look()
    for _ in range(10):
        world.broker_answers(replace(CALM, pending=1))
        world.look()
        world.time.advance(0.5, world.feed)
        assert len(world.broker.messages) == 1


def test_the_age_of_a_view_says_since_when_all_of_it_is_known():
    world = FeedWorld(A)
    assert world.look().age == math.inf
    world.answer(snapshot_of(A))
    assert world.look().age == math.inf                 # the broker has not answered
    world.broker_answers()
    world.time.advance(0.3, world.feed)
    assert round(world.look().age, 3) == 0.3
    world.tell(m.TorrentChanged(A))
    world.time.advance(0.3, world.feed)                 # asked again, no answer
    assert round(world.look().age, 3) == 0.6
