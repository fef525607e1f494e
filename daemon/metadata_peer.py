"""MetadataPeer: a connection of a torrent whose metadata nobody here knows yet (a magnet link, BEP 9).

It asks for metadata and serves nothing. What the peer says of its pieces meanwhile is kept, bounded (EarlyPieces), and counts once there is
a torrent to compare it with: then the socket goes to a PeerConnection, and the peer notices nothing but that we want something.
Driven by watchers, like PeerConnection; nothing here may switch.
"""

from typing import Any, Final

from daemon.faults import reason_to_close
from daemon.outflow import Outflow
from daemon.peer_greeting import extension_handshake
from daemon.raw_socket import READ, WRITE
from protocol import peer_messages as wire
from protocol.errors import RemoteProtocolError
from protocol.extensions import HANDSHAKE_ID, parse_extension_handshake
from protocol.handshake import Handshake
from protocol.limits import MAX_FAST_PIECES, MAX_WAITING_MESSAGE_BYTES
from protocol.metadata_messages import (
    UT_METADATA,
    UT_METADATA_ID,
    MetadataData,
    MetadataReject,
    MetadataRequest,
    build_metadata_message,
    parse_metadata_message,
)
from protocol.peer_wire import NEED_DATA, PeerWire
from scheduler.early_pieces import EarlyPieces

RECEIVE_BYTES: Final = 1 << 16
KEEP_ALIVE_SECONDS: Final = 100.0                       # as PeerConnection
SILENCE_SECONDS: Final = 150.0


