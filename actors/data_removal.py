"""DataRemoval: has the daemon delete the files of a torrent that was removed, and tells the session when they are gone.

It needs the torrent's layout, and the daemon has forgotten the torrent; so it gets the metadata once more. A daemon that dies on the way
is asked again when it is back: what is deleted already is no fault.
"""

from typing import Any

import pykka

from actors import messages as m
from actors.engine_actor import EngineActor
from protocol import daemon_messages as dm
from protocol.limits import METADATA_PART_BYTES


class DataRemoval(EngineActor):
    """Lives until the files of one torrent are gone."""

    def __init__(self, session: pykka.ActorRef, *, daemon: pykka.ActorRef, order: m.AddTorrent, **engine: Any) -> None:
        super().__init__(session, **engine)
        self._link = daemon
        self._order = order
        self._info = order.metainfo.info
        self.name = f"the removal of {self._info.name}"

    def on_start(self) -> None:
        self.actor_ref.tell(m.Begin())

    def on_receive(self, message: Any) -> Any:
        self.give_way()
        match message:
            case m.Begin():          self.post(self._link, m.AttachTorrent(self._info.info_hash, self.actor_ref))
            case m.DaemonReady():    self._ask_daemon()
            case dm.DataDeleted():   self._end(message.error)
            case dm.TorrentFailed():  self._end(message.error)
            case dm.TorrentStopped() | m.DaemonLost():  pass    # of the torrent that was; it will be ready again
            case m.Ping():           return True
            case _:                  self.unknown(message)
        return None

    def _ask_daemon(self) -> None:
        raw = self._info.raw
        for offset in range(0, len(raw), METADATA_PART_BYTES):
            part = raw[offset:offset + METADATA_PART_BYTES]
            self.post(self._link, m.SendToDaemon(dm.MetadataPart(self._info.info_hash, len(raw), offset, part)))
        self.post(self._link, m.SendToDaemon(dm.DeleteData(self._info.info_hash, self._order.source, self._order.folder)))

    def on_failure(self, exception_type: Any, exception_value: Any, traceback: Any) -> None:
        """Who asked for it must hear of it, and the torrent may be added again."""
        super().on_failure(exception_type, exception_value, traceback)
        self.post(self._session, m.TorrentRemoved(self._info.info_hash, f"the data could not be deleted: {exception_value!r}"))

    def _end(self, error: str) -> None:
        self.post(self._link, m.DetachTorrent(self._info.info_hash))
        self.post(self._session, m.TorrentRemoved(self._info.info_hash, error))
        self.stop()
