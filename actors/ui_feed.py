"""UIFeed: gathers what a viewer sees, at most twice a second and only while somebody looks.

A torrent that changed says so once (TorrentChanged) and is asked for a snapshot when the next gathering is due; one that did not change
is not asked, so a thousand torrents at rest cost nothing. Snapshots that tell a time ("next try in 42 s") are asked for anew in turn, a
bounded number each time. Rows of peers come only of torrents whose peers are looked at, and after the first time only those that changed.
The feed asks no actor, it tells them where to answer.

When all answers are there, or the next gathering begins, what changed makes a new version. Subscribers get the difference to the version
that they have, each after it took the one before: see feed_table.py for what a slow one costs, which is nothing. Others ask for the
whole view at their own pace.
"""

import math
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

import pykka

from actors import messages as m
from actors.engine_actor import DelayedMessage, EngineActor
from actors.feed_peers import WatchedPeers
from actors.feed_rows import QUEUE_FIELDS, TORRENT_FIELDS, differing, shown_row, turn_of
from actors.feed_subscriptions import FeedSubscriptions, Subscription
from actors.feed_table import FeedTable
from actors.snapshots import (
    ConnectionQueueStats,
    FeedDifference,
    FeedView,
    PeerDifference,
    TorrentSnapshot,
    TorrentTurn,
)

GATHER_SECONDS: Final = 0.5
LOOK_SECONDS: Final = 3.0                               # somebody looks while he asked in this time
MAX_SNAPSHOTS: Final = 1_000                            # of one gathering: about 20 ms of work
MAX_TIMED_SNAPSHOTS: Final = 100                        # … that differ by a passing time alone
ANSWER_SECONDS: Final = 5.0                             # a torrent that did not answer in this time is asked again
CALM_SECONDS: Final = 2.0                               # between two looks at a queue in which nothing happens
QUEUE: Final = "queue"                                  # key of the one row of the queue


@dataclass(slots=True)
class WatchedTorrent:
    """What the feed knows of one torrent."""

    torrent: pykka.ActorRef
    snapshot: TorrentSnapshot | None = None             # None until the first answer
    turn: TorrentTurn | None = None


