"""PieceBuffers: memory for the pieces under way in one daemon, of all its torrents together.

The pool is what bounds a download: no buffer, no new piece, no requests for it, so a slow disk slows the peers down. A
buffer that comes back is handed out again as it is: its pages are touched already, and the first touch of a page costs
more than writing it. What it held before is still in it; whoever takes it fills all of it before anybody reads.

Idle buffers count as memory of the pool, too. Those of other sizes are dropped when they stand in the way of one that
is needed.
"""

from collections import deque
from typing import Final

from protocol.limits import BLOCK_BYTES

LEAST_COST_BYTES: Final = BLOCK_BYTES                   # a tiny piece costs bookkeeping and a job for the disk, too


def cost_of(size: int) -> int:
    """Return how many bytes a buffer counts: so there is a bound for the number of pieces under way, too."""
    return max(size, LEAST_COST_BYTES)


class PieceBuffer(bytearray):
    """Memory of the pool, with a view of each of its blocks: to make and drop 64 views for each piece costs as much as hashing a part of it."""

    __slots__ = ("blocks",)

    def __init__(self, size: int) -> None:
        super().__init__(size)
        whole = memoryview(self)
        self.blocks = [whole[start:start + BLOCK_BYTES] for start in range(0, size, BLOCK_BYTES)]

    def blocks_of(self, size: int) -> list[memoryview]:
        """The places of a piece of `size` bytes, which may be shorter than the buffer."""
        if size == len(self):
            return self.blocks.copy()
        blocks = self.blocks[:-(-size // BLOCK_BYTES)]
        blocks[-1] = blocks[-1][:size - (len(blocks) - 1) * BLOCK_BYTES]
        return blocks


class PieceBuffers:
    """Buffers of any size, together at most `limit_bytes` but for those that may exceed it. For the hub's thread only."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0                             # handed out
        self.idle_bytes = 0                             # kept for the next
        self._idle: dict[int, deque[PieceBuffer]] = {}    # by size; the size that came back last is the last key
        self._used: set[int] = set()                    # id() of what is handed out: nothing comes back twice

    def acquire(self, size: int, may_exceed: bool = False) -> PieceBuffer | None:
        """Return a buffer of exactly `size` bytes with undefined contents, or None when the limit is reached.

        A torrent that holds none asks with `may_exceed`, so that large pieces or greedy neighbours starve nobody.
        """
        cost = cost_of(size)
        if self.used_bytes + cost > self.limit_bytes and not may_exceed:
            return None
        same_size = self._idle.get(size)
        if same_size:
            buffer = same_size.pop()                    # the newest: most likely still in the processor's cache
            self.idle_bytes -= cost
            if not same_size:
                del self._idle[size]
        else:
            self._drop_idle(self.limit_bytes - self.used_bytes - cost)
            buffer = PieceBuffer(size)
        self.used_bytes += cost
        self._used.add(id(buffer))
        return buffer

    def release(self, buffer: PieceBuffer) -> None:
        """Take a buffer back. Nobody may hold a view of it any more: it will be filled with another piece."""
        self._used.remove(id(buffer))
        size = len(buffer)
        cost = cost_of(size)
        self.used_bytes -= cost
        if self.used_bytes + cost > self.limit_bytes:
            buffer.blocks.clear()                       # it had exceeded; its own views would keep it
            return
        self._drop_idle(self.limit_bytes - self.used_bytes - cost)
        same_size = self._idle.pop(size, None)
        self._idle[size] = same_size if same_size is not None else deque()
        self._idle[size].append(buffer)
        self.idle_bytes += cost

    def drop_idle(self) -> None:
        """Give all idle memory back, when nothing is downloading any more."""
        self._drop_idle(0)

    def _drop_idle(self, most_bytes: int) -> None:
        """Keep at most `most_bytes` idle; the size that was used longest ago goes first."""
        while self._idle and self.idle_bytes > most_bytes:
            size = next(iter(self._idle))
            self._idle[size].popleft().blocks.clear()   # its own views would keep it
            self.idle_bytes -= cost_of(size)
            if not self._idle[size]:
                del self._idle[size]
