"""The messages after the handshake (BEP 3, 6, 10): one dataclass each, strict parsers, and bulk forms for runs of blocks.

A message is `length (4 bytes), id (1 byte), payload`; length 0 is a keep-alive. Lengths are exact: nothing may follow what a message needs.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from protocol.errors import RemoteProtocolError
from protocol.limits import BLOCK_BYTES, MAX_WIRE_MESSAGE_BYTES
from protocol.piece_layout import PieceLayout

CHOKE, UNCHOKE, INTERESTED, NOT_INTERESTED, HAVE, BITFIELD, REQUEST, PIECE, CANCEL = range(9)
PORT: Final = 9
SUGGEST, HAVE_ALL, HAVE_NONE, REJECT, ALLOWED_FAST = range(13, 18)
EXTENDED: Final = 20

PIECE_HEADER_BYTES: Final = 13                          # length, id, piece index, begin
REQUEST_BYTES: Final = 17
KEEP_ALIVE_BYTES: Final = bytes(4)
_PIECE_INDEX_OFFSET: Final = 5                          # in a request and in a piece message alike
KEPT_RUNS: Final = 256                                  # shapes of runs: a few are usual; at most 2 MB of them

_REQUEST: Final = struct.Struct(">IBIII")
_PIECE_HEADER: Final = struct.Struct(">IBII")
_THREE: Final = struct.Struct(">III")
_TWO: Final = struct.Struct(">II")


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """Nothing but a sign of life."""


@dataclass(frozen=True, slots=True)
class Choke:
    """It will not serve us."""


@dataclass(frozen=True, slots=True)
class Unchoke:
    """It will serve us."""


@dataclass(frozen=True, slots=True)
class Interested:
    """It wants something that we have."""


@dataclass(frozen=True, slots=True)
class NotInterested:
    """It wants nothing of us."""


@dataclass(frozen=True, slots=True)
class Have:
    """It got this piece."""

    piece_index: int


@dataclass(frozen=True, slots=True)
class BitfieldReceived:
    """All that it has; the bits are checked against the torrent by Bitfield.from_bytes."""

    bits: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """It asks for a block."""

    piece_index: int
    begin: int
    length: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A block. `data` is a view of the receive buffer, valid until the next receive."""

    piece_index: int
    begin: int
    data: memoryview


@dataclass(frozen=True, slots=True)
class Cancel:
    """It no longer wants that block."""

    piece_index: int
    begin: int
    length: int


@dataclass(frozen=True, slots=True)
class Port:
    """Its DHT port (BEP 5)."""

    port: int


@dataclass(frozen=True, slots=True)
class SuggestPiece:
    """BEP 6: it would be cheap for it to serve this piece."""

    piece_index: int


@dataclass(frozen=True, slots=True)
class HaveAll:
    """BEP 6: it is a seed."""


@dataclass(frozen=True, slots=True)
class HaveNone:
    """BEP 6: it has nothing."""


@dataclass(frozen=True, slots=True)
class RejectRequest:
    """BEP 6: that request will not be served."""

    piece_index: int
    begin: int
    length: int


@dataclass(frozen=True, slots=True)
class AllowedFast:
    """BEP 6: this piece may be asked for even while choked."""

    piece_index: int


@dataclass(frozen=True, slots=True)
class Extended:
    """BEP 10: an extension's message; `extended_id` 0 is its handshake."""

    extended_id: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class UnknownMessage:
    """An id that we do not know: ignored, as BEP 3's successors ask."""

    message_id: int


def _empty(kind: Callable[[], object]) -> Callable[[memoryview], object]:
    message = kind()

    def parse(payload: memoryview) -> object:
        _exactly(payload, 0, kind)
        return message

    return parse


def _with_piece(kind: Callable[[int], object]) -> Callable[[memoryview], object]:
    def parse(payload: memoryview) -> object:
        _exactly(payload, 4, kind)
        return kind(int.from_bytes(payload, "big"))

    return parse


