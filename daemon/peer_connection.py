"""PeerConnection: one socket after the handshake, what both sides said about choking, interest and pieces, and its two halves:
BlockRequester (what we want of it) and BlockSender (what it wants of us).

It is driven by two watchers of the loop, not by a greenlet. Nothing here may switch. Whatever goes wrong closes this connection only.
"""

import socket
from typing import Any

from daemon.block_requester import BlockRequester
from daemon.block_sender import BlockSender
from daemon.faults import reason_to_close
from daemon.metadata_sender import MetadataSender
from daemon.outflow import Outflow
from daemon.peer_greeting import greeting, late_greeting
from daemon.raw_socket import READ, WRITE
from daemon.receive_loop import Inflow, ReceiveLoop
from daemon.request_window import Received
from protocol import peer_messages as wire
from protocol.bitfield import Bitfield
from protocol.errors import RemoteProtocolError, StorageError
from protocol.extensions import HANDSHAKE_ID, parse_extension_handshake
from protocol.handshake import Handshake
from protocol.limits import BLOCK_BYTES, MAX_WAITING_MESSAGE_BYTES
from protocol.metadata_messages import UT_METADATA, UT_METADATA_ID

KEEP_ALIVE_SECONDS = 100.0                              # others close after two minutes of silence (BEP 3)
SILENCE_SECONDS = 150.0                                 # two minutes, and time for what is on its way
CHUNKS_PER_WAKEUP = 4                                   # then others get their turn


