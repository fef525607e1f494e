"""WaitingLine: the connections of all torrents that could request more if there were a buffer for a new piece.

Torrents that all peers left keep the pieces that they had begun, until somebody waits for a buffer.
"""

from typing import Any


class WaitingLine:
    """First come, first served. A requester has `fill` and `is_waiting`; when a buffer was not enough it joins again, at the end."""

    def __init__(self) -> None:
        self._line: dict[Any, None] = {}
        self._idle: dict[Any, None] = {}                # downloads without a peer

    def join(self, requester: Any) -> None:
        """Ask this one again when a buffer is free. Who waits already keeps its place."""
        self._line.setdefault(requester)
        requester.is_waiting = True

    def leave(self, requester: Any) -> None:
        """Its connection is gone."""
        self._line.pop(requester, None)
        requester.is_waiting = False

    def idle(self, downloads: Any) -> None:
        """This torrent has no peer any more."""
        self._idle[downloads] = None

    def in_use(self, downloads: Any) -> None:
        """It has one again, or is stopped."""
        self._idle.pop(downloads, None)

    def reclaim(self) -> bool:
        """Take the buffers of a torrent without a peer; False if there is none."""
        while self._idle:
            downloads = next(iter(self._idle))
            del self._idle[downloads]
            if downloads.drop_unavailable():
                return True
        return False

    def buffer_is_free(self) -> None:
        """Ask one after the other until one finds no buffer any more."""
        for _ in range(len(self._line)):
            requester = next(iter(self._line), None)
            if requester is None:
                return
            self.leave(requester)
            requester.fill()
            if requester.is_waiting:
                return
