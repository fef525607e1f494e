"""TorrentAnnouncing: what a torrent tells its TrackerAnnouncer, and what that reported last."""

from typing import Final

import pykka

from actors import messages as m
from actors.torrent_progress import TorrentProgress
from actors.torrent_surroundings import TorrentSurroundings

REPORT_SECONDS: Final = 5.0                             # trackers are told each half hour; more news than this helps nobody


class TorrentAnnouncing:
    """Between one torrent and its announcer, if it has one. Moments are monotonic seconds."""

    def __init__(self, around: TorrentSurroundings, progress: TorrentProgress) -> None:
        self._announcer: pykka.ActorRef | None = None
        self.error = ""                                 # last failure or warning of a tracker
        self.next_answer_at: float | None = None        # moment of the next announce; None: there is none to come
        self._around = around
        self._progress = progress
        self._is_announcing = False
        self._reported_at = 0.0

    @property
    def announcer(self) -> pykka.ActorRef | None:
        """Who announces; None: there are no trackers. A new one, after the last one failed, knows nothing yet: `start` it again."""
        return self._announcer

    @announcer.setter
    def announcer(self, announcer: pykka.ActorRef) -> None:
        is_another = self._announcer is not None
        self._announcer = announcer
        self._is_announcing = False
        if is_another:                                  # what its predecessor told the trackers must not be counted twice
            self._report()

    def announcer_started(self, announcer: pykka.ActorRef, port: int | None) -> None:
        """Who announces from now on; `port`: where we listen, None while the torrent takes no part in the swarm."""
        self.announcer = announcer
        if port is not None:
            self.start(port)

    def start(self, port: int) -> None:
        """The torrent takes part in the swarm: announce it, unless it is announced already."""
        if self._announcer is not None and not self._is_announcing:
            self._is_announcing = True
            self._around.post(self._announcer, m.StartAnnouncing(port, self._progress.left))

    def stop(self, reply_to: pykka.ActorRef) -> bool:
        """Say goodbye to the trackers; tell whether AnnouncerStopped will come for it."""
        if not self._is_announcing:
            return False
        self.report()
        self._is_announcing = False
        self.next_answer_at = None
        return self._around.post(self._announcer, m.StopAnnouncing(reply_to))

    def report(self) -> None:
        """Hand over the totals for the next announce."""
        if self._is_announcing:
            self._report()

    def _report(self) -> None:
        progress = self._progress
        self._reported_at = self._around.clock()
        self._around.post(self._announcer, m.TransferReported(progress.downloaded, progress.uploaded, progress.left))

    def report_sometimes(self) -> None:
        """As `report`, if the last one is long ago."""
        if self._around.clock() - self._reported_at >= REPORT_SECONDS:
            self.report()

    def announce_now(self) -> None:
        """All that the trackers named has been tried."""
        if self._is_announcing:
            self._around.post(self._announcer, m.AnnounceNow())

    def reported(self, message: m.TrackerReported) -> None:
        """What the trackers say."""
        self.error = message.error
        self.next_answer_at = None if message.next_announce_in is None else self._around.clock() + message.next_announce_in