def _with_block(kind: Callable[[int, int, int], object]) -> Callable[[memoryview], object]:
    def parse(payload: memoryview) -> object:
        _exactly(payload, 12, kind)
        return kind(*_THREE.unpack(payload))

    return parse


def _exactly(payload: memoryview, length: int, kind: Callable) -> None:
    if len(payload) != length:
        raise RemoteProtocolError(f"{kind.__name__} message with {len(payload)} bytes of payload, must be {length}")


def _piece(payload: memoryview) -> Piece:
    if len(payload) <= 8:
        raise RemoteProtocolError(f"piece message with {len(payload)} bytes of payload, must be more than 8")
    return Piece(*_TWO.unpack(payload[:8]), payload[8:])


def _port(payload: memoryview) -> Port:
    _exactly(payload, 2, Port)
    return Port(int.from_bytes(payload, "big"))


def _extended(payload: memoryview) -> Extended:
    if not payload:
        raise RemoteProtocolError("extended message without an id")
    return Extended(payload[0], bytes(payload[1:]))


PARSERS: Final[dict[int, Callable[[memoryview], object]]] = {
    CHOKE: _empty(Choke), UNCHOKE: _empty(Unchoke), INTERESTED: _empty(Interested), NOT_INTERESTED: _empty(NotInterested),
    HAVE: _with_piece(Have), BITFIELD: lambda payload: BitfieldReceived(bytes(payload)), REQUEST: _with_block(Request), PIECE: _piece,
    CANCEL: _with_block(Cancel), PORT: _port, SUGGEST: _with_piece(SuggestPiece), HAVE_ALL: _empty(HaveAll), HAVE_NONE: _empty(HaveNone),
    REJECT: _with_block(RejectRequest), ALLOWED_FAST: _with_piece(AllowedFast), EXTENDED: _extended,
}


# id: the shortest and the longest message, without the length itself. Of a piece: we never ask for more than a block.
_LENGTHS: Final[dict[int, tuple[int, int]]] = {
    **dict.fromkeys((CHOKE, UNCHOKE, INTERESTED, NOT_INTERESTED, HAVE_ALL, HAVE_NONE), (1, 1)),
    **dict.fromkeys((HAVE, SUGGEST, ALLOWED_FAST), (5, 5)), **dict.fromkeys((REQUEST, CANCEL, REJECT), (13, 13)),
    PORT: (3, 3), PIECE: (10, 9 + BLOCK_BYTES), EXTENDED: (2, MAX_WIRE_MESSAGE_BYTES),
}
_ANY_LENGTH: Final = (1, MAX_WIRE_MESSAGE_BYTES)


def check_length(message_id: int, length: int) -> None:
    """Judge a message by its first five bytes, before anything of it is awaited. Raises RemoteProtocolError."""
    if length > MAX_WIRE_MESSAGE_BYTES:
        raise RemoteProtocolError(f"message of {length} bytes, at most {MAX_WIRE_MESSAGE_BYTES}")
    shortest, longest = _LENGTHS.get(message_id, _ANY_LENGTH)
    if not shortest <= length <= longest:
        allowed = str(shortest) if shortest == longest else f"{shortest} to {longest}"
        raise RemoteProtocolError(f"message {message_id} of {length} bytes, must be {allowed}")


def parse_message(body: memoryview) -> object:
    """What follows the length (id and payload; nothing: keep-alive) → message. Raises RemoteProtocolError."""
    if not body:
        return KeepAlive()
    parser = PARSERS.get(body[0])
    return UnknownMessage(body[0]) if parser is None else parser(body[1:])


def build(message_id: int, payload: bytes = b"") -> bytes:
    """A whole message."""
    return struct.pack(">IB", 1 + len(payload), message_id) + payload