class PeerConnection:
    """`torrent` is its TorrentIo; `key` is the connection id, by which the picker and the engine know it."""

    __slots__ = (
        "_is_named", "_last_bytes_in", "_last_bytes_out", "_read_watcher", "_silent_since", "_unsent_since", "_write_watcher", "am_choking", "am_interested",
        "bitfield", "bytes_in", "client_name", "connected_at", "download_rate", "fast", "fast_blocks_left", "fast_pieces", "grant_id", "incoming",
        "inflow", "ip", "is_closed", "is_extended", "is_optimistic", "key", "listen_port", "metadata", "outflow", "peer_choking", "peer_id", "peer_interested", "port", "requester", "sender", "socket",
        "supersedes", "torrent", "upload_rate", "window",
    )

    def __init__(
        self, torrent: Any, key: int, sock: Any, handshake: Handshake, ip: str, port: int, incoming: bool, grant_id: int,
        max_depth: int, span_cache: Any,
    ) -> None:
        now = torrent.clock()
        self.torrent = torrent
        self.key = key
        self.socket = sock
        self.peer_id = handshake.peer_id
        self.fast = handshake.fast
        self.is_extended = handshake.extended
        self.ip = ip
        self.port = port
        self.incoming = incoming
        self.grant_id = grant_id
        self.client_name = ""
        self.listen_port = 0 if incoming else port      # 0 = unknown
        self._is_named = False                          # its extension handshake told a name or a port
        self.metadata = MetadataSender(self)
        self.connected_at = now
        self.is_closed = False
        self.supersedes: PeerConnection | None = None   # a duplicate to be closed once this one proves to be alive
        self.am_choking = self.peer_choking = True
        self.am_interested = self.peer_interested = False
        self.is_optimistic = False
        self.fast_pieces: frozenset[int] = frozenset()  # that it may request though choked (BEP 6)
        self.fast_blocks_left = 0                       # of them, once each
        self.bitfield: Bitfield | None = None           # None until it said something about its pieces
        self.inflow = Inflow()
        self.outflow = Outflow()
        self.requester = BlockRequester(self, torrent, max_depth, now)
        self.window = self.requester.window
        self.sender = BlockSender(torrent, span_cache, self.outflow, self.flush)
        self.bytes_in = 0
        self.download_rate = self.upload_rate = 0.0     # payload bytes per second
        self._last_bytes_in = self._last_bytes_out = 0
        self._silent_since = self._unsent_since = now
        self._read_watcher: Any = None
        self._write_watcher: Any = None

    def start(self, loop: Any, receive_loop: ReceiveLoop) -> None:
        """Say what we have and begin to listen."""
        self._watch(loop, receive_loop)
        self.send(greeting(self.torrent, self.fast, self.is_extended, self.ip))

    def _watch(self, loop: Any, receive_loop: ReceiveLoop) -> None:
        fd = self.socket.fileno()
        self._write_watcher = loop.io(fd, WRITE)
        self._read_watcher = loop.io(fd, READ)
        self._read_watcher.start(receive_loop.receive, self)

    def go_on(self, loop: Any, receive_loop: ReceiveLoop, early: Any, rest: bytes, unsent: bytes) -> None:
        """As `start`, after a MetadataPeer (`early`): what the peer said to that one counts, and it hears what we have by now.

        `rest`: what was received of a message that is not whole; `unsent`: what is still to be said before anything else.
        """
        self.connected_at, self.supersedes = early.connected_at, early.supersedes
        self.client_name, self.listen_port, self._is_named = early.client_name, early.listen_port, early.is_named
        self.metadata.their_id = early.metadata_id
        self.inflow.tail = rest
        self.outflow.add(unsent)
        self._watch(loop, receive_loop)
        self.send(late_greeting(self.torrent, self.is_extended, self.ip))
        try:
            early.repeat_to(self)
        except Exception as error:
            self.fail(error)

    @property
    def downloaded(self) -> int:
        """Payload bytes."""
        return self.requester.downloaded

    @property
    def uploaded(self) -> int:
        """Payload bytes."""
        return self.outflow.payload_out

    @property
    def is_seed(self) -> bool:
        """It has all pieces."""
        return self.bitfield is not None and self.bitfield.is_complete

    def close(self, reason: str) -> None:
        """End it; the torrent is told. Harmless when it is closed already."""
        if self.is_closed:
            return
        self.is_closed = True
        for watcher in (self._read_watcher, self._write_watcher):
            if watcher is not None:
                watcher.stop()
                watcher.close()
        self.sender.close()
        self.socket.close()
        self.torrent.peer_closed(self, reason)

    def fail(self, error: Exception) -> None:
        """Something went wrong with it: end it and say what."""
        self.close(reason_to_close(error))

    # ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def send(self, messages: bytes) -> None:
        """Send whole messages as soon as the socket takes them."""
        if self.is_closed:
            return
        self.outflow.add(messages)
        if self.outflow.waiting_bytes > MAX_WAITING_MESSAGE_BYTES:
            self.close(f"reads nothing: {self.outflow.waiting_bytes} bytes of messages wait for it")
        elif not self._write_watcher.active:
            self.flush()

    def flush(self) -> None:
        """Send what waits, and the next chunks of blocks; watch for room if there is none. Also a callback of the loop."""
        if self.is_closed:
            return
        try:
            for _ in range(CHUNKS_PER_WAKEUP):
                if not self.outflow.send(self.socket) or not self.sender.provide():
                    break
        except StorageError as error:
            self.torrent.storage_failed(error)
            return
        except Exception as error:
            self.fail(error)
            return
        if self.outflow.is_empty:
            self._write_watcher.stop()
        elif not self._write_watcher.active:
            self._write_watcher.start(self.flush)

    def choke(self) -> None:
        """Serve nothing more; what it had requested is rejected (BEP 6) or forgotten (BEP 3)."""
        self.am_choking = True
        self.is_optimistic = False
        self.send(wire.CHOKE_BYTES)
        requests = self.sender.clear()
        if self.fast and requests:
            self.send(b"".join(wire.build_reject(*request) for request in requests))

    def unchoke(self) -> None:
        """Serve what it requests."""
        self.am_choking = False
        self.send(wire.UNCHOKE_BYTES)

    def update_interest(self) -> None:
        """Tell it whether it has something that we lack."""
        torrent = self.torrent
        wanted = torrent.picker is not None and self.bitfield is not None and torrent.picker.is_interesting(self.key)
        if wanted != self.am_interested:
            self.am_interested = wanted
            self.send(wire.INTERESTED_BYTES if wanted else wire.NOT_INTERESTED_BYTES)

    # ── called by ReceiveLoop ────────────────────────────────────────────────────────────────────────────────────────────

    def after_receive(self) -> None:
        """All that came in one receive is handled."""
        if self.is_closed:
            return
        if self.supersedes is not None:
            duplicate, self.supersedes = self.supersedes, None
            self.torrent.close_duplicate(duplicate)
        requester = self.requester
        requester.fill()
        if requester.rate:
            self.set_lowat(requester.wanted_lowat())
        if not self.outflow.has_chunk and self.sender.num_queued:
            self.flush()

    def blocks_received(self, received: list[Received]) -> None:
        """Blocks that lie where they belong."""
        self.requester.blocks_received(received)

    def copy_received(self, piece_index: int, block_index: int, data: memoryview) -> None:
        """A block that lies elsewhere."""
        self.requester.copy_received(piece_index, block_index, data)

    def unrequested_received(self, piece_index: int, begin: int, size: int) -> None:
        """The header of a block that is not outstanding came."""
        self.torrent.layout.check_piece(piece_index)
        self.requester.unrequested(piece_index, begin, size)

    def discarded(self, size: int) -> None:
        """The header of a block came that we do not want any more."""
        self.requester.discarded(size)

    def requests_received(self, piece_index: int, first_block: int, num_blocks: int) -> None:
        """The peer wants some blocks in a row, which the piece has."""
        if not self.am_choking and piece_index in self.torrent.verified and self.sender.add_run(piece_index, first_block, num_blocks):
            return
        for block_index in range(first_block, first_block + num_blocks):
            self.request_received(piece_index, block_index * BLOCK_BYTES, self.torrent.layout.block_size(piece_index, block_index))

    def request_received(self, piece_index: int, begin: int, length: int) -> None:
        """The peer wants a range of bytes."""
        torrent = self.torrent
        torrent.layout.check_request(piece_index, begin, length)
        is_served = piece_index in torrent.verified and (not self.am_choking or self._may_have_fast(piece_index))
        if is_served and self.sender.add(piece_index, begin, length):
            return
        if self.fast:
            self.send(wire.build_reject(piece_index, begin, length))
        elif is_served:
            raise RemoteProtocolError(f"more than {self.sender.num_queued} requests wait already")

    def have_received(self, piece_index: int) -> None:
        """The peer got a piece."""
        torrent = self.torrent
        torrent.layout.check_piece(piece_index)
        if self.bitfield is None:
            self._has(Bitfield(torrent.layout.num_pieces))
        if not self.bitfield.add(piece_index):
            return
        if torrent.picker is not None:
            torrent.picker.peer_has(self.key, piece_index)
            if not self.am_interested and piece_index not in torrent.verified:
                self.update_interest()
            if not self.window.num_blocks:
                self.requester.fill()
        if self.bitfield.is_complete:
            torrent.peer_is_seed(self)

    def message_received(self, message: object) -> None:
        """Any other message."""
        match message:
            case wire.Choke():              self._choked()
            case wire.Unchoke():            self._unchoked()
            case wire.Interested():         self._interested()
            case wire.NotInterested():      self._not_interested()
            case wire.Have():               self.have_received(message.piece_index)
            case wire.BitfieldReceived():   self._said_what_it_has(Bitfield.from_bytes(message.bits, self.torrent.layout.num_pieces), None)
            case wire.HaveAll():            self._said_what_it_has(Bitfield.full(self.torrent.layout.num_pieces), "have all")
            case wire.Request():            self.request_received(message.piece_index, message.begin, message.length)
            case wire.HaveNone():           self._said_what_it_has(Bitfield(self.torrent.layout.num_pieces), "have none")
            case wire.Cancel():             self._cancelled(message)
            case wire.RejectRequest():      self._rejected(message)
            case wire.AllowedFast():        self._allowed_fast(message)
            case wire.SuggestPiece():       self.torrent.layout.check_piece(message.piece_index)
            case wire.Extended():           self._extended(message)

    # ── what they mean ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _choked(self) -> None:
        self.peer_choking = True
        self.set_lowat(1)
        self.requester.choked()

    def _unchoked(self) -> None:
        self.peer_choking = False
        self.requester.fill()

    def _interested(self) -> None:
        self.peer_interested = True
        self.torrent.choking.peer_is_interested(self)

    def _not_interested(self) -> None:
        self.peer_interested = False
        self.torrent.choking.peer_is_not_interested(self)

    def _said_what_it_has(self, bitfield: Bitfield, fast_message: str | None) -> None:
        if fast_message and not self.fast:
            raise RemoteProtocolError(f"`{fast_message}` without the fast extension (BEP 6)")
        self._has(bitfield)                             # again, too: aria2 sends a bitfield where that is shorter than many `have`s
        self.update_interest()
        if not self.window.num_blocks:
            self.requester.fill()
        if bitfield.is_complete:
            self.torrent.peer_is_seed(self)

    def _has(self, bitfield: Bitfield) -> None:
        self.bitfield = bitfield
        if self.torrent.picker is not None:
            self.torrent.picker.peer_joined(self.key, bitfield)
        self.torrent.choking.offer_fast_pieces(self)

    def _may_have_fast(self, piece_index: int) -> bool:
        if piece_index not in self.fast_pieces or not self.fast_blocks_left:
            return False
        self.fast_blocks_left -= 1
        return True

    def _cancelled(self, message: wire.Cancel) -> None:
        self.torrent.layout.check_request(message.piece_index, message.begin, message.length)
        if self.sender.cancel(message.piece_index, message.begin, message.length) and self.fast:
            self.send(wire.build_reject(message.piece_index, message.begin, message.length))

    def _rejected(self, message: wire.RejectRequest) -> None:
        self._needs_fast("reject request")
        self.torrent.layout.check_request(message.piece_index, message.begin, message.length)
        self.requester.rejected(message.piece_index, message.begin)

    def _allowed_fast(self, message: wire.AllowedFast) -> None:
        self._needs_fast("allowed fast")
        self.torrent.layout.check_piece(message.piece_index)
        self.requester.allow_fast(message.piece_index)

    def _needs_fast(self, name: str) -> None:
        if not self.fast:
            raise RemoteProtocolError(f"`{name}` without the fast extension (BEP 6)")

    def _extended(self, message: wire.Extended) -> None:
        if message.extended_id == UT_METADATA_ID:
            self.metadata.received(message.payload)
        if message.extended_id != HANDSHAKE_ID:
            return                                      # we named no other extension that it could mean
        said = parse_extension_handshake(message.payload)
        if said.request_queue:
            self.requester.peer_keeps(said.request_queue)
        self.metadata.their_id = said.message_ids.get(UT_METADATA, self.metadata.their_id)
        if not self._is_named and (said.client_name or said.listen_port or said.your_ip):
            self._is_named = True                       # once: who changes its name all the time is not listened to
            self.client_name = said.client_name or self.client_name
            self.listen_port = said.listen_port or self.listen_port
            self.torrent.peer_named(self, said.your_ip)

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def tick(self, now: float) -> None:
        """Twice a second, after the rates were computed."""
        try:
            self._tick(now)
        except Exception as error:
            self.fail(error)

    def _tick(self, now: float) -> None:
        if self.bytes_in != self._last_bytes_in:
            self._last_bytes_in = self.bytes_in
            self._silent_since = now
        elif now - self._silent_since > SILENCE_SECONDS:
            self.close(f"silent for {SILENCE_SECONDS:.0f} s")
            return
        else:
            self.set_lowat(1)                           # less may be there than we were waiting for
        self.requester.tick(now, self.download_rate)
        self.sender.rate_is(self.upload_rate)
        if self.outflow.bytes_out != self._last_bytes_out:
            self._last_bytes_out = self.outflow.bytes_out
            self._unsent_since = now
        elif now - self._unsent_since > KEEP_ALIVE_SECONDS:
            self.send(wire.KEEP_ALIVE_BYTES)

    def set_lowat(self, num_bytes: int) -> None:
        """Have the kernel wake us only for so many bytes, or the end."""
        if num_bytes != self.requester.lowat:
            self.requester.lowat = num_bytes
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, num_bytes)
