"""Seconds that pass, whatever the clock does.

Everything in the connection queue that lasts (leases, holds, what a router remembers) is measured in these. When the clock steps
back, no time passes and the deadlines are not suddenly an hour away; when it steps forward, that much time has passed, once.
"""

from typing import Final

ROUNDING_SECONDS: Final = 1e-6                          # a moment that was computed on another way may differ by so much


class SteadyTime:
    """A time that starts at 0 and never runs backward."""

    def __init__(self, now: float) -> None:
        self._clock = now
        self._seconds = 0.0

    def advance(self, now: float) -> float:
        """The clock shows `now`: return the steady time."""
        self._seconds += max(now - self._clock, 0.0)
        self._clock = now
        return self._seconds

    def at(self, now: float) -> float:
        """As `advance`, but change nothing."""
        return self._seconds + max(now - self._clock, 0.0)
