"""How long a dial may take: learned from the dials that were answered.

p95 of the observed connect times × 2.5, between 3 and 30 s, and a fixed value until there are five of them. One object serves all
torrents of an engine, because a torrent full of dead peers would never learn. With dead peers this matters more than the rate of
dialling: 30 half-open slots × 10 s are 3 dials a second. Only answers count, so a timeout that is too short hides the slow ones;
since 2.5 × p95 of what is left is above the timeout that cut it, it finds its way back.

Dials that are under way get the new value too: while nobody answered yet they were given the long one, and thirty of them hold all slots.
So whoever has some watches, and is told when the value has changed by so much that it is worth a message.
"""

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable
from typing import Final

SHORTEST_SECONDS: Final = 3.0                           # a lost SYN is sent again after 1 s, and its answer must have time
LONGEST_SECONDS: Final = 30.0
QUANTILE: Final = 0.95
MARGIN: Final = 2.5
MIN_SAMPLES: Final = 5
MAX_SAMPLES: Final = 200                                # the newest: a laptop changes its network
NOTICEABLE: Final = 0.1                                 # a change by this share is told to those who watch
MANY_CANDIDATES: Final = 100                            # a torrent with more can do without its slowest peers …
MANY_CANDIDATES_SHARE: Final = 0.5                      # … and waits half as long for each


class ConnectTimeout:
    """Observed connect times in, the timeout for the next dial out. All values are seconds."""

    def __init__(self, first: float = 10.0) -> None:
        self._first = first                             # until MIN_SAMPLES are there
        self._newest: deque[float] = deque()
        self._sorted: list[float] = []
        self._watchers: dict[bytes, Callable[[], bool]] = {}
        self._told = first

    def watch(self, info_hash: bytes, on_change: Callable[[], bool]) -> None:
        """This torrent has dials under way: `on_change` is called when their timeout should change. It returns False for "never again"."""
        self._watchers[info_hash] = on_change

    def unwatch(self, info_hash: bytes) -> None:
        """It has none any more."""
        self._watchers.pop(info_hash, None)

    def observe(self, elapsed: float) -> None:
        """Take note of a dial that was answered after `elapsed`: taken or refused, both went there and back."""
        if len(self._newest) == MAX_SAMPLES:
            del self._sorted[bisect_left(self._sorted, self._newest.popleft())]
        self._newest.append(elapsed)
        insort(self._sorted, elapsed)
        timeout = self.timeout()
        if abs(timeout - self._told) >= NOTICEABLE * self._told:
            self._told = timeout
            self._watchers = {info_hash: on_change for info_hash, on_change in self._watchers.items() if on_change()}

    def timeout(self, num_candidates: int = 0) -> float:
        """Return the timeout for a dial of a torrent that has `num_candidates` peers to choose from."""
        share = MANY_CANDIDATES_SHARE if num_candidates > MANY_CANDIDATES else 1.0
        if len(self._sorted) < MIN_SAMPLES:
            return self._first * share
        quantile = self._sorted[math.ceil(QUANTILE * len(self._sorted)) - 1]
        return min(max(quantile * MARGIN * share, SHORTEST_SECONDS), LONGEST_SECONDS)
