"""Canonical peer priority (BEP 40): a number that both ends of a connection compute alike and nobody can choose freely.

Whoever dials the peers of high priority first makes a swarm in which everybody has about the same number of connections to random
others: a peer that both ends rank high is kept by both. Only part of each address counts, so that who has many addresses in one
network gains little.
"""

import ipaddress
from typing import Final

from protocol.peer_address import PeerAddress

MIDDLE_PRIORITY: Final = 1 << 31                        # where our own address is not known: neither before nor behind the others

_POLYNOMIAL: Final = 0x82F63B78                         # CRC-32C (Castagnoli), reflected
_KEPT_BYTES: Final = {4: 2, 16: 6}                      # of addresses that share nothing, by their length: a /16, a /48
_SPREAD: Final = 0x55                                   # every other bit of the rest


def _crc32c_of_byte(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
    return value


_TABLE: Final = tuple(map(_crc32c_of_byte, range(256)))


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of `data` (RFC 3720); zlib has another polynomial."""
    crc = 0xFFFF_FFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFF_FFFF


def peer_priority(own: PeerAddress, peer: PeerAddress) -> int:
    """Return the priority of the connection between these two, 0 to 2³² − 1, the same in either order.

    Addresses of different families have none in BEP 40; they get MIDDLE_PRIORITY.
    """
    if own.ip == peer.ip:
        low, high = sorted((own.port, peer.port))
        return crc32c(low.to_bytes(2, "big") + high.to_bytes(2, "big"))
    ours, theirs = ipaddress.ip_address(own.ip).packed, ipaddress.ip_address(peer.ip).packed
    if len(ours) != len(theirs):
        return MIDDLE_PRIORITY
    num_kept = max(_num_shared_bytes(ours, theirs) + 1, _KEPT_BYTES[len(ours)])
    return crc32c(b"".join(sorted((_masked(ours, num_kept), _masked(theirs, num_kept)))))


def _num_shared_bytes(ours: bytes, theirs: bytes) -> int:
    return next(index for index, (our, their) in enumerate(zip(ours, theirs, strict=True)) if our != their)


def _masked(packed: bytes, num_kept: int) -> bytes:
    return packed[:num_kept] + bytes(byte & _SPREAD for byte in packed[num_kept:])
