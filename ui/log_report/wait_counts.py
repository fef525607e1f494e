"""WaitCounts: how long waits were, in memory that does not grow: counts of steps, each a tenth longer than the one before.

A quantile is read from the middle of its step, so it is within 5 % (or 1 ms) of the true one. The longest wait is exact.
"""

import math
from array import array
from typing import Final

SHORTEST_SECONDS: Final = 0.001                         # what is shorter counts as this
STEP_RATIO: Final = 1.1
NUM_STEPS: Final = 1 + math.ceil(math.log(86_400 / SHORTEST_SECONDS) / math.log(STEP_RATIO))    # up to a day
_LOG_RATIO: Final = math.log(STEP_RATIO)


class WaitCounts:
    """Counts of waits. Seconds."""

    __slots__ = ("_counts", "longest", "num")

    def __init__(self) -> None:
        self.num = 0
        self.longest = 0.0
        self._counts = array("I", bytes(4 * NUM_STEPS))

    def add(self, seconds: float) -> None:
        """One wait more."""
        self.num += 1
        if seconds > self.longest:
            self.longest = seconds
        step = 0 if seconds <= SHORTEST_SECONDS else math.ceil(math.log(seconds / SHORTEST_SECONDS) / _LOG_RATIO)
        self._counts[min(step, NUM_STEPS - 1)] += 1

    def add_all(self, other: "WaitCounts") -> None:
        """Those of another one."""
        self.num += other.num
        self.longest = max(self.longest, other.longest)
        for step, count in enumerate(other._counts):
            self._counts[step] += count

    def quantile(self, share: float) -> float:
        """Return the wait that `share` of them did not exceed; 0.0 when there were none."""
        wanted, seen = share * self.num, 0
        for step, count in enumerate(self._counts):
            seen += count
            if count and seen >= wanted:
                middle = SHORTEST_SECONDS * STEP_RATIO ** (step - 0.5) if step else SHORTEST_SECONDS
                return min(middle, self.longest)
        return 0.0

    def histogram(self) -> list[tuple[float, float, int]]:
        """Return (longer than, up to, how many) of the steps from the first to the last that is used."""
        used = [step for step, count in enumerate(self._counts) if count]
        if not used:
            return []
        return [
            (SHORTEST_SECONDS * STEP_RATIO ** (step - 1) if step else 0.0, SHORTEST_SECONDS * STEP_RATIO ** step, self._counts[step])
            for step in range(used[0], used[-1] + 1)
        ]
