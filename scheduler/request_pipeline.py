"""How many blocks to have requested from one peer: enough that it always has the next request when it has sent a block.

That is its rate × the time a request takes to come back as a block. More does harm: blocks that wait at a slow peer are missing
elsewhere, a choke loses them, and each open piece holds a buffer. So the depth is rate × (round trip + QUEUE_SECONDS); the second
summand covers what varies: the peer's disk, our turn, the interval between two ticks. It is also the room to grow: a peer that could
send faster is always asked for more than it sent.

Before the rate is known: slow start as in TCP. Each block that arrives allows one more, which doubles the depth in each round trip,
until the rate no longer follows.
"""

import math
from typing import Final

from protocol.limits import BLOCK_BYTES

QUEUE_SECONDS: Final = 1.0
MIN_DEPTH: Final = 2                                    # one on its way to us, one on its way there
FIRST_DEPTH: Final = 4
SNUBBED_DEPTH: Final = 1                                # to find out whether it sends again
GROWTH: Final = 1.1                                     # slow start ends when a tick shows less growth of the rate than this
LONGEST_ROUND_TRIP_SECONDS: Final = 10.0                # a peer that answers later is not worth a deeper queue


def pipeline_depth(rate: float, delay: float, reqq: int, ceiling: int) -> int:
    """Return the blocks to have outstanding for `rate` (bytes per second) and `delay` (seconds from a request to its block).

    `reqq` is what the peer says it keeps (BEP 10), `ceiling` what we want at most; both are at least 1.
    """
    seconds = min(max(delay, 0.0), LONGEST_ROUND_TRIP_SECONDS) + QUEUE_SECONDS
    return max(min(math.ceil(rate * seconds / BLOCK_BYTES), reqq, ceiling), min(MIN_DEPTH, reqq, ceiling))


class RequestPipeline:
    """The depth for one connection. `delay` is the shortest time that was seen from a request to its block: without our own queue."""

    __slots__ = ("_ceiling", "_delay", "_in_slow_start", "_is_snubbed", "_last_rate", "_reqq", "depth")

    def __init__(self, reqq: int, ceiling: int) -> None:
        self._reqq = max(reqq, 1)
        self._ceiling = ceiling
        self._delay: float | None = None
        self._begin()

    def peer_keeps(self, reqq: int) -> None:
        """The peer said how many requests it keeps (BEP 10 `reqq`); values below 1 are none that can be meant."""
        self._reqq = max(reqq, 1)
        self.depth = min(self.depth, self._reqq)

    def delay_seen(self, seconds: float) -> None:
        """A block came so long after its request."""
        self._delay = seconds if self._delay is None else min(self._delay, seconds)

    def blocks_received(self, num_blocks: int) -> None:
        """Blocks that had been requested are here."""
        if self._is_snubbed:
            self._begin()
        elif self._in_slow_start:
            self.depth = min(self.depth + num_blocks, self._reqq, self._ceiling)

    def tick(self, rate: float) -> None:
        """To be called a few times a second with the rate of payload from this peer, in bytes per second."""
        if self._is_snubbed:
            return
        if self._in_slow_start and rate > 0:
            self._in_slow_start = rate > self._last_rate * GROWTH
            self._last_rate = rate
        if not self._in_slow_start:
            self.depth = pipeline_depth(rate, self._delay or 0.0, self._reqq, self._ceiling)

    def snubbed(self) -> None:
        """It sends nothing though asked."""
        self._is_snubbed = True
        self.depth = SNUBBED_DEPTH

    def _begin(self) -> None:
        self._is_snubbed = False
        self._in_slow_start = True
        self._last_rate = 0.0
        self.depth = min(FIRST_DEPTH, self._reqq, self._ceiling)
