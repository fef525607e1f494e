"""IoDaemon: the process: what the engine says goes to the torrents, and time passes for those that need it."""

import hashlib
import time
import traceback
from collections.abc import Callable
from random import Random
from typing import Any

import gevent.event

from daemon.data_removal import delete_data
from daemon.faults import reason_to_close
from daemon.metadata_io import MetadataIo
from daemon.peer_entrance import PeerEntrance
from daemon.shared_parts import SharedParts, make_shared_parts
from daemon.torrent_io import STARTED, TorrentIo
from protocol import daemon_messages as dm
from protocol.bitfield import Bitfield
from protocol.errors import EvenswarmError, LocalProtocolError
from protocol.limits import MAX_METAINFO_BYTES
from protocol.metainfo import Info, parse_info
from scheduler.file_selection import FileSelection

TICK_SECONDS = 0.5


class IoDaemon:
    """`send` gives a message to the engine and never blocks. `shut_down(deadline)` is called when the engine asks for the end.

    Raises LocalProtocolError from `handle` when the engine breaks the order of messages.
    """

    def __init__(self, hub: Any, send: Callable[[dm.DaemonMessage], None], shut_down: Callable[[float], None]) -> None:
        self._hub = hub
        self._send = send
        self._shut_down = shut_down
        self._torrents: dict[bytes, TorrentIo] = {}
        self._without_metadata: dict[bytes, MetadataIo] = {}    # of some here, in _torrents are those that have it and do not run yet
        self._leaving: dict[bytes, list[dm.DaemonMessage]] = {}     # removed but not gone: what was said since waits
        self._is_closing = False
        self._num_stopping = 0
        self._all_stopped = gevent.event.Event()
        self._metadata: dict[bytes, bytearray] = {}
        self._known_files: dict[bytes, dm.KnownFiles] = {}      # of torrents whose AddTorrent follows
        self._parts: SharedParts | None = None
        self._entrance: PeerEntrance | None = None
        self._ticker: Any = None
        self._handlers: dict[type, Callable[[Any], None]] = {
            dm.Configure: self._configure, dm.MetadataPart: self._metadata_part, dm.KnownFiles: self._known_files_told, dm.AddTorrent: self._add_torrent,
            dm.DeleteData: self._delete_data,
            dm.SetFilePriorities: self._set_file_priorities, dm.StartTorrent: self._start_torrent, dm.StopTorrent: self._stop_torrent, dm.RemoveTorrent: self._remove_torrent,
            dm.CheckTorrent: self._check_torrent, dm.Dial: self._dial, dm.CancelDials: self._cancel_dials,
            dm.LimitDials: self._limit_dials, dm.ChangeDialTimeouts: self._change_dial_timeouts, dm.CloseIdlePeer: self._close_idle_peer,
            dm.AcceptIncoming: self._accept_incoming, dm.RefuseIncoming: self._refuse_incoming, dm.ClosePeer: self._close_peer,
            dm.Shutdown: lambda message: self._shut_down(message.deadline), dm.FetchMetadata: self._fetch_metadata,
        }

    def handle(self, message: dm.DaemonMessage) -> None:
        """Do what the engine says. Never blocks, never switches. After `close` nothing is done any more."""
        if self._is_closing:
            return
        if self._parts is None and not isinstance(message, dm.Configure | dm.Shutdown):
            raise LocalProtocolError(f"{type(message).__name__} before Configure")
        waiting = self._leaving.get(getattr(message, "info_hash", None))
        if waiting is not None:
            waiting.append(message)
        else:
            self._handlers[type(message)](message)

    def _configure(self, message: dm.Configure) -> None:
        if self._parts is not None:
            raise LocalProtocolError("Configure came twice")
        self._parts = make_shared_parts(self._hub, time.monotonic, Random(), self._send, message)
        self._entrance = PeerEntrance(self._parts, self._torrents, self._without_metadata)
        self._send(self._entrance.listen())
        self._ticker = self._hub.loop.timer(TICK_SECONDS, TICK_SECONDS)
        self._ticker.start(self._tick)

    # ── torrents ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _metadata_part(self, message: dm.MetadataPart) -> None:
        if message.total > MAX_METAINFO_BYTES:
            raise LocalProtocolError(f"metadata of {message.total} bytes, at most {MAX_METAINFO_BYTES}")
        metadata = self._metadata.setdefault(message.info_hash, bytearray())
        if message.offset == 0:
            metadata.clear()
        if message.offset != len(metadata):
            raise LocalProtocolError(f"metadata part at byte {message.offset}, {len(metadata)} are here")
        metadata += message.data

    def _known_files_told(self, message: dm.KnownFiles) -> None:
        self._known_files[message.info_hash] = message

    def _add_torrent(self, message: dm.AddTorrent) -> None:
        known_files = self._known_files.pop(message.info_hash, None)
        raw = bytes(self._metadata.pop(message.info_hash, b""))
        if message.info_hash in self._torrents:
            raise LocalProtocolError(f"{message.source} was added already")
        try:
            if hashlib.sha1(raw, usedforsecurity=False).digest() != message.info_hash:
                raise LocalProtocolError(f"{message.source}: the metadata does not have the hash that it was announced with")
            info = parse_info(raw, message.source)
            selection = _selection_of(message, info)
            known = Bitfield.from_bytes(message.verified, info.layout.num_pieces) if message.verified else Bitfield(info.layout.num_pieces)
        except EvenswarmError as error:
            self._send(dm.TorrentFailed(message.info_hash, str(error)))
            return
        torrent = self._torrents[message.info_hash] = TorrentIo(self._parts, info, message.folder, selection)
        torrent.check(known, known_files)

    def _delete_data(self, message: dm.DeleteData) -> None:
        raw = bytes(self._metadata.pop(message.info_hash, b""))
        if message.info_hash in self._torrents:
            raise LocalProtocolError(f"DeleteData of {message.source}, which was not removed")

        def deleted(result: str | BaseException) -> None:
            self._send(dm.DataDeleted(message.info_hash, str(result)))

        try:
            info = parse_info(raw, message.source)
        except EvenswarmError as error:
            deleted(error)
            return
        self._parts.disk.checker.submit(lambda: delete_data(info, message.folder), deleted)

    def _fetch_metadata(self, message: dm.FetchMetadata) -> None:
        if message.info_hash in self._torrents or message.info_hash in self._without_metadata:
            raise LocalProtocolError(f"FetchMetadata of {message.info_hash.hex()}, which is here already")
        self._without_metadata[message.info_hash] = MetadataIo(self._parts, message.info_hash)

    def _end_fetching(self, info_hash: bytes, reason: str) -> None:
        if fetching := self._without_metadata.pop(info_hash, None):
            fetching.close(reason)

    def _set_file_priorities(self, message: dm.SetFilePriorities) -> None:
        if torrent := self._torrents.get(message.info_hash):
            torrent.select(_selection_of(message, torrent.info))

    def _start_torrent(self, message: dm.StartTorrent) -> None:
        if torrent := self._torrents.get(message.info_hash):
            torrent.start()
            if torrent.state == STARTED and (fetching := self._without_metadata.pop(message.info_hash, None)):
                fetching.hand_over(torrent)

    def _check_torrent(self, message: dm.CheckTorrent) -> None:
        if torrent := self._torrents.get(message.info_hash):
            if torrent.state == STARTED:
                raise LocalProtocolError(f"CheckTorrent of {torrent.info.name}, which is not stopped")
            torrent.check(Bitfield(torrent.layout.num_pieces))

    def _stop_torrent(self, message: dm.StopTorrent) -> None:
        self._entrance.leave(message.info_hash, "the torrent was stopped")
        self._end_fetching(message.info_hash, "the torrent was stopped")
        torrent = self._torrents.get(message.info_hash)
        if torrent is None:
            self._send(dm.TorrentStopped(message.info_hash))
        else:
            self._stop(torrent, lambda: self._send(dm.TorrentStopped(message.info_hash)))

    def _remove_torrent(self, message: dm.RemoveTorrent) -> None:
        self._entrance.leave(message.info_hash, "the torrent was removed")
        self._end_fetching(message.info_hash, "the torrent was removed")
        torrent = self._torrents.pop(message.info_hash, None)
        if torrent is None:
            self._send(dm.TorrentStopped(message.info_hash))
            return
        self._leaving[message.info_hash] = []
        self._stop(torrent, lambda: self._delete_parts(torrent) if message.delete_parts else self._gone(message.info_hash))

    def _delete_parts(self, torrent: TorrentIo) -> None:
        """After the store was closed, in the same thread. What cannot be deleted stays: nobody is there any more to do something about it."""
        self._parts.disk.syncer.submit(torrent.store.remove_parts, lambda _: self._gone(torrent.info_hash))

    def _gone(self, info_hash: bytes) -> None:
        self._send(dm.TorrentStopped(info_hash))
        for message in self._leaving.pop(info_hash):
            self.handle(message)

    def _stop(self, torrent: TorrentIo, then: Callable[[], None]) -> None:
        self._num_stopping += 1

        def stopped() -> None:
            then()
            self._num_stopping -= 1
            if not self._num_stopping:
                self._all_stopped.set()

        torrent.stop(stopped)

    # ── peers ────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _dial(self, message: dm.Dial) -> None:
        self._entrance.dial(message)

    def _change_dial_timeouts(self, message: dm.ChangeDialTimeouts) -> None:
        self._entrance.change_dial_timeouts(message)

    def _limit_dials(self, message: dm.LimitDials) -> None:
        self._entrance.limit_dials(message.max_connects_under_way, message.max_connects_pending)

    def _cancel_dials(self, message: dm.CancelDials) -> None:
        self._entrance.cancel_dials(message.info_hash)

    def _accept_incoming(self, message: dm.AcceptIncoming) -> None:
        self._entrance.accept(message)

    def _refuse_incoming(self, message: dm.RefuseIncoming) -> None:
        self._entrance.refuse(message.connection_id, message.reason)

    def _close_peer(self, message: dm.ClosePeer) -> None:
        for torrents in (self._without_metadata, self._torrents):
            torrent = torrents.get(message.info_hash)
            peer = torrent.peers.get(message.connection_id) if torrent is not None else None
            if peer is not None:
                peer.close(message.reason)
                return

    def _close_idle_peer(self, message: dm.CloseIdlePeer) -> None:
        if fetching := self._without_metadata.get(message.info_hash):
            fetching.close_idle(message.connection_id)
        elif torrent := self._torrents.get(message.info_hash):
            torrent.idle_peers.close(message.connection_id)

    # ── time and the end ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _tick(self) -> None:
        now = self._parts.clock()
        for fetching in list(self._without_metadata.values()):
            try:
                fetching.tick(now)
            except Exception as error:                  # of this one: the others have their turn
                fetching.close(reason_to_close(error))
        for torrent in list(self._torrents.values()):
            if torrent.is_active:
                try:
                    torrent.tick(now)
                except Exception as error:
                    traceback.print_exc()
                    torrent.storage_failed(error)

    def close(self, timeout: float) -> bool:
        """Stop all torrents and make everything durable; False if that took longer. Switches: not for callbacks."""
        if self._parts is None:
            return True
        ends_at = self._parts.clock() + timeout
        self._is_closing = True
        self._ticker.stop()
        self._entrance.close()
        for info_hash in list(self._without_metadata):
            self._end_fetching(info_hash, "the client ends")
        self._all_stopped.clear()
        for torrent in self._torrents.values():
            self._stop(torrent, lambda: None)
        if self._num_stopping and not self._all_stopped.wait(timeout):
            return False
        return self._parts.disk.close(max(ends_at - self._parts.clock(), 0.0))


def _selection_of(message: dm.AddTorrent | dm.SetFilePriorities, info: Info) -> FileSelection:
    """Raises LocalProtocolError for one that is none of this torrent."""
    try:
        selection = FileSelection(message.file_priorities, message.sequential, message.first_last_first)
        selection.check(len(info.files))
    except ValueError as error:
        raise LocalProtocolError(f"{info.name}: {error}") from None
    return selection
