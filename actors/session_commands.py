"""SessionCommands: what a user asks of the session by the API. Every command is answered once, by CommandDone; what is wrong is said
before anything is changed.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pykka

from actors import messages as m
from actors.snapshots import TorrentDescription
from protocol.errors import SettingsError
from protocol.web_messages import BAD_REQUEST, CONFLICT, NOT_FOUND
from scheduler.settings import Settings, settings_from

UserCommand = m.ForTorrent | m.ForAnnouncer | m.DescribeTorrent | m.SetTorrentPriority | m.GetSettings | m.ChangeSettings


class SessionCommands:
    """`torrents` is the session's own table: info hash → SessionTorrent."""

    def __init__(self, torrents: Mapping[bytes, Any], post: Callable[[pykka.ActorRef, Any], bool]) -> None:
        self._torrents = torrents
        self._post = post

    def handle(self, message: UserCommand, settings: Settings, broker: pykka.ActorRef) -> Settings | None:
        """Do it. Returns the settings that are to be applied, if it changed them."""
        match message:
            case m.GetSettings():     self._done(message, settings)
            case m.ChangeSettings():  return self._change_settings(message, settings)
            case _ if message.info_hash not in self._torrents:
                self._failed(message, NOT_FOUND, f"there is no torrent {message.info_hash.hex()}")
            case _:                   self._about(self._torrents[message.info_hash], message, broker)
        return None

    def _about(self, entry: Any, message: UserCommand, broker: pykka.ActorRef) -> None:
        match message:
            case m.DescribeTorrent():
                self._done(message, TorrentDescription(entry.order.metainfo, entry.order.folder, entry.order.source, entry.order.priority))
            case m.SetTorrentPriority():
                entry.order = replace(entry.order, priority=message.priority)
                self._post(broker, m.RegisterTorrent(message.info_hash, entry.actor, message.priority))
                self._done(message)
            case m.ForAnnouncer() if entry.announcer is None:
                self._failed(message, CONFLICT, "it has no trackers")
            case m.ForAnnouncer():
                self._pass_on(entry.announcer, message)
            case m.ForTorrent():
                if isinstance(message.message, m.StartTorrent | m.StopTorrent):     # what the user wants outlives the actor
                    entry.order = replace(entry.order, start=isinstance(message.message, m.StartTorrent))
                elif isinstance(message.message, m.SetFilePriorities):
                    entry.order = replace(entry.order, selection=message.message.selection)
                self._pass_on(entry.actor, message)

    def _pass_on(self, actor: pykka.ActorRef, message: m.ForTorrent | m.ForAnnouncer) -> None:
        if self._post(actor, message.message):
            self._done(message)
        else:
            self._failed(message, CONFLICT, "its actor failed; the log says why; remove it and add it again")

    def _change_settings(self, message: m.ChangeSettings, settings: Settings) -> Settings | None:
        try:
            changed = settings_from(dict(message.values), settings)
        except SettingsError as error:
            self._failed(message, BAD_REQUEST, str(error))
            return None
        self._done(message, changed)
        return changed

    def _done(self, message: UserCommand, value: Any = None) -> None:
        self._post(message.reply_to, m.CommandDone(message.number, "", value))

    def _failed(self, message: UserCommand, kind: str, sentence: str) -> None:
        self._post(message.reply_to, m.CommandDone(message.number, kind, sentence))
