"""TorrentMetadata: the info dictionary of a magnet link, on its way from the daemon that peers sent it to, and what to say meanwhile."""

import hashlib
from dataclasses import replace
from typing import Any

from actors import messages as m
from actors.snapshots import CONNECTED, QUEUED
from protocol import daemon_messages as dm
from protocol.errors import MetainfoError
from protocol.limits import MAX_METAINFO_BYTES
from protocol.metainfo import Info, parse_info
from scheduler.file_selection import NORMAL


class TorrentMetadata:
    """Of one torrent. `source` names the link in errors."""

    def __init__(self, info_hash: bytes, source: str, log: Any) -> None:
        self._log = log
        self._info_hash = info_hash
        self._source = source
        self._parts = bytearray()
        self._received = self._total = self._num_peers = 0

    def daemon_lost(self) -> None:
        """What it had is gone with it."""
        self._parts.clear()
        self._received = self._total = self._num_peers = 0

    def said(self, message: dm.MetadataPart | dm.MetadataProgress | dm.MetadataFailed) -> Info | None:
        """News from the daemon; return the info when all of it is here. Raises MetainfoError when it cannot be used."""
        match message:
            case dm.MetadataPart():      return self._part(message)
            case dm.MetadataProgress():  self._received, self._total, self._num_peers = message.received, message.total, message.num_peers
            case dm.MetadataFailed():    self._log.warning("metadata_failed", num_peers=message.num_peers)
        return None

    def _part(self, message: dm.MetadataPart) -> Info | None:
        if message.total > MAX_METAINFO_BYTES or message.offset != len(self._parts):
            raise MetainfoError(f"{self._source}: a part of its metadata at byte {message.offset}, {len(self._parts)} are here")
        self._parts += message.data
        if len(self._parts) < message.total:
            return None
        raw, self._parts = bytes(self._parts), bytearray()
        if hashlib.sha1(raw, usedforsecurity=False).digest() != self._info_hash:
            raise MetainfoError(f"{self._source}: its metadata has another hash")
        return parse_info(raw, self._source)

    def sentence(self, peers_by_state: dict[str, int]) -> str:
        """Return what the torrent waits for."""
        if self._total:
            return f"metadata: {self._received} of {self._total} bytes, {self._num_peers} peer{'s' * (self._num_peers != 1)} offer{'s' * (self._num_peers == 1)} it"
        return f"no peer has sent the metadata yet: {peers_by_state[CONNECTED]} connected, {peers_by_state[QUEUED]} queued"


def known_order(order: m.AddTorrent, info: Info) -> m.AddTorrent:
    """Return the order with its metadata. The files that the link names are chosen (BEP 53), unless the user chose or there are none of them."""
    selection, chosen = order.selection, [index for index in order.selected_files if index < len(info.files)]
    if chosen and not selection.priorities:
        priorities = bytearray(len(info.files))
        for index in chosen:
            priorities[index] = NORMAL
        selection = replace(selection, priorities=bytes(priorities))
    return replace(order, metainfo=replace(order.metainfo, info=info), selection=selection)
