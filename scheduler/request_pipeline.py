"""How many blocks to have requested from one peer: enough that it always has the next request when it has sent a block.

That is its rate × the time a request takes to come back as a block. More does harm: blocks that wait at a slow peer are missing
elsewhere, a choke loses them, and each begun piece holds a buffer. So the depth is rate × (delay + QUEUE_SECONDS). The delay is
seen when nothing else was outstanding; later on it would contain our own queue, and a queue that is sized by itself grows without
end. QUEUE_SECONDS covers what varies: the peer's disk, other traffic, the interval between two ticks. It is also the room to grow, since
a peer that could send faster is always asked for more than it sent.

Before the rate is known: slow start as in TCP. Each block that arrives allows one more, which doubles the depth in each round trip,
until the rate no longer follows.
"""

import math
from typing import Final

from protocol.limits import BLOCK_BYTES

QUEUE_SECONDS: Final = 2.0
LONGEST_DELAY_SECONDS: Final = 3.0                      # a peer that answers later than this is not worth a deeper queue
MIN_DEPTH: Final = 2                                    # one on its way to us, one on its way there
FIRST_DEPTH: Final = 4
SNUBBED_DEPTH: Final = 1                                # to find out whether it sends again
GROWTH: Final = 1.1                                     # slow start goes on while the rate grows by this factor …
GROWTH_SECONDS: Final = 1.0                             # … in this time


def pipeline_depth(rate: float, delay: float, reqq: int, ceiling: int) -> int:
    """Return the blocks to have outstanding for `rate` (bytes per second) and `delay` (seconds from a request to its block).

    `reqq` is what the peer says it keeps (BEP 10), `ceiling` what we want at most; both are at least 1.
    """
    seconds = min(max(delay, 0.0), LONGEST_DELAY_SECONDS) + QUEUE_SECONDS
    return min(max(math.ceil(rate * seconds / BLOCK_BYTES), MIN_DEPTH), reqq, ceiling)


class RequestPipeline:
    """The depth for one connection. `now` is in monotonic seconds."""

    __slots__ = ("_ceiling", "_delay", "_in_slow_start", "_is_snubbed", "_judged_at", "_judged_rate", "_reqq", "depth")

    def __init__(self, ceiling: int) -> None:
        self._ceiling = ceiling
        self._reqq = ceiling                            # until the peer says what it keeps
        self._delay = 0.0
        self._begin()

    def peer_keeps(self, reqq: int) -> None:
        """The peer said how many requests it keeps (`reqq`, BEP 10). Less than 1 cannot be meant."""
        self._reqq = max(reqq, 1)
        self.depth = min(self.depth, self._reqq)

    def delay_seen(self, seconds: float) -> None:
        """A block came so long after its request, before which nothing was outstanding."""
        self._delay = seconds

    def received(self, num_blocks: int) -> None:
        """Blocks that had been requested are here."""
        if self._is_snubbed:
            self._begin()
        elif self._in_slow_start:
            self.depth = min(self.depth + num_blocks, self._reqq, self._ceiling)

    def tick(self, now: float, rate: float, is_snubbed: bool) -> None:
        """To be called about twice a second. `rate`: payload bytes per second from this peer; `is_snubbed`: nothing though asked."""
        self._is_snubbed = is_snubbed
        if is_snubbed:
            self.depth = SNUBBED_DEPTH
            return
        if self._in_slow_start and rate > 0 and now - self._judged_at >= GROWTH_SECONDS:
            self._in_slow_start = rate > self._judged_rate * GROWTH
            self._judged_rate, self._judged_at = rate, now
        if not self._in_slow_start:
            self.depth = pipeline_depth(rate, self._delay, self._reqq, self._ceiling)

    def _begin(self) -> None:
        self._is_snubbed = False
        self._in_slow_start = True
        self._judged_rate, self._judged_at = 0.0, -math.inf
        self.depth = min(FIRST_DEPTH, self._reqq, self._ceiling)
