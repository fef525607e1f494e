"""What a viewer sees of a torrent: its row, the rows of its peers, and the sentence that says why it is not connecting.

The sentence is that of the rule that keeps the torrent from asking for connections: its life cycle, its room, its candidates. While it
asks there is none, for then it is the broker's rule that says no (TorrentQueueStats.why).
"""

from dataclasses import replace
from typing import Final

from actors import messages as m
from actors.peer_rows import PeerRows
from actors.snapshots import ERROR, METADATA, QUEUED, STOPPED, PeerDifference, TorrentSnapshot
from actors.torrent_announcing import TorrentAnnouncing
from actors.torrent_maintenance import TorrentMaintenance
from actors.torrent_metadata import TorrentMetadata
from actors.torrent_peers import TorrentPeers
from actors.torrent_progress import TorrentProgress
from protocol.metainfo import Info
from scheduler import refusal
from scheduler.refusal import Refusal
from scheduler.swarm import Swarm
from scheduler.torrent_life import TorrentLife

TIMED_RULES: Final = (refusal.NO_PEERS, refusal.ALL_FAILED)     # their sentences tell a time


class TorrentSnapshots:
    """Takes snapshots of one torrent. While nothing happens and no time is told, it is the same object again and again."""

    def __init__(
        self, info: Info, life: TorrentLife, swarm: Swarm, peers: TorrentPeers, progress: TorrentProgress,
        announcing: TorrentAnnouncing, maintenance: TorrentMaintenance, metadata: TorrentMetadata,
    ) -> None:
        self._info = info
        self._life = life
        self._swarm = swarm
        self._rows = PeerRows(swarm, peers, info.layout.num_pieces)
        self._progress = progress
        self._announcing = announcing
        self._maintenance = maintenance
        self._metadata = metadata
        self._last: TorrentSnapshot | None = None       # without peers
        self._is_fresh = False
        self._changes_with_time = False

    def know(self, order: m.AddTorrent) -> None:
        """Peers sent the metadata of a magnet link."""
        self._info = order.metainfo.info
        self._rows.know(self._info.layout.num_pieces)
        self._is_fresh = False

    def forget(self) -> None:
        """Something changed."""
        self._is_fresh = False

    def take(self, now: float, room: int, limit: int, with_peers: bool) -> tuple[TorrentSnapshot, bool]:
        """Return the torrent's row, and whether it changes by itself as time passes. `room`: places left of `limit`."""
        if self._changes_with_time or not self._is_fresh:
            snapshot, self._changes_with_time = self._row(now, room, limit)
            if snapshot != self._last:
                self._last = snapshot
            self._is_fresh = True
        if not with_peers:
            return self._last, self._changes_with_time
        rows = self._rows.all(now, self._maintenance.is_active)
        return replace(self._last, peers=rows) if rows else self._last, self._changes_with_time or bool(rows)

    def take_rows(self, rows_from: int | None, now: float) -> PeerDifference | None:
        """Return what changed in the rows of peers since that version, for the one who looks at differences; None: he does not look."""
        if rows_from is not None:
            return self._rows.difference(rows_from, now, self._maintenance.is_active)
        self._rows.forget()
        return None

    def _row(self, now: float, room: int, limit: int) -> tuple[TorrentSnapshot, bool]:
        progress = self._progress
        refused = self._refusal(now, room, limit)
        state, peers = self._life.state(progress.is_durable), peers_by_state(self._swarm, self._maintenance.is_active)
        sentences = [self._metadata.sentence(peers)] if state == METADATA else []
        sentences += [refused.sentence()] if refused else []
        ends_in = None if refused is None or refused.rule not in TIMED_RULES else refused.seconds
        return TorrentSnapshot(
            info_hash=self._info.info_hash, name=self._info.name, state=state, error=self._life.error,
            total_bytes=self._info.layout.total_length, verified_bytes=progress.verified_bytes, pieces_checked=progress.pieces_checked,
            num_pieces=self._info.layout.num_pieces, downloaded=progress.downloaded, uploaded=progress.uploaded,
            wasted=progress.wasted, download_rate=progress.download_rate, upload_rate=progress.upload_rate,
            peers_by_state=peers, known_peers=len(self._swarm),
            tracker_error=self._announcing.error, why="; ".join(filter(None, sentences)),
            why_rule=refused.rule if refused and refused.rule != refusal.ALL_BUSY else "",
            why_until=None if ends_in is None else now + ends_in,
            wanted_bytes=progress.wanted_bytes, wanted_verified_bytes=progress.wanted_verified_bytes,
        ), ends_in is not None

    def _refusal(self, now: float, room: int, limit: int) -> Refusal | None:
        """Return what keeps the torrent from asking for connections; None when nothing does, or it wants none."""
        if self._maintenance.is_active:
            answers_at = self._announcing.next_answer_at
            answers_in = None if answers_at is None or answers_at <= now else answers_at - now
            return self._maintenance.refusal(room, limit, answers_in)
        state = self._life.state(self._progress.is_durable)
        if state == ERROR:
            return Refusal(refusal.ERROR, reason=self._life.error)
        if state == STOPPED:
            return Refusal(refusal.STOPPED)
        return Refusal(refusal.NOT_READY, reason=self._life.waits_for) if self._life.waits_for else None


def peers_by_state(swarm: Swarm, is_dialling: bool) -> dict[str, int]:
    """Return how many rows there are in each state. Candidates of a torrent that does not dial wait for nothing: they are no rows."""
    return dict(swarm.counts) if is_dialling else {**swarm.counts, QUEUED: 0}
