"""FeedStreams: what each viewer has, and the event that brings it up to date. The seam between UIFeed and the web process.

A viewer gets a snapshot, then differences, each made when the one before was taken: nothing waits in a queue, and a slow viewer gets
fewer and larger ones. What it has is kept for a while after its connection broke; if it comes back and names the last event
(Last-Event-ID), it goes on from there.

An event of torrents holds the fields that changed, one of peers whole rows. Seconds that pass by themselves (since, until, next try)
are sent with a row that changed otherwise; whoever shows them counts on.
"""

import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import msgspec

from actors.api_views import queue_row, torrent_row
from actors.snapshots import DisplayPeer, FeedView, TorrentSnapshot
from protocol.web_messages import DIFFERENCE, SNAPSHOT

MAX_KEPT: Final = 8                                     # viewers whose connection broke; each costs a table of references

Send = Callable[[int, str, str, bytes], None]           # number, name, event id, body


class Viewed:
    """What one viewer has."""

    def __init__(self, peers_of: tuple[bytes, ...]) -> None:
        self.peers_of = peers_of
        self.event_id = ""                              # of the last event; '' = it has nothing
        self.torrents: dict[bytes, dict[str, Any]] = {}
        self.peers: dict[bytes, dict[str, tuple]] = {}  # info hash → key → what_counts
        self.queue: dict[str, Any] | None = None
        self.is_ready = True                            # it took the last event

    def update(self, rows: dict[bytes, dict[str, Any]], view: FeedView, queue: dict[str, Any] | None) -> dict[str, Any]:
        """Return what changed since the last event; empty when nothing did."""
        changed = [_changes(self.torrents.get(info_hash, {}), row) for info_hash, row in rows.items() if self.torrents.get(info_hash) is not row]
        removed = [info_hash.hex() for info_hash in self.torrents if info_hash not in rows]
        self.torrents = dict(rows)
        event: dict[str, Any] = {}
        if changed := [change for change in changed if len(change) > 1]:
            event["torrents"] = changed
        if removed:
            event["removed"] = removed
        if queue is not None and (part := {key: value for key, value in queue.items() if self.queue is None or self.queue[key] != value}):
            event["queue"] = part
            self.queue = queue
        if peers := self._peers(view):
            event["peers"] = peers
        return event

    def _peers(self, view: FeedView) -> dict[str, Any]:
        wanted = {snapshot.info_hash: snapshot for snapshot in view.torrents if snapshot.info_hash in self.peers_of}
        event = {}
        for info_hash, snapshot in wanted.items():
            had, has = self.peers.get(info_hash, {}), {peer.key: what_counts(peer) for peer in snapshot.peers}
            changed = [peer for peer in snapshot.peers if had.get(peer.key) != has[peer.key]]
            removed = [key for key in had if key not in has]
            if changed or removed:
                event[info_hash.hex()] = {"changed": changed, "removed": removed}
            self.peers[info_hash] = has
        for info_hash in [known for known in self.peers if known not in wanted]:
            del self.peers[info_hash]
        return event


def what_counts(peer: DisplayPeer) -> tuple:
    """A row without the seconds that pass by themselves."""
    record = peer.swarm_peer
    return (
        peer.state, peer.attempt, peer.reason, peer.connection, record.source, record.failures, record.last_error, record.ban_reason,
        record.client_name, record.downloaded, record.uploaded,
    )


def _changes(had: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key == "info_hash" or key not in had or had[key] != value}


class FeedStreams:
    """All viewers. True while there is one."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._viewers: dict[int, Viewed] = {}
        self._kept: OrderedDict[str, Viewed] = OrderedDict()        # by the last event's id
        self._rows: dict[bytes, tuple[TorrentSnapshot, dict[str, Any]]] = {}    # made once, for all viewers
        self._run = secrets.token_hex(4)                # ids of an earlier run of the client mean nothing
        self._last_number = 0

    def __bool__(self) -> bool:
        return bool(self._viewers)

    @property
    def peers_of(self) -> set[bytes]:
        """The torrents whose peers somebody looks at."""
        return {info_hash for viewer in self._viewers.values() for info_hash in viewer.peers_of}

    def open(self, number: int, peers_of: list[bytes], last_event_id: str) -> None:
        """A viewer came, perhaps back."""
        kept = self._kept.pop(last_event_id, None)
        self._viewers[number] = kept if kept is not None and kept.peers_of == tuple(peers_of) else Viewed(tuple(peers_of))
        self._viewers[number].is_ready = True

    def taken(self, number: int) -> None:
        """It has the last event."""
        if viewer := self._viewers.get(number):
            viewer.is_ready = True

    def close(self, number: int) -> None:
        """It is gone, perhaps for a moment."""
        viewer = self._viewers.pop(number, None)
        if viewer is not None and viewer.event_id:
            self._kept[viewer.event_id] = viewer
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)

    def close_all(self) -> None:
        """The web process died."""
        for number in list(self._viewers):
            self.close(number)

    def update(self, view: FeedView) -> None:
        """Bring those up to date that are ready for it."""
        if view.queue is None or not any(viewer.is_ready for viewer in self._viewers.values()):
            return                                      # the first view comes before anything was gathered
        self._rows = {
            snapshot.info_hash: known if (known := self._rows.get(snapshot.info_hash)) and known[0] is snapshot else (snapshot, torrent_row(snapshot))
            for snapshot in view.torrents
        }
        rows, queue = {info_hash: row for info_hash, (_, row) in self._rows.items()}, queue_row(view.queue)
        for number, viewer in self._viewers.items():
            if viewer.is_ready:
                self._update(number, viewer, rows, view, queue)

    def _update(self, number: int, viewer: Viewed, rows: dict[bytes, dict[str, Any]], view: FeedView, queue: dict[str, Any]) -> None:
        is_first = not viewer.event_id
        event = viewer.update(rows, view, queue)
        if not event and not is_first:
            return
        if is_first:
            event = {"torrents": [], "queue": {}, "peers": {}} | event
        self._last_number += 1
        viewer.event_id = f"{self._run}-{self._last_number}"
        viewer.is_ready = False
        self._send(number, SNAPSHOT if is_first else DIFFERENCE, viewer.event_id, msgspec.json.encode({"version": self._last_number, **event}))
