"""BadData: a piece came with a wrong hash. Who sent the bad block is found, told to the engine, and its connection closed."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

from protocol import daemon_messages as dm
from scheduler.smart_ban import SmartBan

MOST_DEPARTED: Final = 1_000                            # whose address is remembered after they left, with what they sent

REASON: Final = "sent bad data"


class BadData:
    """Of one torrent, which has `peers` by key and `send`."""

    def __init__(self, torrent: Any) -> None:
        self._torrent = torrent
        self._smart_ban = SmartBan()
        self._departed: OrderedDict[int, tuple[str, int]] = OrderedDict()
        self._convicted: set[int] = set()               # connections that are being closed for it

    def is_suspect(self, piece_index: int) -> bool:
        """The digests of its blocks are of interest though its hash is right."""
        return self._smart_ban.is_suspect(piece_index)

    def peer_left(self, peer: Any) -> None:
        """What it sent may still turn out to be bad."""
        if peer.key in self._convicted:
            self._convicted.discard(peer.key)
        elif peer.downloaded:
            self._departed[peer.key] = peer.ip, peer.port
            if len(self._departed) > MOST_DEPARTED:
                self._departed.popitem(last=False)

    def piece_failed(self, piece_index: int, senders: Sequence[int], digests: Sequence[bytes]) -> None:
        """The hash was wrong."""
        self._torrent.send(dm.PieceFailed(self._torrent.info_hash, piece_index, len(set(senders))))
        self._convict(self._smart_ban.piece_failed(piece_index, senders, digests), piece_index)

    def piece_verified(self, piece_index: int, digests: Sequence[bytes]) -> None:
        """A suspect piece is right this time."""
        self._convict(self._smart_ban.piece_verified(piece_index, digests), piece_index)

    def _convict(self, keys: set[int], piece_index: int) -> None:
        reason = f"{REASON} (piece {piece_index})"
        for key in keys:
            peer = self._torrent.peers.get(key)
            address = (peer.ip, peer.port) if peer is not None else self._departed.pop(key, None)
            if address is not None:                     # otherwise that was told already
                self._torrent.send(dm.PeerBanned(self._torrent.info_hash, key, *address, reason))
            if peer is not None:
                self._convicted.add(key)
                peer.close(reason)
