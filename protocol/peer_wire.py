"""PeerWire: the messages after the handshake (BEP 3), without a socket.

It has no state of the conversation: what a message means now (a second bitfield, a block that nobody asked for) is for whoever holds
the torrent. The daemon's hot path parses its shared buffer in place (daemon/receive_loop.py) with the same `check_length` and
`parse_message`; a property test holds that both see the same messages in the same bytes, and refuse the same.
"""

from enum import Enum
from typing import Final

from protocol.errors import RemoteProtocolError
from protocol.limits import MAX_WIRE_MESSAGE_BYTES
from protocol.peer_messages import check_length, parse_message

LENGTH_BYTES: Final = 4


class Needs(Enum):
    """What next_event returns instead of a message."""

    DATA = "more bytes"


NEED_DATA: Final = Needs.DATA


class PeerWire:
    """Bytes in any portions → messages. After an error it refuses everything."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._error: str | None = None

    def receive_data(self, data: bytes | memoryview) -> None:
        """Take what came. What is kept is less than a message if `next_event` is called until it needs data."""
        self._received += data

    def next_event(self) -> object:
        """Return the next message, or NEED_DATA. Raises RemoteProtocolError as soon as what came shows that it is wrong.

        The data of a Piece is a view of a copy: it stays as it is.
        """
        if self._error is not None:
            raise RemoteProtocolError(self._error)
        try:
            return self._next_message()
        except RemoteProtocolError as error:
            self._error = str(error)
            raise

    def take_rest(self) -> bytes:
        """What came of a message that is not whole, when `next_event` needs data: somebody else reads on."""
        rest, self._received = bytes(self._received), bytearray()
        return rest

    def _next_message(self) -> object:
        received = self._received
        length = int.from_bytes(received[:LENGTH_BYTES], "big")     # of fewer than 4 bytes: smaller, so never refused wrongly
        if length > MAX_WIRE_MESSAGE_BYTES:
            raise RemoteProtocolError(f"message of {length} bytes, at most {MAX_WIRE_MESSAGE_BYTES}")
        if length and len(received) > LENGTH_BYTES:
            check_length(received[LENGTH_BYTES], length)
        end = LENGTH_BYTES + length
        if len(received) < end:
            return NEED_DATA
        body = memoryview(bytes(received[LENGTH_BYTES:end]))
        del received[:end]
        return parse_message(body)