class UIFeed(EngineActor):
    """The only one that viewers ask."""

    def __init__(self, broker: pykka.ActorRef, session: pykka.ActorRef | None = None, **engine: Any) -> None:
        super().__init__(session, **engine)
        self._broker = broker
        self._torrents: dict[bytes, WatchedTorrent] = {}
        self._stale: dict[bytes, None] = {}             # said that they changed, the longest waiting first
        self._timed: dict[bytes, None] = {}             # tell a passing time, the longest not asked first
        self._awaited: dict[bytes, float] = {}          # asked and not answered; moment of the question
        self._queue: ConnectionQueueStats | None = None
        self._queue_asked_at: float | None = None       # None: no answer is awaited
        self._queue_seen_at = -math.inf
        self._looked_at = -math.inf
        self._gathered_at = -math.inf                   # when the last gathering began
        self._is_partial = False                        # it left some for the next one
        self._fresh_at = -math.inf                      # when the last one began that was whole and has all answers
        self._timer: DelayedMessage | None = None
        self._subscriptions = FeedSubscriptions()
        self._version = 0
        self._rows: FeedTable[bytes] = FeedTable()
        self._queue_row: FeedTable[str] = FeedTable()
        self._peers: dict[bytes, WatchedPeers] = {}     # of the torrents whose peers are looked at

    def on_receive(self, message: Any) -> Any:
        self.give_way()
        match message:
            case m.TorrentChanged():        self._torrent_changed(message)
            case m.SnapshotTaken():         self._snapshot_taken(message)
            case ConnectionQueueStats():    self._queue_stats(message)
            case m.FeedTaken():             self._feed_taken(message)
            case m.GetView():               return self._get_view(message)
            case m.GatherDue():             self._gather_due()
            case m.Subscribe():             self._subscribe(message)
            case m.Unsubscribe():           self._subscriptions.remove(message.subscriber, message.number)
            case m.WatchTorrent():          self._watch_torrent(message)
            case m.UnwatchTorrent():        self._unwatch_torrent(message)
            case m.Ping():                  return True
            case _:                         self.unknown(message)
        return None

    # ── torrents ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _watch_torrent(self, message: m.WatchTorrent) -> None:
        known = self._torrents.get(message.info_hash)
        self._torrents[message.info_hash] = WatchedTorrent(message.torrent, known.snapshot if known else None, known.turn if known else None)
        self._awaited.pop(message.info_hash, None)      # of the actor that it had before
        if message.info_hash in self._peers:
            self._peers[message.info_hash].told_version = 0
        self._stale[message.info_hash] = None

    def _unwatch_torrent(self, message: m.UnwatchTorrent) -> None:
        for table in (self._torrents, self._stale, self._timed, self._awaited, self._peers):
            table.pop(message.info_hash, None)
        self._rows.remove(message.info_hash)
        self._settle()

    def _torrent_changed(self, message: m.TorrentChanged) -> None:
        if message.info_hash in self._torrents:
            self._stale[message.info_hash] = None

    def _snapshot_taken(self, message: m.SnapshotTaken) -> None:
        info_hash = message.snapshot.info_hash
        watched = self._torrents.get(info_hash)
        if watched is None:
            return
        self._awaited.pop(info_hash, None)
        if message.snapshot is not watched.snapshot:
            watched.snapshot = message.snapshot
            self._show(info_hash, watched)
        if message.rows is not None and info_hash in self._peers:
            self._peers[info_hash].take(message.rows)
        self._timed.pop(info_hash, None)
        if message.changes_with_time:
            self._timed[info_hash] = None
        self._settle()

    def _show(self, info_hash: bytes, watched: WatchedTorrent) -> None:
        """Put the row of a torrent together anew."""
        if watched.snapshot is None:
            return
        row = shown_row(watched.snapshot, self._queue and self._queue.torrents.get(info_hash), watched.turn)
        known = self._rows.rows.get(info_hash)
        parts = None if known is None else differing(known, row, TORRENT_FIELDS)
        if parts is None or parts:
            self._rows.put(info_hash, row, parts)

    # ── the queue ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _queue_stats(self, stats: ConnectionQueueStats) -> None:
        self._queue_asked_at = None
        now = self._queue_seen_at = self.clock()
        before, self._queue = self._queue, stats
        parts = None if before is None else differing(before, stats, QUEUE_FIELDS)
        if parts is None or parts:
            self._queue_row.put(QUEUE, stats, parts)
        places = {info_hash: place for place, info_hash in enumerate(stats.next_up, start=1)}
        for info_hash, part in stats.torrents.items():
            watched = self._torrents.get(info_hash)
            if watched is None:
                continue
            turn = turn_of(part, places.get(info_hash, 0), now, watched.turn)
            last = before.torrents.get(info_hash) if before is not None else None
            if turn is not watched.turn or last is None or last.why != part.why:
                watched.turn = turn
                self._show(info_hash, watched)
        self._settle()

    # ── gathering ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _gather_due(self) -> None:
        self._timer = None
        now = self.clock()
        if self._is_looked_at(now):
            self._gather(now)

    def _is_looked_at(self, now: float) -> bool:
        return now - self._looked_at <= LOOK_SECONDS or self._subscriptions.num_ready > 0

    def _gather(self, now: float) -> None:
        self._publish()
        self._serve(now, is_late=True)                  # those who had not taken the last one when the answers came
        self._subscriptions.next_round()
        self._gathered_at = now
        self._look_at_peers(self._subscriptions.peers_of_ready(), now)
        self._forget_peers_not_looked_at(now)
        has_news = bool(self._stale)
        due = dict.fromkeys([*self._peers, *self._stale, *islice(self._timed, MAX_TIMED_SNAPSHOTS)])
        for info_hash in list(due)[:MAX_SNAPSHOTS]:
            self._ask(info_hash, now)
        self._is_partial = len(due) > MAX_SNAPSHOTS
        if has_news or not _is_calm(self._queue) or now - self._queue_seen_at >= CALM_SECONDS:
            self._ask_queue(now)
        self._timer = self.call_later(GATHER_SECONDS, m.GatherDue())
        self._settle()

    def _look_at_peers(self, info_hashes: Any, now: float) -> None:
        for info_hash in info_hashes:
            if info_hash in self._peers:
                self._peers[info_hash].looked_at = now
            elif info_hash in self._torrents:
                self._peers[info_hash] = WatchedPeers(now, self._version)

    def _forget_peers_not_looked_at(self, now: float) -> None:
        for info_hash in [key for key, peers in self._peers.items() if now - peers.looked_at > LOOK_SECONDS]:
            del self._peers[info_hash]
            self._stale[info_hash] = None               # once more, without rows

    def _ask(self, info_hash: bytes, now: float) -> None:
        if now - self._awaited.get(info_hash, -math.inf) < ANSWER_SECONDS:
            return
        self._stale.pop(info_hash, None)
        self._timed.pop(info_hash, None)
        peers = self._peers.get(info_hash)
        question = m.GetTorrentSnapshot(self.actor_ref, with_peers=False, rows_from=peers.told_version if peers is not None else None)
        if self.post(self._torrents[info_hash].torrent, question):
            self._awaited[info_hash] = now

    def _ask_queue(self, now: float) -> None:
        if self._queue_asked_at is None or now - self._queue_asked_at >= ANSWER_SECONDS:
            asked = self.post(self._broker, m.GetConnectionQueueStats(self.actor_ref))
            self._queue_asked_at = now if asked else None

    def _settle(self) -> None:
        """When every question of the last gathering has its answer, the view is as fresh as that."""
        if not (self._is_partial or self._awaited or self._queue_asked_at is not None):
            self._fresh_at = self._gathered_at
            if self._subscriptions.num_ready:
                self._publish()
                self._serve(self.clock(), is_late=False)

    # ── subscribers ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _subscribe(self, message: m.Subscribe) -> None:
        known = message.from_version if message.from_version <= self._version else 0
        self._subscriptions.add(Subscription(message.subscriber, message.number, message.peers_of, known))
        self._look_at_peers(message.peers_of, self.clock())
        self._gather_if_idle()

    def _feed_taken(self, message: m.FeedTaken) -> None:
        self._subscriptions.taken(message.subscriber, message.number)
        self._gather_if_idle()

    def _gather_if_idle(self) -> None:
        if self._timer is None and self._is_looked_at(self.clock()):
            self._gather(self.clock())

    def _publish(self) -> None:
        """What changed makes a new version."""
        tables = (self._rows, self._queue_row, *self._peers.values())
        if any(table.has_changed for table in tables):
            self._version += 1
            for table in tables:
                table.commit(self._version)

    def _serve(self, now: float, *, is_late: bool) -> None:
        """Bring those up to date who are ready for it, once in each gathering."""
        if self._queue is None:
            return                                      # nothing was gathered yet
        made: dict[tuple[int, tuple[bytes, ...]], FeedDifference] = {}  # for all who have the same
        for subscription in self._subscriptions.due(self._version):
            key = subscription.version, subscription.peers_of
            if key not in made:
                made[key] = self._difference(*key, now)
            difference = made[key]
            if difference.from_version and not (difference.torrents or difference.removed or difference.queue or difference.peers):
                subscription.version = self._version    # what changed is not what he looks at
            elif self.post(subscription.subscriber, replace(difference, number=subscription.number)):
                self._subscriptions.served(subscription, self._version, is_late=is_late)
            else:
                self._subscriptions.remove(subscription.subscriber, subscription.number)

    def _difference(self, version: int, peers_of: tuple[bytes, ...], now: float) -> FeedDifference:
        torrents = self._rows.since(version) if version else None
        queue = self._queue_row.since(version) if version else None
        if torrents is None or queue is None:           # too long ago
            version, torrents, queue = 0, dict.fromkeys(info_hash for info_hash in self._torrents if info_hash in self._rows.rows), {QUEUE: None}
        rows = self._rows.rows
        peers: dict[bytes, PeerDifference] = {}
        for info_hash in peers_of:
            watched = self._peers.get(info_hash)
            if watched is not None and (difference := watched.since(version, self._version, now)) is not None:
                peers[info_hash] = difference
        return FeedDifference(
            number=0, from_version=version, to_version=self._version, now=now, peers=peers,
            torrents=tuple({"info_hash": key, **_fields(rows[key], parts, TORRENT_FIELDS)} for key, parts in torrents.items() if key in rows),
            removed=tuple(key for key in torrents if key not in rows),
            queue=_fields(self._queue, queue[QUEUE], QUEUE_FIELDS) if QUEUE in queue else {},
        )

    # ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _get_view(self, message: m.GetView) -> FeedView | None:
        now = self._looked_at = self.clock()
        self._look_at_peers(message.peers_of, now)
        if self._timer is None:
            self._gather(now)
        self._publish()
        rows = self._rows.rows
        torrents = tuple(self._with_peers(rows[info_hash], message.peers_of, now) for info_hash in self._torrents if info_hash in rows)
        view = FeedView(self._version, torrents, self._queue, age=now - self._fresh_at, now=now)
        if message.reply_to is None:
            return view
        self.post(message.reply_to, view)
        return None

    def _with_peers(self, row: TorrentSnapshot, peers_of: tuple[bytes, ...], now: float) -> TorrentSnapshot:
        watched = self._peers.get(row.info_hash) if row.info_hash in peers_of else None
        return row if watched is None else replace(row, peers=watched.all(now))


def _fields(row: Any, parts: frozenset[str] | None, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in (names if parts is None else parts)}


def _is_calm(queue: ConnectionQueueStats | None) -> bool:
    """Tell whether nobody waits, dials or fills up tokens."""
    return queue is not None and not (queue.pending or queue.leases or queue.half_open) and queue.tokens >= queue.burst
