"""Torrents that are wrong in one way each."""

import msgspec

from actors.torrent import TorrentActor
from protocol import daemon_messages as dm


class LocalBusyIsThePeersFault(TorrentActor):
    """What this machine could not do is booked as a refusal of the peer."""

    def _dial_failed(self, message: dm.DialFailed) -> None:
        if message.outcome == dm.LOCAL_BUSY:
            message = msgspec.structs.replace(message, outcome=dm.REFUSED)
        super()._dial_failed(message)


class StopThatLeavesDials(TorrentActor):
    """Asks for no more, and lets go on what is under way."""

    def _stop_dialling(self) -> None:
        self._stop_asking()
