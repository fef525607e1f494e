"""TokenBucket: a rate and a burst. One token is the right to one dial.

A token is spent when a dial starts, not when the permission for it is given: until then the permission only reserves one. So a
permission that is given back costs nothing, and still the starts in *every* window of w seconds are at most burst + rate × w.
(Spending early and paying back would break that: 20 tokens spent, 20 grown meanwhile and spent, the first 20 paid back.)
The refill stops at the burst, so neither a long rest nor a clock that steps forward lets more than a burst out at once; a clock that
steps back adds nothing and takes nothing, and time counts on from there.
"""

import math

_ROUNDING = 1e-9                                        # 0.1 s × 10 a second is a token, though it may be 0.9999999999999999


class TokenBucket:
    """`rate` tokens a second up to `burst`; a rate of 0 is unlimited. Starts full. Times are seconds of any one clock."""

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self.reserved = 0                               # of the tokens here: promised, not yet spent
        self._tokens = float(burst)                     # spent ones are gone; may be below 0 after a start that nothing reserved
        self._counted_until = now

    def available(self, now: float) -> float:
        """How many tokens may be promised: here and not reserved. Infinite without a limit."""
        return math.inf if self.rate == 0 else self._level(now) - self.reserved

    def can_reserve(self, now: float) -> bool:
        """Tell whether a whole token is available."""
        return self.rate == 0 or self._level(now) - self.reserved >= 1 - _ROUNDING

    def reserve(self) -> None:
        """Promise a token; `can_reserve` was asked before."""
        self.reserved += 1

    def release(self) -> None:
        """The promise is void: the token may be promised again."""
        self.reserved -= 1

    def spend(self, now: float, *, reserved: bool = True) -> None:
        """A dial starts: its token, reserved or not, is gone."""
        if reserved:
            self.reserved -= 1
        self._count(now)
        if self.rate != 0:
            self._tokens = max(self._tokens - 1, -float(self.burst))    # however many came unasked, the debt is soon paid

    def seconds_until_available(self, now: float) -> float:
        """In how many seconds `can_reserve` becomes true by itself; infinite when reservations alone stand in the way."""
        if self.can_reserve(now):
            return 0.0
        if self.reserved + 1 > self.burst:
            return math.inf
        return (self.reserved + 1 - self._level(now)) / self.rate

    def set_rate(self, rate: float, burst: int, now: float) -> None:
        """From `now` on another rate and burst; the time until now counts at the old ones."""
        self._count(now)
        self.rate, self.burst = rate, burst
        self._tokens = min(self._tokens, float(burst))

    def _level(self, now: float) -> float:
        passed = max(now - self._counted_until, 0.0)
        return min(self._tokens + passed * self.rate, float(self.burst))

    def _count(self, now: float) -> None:
        self._tokens = float(self.burst) if self.rate == 0 else self._level(now)
        self._counted_until = now
