"""LimitsInForce: the limits at each line, as `engine_started` and the events of changes told them, and what a router remembers.

A limit that was not told yet (the log begins in the middle) is None, and nothing is judged by it.
"""

import math
from collections import deque
from typing import Final

from ui.log_report.log_lines import LogEvent
from ui.log_report.start_windows import TokenLevel

UNANSWERED_SECONDS: Final = 120.0                       # docs/fairness.md, "What a router remembers"
REFUSED_SECONDS: Final = 10.0
REMEMBERED_SECONDS: Final = {
    "timed_out": UNANSWERED_SECONDS, "cancelled": UNANSWERED_SECONDS, "refused": REFUSED_SECONDS, "unreachable": REFUSED_SECONDS,
}
MAX_REMEMBERED: Final = 200_000                         # far more than any router's table; the oldest is forgotten
STEPS_OF_PACE: Final = 10                               # docs/fairness.md: what was slowed grows by a tenth of the most each second
ROUNDING_SECONDS: Final = 0.01
MAX_PAUSES: Final = 100                                 # reasons that hold at once


class LimitsInForce:
    """Changed by events; read by whoever judges or draws."""

    def __init__(self) -> None:
        self.profile = ""
        self.half_open: int | None = None
        self.global_connections: int | None = None
        self.torrent_connections: int | None = None
        self.unanswered: int | None = None
        self.incoming_reserve: float | None = None      # share of global_connections
        self.lease_seconds: float | None = None
        self.tokens = TokenLevel()
        self.pauses: dict[str, None] = {}
        self.resumed_at = 0.0
        self._slowed: tuple[float, int] | None = None   # when overload lowered the half-open limit, and to what

    def engine_started(self, event: LogEvent) -> None:
        """All limits at the start."""
        self.profile = event.text("profile", "")
        self.incoming_reserve, self.lease_seconds = event.number("incoming_reserve"), event.number("lease_seconds")
        self.limits_changed(event)
        self.rate_changed(event, num_leases=0)

    def limits_changed(self, event: LogEvent) -> None:
        """All limits of numbers, as they are from now on."""
        self.half_open, self.global_connections, self.torrent_connections, self.unanswered = (
            event.whole("half_open"), event.whole("global_connections"), event.whole("torrent_connections"), event.whole("unanswered"))
        self._slowed = None                             # the pace stays a part of the new limit; by which it is judged

    def slowed(self, event: LogEvent) -> None:
        """Overload lowered the pace for a while."""
        self._slowed = event.at, event.whole("half_open")

    def half_open_at(self, at: float) -> int | None:
        """Return the half-open limit at this moment: after a slowdown the most that it can have grown to again."""
        if self._slowed is None or self.half_open is None:
            return self.half_open
        since, lowered = self._slowed
        num_steps = int(max(at - since, 0.0) + ROUNDING_SECONDS)
        return min(self.half_open, lowered + num_steps * math.ceil(self.half_open / STEPS_OF_PACE))

    def rate_changed(self, event: LogEvent, num_leases: int) -> None:
        """Dials per second from now on."""
        self.tokens.set_rate(event.number("per_second"), event.whole("burst"), num_leases, event.at)

    def paused(self, reason: str) -> None:
        """No grants while one reason holds."""
        if len(self.pauses) < MAX_PAUSES:
            self.pauses[reason] = None

    def resumed(self, reason: str | None, at: float) -> None:
        """This reason is gone; None: all."""
        if reason is None:
            self.pauses.clear()
        self.pauses.pop(reason, None)
        self.resumed_at = at

    def begin_anew(self, at: float) -> None:
        """A line may be missing: a pause may have ended, tokens are not known."""
        self.pauses.clear()
        self.tokens.forget(at)


class RouterMemory:
    """Dials that ended and that a router still has an entry for."""

    def __init__(self) -> None:
        self._forgotten_at: dict[float, deque[float]] = {seconds: deque() for seconds in (UNANSWERED_SECONDS, REFUSED_SECONDS)}

    def dial_ended(self, outcome: str, at: float) -> None:
        """A dial ended so."""
        seconds = REMEMBERED_SECONDS.get(outcome)
        if seconds is not None:
            moments = self._forgotten_at[seconds]
            moments.append(at + seconds)
            if len(moments) > MAX_REMEMBERED:
                moments.popleft()

    def num_entries(self, at: float) -> int:
        """Return how many there are now."""
        num = 0
        for moments in self._forgotten_at.values():
            while moments and moments[0] <= at:
                moments.popleft()
            num += len(moments)
        return num
