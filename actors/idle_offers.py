"""IdleOffers: which connection of a torrent the broker may have closed when somebody needs the place.

The daemon says which connections have been of no use for a while. Offered is the longest idle one; whether it is still useless is judged
again by the daemon at the moment it would close it.
"""

from actors import messages as m
from actors.torrent_surroundings import TorrentSurroundings
from protocol import daemon_messages as dm


class IdleOffers:
    """Of one torrent. Moments are monotonic seconds."""

    def __init__(self, around: TorrentSurroundings) -> None:
        self._around = around
        self._idle: dict[int, tuple[float, int]] = {}   # grant id → idle since, connection id
        self._offered: int | None = None                # the level that the broker was told

    def changed(self, grant_id: int, connection_id: int, idle_seconds: float | None) -> None:
        """The daemon says that a connection has been idle for so long, or (None) that it is useful again."""
        if idle_seconds is None:
            self._idle.pop(grant_id, None)
        else:
            self._idle[grant_id] = (self._around.clock() - idle_seconds, connection_id)
        self._offer()

    def closed(self, grant_id: int) -> None:
        """A connection is gone, and with it the offer of it: that the broker knows."""
        self._idle.pop(grant_id, None)
        if self._offered == grant_id:
            self._offered = None
            self._offer()

    def close(self, grant_id: int) -> None:
        """Its place is needed. The answer is ConnectionClosed, or another offer."""
        if grant_id in self._idle:
            _, connection_id = self._idle[grant_id]
            self._around.to_daemon(dm.CloseIdlePeer(self._around.info_hash, connection_id))
        else:
            self._tell(self._longest_idle())

    def _longest_idle(self) -> int | None:
        return min(self._idle, key=self._idle.__getitem__, default=None)

    def _offer(self) -> None:
        if (longest := self._longest_idle()) != self._offered:
            self._tell(longest)

    def _tell(self, grant_id: int | None) -> None:
        self._offered = grant_id
        idle_for = 0.0 if grant_id is None else max(self._around.clock() - self._idle[grant_id][0], 0.0)
        self._around.to_broker(m.IdleConnectionOffered(self._around.info_hash, grant_id, idle_for))
