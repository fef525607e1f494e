"""What a viewer sees of a torrent: its row, the rows of its peers, and the sentence that says why it is not connecting.

The sentence here is about what the torrent itself knows: its life cycle, its room and its candidates. While it waits for the broker
it says nothing, for then it is the broker's rule that says no (TorrentQueueStats.why).
"""

from collections.abc import Iterable
from dataclasses import replace

from actors import messages as m
from actors.snapshots import (
    CONNECTED,
    ERROR,
    FAILED,
    METADATA,
    QUEUED,
    STOPPED,
    ConnectionView,
    DisplayPeer,
    SwarmPeerView,
    TorrentSnapshot,
)
from actors.torrent_announcing import TorrentAnnouncing
from actors.torrent_metadata import TorrentMetadata
from actors.torrent_peers import PeerConnection, TorrentPeers
from actors.torrent_progress import TorrentProgress
from protocol.metainfo import Info
from scheduler.swarm import Swarm
from scheduler.swarm_peer import SwarmPeer
from scheduler.torrent_life import TorrentLife


class TorrentSnapshots:
    """Takes snapshots of one torrent. While nothing happens and no time is told, it is the same object again and again."""

    def __init__(
        self, info: Info, life: TorrentLife, swarm: Swarm, peers: TorrentPeers, progress: TorrentProgress,
        announcing: TorrentAnnouncing, metadata: TorrentMetadata,
    ) -> None:
        self._info = info
        self._life = life
        self._swarm = swarm
        self._peers = peers
        self._progress = progress
        self._announcing = announcing
        self._metadata = metadata
        self._last: TorrentSnapshot | None = None       # without peers
        self._is_fresh = False
        self._changes_with_time = False

    def know(self, order: m.AddTorrent) -> None:
        """Peers sent the metadata of a magnet link."""
        self._info = order.metainfo.info
        self._is_fresh = False

    def forget(self) -> None:
        """Something changed."""
        self._is_fresh = False

    def take(self, now: float, room: int, limit: int, is_dialling: bool, with_peers: bool) -> tuple[TorrentSnapshot, bool]:
        """Return the torrent's row, and whether it changes by itself as time passes. `room`: places left of `limit`."""
        if self._changes_with_time or not self._is_fresh:
            snapshot, self._changes_with_time = self._row(now, room, limit, is_dialling)
            if snapshot != self._last:
                self._last = snapshot
            self._is_fresh = True
        if not with_peers:
            return self._last, self._changes_with_time
        rows = display_peers(
            self._swarm, self._peers.connections.values(), now, self._info.layout.num_pieces, is_dialling,
        )
        return replace(self._last, peers=rows) if rows else self._last, self._changes_with_time or bool(rows)

    def _row(self, now: float, room: int, limit: int, is_dialling: bool) -> tuple[TorrentSnapshot, bool]:
        progress = self._progress
        why, changes_with_time = self._why(now, room, limit, is_dialling)
        state, peers = self._life.state(progress.is_durable), peers_by_state(self._swarm, is_dialling)
        sentences = [self._metadata.sentence(peers)] if state == METADATA else []
        return TorrentSnapshot(
            info_hash=self._info.info_hash, name=self._info.name, state=state, error=self._life.error,
            total_bytes=self._info.layout.total_length, verified_bytes=progress.verified_bytes, pieces_checked=progress.pieces_checked,
            num_pieces=self._info.layout.num_pieces, downloaded=progress.downloaded, uploaded=progress.uploaded,
            wasted=progress.wasted, download_rate=progress.download_rate, upload_rate=progress.upload_rate,
            peers_by_state=peers, known_peers=len(self._swarm),
            tracker_error=self._announcing.error, why="; ".join(filter(None, [*sentences, why])),
            wanted_bytes=progress.wanted_bytes, wanted_verified_bytes=progress.wanted_verified_bytes,
        ), changes_with_time

    def _why(self, now: float, room: int, limit: int, is_dialling: bool) -> tuple[str, bool]:
        """Return why the torrent is not connecting, '' when it is or need not, and whether that changes as time passes."""
        if is_dialling:
            return why_not_connecting(self._swarm, room, limit, now, self._announcing.next_answer_at)
        state = self._life.state(self._progress.is_durable)
        if state == ERROR:
            return self._life.error, False
        return "stopped by you" if state == STOPPED else self._life.waits_for, False


