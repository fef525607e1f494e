"""TorrentStop: who waits for a torrent to stop, and for what that waits.

The daemon says when connections are closed and data is durable, the announcer when the tracker was told. What does not come in time is
not waited for.
"""

from collections.abc import Callable
from typing import Any, Final

import pykka

from actors import messages as m
from actors.engine_actor import DelayedMessage
from actors.torrent_surroundings import TorrentSurroundings

STOP_SECONDS: Final = 2.0                               # a tracker that is not reached in this time will notice by itself


class TorrentStop:
    """At most one stop under way; further ones join it."""

    def __init__(
        self, around: TorrentSurroundings, call_later: Callable[[float, Any], DelayedMessage], on_forget: Callable[[], None],
    ) -> None:
        self._around = around
        self._call_later = call_later
        self._on_forget = on_forget                     # called at the end of a stop after which the torrent is forgotten
        self._since = 0.0                               # moment
        self._overdue: DelayedMessage | None = None     # None: no stop is under way
        self._awaits_daemon = False
        self._awaits_announcer = False
        self._reply_to: list[pykka.ActorRef] = []
        self.forgets = False                            # the torrent is about to be forgotten; no start can change that

    def begin(self, message: m.StopTorrent, *, awaits_daemon: bool, awaits_announcer: bool) -> None:
        """Wait for these two, or for nothing."""
        if self._overdue is None:
            self._since = self._around.clock()
            self._overdue = self._call_later(STOP_SECONDS, m.StopOverdue())
        if message.reply_to is not None:
            self._reply_to.append(message.reply_to)
        self.forgets |= message.forget
        self._awaits_daemon = awaits_daemon
        self._awaits_announcer |= awaits_announcer
        self._end_if_answered()

    def daemon_answered(self) -> None:
        """Connections are closed, or there is no daemon any more."""
        self._awaits_daemon = False
        self._end_if_answered()

    def announcer_answered(self) -> None:
        """The trackers were told, or cannot be."""
        self._awaits_announcer = False
        self._end_if_answered()

    def overdue(self) -> None:
        """Go on without who has not answered."""
        if self._overdue is not None and self._around.clock() - self._since >= STOP_SECONDS:
            self._around.log.warning("torrent_stop_overdue", daemon=self._awaits_daemon, tracker=self._awaits_announcer)
            self._awaits_daemon = self._awaits_announcer = False
            self._end_if_answered()

    def _end_if_answered(self) -> None:
        if self._overdue is None or self._awaits_daemon or self._awaits_announcer:
            return
        self._overdue.cancel()
        self._overdue = None
        self._around.log.info("torrent_stopped", elapsed=self._around.clock() - self._since)
        if self.forgets:
            self._on_forget()
        reply_to, self._reply_to = self._reply_to, []
        for waiting in reply_to:
            self._around.post(waiting, m.TorrentStoppedFully(self._around.info_hash))
