"""The 68 bytes that open a connection (BEP 3), with the reserved bits of BEP 5, 6 and 10."""

from dataclasses import dataclass
from typing import Final

from protocol.errors import RemoteProtocolError

HANDSHAKE_BYTES: Final = 68
BEGINNING: Final = b"\x13BitTorrent protocol"
INFO_HASH_END: Final = 48                               # by then it is known which torrent is meant
_EXTENDED_BYTE, _EXTENDED_BIT = 5, 0x10                 # BEP 10
_LAST_BYTE, _FAST_BIT, _DHT_BIT = 7, 0x04, 0x01         # BEP 6, BEP 5


@dataclass(frozen=True, slots=True)
class Handshake:
    """What the other side said."""

    info_hash: bytes
    peer_id: bytes
    fast: bool
    extended: bool
    dht: bool


def build_handshake(info_hash: bytes, peer_id: bytes, dht: bool = False) -> bytes:
    """68 bytes: we always speak the fast extension and the extension protocol."""
    reserved = bytearray(8)
    reserved[_EXTENDED_BYTE] |= _EXTENDED_BIT
    reserved[_LAST_BYTE] |= _FAST_BIT | (_DHT_BIT if dht else 0)
    return BEGINNING + bytes(reserved) + info_hash + peer_id


def check_beginning(data: bytes) -> None:
    """Raises RemoteProtocolError as soon as what came so far cannot become a handshake."""
    beginning = bytes(data[:len(BEGINNING)])
    if beginning != BEGINNING[:len(beginning)]:
        raise RemoteProtocolError(f"begins with {beginning!r}, which is no BitTorrent handshake")


def parse_handshake(data: bytes) -> Handshake:
    """68 bytes → Handshake. Raises RemoteProtocolError. Unknown reserved bits are allowed: they are how extensions begin."""
    if len(data) != HANDSHAKE_BYTES:
        raise RemoteProtocolError(f"handshake of {len(data)} bytes, must be {HANDSHAKE_BYTES}")
    check_beginning(data)
    reserved = data[20:28]
    return Handshake(
        info_hash=bytes(data[28:INFO_HASH_END]), peer_id=bytes(data[INFO_HASH_END:]), fast=bool(reserved[_LAST_BYTE] & _FAST_BIT),
        extended=bool(reserved[_EXTENDED_BYTE] & _EXTENDED_BIT), dht=bool(reserved[_LAST_BYTE] & _DHT_BIT),
    )
