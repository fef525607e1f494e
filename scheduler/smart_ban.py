"""SmartBan: who sent the bad block.

A piece that fails with one sender convicts it. With several, the digest of each block is kept with its sender. When the
piece is right at last, each kept digest that differs from the right block's convicts its sender; so does a sender whose
block differs from what it sent for the same place before: one of the two was wrong. Nobody else is convicted, so an
innocent peer never is.

Only pieces that failed are looked at, so all this costs nothing while all goes well. What is kept is bounded: the
oldest failures are forgotten first; what they could have proved is lost, no more.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from protocol.limits import BLOCK_BYTES
from scheduler.open_piece import PeerKey

DIGEST_BYTES: Final = 16                                # nobody finds another block with the same one
MAX_KEPT_BLOCKS: Final = 1 << 14                        # of one torrent: about 4 MiB, 4 failures of the largest pieces


def block_digests(piece: bytes | bytearray | memoryview) -> list[bytes]:
    """Return the digest of each block of a whole piece. Takes as long as verifying it: for the thread that does that."""
    view = memoryview(piece)
    return [
        hashlib.sha256(view[offset:offset + BLOCK_BYTES], usedforsecurity=False).digest()[:DIGEST_BYTES]
        for offset in range(0, len(view), BLOCK_BYTES)
    ]


class SmartBan:
    """The failed pieces of one torrent. `senders` are the senders of a piece's blocks in order (PiecePicker.senders)."""

    def __init__(self, max_kept_blocks: int = MAX_KEPT_BLOCKS) -> None:
        self._max_kept_blocks = max_kept_blocks
        self._kept: OrderedDict[int, dict[tuple[int, PeerKey], bytes]] = OrderedDict()     # piece: (block, sender): digest
        self._num_kept = 0

    def is_suspect(self, piece_index: int) -> bool:
        """The piece failed before: if it is right this time, its digests can convict somebody."""
        return piece_index in self._kept

    def piece_failed(self, piece_index: int, senders: Sequence[PeerKey], digests: Sequence[bytes]) -> set[PeerKey]:
        """The piece had a wrong hash; return whom that convicts. `digests` is not looked at when there is one sender."""
        if len(set(senders)) == 1:
            return set(senders)
        kept = self._kept.setdefault(piece_index, {})
        self._kept.move_to_end(piece_index)
        convicted = set()
        for block_index, (sender, digest) in enumerate(zip(senders, digests, strict=True)):
            before = kept.get((block_index, sender))
            if before is None:
                kept[block_index, sender] = digest
                self._num_kept += 1
            elif before != digest:
                convicted.add(sender)
        while self._num_kept > self._max_kept_blocks:
            self._num_kept -= len(self._kept.popitem(last=False)[1])
        return convicted

    def piece_verified(self, piece_index: int, digests: Sequence[bytes]) -> set[PeerKey]:
        """The piece is right, `digests` are those of its blocks; return whom that convicts."""
        kept = self._kept.pop(piece_index, {})
        self._num_kept -= len(kept)
        return {sender for (block_index, sender), digest in kept.items() if digests[block_index] != digest}

    @property
    def num_kept_blocks(self) -> int:
        """How many digests are kept."""
        return self._num_kept
