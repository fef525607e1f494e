"""ut_metadata (BEP 9): the info dictionary in pieces of 16 KiB, asked for and sent as extension messages (BEP 10).

A message is a bencoded dictionary; behind that of `data` follows the piece itself.
"""

from dataclasses import dataclass
from typing import Any, Final

from protocol.bencoding import decode_prefix, encode
from protocol.errors import BencodeError, RemoteProtocolError
from protocol.limits import MAX_METADATA_HEAD_BYTES, MAX_METADATA_PIECES, MAX_METAINFO_BYTES, METADATA_PIECE_BYTES

UT_METADATA: Final = "ut_metadata"                      # its name in the extension handshake
UT_METADATA_ID: Final = 3                               # under which we want it
_REQUEST, _DATA, _REJECT = range(3)


@dataclass(frozen=True, slots=True)
class MetadataRequest:
    """It wants this piece."""

    piece_index: int


@dataclass(frozen=True, slots=True)
class MetadataData:
    """A piece. `data` is as long as that piece of `total_size` bytes is."""

    piece_index: int
    total_size: int
    data: bytes


@dataclass(frozen=True, slots=True)
class MetadataReject:
    """It does not send this piece: it has none, or we ask too much."""

    piece_index: int


def num_metadata_pieces(total_size: int) -> int:
    """How many pieces metadata of so many bytes has."""
    return -(-total_size // METADATA_PIECE_BYTES)


def metadata_piece_size(total_size: int, piece_index: int) -> int:
    """Bytes of one piece; only the last one is shorter."""
    return min(METADATA_PIECE_BYTES, total_size - piece_index * METADATA_PIECE_BYTES)


def parse_metadata_message(payload: bytes) -> MetadataRequest | MetadataData | MetadataReject | None:
    """What follows the extension's id; None for a kind that we do not know, as BEP 9 asks. Raises RemoteProtocolError."""
    try:
        head, end = decode_prefix(payload, max_bytes=MAX_METADATA_HEAD_BYTES + METADATA_PIECE_BYTES, source="ut_metadata")
    except BencodeError as error:
        raise RemoteProtocolError(str(error)) from None
    if not isinstance(head, dict):
        raise RemoteProtocolError("ut_metadata: is no dictionary")
    kind = _integer(head, b"msg_type")
    if kind not in (_REQUEST, _DATA, _REJECT):
        return None
    piece_index = _integer(head, b"piece")
    if not 0 <= piece_index < MAX_METADATA_PIECES:
        raise RemoteProtocolError(f"ut_metadata: piece {piece_index}, must be from 0 to {MAX_METADATA_PIECES - 1}")
    if kind == _DATA:
        return _data(piece_index, _integer(head, b"total_size"), bytes(payload[end:]))
    if end != len(payload):
        raise RemoteProtocolError(f"ut_metadata: {len(payload) - end} bytes after a message that carries none")
    return MetadataRequest(piece_index) if kind == _REQUEST else MetadataReject(piece_index)


def _data(piece_index: int, total_size: int, data: bytes) -> MetadataData:
    if not 0 < total_size <= MAX_METAINFO_BYTES:
        raise RemoteProtocolError(f"ut_metadata: total_size is {total_size}, must be from 1 to {MAX_METAINFO_BYTES}")
    if piece_index >= num_metadata_pieces(total_size):
        raise RemoteProtocolError(f"ut_metadata: piece {piece_index} of metadata of {total_size} bytes")
    if len(data) != (size := metadata_piece_size(total_size, piece_index)):
        raise RemoteProtocolError(f"ut_metadata: piece {piece_index} of {total_size} bytes has {len(data)}, must have {size}")
    return MetadataData(piece_index, total_size, data)


def _integer(head: dict[bytes, Any], key: bytes) -> int:
    value = head.get(key)
    if not isinstance(value, int):
        raise RemoteProtocolError(f"ut_metadata: {key.decode()} is {'no integer' if key in head else 'missing'}")
    return value


def build_metadata_message(message: MetadataRequest | MetadataData | MetadataReject) -> bytes:
    """The payload, without the extension's id."""
    match message:
        case MetadataRequest():  return encode({b"msg_type": _REQUEST, b"piece": message.piece_index})
        case MetadataReject():   return encode({b"msg_type": _REJECT, b"piece": message.piece_index})
    return encode({b"msg_type": _DATA, b"piece": message.piece_index, b"total_size": message.total_size}) + message.data


def metadata_piece(metadata: bytes, piece_index: int) -> MetadataData:
    """One piece of what we have. The caller has checked the index."""
    start = piece_index * METADATA_PIECE_BYTES
    return MetadataData(piece_index, len(metadata), metadata[start:start + METADATA_PIECE_BYTES])