def peers_by_state(swarm: Swarm, is_dialling: bool) -> dict[str, int]:
    """Return how many rows there are in each state. Candidates of a torrent that does not dial wait for nothing: they are no rows."""
    return dict(swarm.counts) if is_dialling else {**swarm.counts, QUEUED: 0}


def display_peers(
    swarm: Swarm, connections: Iterable[PeerConnection], now: float, num_pieces: int, is_dialling: bool,
) -> tuple[DisplayPeer, ...]:
    """Return the rows that `peers_by_state` counts."""
    connection_of = {connection.peer: connection for connection in connections}
    return tuple(
        display_peer(peer, connection_of.get(peer), now, num_pieces, is_dialling)
        for peer in swarm if is_dialling or peer.state != QUEUED
    )


def display_peer(
    peer: SwarmPeer, connection: PeerConnection | None, now: float, num_pieces: int, is_dialling: bool = True,
) -> DisplayPeer:
    """Return the row of one peer. A next try is told only where there will be one."""
    waits = None if peer.until is None or (peer.state == FAILED and not is_dialling) else max(peer.until - now, 0.0)
    stats = None if connection is None else connection.stats
    downloaded, uploaded = (0, 0) if stats is None else (stats.downloaded, stats.uploaded)
    return DisplayPeer(
        key=str(peer.address), ip=peer.address.ip, port=peer.address.port, state=peer.state, since=now - peer.since, until=waits,
        attempt=peer.attempts, reason=peer.reason,
        connection=connection_view(connection, num_pieces) if peer.state == CONNECTED and connection is not None else None,
        swarm_peer=SwarmPeerView(
            source=peer.source, attempts=peer.attempts, failures=peer.failures, last_error=peer.last_error,
            next_try_in=waits if peer.state == FAILED else None, ban_reason=peer.ban_reason, client_name=peer.client_name,
            downloaded=peer.downloaded + downloaded, uploaded=peer.uploaded + uploaded,
        ),
    )


def connection_view(connection: PeerConnection, num_pieces: int) -> ConnectionView:
    """Return the live figures of a connection; zeros until the first ones came."""
    stats, name, direction = connection.stats, connection.peer.client_name or "?", "I" if connection.incoming else ""
    if stats is None:
        return ConnectionView(name, 0.0, 0, 0, 0, 0, direction, 0, connection.incoming)
    return ConnectionView(
        client_name=name, progress=stats.num_pieces / num_pieces if num_pieces else 1.0, download_rate=stats.download_rate,
        upload_rate=stats.upload_rate, downloaded=stats.downloaded, uploaded=stats.uploaded, flags=stats.flags + direction,
        num_requests=stats.num_requests, incoming=connection.incoming,
    )


def why_not_connecting(swarm: Swarm, room: int, limit: int, now: float, tracker_answers_at: float | None) -> tuple[str, bool]:
    """Return the sentence for a torrent that dials, and whether it changes by itself as time passes. '' = it waits for the broker,
    or has nobody left to connect to.
    """
    if room <= 0:
        return f"this torrent's limit: {limit - room} of {limit}", False
    if swarm.num_candidates or (len(swarm) and not swarm.counts[FAILED]):
        return "", False
    if not len(swarm):
        if tracker_answers_at is None or tracker_answers_at <= now:
            return "no peers known yet", False
        return f"no peers known yet, tracker answers in {_seconds(tracker_answers_at - now)}", True
    failed = swarm.counts[FAILED]
    who = f"all {failed} peers" if failed == len(swarm) else f"the other {failed} peers"
    who = who.replace("all 1 peers", "the only peer").replace("other 1 peers", "other peer")
    next_try = swarm.next_try()
    if next_try is None:
        return f"{who} failed, none is tried again", False
    return f"{who} failed, next try in {_seconds(next_try - now)}", True


def _seconds(seconds: float) -> str:
    """Return a duration as people read it, in whole seconds or minutes, never 0."""
    return f"{max(round(seconds), 1)} s" if seconds < 100 else f"{round(seconds / 60)} min"