class MetadataPeer:
    """`torrent` is its MetadataIo; `key` is the connection id, which stays the same when it becomes a PeerConnection."""

    def __init__(self, torrent: Any, key: int, sock: Any, handshake: Handshake, ip: str, port: int, incoming: bool, grant_id: int) -> None:
        now = torrent.clock()
        self.torrent = torrent
        self.key = key
        self.socket = sock
        self.handshake = handshake
        self.peer_id = handshake.peer_id
        self.ip = ip
        self.port = port
        self.incoming = incoming
        self.grant_id = grant_id
        self.connected_at = now
        self.is_closed = False
        self.client_name = ""
        self.listen_port = 0 if incoming else port      # 0 = unknown
        self.is_named = False                           # its extension handshake told a name or a port
        self.supersedes: MetadataPeer | None = None     # a duplicate to be closed once this one proves to be alive
        self.metadata_id = 0                            # under which it wants our ut_metadata; 0 = it does not speak it
        self.request_queue = 0                          # 0 = it did not say
        self.pieces = EarlyPieces()
        self.fast_pieces: list[int] = []                # that we may request though choked
        self.peer_choking = True
        self.peer_interested = False
        self._wire = PeerWire()
        self._outflow = Outflow()
        self._bytes_in = 0
        self._last_bytes_in = self._last_bytes_out = 0
        self._silent_since = self._unsent_since = now
        self._read_watcher: Any = None
        self._write_watcher: Any = None

    def start(self, loop: Any, receive_loop: Any) -> None:
        """Say who we are and that we have nothing, and begin to listen. It reads in its own way, without `receive_loop`."""
        fd = self.socket.fileno()
        self._write_watcher = loop.io(fd, WRITE)
        self._read_watcher = loop.io(fd, READ)
        self._read_watcher.start(self._readable)
        greeting = wire.HAVE_NONE_BYTES if self.handshake.fast else b""
        if self.handshake.extended:
            greeting += extension_handshake(self.torrent, 0, True, self.ip)
        self.send(greeting)

    @property
    def am_interested(self) -> bool:
        """It has something that we lack: for IdlePeers."""
        return self.torrent.wants_of(self.key)

    def close(self, reason: str) -> None:
        """End it; the torrent is told. Harmless when it is closed already."""
        if not self.is_closed:
            self._stop_watching()
            self.socket.close()
            self.torrent.peer_closed(self, reason)

    def _stop_watching(self) -> None:
        self.is_closed = True
        for watcher in (self._read_watcher, self._write_watcher):
            if watcher is not None:
                watcher.stop()
                watcher.close()

    def hand_over(self) -> tuple[Any, bytes, bytes]:
        """Give up the socket, what was received of a message that is not whole, and what waits to be sent."""
        self._stop_watching()
        return self.socket, self._wire.take_rest(), self._outflow.take_messages()

    def repeat_to(self, connection: Any) -> None:
        """Say what the peer said to its PeerConnection. Raises RemoteProtocolError when that does not fit the torrent."""
        if self.request_queue:
            connection.requester.peer_keeps(self.request_queue)
        bitfield = self.pieces.resolve(connection.torrent.layout.num_pieces)
        said: list[object] = [] if bitfield is None else [wire.BitfieldReceived(bitfield.to_bytes())]
        said += [wire.AllowedFast(piece_index) for piece_index in self.fast_pieces]
        said += [] if self.peer_choking else [wire.Unchoke()]
        said += [wire.Interested()] if self.peer_interested else []
        for message in said:
            if not connection.is_closed:
                connection.message_received(message)

    # ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def send(self, messages: bytes) -> None:
        """Send whole messages as soon as the socket takes them."""
        if self.is_closed or not messages:
            return
        self._outflow.add(messages)
        if self._outflow.waiting_bytes > MAX_WAITING_MESSAGE_BYTES:
            self.close(f"reads nothing: {self._outflow.waiting_bytes} bytes of messages wait for it")
        elif not self._write_watcher.active:
            self._flush()

    def say(self, message: MetadataRequest | MetadataReject) -> None:
        """A message of ut_metadata."""
        self.send(wire.build_extended(self.metadata_id, build_metadata_message(message)))

    def _flush(self) -> None:
        try:
            is_sent = self._outflow.send(self.socket)
        except OSError as error:
            self._fail(error)
            return
        if is_sent:
            self._write_watcher.stop()
        elif not self._write_watcher.active:
            self._write_watcher.start(self._flush)

    # ── receiving ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _readable(self) -> None:
        try:
            data = self.socket.recv(RECEIVE_BYTES)
            if not data:
                self.close("closed by the peer")
                return
            self._bytes_in += len(data)
            self._wire.receive_data(data)
            while not self.is_closed and (message := self._wire.next_event()) is not NEED_DATA:
                self._message_received(message)
        except BlockingIOError:
            return
        except Exception as error:
            self._fail(error)
        if self.supersedes is not None and not self.is_closed:
            duplicate, self.supersedes = self.supersedes, None
            self.torrent.close_duplicate(duplicate)
        self.torrent.request_metadata()

    def _fail(self, error: Exception) -> None:
        self.close(reason_to_close(error))

    def _message_received(self, message: object) -> None:
        match message:
            case wire.Choke():             self.peer_choking = True
            case wire.Unchoke():           self.peer_choking = False
            case wire.Interested():        self.peer_interested = True
            case wire.NotInterested():     self.peer_interested = False
            case wire.Have():              self.pieces.have(message.piece_index)
            case wire.BitfieldReceived():  self.pieces.bitfield(message.bits)
            case wire.HaveAll():           self._fast("have all", self.pieces.have_all)
            case wire.HaveNone():          self._fast("have none", self.pieces.have_none)
            case wire.AllowedFast():       self._fast("allowed fast", lambda: self._allowed_fast(message.piece_index))
            case wire.Request():           self._requested(message)
            case wire.Piece():             raise RemoteProtocolError("a block, though nobody knows the pieces yet")
            case wire.Extended():          self._extended(message)

    def _fast(self, name: str, then: Any) -> None:
        if not self.handshake.fast:
            raise RemoteProtocolError(f"`{name}` without the fast extension (BEP 6)")
        then()

    def _allowed_fast(self, piece_index: int) -> None:
        if len(self.fast_pieces) < MAX_FAST_PIECES:
            self.fast_pieces.append(piece_index)

    def _requested(self, message: wire.Request) -> None:
        if self.handshake.fast:                         # we choke it and have nothing
            self.send(wire.build_reject(message.piece_index, message.begin, message.length))

    def _extended(self, message: wire.Extended) -> None:
        if message.extended_id == HANDSHAKE_ID:
            self._named(message.payload)
        elif message.extended_id == UT_METADATA_ID:
            match said := parse_metadata_message(message.payload):
                case MetadataData():                         self.torrent.metadata_received(self, said)
                case MetadataReject():                       self.torrent.metadata_rejected(self, said)
                case MetadataRequest() if self.metadata_id:  self.say(MetadataReject(said.piece_index))

    def _named(self, payload: bytes) -> None:
        said = parse_extension_handshake(payload)
        self.request_queue = said.request_queue or self.request_queue
        self.metadata_id = said.message_ids.get(UT_METADATA, self.metadata_id)
        if not self.is_named and (said.client_name or said.listen_port or said.your_ip):
            self.is_named = True
            self.client_name = said.client_name or self.client_name
            self.listen_port = said.listen_port or self.listen_port
            self.torrent.peer_named(self, said.your_ip)
        if self.metadata_id and said.metadata_size:
            self.torrent.metadata_offered(self, said.metadata_size)

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def tick(self, now: float) -> None:
        """Twice a second."""
        if self._bytes_in != self._last_bytes_in:
            self._last_bytes_in, self._silent_since = self._bytes_in, now
        elif now - self._silent_since > SILENCE_SECONDS:
            self.close(f"silent for {SILENCE_SECONDS:.0f} s")
            return
        if self._outflow.bytes_out != self._last_bytes_out:
            self._last_bytes_out, self._unsent_since = self._outflow.bytes_out, now
        elif now - self._unsent_since > KEEP_ALIVE_SECONDS:
            self.send(wire.KEEP_ALIVE_BYTES)