CHOKE_BYTES: Final = build(CHOKE)
UNCHOKE_BYTES: Final = build(UNCHOKE)
INTERESTED_BYTES: Final = build(INTERESTED)
NOT_INTERESTED_BYTES: Final = build(NOT_INTERESTED)
HAVE_ALL_BYTES: Final = build(HAVE_ALL)
HAVE_NONE_BYTES: Final = build(HAVE_NONE)


def build_have(piece_index: int) -> bytes:
    """9 bytes."""
    return build(HAVE, piece_index.to_bytes(4, "big"))


def build_bitfield(bits: bytes) -> bytes:
    """As Bitfield.to_bytes gives it."""
    return build(BITFIELD, bits)


def build_request(piece_index: int, begin: int, length: int) -> bytes:
    """17 bytes."""
    return _REQUEST.pack(13, REQUEST, piece_index, begin, length)


def build_cancel(piece_index: int, begin: int, length: int) -> bytes:
    """17 bytes."""
    return _REQUEST.pack(13, CANCEL, piece_index, begin, length)


def build_reject(piece_index: int, begin: int, length: int) -> bytes:
    """17 bytes (BEP 6)."""
    return _REQUEST.pack(13, REJECT, piece_index, begin, length)


def build_allowed_fast(piece_index: int) -> bytes:
    """9 bytes (BEP 6)."""
    return build(ALLOWED_FAST, piece_index.to_bytes(4, "big"))


def build_extended(extended_id: int, payload: bytes) -> bytes:
    """BEP 10."""
    return build(EXTENDED, bytes((extended_id,)) + payload)


def piece_header(piece_index: int, begin: int, length: int) -> bytes:
    """The 13 bytes before the data of a `piece` message."""
    return _PIECE_HEADER.pack(9 + length, PIECE, piece_index, begin)


def encode_requests(layout: PieceLayout, piece_index: int, first_block: int, num_blocks: int) -> bytes:
    """Requests for a run of blocks of one piece, 17 bytes each."""
    last_size = layout.block_size(piece_index, first_block + num_blocks - 1)
    return _in_piece(_requests_in_piece_0(first_block, num_blocks, last_size), piece_index, REQUEST_BYTES, num_blocks)


def expected_piece_headers(layout: PieceLayout, piece_index: int, first_block: int, num_blocks: int) -> bytes:
    """The headers that answer `encode_requests` of the same run, 13 bytes each, to be compared in one go."""
    last_size = layout.block_size(piece_index, first_block + num_blocks - 1)
    return _in_piece(_piece_headers_in_piece_0(first_block, num_blocks, last_size), piece_index, PIECE_HEADER_BYTES, num_blocks)


# Runs of the same blocks in other pieces differ in the piece's index only, so they are made once and then stamped: 2 µs instead of 11 for 32 blocks.


@lru_cache(maxsize=KEPT_RUNS)
def _requests_in_piece_0(first_block: int, num_blocks: int, last_size: int) -> bytes:
    return b"".join([build_request(0, begin, size) for begin, size in _blocks(first_block, num_blocks, last_size)])


@lru_cache(maxsize=KEPT_RUNS)
def _piece_headers_in_piece_0(first_block: int, num_blocks: int, last_size: int) -> bytes:
    return b"".join([piece_header(0, begin, size) for begin, size in _blocks(first_block, num_blocks, last_size)])


def _blocks(first_block: int, num_blocks: int, last_size: int) -> Iterator[tuple[int, int]]:
    """Where each block begins, and its size; only the last one of a piece may be short."""
    last_block = first_block + num_blocks - 1
    for block in range(first_block, last_block):
        yield block * BLOCK_BYTES, BLOCK_BYTES
    yield last_block * BLOCK_BYTES, last_size


def _in_piece(run: bytes, piece_index: int, message_bytes: int, num_messages: int) -> bytes:
    stamped = bytearray(run)
    for offset, byte in enumerate(piece_index.to_bytes(4, "big"), _PIECE_INDEX_OFFSET):
        if byte:
            stamped[offset::message_bytes] = bytes((byte,)) * num_messages
    return bytes(stamped)
