"""StartWindows: the most dials that began in any window of a length, and TokenLevel: whether all windows keep their bound.

"In every window of w seconds at most burst + rate × w" is the same as: a bucket of `burst` tokens that fills at `rate` never runs
short. So one number judges the windows of all lengths, exactly; the counts by length are for people.
"""

from collections import deque
from typing import Final

WINDOW_SECONDS: Final = (1.0, 10.0, 60.0, 120.0)
MAX_STARTS_KEPT: Final = 50_000                         # 400 a second for 120 s; with more the counts say "at least"
ROUNDING_TOKENS: Final = 0.01                           # the log rounds times to microseconds


class StartWindows:
    """The most starts in a sliding window, for each length of WINDOW_SECONDS."""

    def __init__(self) -> None:
        self.most = dict.fromkeys(WINDOW_SECONDS, 0)
        self.is_at_least = False                        # more began than is kept
        self._starts = {seconds: deque() for seconds in WINDOW_SECONDS}

    def add(self, at: float) -> int:
        """A dial began. Return how many began in the second that ends now."""
        for seconds, starts in self._starts.items():
            starts.append(at)
            while starts[0] <= at - seconds:
                starts.popleft()
            if len(starts) > MAX_STARTS_KEPT:
                starts.popleft()
                self.is_at_least = True
            if len(starts) > self.most[seconds]:
                self.most[seconds] = len(starts)
        return len(self._starts[1.0])


class TokenLevel:
    """Tokens that must be left if every window keeps its bound. Unknown, and never short, until a rate is told."""

    def __init__(self) -> None:
        self.rate: float | None = None                  # dials per second; 0 = unlimited, None = not told
        self.burst = 0
        self.num_told = 0                               # rates: more than one means that the bound changed
        self.most_used = 0.0                            # of the burst: how near to the bound it came
        self._tokens = 0.0
        self._counted_until = 0.0

    def bound(self, seconds: float) -> float | None:
        """Return how many dials may begin in a window of this length; None where the rate is unlimited, not told, or was changed."""
        return self.burst + self.rate * seconds if self.rate and self.num_told == 1 else None

    def set_rate(self, rate: float, burst: int, num_leases: int, at: float) -> None:
        """From now on another bound. Leases that are out keep the tokens that they had under the old one."""
        if self.rate is None or self.rate == 0:
            self._tokens = float(burst)
        else:
            self._refill(at)
        self.rate, self.burst, self._counted_until = rate, burst, at
        self.num_told += 1
        self._tokens = max(min(self._tokens, float(burst)), float(num_leases))

    def forget(self, at: float) -> None:
        """Something is missing in the log: what was spent is not known."""
        self._tokens, self._counted_until = float(self.burst), at

    def start(self, at: float) -> bool:
        """A dial began. Return False when it is one too many for some window that ends now."""
        if not self.rate:
            return True
        self._refill(at)
        self._tokens -= 1
        if self._tokens < -ROUNDING_TOKENS:
            self._tokens = 0.0                          # each too many is told once
            return False
        self.most_used = max(self.most_used, self.burst - self._tokens)
        return True

    def _refill(self, at: float) -> None:
        grown = self._tokens + max(at - self._counted_until, 0.0) * (self.rate or 0.0)
        self._tokens = max(self._tokens, min(grown, float(self.burst)))
        self._counted_until = max(self._counted_until, at)
