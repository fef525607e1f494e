"""One connection to a daemon, spoken by hand, message by message: for tests of what exactly is said on the wire."""

import struct
from typing import Self

import gevent
from gevent import socket

from tests.processes.fake_peer import BLOCK_BYTES, PIECE, REQUEST, frame

FAST, EXTENDED = 0x04, 0x10                             # in bytes 7 and 5 of the reserved ones
SUGGEST, HAVE_ALL, HAVE_NONE, REJECT, ALLOWED_FAST = range(13, 18)
EXTENSION = 20


class WirePeer:
    """`dial` or `answer`, then `send` and `next`. Every wait has a deadline."""

    def __init__(self, connection: socket.socket, info_hash: bytes, peer_id: bytes, reserved: bytes) -> None:
        self.socket = connection
        self._info_hash, self._peer_id, self._reserved = info_hash, peer_id, reserved
        self._stream = connection.makefile("rb")
        self.their_handshake = b""

    @classmethod
    def dial(cls, port: int, info_hash: bytes, peer_id: bytes = b"-XX0001-wirepeer0000", fast: bool = True, ip: str = "127.0.0.1") -> Self:
        """Connect to a daemon and shake hands."""
        connection = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(ip, 0))
        peer = cls(connection, info_hash, peer_id, _reserved(fast))
        peer.shake_hands()
        return peer

    @classmethod
    def answer(cls, listener: socket.socket, info_hash: bytes, peer_id: bytes = b"-XX0001-wirepeer0000", fast: bool = True) -> Self:
        """Take the next connection of `listener` and shake hands."""
        connection, _ = listener.accept()
        connection.settimeout(10)
        peer = cls(connection, info_hash, peer_id, _reserved(fast))
        peer.shake_hands()
        return peer

    def shake_hands(self) -> None:
        """Both halves."""
        self.socket.sendall(b"\x13BitTorrent protocol" + self._reserved + self._info_hash + self._peer_id)
        self.their_handshake = self._stream.read(68)

    def send(self, *messages: bytes) -> None:
        """Whole messages, or whatever."""
        self.socket.sendall(b"".join(messages))

    def next(self) -> tuple[int, bytes] | None:
        """Return the next message that is no keep-alive as (id, payload); None at the end of the stream."""
        while (body := self.next_body()) == b"":
            pass
        return None if body is None else (body[0], body[1:])

    def next_body(self) -> bytes | None:
        """Return the next message without its length, b"" for a keep-alive; None at the end of the stream."""
        try:
            header = self._stream.read(4)
            return self._stream.read(int.from_bytes(header, "big")) if len(header) == 4 else None
        except ConnectionError:
            return None

    def wait_for(self, message_id: int) -> bytes:
        """Return the payload of the next message with this id, passing over others."""
        passed = []
        while (message := self.next()) is not None:
            if message[0] == message_id:
                return message[1]
            passed.append(message[0])
        raise AssertionError(f"message {message_id} did not come before the end, but {passed}")

    def wait_for_the_end(self) -> None:
        """Until the daemon closes."""
        while self.next() is not None:
            pass

    def serve(self, data: bytes, piece_length: int, most: int = 1 << 30) -> int:
        """Answer requests until the end, or until `most` blocks were sent; return how many were."""
        served = 0
        while served < most and (message := self.next()) is not None:
            if message[0] == REQUEST:
                self.send(block(data, piece_length, *struct.unpack(">III", message[1])))
                served += 1
        return served

    def close(self) -> None:
        """End it."""
        self._stream.close()
        self.socket.close()


def _reserved(fast: bool) -> bytes:
    return bytes((0, 0, 0, 0, 0, 0, 0, FAST if fast else 0))


def block(data: bytes, piece_length: int, piece_index: int, begin: int, length: int) -> bytes:
    """The answer to a request."""
    start = piece_index * piece_length + begin
    return frame(PIECE, struct.pack(">II", piece_index, begin) + data[start:start + length])


def requests(piece_index: int, *begins: int, length: int = BLOCK_BYTES) -> bytes:
    """Requests for some blocks of a piece."""
    return b"".join(frame(REQUEST, struct.pack(">III", piece_index, begin, length)) for begin in begins)


def listen(ip: str = "127.0.0.1") -> socket.socket:
    """Somewhere for a daemon to dial."""
    listener = socket.socket()
    listener.bind((ip, 0))
    listener.listen(16)
    listener.settimeout(10)
    return listener


def in_background(run, *arguments) -> gevent.Greenlet:
    """Run it in a greenlet; a failure is raised by its `get`."""
    return gevent.spawn(run, *arguments)
