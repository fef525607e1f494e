"""UIFeed: gathers what a viewer sees, at most twice a second and only while somebody looks.

A torrent that changed says so once (TorrentChanged) and is asked for a snapshot when the next gathering is due; one that did not change
is not asked, so a thousand torrents at rest cost nothing. Snapshots that tell a time ("next try in 42 s") are asked for anew in turn, a
bounded number each time. Rows of peers come only of torrents whose peers are looked at. Viewers ask for the view at their own pace and
get what was gathered last: nobody waits for a torrent, and the feed asks no actor, it tells them where to answer.
"""

import math
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

import pykka

from actors import messages as m
from actors.engine_actor import DelayedMessage, EngineActor
from actors.snapshots import ConnectionQueueStats, FeedView, TorrentSnapshot

GATHER_SECONDS: Final = 0.5
LOOK_SECONDS: Final = 3.0                               # somebody looks while he asked in this time
MAX_SNAPSHOTS: Final = 1_000                            # of one gathering: about 20 ms of work
MAX_TIMED_SNAPSHOTS: Final = 100                        # … that differ by a passing time alone
ANSWER_SECONDS: Final = 5.0                             # a torrent that did not answer in this time is asked again
CALM_SECONDS: Final = 2.0                               # between two looks at a queue in which nothing happens


@dataclass(slots=True)
class WatchedTorrent:
    """What the feed knows of one torrent."""

    torrent: pykka.ActorRef
    snapshot: TorrentSnapshot | None = None             # None until the first answer


class UIFeed(EngineActor):
    """The only one that viewers ask. A later version also hands out the differences between two versions of the view."""

    def __init__(self, broker: pykka.ActorRef, session: pykka.ActorRef | None = None, **engine: Any) -> None:
        super().__init__(session, **engine)
        self._broker = broker
        self._torrents: dict[bytes, WatchedTorrent] = {}
        self._stale: dict[bytes, None] = {}             # said that they changed, the longest waiting first
        self._timed: dict[bytes, None] = {}             # tell a passing time, the longest not asked first
        self._awaited: dict[bytes, float] = {}          # asked and not answered; moment of the question
        self._peers_looked_at: dict[bytes, float] = {}  # moment of the last look
        self._queue: ConnectionQueueStats | None = None
        self._queue_asked_at: float | None = None       # None: no answer is awaited
        self._queue_seen_at = -math.inf
        self._looked_at = -math.inf
        self._gathered_at = -math.inf                   # when the last gathering began
        self._is_partial = False                        # it left some for the next one
        self._fresh_at = -math.inf                      # when the last one began that was whole and has all answers
        self._timer: DelayedMessage | None = None
        self._version = 0
        self._rows: tuple[TorrentSnapshot, ...] = ()    # of that version
        self._is_changed = False                        # since

    def on_receive(self, message: Any) -> Any:
        self.give_way()
        match message:
            case m.TorrentChanged():        self._torrent_changed(message)
            case m.SnapshotTaken():         self._snapshot_taken(message)
            case ConnectionQueueStats():    self._queue_stats(message)
            case m.GetView():               return self._get_view(message)
            case m.GatherDue():             self._gather_due()
            case m.WatchTorrent():          self._watch_torrent(message)
            case m.UnwatchTorrent():        self._unwatch_torrent(message)
            case m.Ping():                  return True
            case _:                         self.unknown(message)
        return None

    # ── torrents ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _watch_torrent(self, message: m.WatchTorrent) -> None:
        known = self._torrents.get(message.info_hash)
        self._torrents[message.info_hash] = WatchedTorrent(message.torrent, known.snapshot if known else None)
        self._awaited.pop(message.info_hash, None)      # of the actor that it had before
        self._stale[message.info_hash] = None

    def _unwatch_torrent(self, message: m.UnwatchTorrent) -> None:
        for table in (self._torrents, self._stale, self._timed, self._awaited, self._peers_looked_at):
            table.pop(message.info_hash, None)
        self._is_changed = True
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
            self._is_changed = True
        self._timed.pop(info_hash, None)
        if message.changes_with_time:
            self._timed[info_hash] = None
        self._settle()

    def _queue_stats(self, stats: ConnectionQueueStats) -> None:
        self._queue_asked_at = None
        self._queue_seen_at = self.clock()
        if stats != self._queue:
            self._queue = stats
            self._is_changed = True
        self._settle()

    # ── gathering ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _gather_due(self) -> None:
        self._timer = None
        now = self.clock()
        if now - self._looked_at <= LOOK_SECONDS:
            self._gather(now)

    def _gather(self, now: float) -> None:
        self._gathered_at = now
        self._forget_peers_not_looked_at(now)
        has_news = bool(self._stale)
        due = dict.fromkeys([*self._peers_looked_at, *self._stale, *islice(self._timed, MAX_TIMED_SNAPSHOTS)])
        for info_hash in list(due)[:MAX_SNAPSHOTS]:
            self._ask(info_hash, now)
        self._is_partial = len(due) > MAX_SNAPSHOTS
        if has_news or not _is_calm(self._queue) or now - self._queue_seen_at >= CALM_SECONDS:
            self._ask_queue(now)
        self._timer = self.call_later(GATHER_SECONDS, m.GatherDue())
        self._settle()

    def _forget_peers_not_looked_at(self, now: float) -> None:
        for info_hash in [key for key, looked_at in self._peers_looked_at.items() if now - looked_at > LOOK_SECONDS]:
            del self._peers_looked_at[info_hash]
            self._stale[info_hash] = None               # once more, without rows

    def _ask(self, info_hash: bytes, now: float) -> None:
        if now - self._awaited.get(info_hash, -math.inf) < ANSWER_SECONDS:
            return
        self._stale.pop(info_hash, None)
        self._timed.pop(info_hash, None)
        question = m.GetTorrentSnapshot(self.actor_ref, with_peers=info_hash in self._peers_looked_at)
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

    # ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _get_view(self, message: m.GetView) -> FeedView | None:
        now = self._looked_at = self.clock()
        for info_hash in message.peers_of:
            if info_hash in self._torrents:
                self._peers_looked_at[info_hash] = now
        if self._timer is None:
            self._gather(now)
        if self._is_changed:
            self._is_changed = False
            self._version += 1
            self._rows = tuple(self._row(watched.snapshot) for watched in self._torrents.values() if watched.snapshot is not None)
        view = FeedView(self._version, self._rows, self._queue, age=now - self._fresh_at)
        if message.reply_to is None:
            return view
        self.post(message.reply_to, view)
        return None

    def _row(self, snapshot: TorrentSnapshot) -> TorrentSnapshot:
        """While the torrent waits for the broker, it is the broker's rule that says why."""
        if snapshot.why or self._queue is None:
            return snapshot
        stats = self._queue.torrents.get(snapshot.info_hash)
        return replace(snapshot, why=stats.why) if stats is not None and stats.why else snapshot


def _is_calm(queue: ConnectionQueueStats | None) -> bool:
    """Tell whether nobody waits, dials or fills up tokens."""
    return queue is not None and not (queue.pending or queue.leases or queue.half_open) and queue.tokens >= queue.burst
