"""What we say first to a peer: which pieces we have, who we are (BEP 10), what it may request though choked (BEP 6)."""

import ipaddress
from hashlib import sha1
from typing import Any, Final

from protocol import peer_messages as wire
from protocol.extensions import HANDSHAKE_ID, build_extension_handshake
from protocol.limits import MAX_PEER_REQUESTS
from protocol.metadata_messages import UT_METADATA, UT_METADATA_ID

ALLOWED_FAST_PIECES: Final = 10                         # as BEP 6 proposes
FEW_PIECES: Final = 10                                  # a peer with more of them has something to trade


def greeting(torrent: Any, fast: bool, extended: bool, ip: str) -> bytes:
    """The messages after the handshake. What we have comes first (BEP 3, 6)."""
    have = torrent.verified
    if fast and have.is_complete:
        messages = wire.HAVE_ALL_BYTES
    elif fast and not have.count:
        messages = wire.HAVE_NONE_BYTES
    else:
        messages = wire.build_bitfield(have.to_bytes()) if have.count else b""
    return messages + own_extension_handshake(torrent, ip) if extended else messages


def late_greeting(torrent: Any, extended: bool, ip: str) -> bytes:
    """As `greeting`, to a peer that was connected before we knew the torrent: a bitfield would be against BEP 3 by now."""
    messages = b"".join(map(wire.build_have, torrent.verified))
    return messages + own_extension_handshake(torrent, ip) if extended else messages


def own_extension_handshake(torrent: Any, ip: str) -> bytes:
    """Of a torrent that we know. The metadata of a private one is not given away (BEP 27): it would lead around its tracker."""
    return extension_handshake(torrent, len(torrent.info.raw), not torrent.info.private, ip)


def extension_handshake(torrent: Any, metadata_size: int, speaks_metadata: bool, ip: str) -> bytes:
    """The message (BEP 10). `metadata_size` 0: we do not know it. It may be sent again when something in it changed."""
    message_ids = {UT_METADATA: UT_METADATA_ID} if speaks_metadata else {}
    payload = build_extension_handshake(
        torrent.client_version, torrent.listen_port, MAX_PEER_REQUESTS, metadata_size if speaks_metadata else 0, message_ids,
        ipaddress.ip_address(ip).packed,
    )
    return wire.build_extended(HANDSHAKE_ID, payload)


def allowed_fast_pieces(info_hash: bytes, num_pieces: int, ip: str, count: int = ALLOWED_FAST_PIECES) -> list[int]:
    """The pieces that the peer at `ip` may request though choked: the canonical set of BEP 6, the same for all of its network.

    IPv4 only, as in the BEP; of IPv6 addresses the first 64 bits are taken, which one host does not choose.
    """
    packed = ipaddress.ip_address(ip).packed
    digest = (packed[:3] + b"\0" if len(packed) == 4 else packed[:8]) + info_hash
    pieces: dict[int, None] = {}
    while len(pieces) < min(count, num_pieces):
        digest = sha1(digest, usedforsecurity=False).digest()
        for start in range(0, 20, 4):
            if len(pieces) < count:
                pieces[int.from_bytes(digest[start:start + 4], "big") % num_pieces] = None
    return list(pieces)
