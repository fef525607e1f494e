"""A peer with metadata (BEP 9), spoken by hand over a WirePeer: honest, or hostile in one named way."""

import socket
import struct
from typing import Self

from tests.processes.fake_peer import INTERESTED, UNCHOKE, frame
from tests.processes.fake_peer import REQUEST as BLOCK_REQUEST
from tests.processes.torrent_files import bencode
from tests.processes.wire_peer import EXTENSION, WirePeer, block

PIECE_BYTES = 1 << 14
OUR_ID = 7                                              # under which this peer wants ut_metadata
THEIR_ID = 3                                            # under which a daemon wants it
REQUEST, DATA, REJECT = range(3)
RESERVED = bytes((0, 0, 0, 0, 0, 0x10, 0, 0x04))        # extension protocol and fast extension


def says_metadata(size: int | None, metadata_id: int = OUR_ID) -> bytes:
    """An extension handshake that offers metadata of `size` bytes; None: it has none."""
    return frame(EXTENSION, b"\0" + bencode({"m": {"ut_metadata": metadata_id}} | ({} if size is None else {"metadata_size": size})))


def request(piece_index: int) -> bytes:
    return frame(EXTENSION, bytes((THEIR_ID,)) + bencode({"msg_type": REQUEST, "piece": piece_index}))


def reject(piece_index: int) -> bytes:
    return frame(EXTENSION, bytes((THEIR_ID,)) + bencode({"msg_type": REJECT, "piece": piece_index}))


def data(metadata: bytes, piece_index: int, total_size: int | None = None) -> bytes:
    head = bencode({"msg_type": DATA, "piece": piece_index, "total_size": len(metadata) if total_size is None else total_size})
    return frame(EXTENSION, bytes((THEIR_ID,)) + head + metadata[piece_index * PIECE_BYTES:(piece_index + 1) * PIECE_BYTES])


def number(payload: bytes, key: str) -> int:
    """An integer of a bencoded dictionary."""
    at = payload.index(f"{len(key)}:{key}i".encode()) + len(f"{len(key)}:{key}i")
    return int(payload[at:payload.index(b"e", at)])


class MetadataWirePeer(WirePeer):
    """With the extension protocol."""

    @classmethod
    def meet(cls, listener: socket.socket, info_hash: bytes, peer_id: bytes = b"-XX0001-metadatapeer") -> Self:
        """Take the next connection of `listener` and shake hands."""
        connection, _ = listener.accept()
        connection.settimeout(10)
        peer = cls(connection, info_hash, peer_id, RESERVED)
        peer.shake_hands()
        return peer

    @classmethod
    def call(cls, port: int, info_hash: bytes, peer_id: bytes = b"-XX0001-metadatapeer", ip: str = "127.0.0.1") -> Self:
        """Connect to a daemon and shake hands."""
        connection = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(ip, 0))
        peer = cls(connection, info_hash, peer_id, RESERVED)
        peer.shake_hands()
        return peer

    def next_metadata(self, metadata_id: int = OUR_ID) -> bytes | None:
        """The next message of ut_metadata, passing over others; None at the end."""
        while (message := self.next()) is not None:
            if message[0] == EXTENSION and message[1][0] == metadata_id:
                return message[1][1:]
        return None

    def serve_everything(self, metadata: bytes, payload: bytes, piece_length: int) -> tuple[int, int]:
        """Answer requests for metadata and for blocks until the end; return how many of each came."""
        num_pieces = num_blocks = 0
        while (message := self.next()) is not None:
            message_id, said = message
            if message_id == EXTENSION and said[0] == OUR_ID:
                num_pieces += 1
                self.send(data(metadata, number(said, "piece")))
            elif message_id == INTERESTED:
                self.send(frame(UNCHOKE))
            elif message_id == BLOCK_REQUEST:
                num_blocks += 1
                self.send(block(payload, piece_length, *struct.unpack(">III", said)))
        return num_pieces, num_blocks

    def serve_metadata(self, metadata: bytes, most: int = 1 << 30) -> list[int]:
        """Answer requests for metadata until the end or the first message that is another one's; return what was asked for."""
        asked: list[int] = []
        while len(asked) < most and (said := self.next_metadata()) is not None:
            asked.append(number(said, "piece"))
            self.send(data(metadata, asked[-1]))
        return asked
