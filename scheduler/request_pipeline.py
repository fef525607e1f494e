"""How many blocks to have requested from one peer: enough that it always has the next request when it has sent a block.

That is its rate × the time a request takes to come back as a block. More does harm: blocks that wait at a slow peer are
missing elsewhere, a choke loses them, and each begun piece holds a buffer. So the depth is rate × (delay +
QUEUE_SECONDS). The delay is seen when nothing else was outstanding; later on it would contain our own queue, and a
queue that is sized by itself grows without end. QUEUE_SECONDS covers what varies: the peer's disk, other traffic, the
interval between two ticks. It is also the room to grow, since a peer that could send faster is always asked for more
than it sent.

A rate that falls is believed slowly: blocks come in bursts, a round trip apart, and when buffers were short, it was not
the peer that was slow. Before the rate is known: slow start as in TCP. Each block that arrives allows one more, which
doubles the depth in each round trip, until the rate no longer follows.
"""

import math
from typing import Final

from protocol.limits import BLOCK_BYTES

QUEUE_SECONDS: Final = 2.0
POOL_SHARE: Final = 0.85                                # of the buffers, to be outstanding; the rest holds what has come
LONGEST_DELAY_SECONDS: Final = 3.0                      # a peer that answers later than this is not worth a deeper queue
MIN_DEPTH: Final = 2                                    # one on its way to us, one on its way there
FIRST_DEPTH: Final = 4
SNUBBED_DEPTH: Final = 1                                # to find out whether it sends again
DECAY: Final = 0.9                                      # of the believed rate, at most, in a tick of half a second
GROWTH: Final = 1.1                                     # slow start goes on while the rate grows by this factor …
GROWTH_SECONDS: Final = 1.0                             # … in this time


def pipeline_depth(rate: float, delay: float, reqq: int, ceiling: int) -> int:
    """Return the blocks to have outstanding.

    `rate`: bytes per second; `delay`: seconds from a request to its block; `reqq` is what the peer says it keeps (BEP 10), `ceiling` what we want at most; both are at least 1.
    """
    seconds = min(max(delay, 0.0), LONGEST_DELAY_SECONDS) + QUEUE_SECONDS
    return min(max(math.ceil(rate * seconds / BLOCK_BYTES), MIN_DEPTH), reqq, ceiling)


class PipelinePool:
    """What all pipelines of a process want together, and how much of that fits into its buffers.

    Without it the first to ask would take all buffers for what it needs in seconds, and the others would stand idle at
    once. All get the same part of what they want, so all have the same seconds of work outstanding, and no piece waits for
    one peer when the others have sent their parts of it.
    """

    __slots__ = ("blocks", "wanted")

    def __init__(self, pool_bytes: int) -> None:
        self.blocks = int(pool_bytes * POOL_SHARE) // BLOCK_BYTES
        self.wanted = 0                                 # blocks, by all pipelines that count

    def part_of(self, wanted: int) -> int:
        """Return how many of the blocks that one pipeline wants it may have outstanding."""
        if self.wanted <= self.blocks:
            return wanted
        return max(wanted * self.blocks // self.wanted, min(MIN_DEPTH, wanted))


class RequestPipeline:
    """The depth for one connection. `now` is in monotonic seconds. Tell `close` when the connection is closed."""

    __slots__ = (
        "_ceiling", "_counts", "_delay", "_in_slow_start", "_is_snubbed", "_judged_at", "_judged_rate", "_pool", "_rate",
        "_reqq", "_wanted",
    )

    def __init__(self, ceiling: int, pool: PipelinePool) -> None:
        self._ceiling = ceiling
        self._pool = pool
        self._reqq = ceiling                            # until the peer says what it keeps
        self._delay = 0.0
        self._counts = False                            # in the pool
        self._wanted = 0
        self._begin()

    @property
    def depth(self) -> int:
        """Blocks to have outstanding. Others' wishes change it, too."""
        return self._pool.part_of(self._wanted)

    def peer_keeps(self, reqq: int) -> None:
        """The peer said how many requests it keeps (`reqq`, BEP 10). Less than 1 cannot be meant."""
        self._reqq = max(reqq, 1)
        self._want(self._wanted)

    def delay_seen(self, seconds: float) -> None:
        """A block came so long after its request, before which nothing was outstanding."""
        self._delay = seconds

    def received(self, num_blocks: int) -> None:
        """Blocks that had been requested are here."""
        if self._is_snubbed:
            self._begin()
        elif self._in_slow_start:
            self._want(self._wanted + num_blocks)

    def tick(self, now: float, rate: float, is_snubbed: bool, is_asked: bool) -> None:
        """To be called about twice a second. `rate`: payload bytes per second from this peer.

        `is_snubbed`: it sends nothing though asked. `is_asked`: it lets us request, and has what we want; while it does not,
        others get its part of the buffers.
        """
        self._count(is_asked)
        self._is_snubbed = is_snubbed
        if is_snubbed:
            self._want(SNUBBED_DEPTH)
            return
        if self._in_slow_start and rate > 0 and now - self._judged_at >= GROWTH_SECONDS:
            self._in_slow_start = rate > self._judged_rate * GROWTH
            self._judged_rate, self._judged_at = rate, now
        self._rate = max(rate, self._rate * DECAY)
        if not self._in_slow_start:
            self._want(pipeline_depth(self._rate, self._delay, self._reqq, self._ceiling))

    def close(self) -> None:
        """It wants nothing any more."""
        self._count(False)

    def _begin(self) -> None:
        self._is_snubbed = False
        self._in_slow_start = True
        self._judged_rate, self._judged_at = 0.0, -math.inf
        self._rate = 0.0                                # believed
        self._want(FIRST_DEPTH)

    def _want(self, blocks: int) -> None:
        blocks = min(blocks, self._reqq, self._ceiling)
        if self._counts:
            self._pool.wanted += blocks - self._wanted
        self._wanted = blocks

    def _count(self, counts: bool) -> None:
        if counts != self._counts:
            self._pool.wanted += self._wanted if counts else -self._wanted
            self._counts = counts
