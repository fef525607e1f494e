"""TorrentSurroundings: what the parts of a torrent need of the world around it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pykka

from actors import messages as m


@dataclass(slots=True)
class TorrentSurroundings:
    """Whom to tell, what time it is, where to log."""

    info_hash: bytes
    torrent: pykka.ActorRef                             # the torrent's own actor
    broker: pykka.ActorRef
    daemon: pykka.ActorRef | None                       # its DaemonLink, while that has a daemon
    post: Callable[[pykka.ActorRef, Any], bool]
    clock: Callable[[], float]
    log: Any

    def to_broker(self, message: Any) -> None:
        """Tell the broker. A dead one is the session's matter: it ends the engine or starts another."""
        self.post(self.broker, message)

    def to_daemon(self, message: msgspec.Struct) -> None:
        """Tell the daemon, if there is one. When its link is dead the torrent hears DaemonLost, so that nobody waits for answers."""
        if self.daemon is not None and not self.post(self.daemon, m.SendToDaemon(message)):
            self.daemon = None
            self.post(self.torrent, m.DaemonLost())
