"""PeerRows: the rows of a torrent's peers for whoever looks, made of the swarm's records, and what changed between two looks.

A record that did not change costs nothing: the swarm names those that did. A connection costs a comparison of its figures. The first
look makes all rows; when nobody looks any more they are forgotten.

A row that is gone (forgotten, or of a candidate that is none any more because the torrent stopped) is shown until it was seen for a
second, marked as gone. What is not so marked is what `Swarm.counts` counts, at every moment. A state is never held back: a row tells the
truth, and its history what was too short to be seen.
"""

from typing import Final

import msgspec

from actors.snapshots import (
    CONNECTED,
    FAILED,
    QUEUED,
    AttemptView,
    ConnectionView,
    DisplayPeer,
    PeerDifference,
    SwarmPeerView,
)
from actors.torrent_peers import PeerConnection, TorrentPeers
from scheduler.swarm import Swarm
from scheduler.swarm_peer import SwarmPeer

SHOWN_SECONDS: Final = 1.0                              # at least, so that nothing flickers
MAX_PLACES: Final = 100                                 # candidates whose place is told: further behind it says nothing to anybody

replace = msgspec.structs.replace


class PeerRows:
    """The rows of one torrent. `num_pieces` is of the torrent."""

    def __init__(self, swarm: Swarm, peers: TorrentPeers, num_pieces: int) -> None:
        self._swarm = swarm
        self._peers = peers
        self._num_pieces = num_pieces
        self._version = 0
        self._rows: dict[str, DisplayPeer] = {}         # as they were told
        self._shown_since: dict[str, float] = {}        # those that are new, the oldest first
        self._going: dict[str, float] = {}              # gone, and until when they are shown, the first to go first
        self._places: dict[SwarmPeer, int] = {}
        self._key_of: dict[SwarmPeer, str] = {}         # of connected peers
        self._is_dialling = False                       # when the rows were told

    def know(self, num_pieces: int) -> None:
        """Peers sent the metadata of a magnet link."""
        self._num_pieces = num_pieces

    def forget(self) -> None:
        """Nobody looks any more."""
        for table in (self._rows, self._shown_since, self._going, self._places, self._key_of):
            table.clear()
        self._swarm.forget_news()

    def all(self, now: float, is_dialling: bool) -> tuple[DisplayPeer, ...]:
        """Return all rows as they are now; changes nothing for who looks at differences."""
        connection_of = self._connection_of()
        places = places_of(self._swarm) if is_dialling else {}
        return tuple(
            display_peer(peer, connection_of.get(peer), now, self._num_pieces, is_dialling, places.get(peer, 0))
            for peer in self._swarm if is_dialling or peer.state != QUEUED
        )

    def difference(self, rows_from: int, now: float, is_dialling: bool) -> PeerDifference:
        """Return what changed since version `rows_from`, or all rows when that is not the last version that was told."""
        news = self._swarm.take_news()
        is_whole = news is None or rows_from != self._version
        if is_whole or is_dialling is not self._is_dialling:
            changed = dict.fromkeys(self._swarm)
            alive = {str(peer.address) for peer in changed}
            gone = {key: None for key in self._rows if key not in alive}
        else:
            changed, gone = news.changed, {str(address): peer for address, peer in news.gone.items()}
        self._is_dialling = is_dialling
        told = self._take(changed, gone, now)
        if is_whole or any(told):
            self._version += 1
        if is_whole:
            return PeerDifference(0, self._version, tuple(self._rows.values()))
        return PeerDifference(rows_from, self._version, *told)

    def _take(
        self, changed: dict[SwarmPeer, None], gone: dict[str, SwarmPeer | None], now: float,
    ) -> tuple[tuple[DisplayPeer, ...], tuple[DisplayPeer, ...], tuple[str, ...]]:
        """Bring the rows up to date; return the changed ones, those whose figures alone changed, and the keys of those removed."""
        connection_of = self._connection_of()
        if changed:
            changed = changed | dict.fromkeys(self._moved_places())
        told: dict[str, DisplayPeer] = {}
        for key, peer in gone.items():
            self._key_of.pop(peer, None)
            if key not in self._rows and peer is not None and str(peer.address) == key:     # it came and went unseen
                self._show(peer, None, now)
            self._end(key, now, told)
        for peer in changed:
            key = str(peer.address)
            if peer.state == QUEUED and not self._is_dialling:
                self._end(key, now, told)
                continue
            told[key] = self._show(peer, connection_of.get(peer), now)
            self._going.pop(key, None)
        moving = self._take_figures(connection_of, told)
        return tuple(told.values()), moving, self._remove_gone(now)

    def _show(self, peer: SwarmPeer, connection: PeerConnection | None, now: float) -> DisplayPeer:
        key = str(peer.address)
        if key not in self._rows:
            self._shown_since[key] = now
        if peer.state == CONNECTED:
            self._key_of[peer] = key
        else:
            self._key_of.pop(peer, None)
        row = self._rows[key] = display_peer(peer, connection, now, self._num_pieces, self._is_dialling, self._places.get(peer, 0))
        return row

    def _end(self, key: str, now: float, told: dict[str, DisplayPeer]) -> None:
        row = self._rows.get(key)
        if row is not None and not row.is_gone:
            told[key] = self._rows[key] = replace(row, is_gone=True, place=0)
            self._going[key] = self._shown_since.get(key, now - SHOWN_SECONDS) + SHOWN_SECONDS

    def _remove_gone(self, now: float) -> tuple[str, ...]:
        while self._shown_since and now - next(iter(self._shown_since.values())) > SHOWN_SECONDS:
            del self._shown_since[next(iter(self._shown_since))]
        removed = tuple(key for key, until in self._going.items() if until <= now)
        for key in removed:
            del self._going[key], self._rows[key]
        return removed

    def _take_figures(self, connection_of: dict[SwarmPeer, PeerConnection], told: dict[str, DisplayPeer]) -> tuple[DisplayPeer, ...]:
        moving = []
        for peer, connection in connection_of.items():
            stats = connection.stats
            if stats is connection.told_stats:
                continue
            key = self._key_of.get(peer)                # of a row that was told; its text is not made each time
            row = self._rows.get(key)
            if row is None or row.connection is None or key in told:
                continue
            connection.told_stats = stats
            view = connection_view(connection, self._num_pieces)
            if view != row.connection:
                record = replace(row.swarm_peer, downloaded=peer.downloaded + view.downloaded, uploaded=peer.uploaded + view.uploaded)
                row = self._rows[key] = replace(row, connection=view, swarm_peer=record)
                moving.append(row)
        return tuple(moving)

    def _moved_places(self) -> list[SwarmPeer]:
        places = places_of(self._swarm) if self._is_dialling else {}
        moved = [peer for peer, place in places.items() if self._places.get(peer) != place]
        moved += [peer for peer in self._places if peer not in places and peer.state == QUEUED]
        self._places = places
        return moved

    def _connection_of(self) -> dict[SwarmPeer, PeerConnection]:
        return {connection.peer: connection for connection in self._peers.connections.values()}


