"""Peers for process tests: real sockets on loopback that speak BEP 3 by hand, honest or hostile in one named way each.

They build and parse messages themselves, so that a fault in protocol/ cannot hide here.
"""

import struct
from dataclasses import dataclass, field

import gevent
import gevent.event
from gevent.server import StreamServer

BLOCK_BYTES = 16_384
CHOKE, UNCHOKE, INTERESTED, NOT_INTERESTED, HAVE, BITFIELD, REQUEST, PIECE, CANCEL = range(9)


def frame(message_id: int, payload: bytes = b"") -> bytes:
    """Length, id, payload."""
    return struct.pack(">IB", 1 + len(payload), message_id) + payload


@dataclass
class FakePeer:
    """Serves `data`. One switch a fault:

    `silent` says nothing after TCP connected; `mute` only shakes hands; `corrupts` flips a bit of every block;
    `leaves_after` closes after so many blocks; `holds_after` serves so many blocks in all and the rest after `let_go`; `says` is sent raw after the handshake.
    """

    info_hash: bytes
    data: bytes
    piece_length: int
    ip: str = "127.0.0.1"
    silent: bool = False
    mute: bool = False
    corrupts: bool = False
    leaves_after: int | None = None
    holds_after: int | None = None
    says: bytes = b""
    peer_id: bytes = b""
    connections: int = 0
    blocks_served: int = 0
    open_connections: set = field(default_factory=set)
    let_go: gevent.event.Event = field(default_factory=gevent.event.Event)

    def start(self) -> "FakePeer":
        """Listen on a free port of `ip`."""
        self._server = StreamServer((self.ip, 0), self._serve)
        self._server.start()
        self.port = self._server.server_port
        self.peer_id = self.peer_id or b"-XX0000-" + f"{self.ip}:{self.port}".encode().rjust(12, b".")[-12:]
        return self

    def stop(self) -> None:
        """Close everything."""
        self._server.stop(timeout=0)
        for connection in list(self.open_connections):
            connection.close()

    @property
    def address(self) -> str:
        """'ip:port', as --peer takes it."""
        return f"{self.ip}:{self.port}"

    def _serve(self, connection, _address) -> None:
        self.connections += 1
        self.open_connections.add(connection)
        try:
            self._converse(connection)
        except OSError:
            pass                                        # the engine closed it
        finally:
            self.open_connections.discard(connection)
            connection.close()

    def _converse(self, connection) -> None:
        stream = connection.makefile("rb")
        if self.silent:
            stream.read()                               # until the other side gives up
            return
        handshake = stream.read(68)
        if len(handshake) < 68:
            return
        connection.sendall(b"\x13BitTorrent protocol" + bytes(8) + self.info_hash + self.peer_id)
        if self.mute:
            stream.read()
            return
        num_pieces = -(-len(self.data) // self.piece_length)
        bits = bytearray(-(-num_pieces // 8))
        for piece_index in range(num_pieces):
            bits[piece_index // 8] |= 0x80 >> piece_index % 8
        connection.sendall(frame(BITFIELD, bytes(bits)) + self.says + frame(UNCHOKE))
        served = 0
        while header := stream.read(4):
            length = int.from_bytes(header, "big")
            message = stream.read(length)
            if length and message[0] == REQUEST:
                if self.leaves_after is not None and served >= self.leaves_after:
                    return
                if self.holds_after is not None and self.blocks_served >= self.holds_after:
                    self.let_go.wait()
                connection.sendall(self._block(*struct.unpack(">III", message[1:13])))
                served += 1
                self.blocks_served += 1

    def _block(self, piece_index: int, begin: int, length: int) -> bytes:
        start = piece_index * self.piece_length + begin
        block = bytearray(self.data[start:start + length])
        if self.corrupts:
            block[0] ^= 1
        return frame(PIECE, struct.pack(">II", piece_index, begin) + block)


def stop_all(peers: list[FakePeer]) -> None:
    """Stop them at once."""
    gevent.joinall([gevent.spawn(peer.stop) for peer in peers])
