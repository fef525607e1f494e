"""IdlePeers: which connections of a torrent have been of no use to either side for a while.

Neither is interested in the other: nothing can flow until one of them gets a piece that the other lacks. Such a connection costs little
and is kept; but the engine is told, so that it can give the place to somebody when there are no more (spec §1, "Idle connections make
room"). Two seeds part at once (TorrentIo.peer_is_seed), they never come here.
"""

from typing import Any

from protocol import daemon_messages as dm


class IdlePeers:
    """Of one torrent, which has `peers`, `info_hash` and `send`. Told is each change, not the time that passes."""

    def __init__(self, torrent: Any, idle_seconds: float) -> None:
        self._torrent = torrent
        self._idle_seconds = idle_seconds
        self._idle_since: dict[int, float] = {}         # of those of no use, by key
        self._told: set[int] = set()

    def tick(self, now: float) -> None:
        """Look at all connections."""
        for key, peer in self._torrent.peers.items():
            if peer.am_interested or peer.peer_interested:
                self._is_useful(key)
            elif key not in self._told:
                idle_for = now - self._idle_since.setdefault(key, now)
                if idle_for >= self._idle_seconds:
                    self._told.add(key)
                    self._torrent.send(dm.PeerIdle(self._torrent.info_hash, key, idle_for))

    def close(self, key: int) -> None:
        """The engine needs its place. One that became useful since the last tick is kept, and the engine is told."""
        peer = self._torrent.peers.get(key)
        if peer is None or key not in self._told:
            return                                      # it is gone, or useful again, which was told
        if peer.am_interested or peer.peer_interested:
            self._is_useful(key)
        else:
            peer.close(dm.IDLE)

    def peer_left(self, key: int) -> None:
        """It is closed."""
        self._idle_since.pop(key, None)
        self._told.discard(key)

    def _is_useful(self, key: int) -> None:
        self._idle_since.pop(key, None)
        if key in self._told:
            self._told.discard(key)
            self._torrent.send(dm.PeerIdle(self._torrent.info_hash, key, None))