def places_of(swarm: Swarm) -> dict[SwarmPeer, int]:
    """Return the places of the candidates that are dialled next, from 1."""
    return {peer: place for place, peer in enumerate(swarm.first_candidates(MAX_PLACES), start=1)}


def display_peer(
    peer: SwarmPeer, connection: PeerConnection | None, now: float, num_pieces: int, is_dialling: bool = True, place: int = 0,
) -> DisplayPeer:
    """Return the row of one peer. A next try is told only where there will be one."""
    until = None if peer.state == FAILED and not is_dialling else peer.until
    seconds = None if until is None else max(until - now, 0.0)
    waited, connecting, handshaking = peer.phases
    return DisplayPeer(
        key=str(peer.address), ip=peer.address.ip, port=peer.address.port, state=peer.state, since=now - peer.since, until=seconds,
        attempt=peer.attempts, reason=peer.reason,
        connection=connection_view(connection, num_pieces) if peer.state == CONNECTED and connection is not None else None,
        swarm_peer=swarm_peer_view(peer, connection, seconds if peer.state == FAILED else None),
        since_at=peer.since, until_at=until, waited=waited, connecting=connecting, handshaking=handshaking, place=place,
        history=tuple(
            AttemptView(past.number, past.ended, *past.phases, past.connected, past.outcome, past.reason) for past in peer.history
        ),
    )


def swarm_peer_view(peer: SwarmPeer, connection: PeerConnection | None, next_try_in: float | None) -> SwarmPeerView:
    """Return the record as it is shown, with the bytes of a living connection."""
    stats = None if connection is None else connection.stats
    downloaded, uploaded = (0, 0) if stats is None else (stats.downloaded, stats.uploaded)
    return SwarmPeerView(
        peer.source, peer.attempts, peer.failures, peer.last_error, next_try_in, peer.ban_reason, peer.client_name,
        peer.downloaded + downloaded, peer.uploaded + uploaded,
    )


def connection_view(connection: PeerConnection, num_pieces: int) -> ConnectionView:
    """Return the live figures of a connection; zeros until the first ones came."""
    stats, name, direction = connection.stats, connection.peer.client_name or "?", "I" if connection.incoming else ""
    if stats is None:
        return ConnectionView(name, 0.0, 0, 0, 0, 0, direction, 0, connection.incoming)
    return ConnectionView(
        name, stats.num_pieces * 10_000 // num_pieces / 10_000 if num_pieces else 1.0, stats.download_rate, stats.upload_rate,
        stats.downloaded, stats.uploaded, stats.flags + direction, stats.num_requests, connection.incoming,
    )


def as_of(row: DisplayPeer, now: float) -> DisplayPeer:
    """Return a row that was made earlier with its seconds as they are now."""
    until = None if row.until_at is None else max(row.until_at - now, 0.0)
    record = row.swarm_peer
    if record.next_try_in is not None:
        record = replace(record, next_try_in=until)
    return replace(row, since=now - row.since_at, until=until, swarm_peer=record)
