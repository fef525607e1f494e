"""DialRateControl: how fast to dial now, between the most that is allowed and next to nothing.

Additive increase, multiplicative decrease: a sign of overload halves rate and half-open limit; without another one both grow again by
a tenth of the most every second. Many dials end by the same overload, and those under way will tell of it again, so after a sign there
is no other for a while. Two kinds of control:

- steady (all profiles but one): begins at the most, and only this machine's own signs count (`local_busy`: the daemon's limits, too
  many open files, a full table of connections here)
- careful (`auto`): begins as `conservative`, rises only on evidence that the way out is well, and falls by WayOutHealth's signs too

A rate without limit has nothing that could be lowered; then the half-open limit alone is.
"""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

from protocol import daemon_messages as dm
from scheduler.way_out_health import WayOutHealth

STEP_SECONDS: Final = 1.0
STEPS: Final = 10                                       # from nothing to the most
LOWEST: Final = 1 / 16                                  # of the most: below this a queue would look dead
HOLD_SECONDS: Final = {"local": 1.0, "remote": 5.0}     # after a sign; remote ones come with the timeouts of what is under way


class DialPace(NamedTuple):
    """How fast to dial."""

    rate: float                                         # dials per second; infinite = no limit
    burst: int
    half_open: int


CAREFUL_START: Final = DialPace(10.0, 20, 30)           # `conservative`


@dataclass(frozen=True, slots=True)
class Slowdown:
    """Why the pace was lowered last."""

    reason: str                                         # for people
    at: float                                           # steady seconds


class DialRateControl:
    """`pace` is what counts now. Moments are steady seconds; methods that may change the pace return whether they did."""

    def __init__(self, most: DialPace, *, is_careful: bool, now: float) -> None:
        self.most = most
        self.is_careful = is_careful
        self.pace = most
        self.num_slowdowns = 0
        self.last_slowdown: Slowdown | None = None
        self._health = WayOutHealth()
        self._held_until = now                          # no further sign counts before
        self._raise_at = now + STEP_SECONDS
        if is_careful:
            self._set(CAREFUL_START.rate, CAREFUL_START.half_open)

    def set_most(self, most: DialPace) -> None:
        """Somebody set other limits: the pace stays the same part of them."""
        part = self.pace.half_open / self.most.half_open
        part_of_rate = self.pace.rate / self.most.rate if math.isfinite(self.most.rate) else part
        self.most = most
        self._set(most.rate * part_of_rate, round(most.half_open * part))

    def attempt_ended(self, outcome: str, answered_in: float | None, answered_in_before: float | None, now: float) -> bool:
        """A dial ended; for the two times see AttemptEnded."""
        if outcome == dm.LOCAL_BUSY:
            return self._slow_down("this machine is busy", "local", now)
        if not self.is_careful:
            return False
        sign = self._health.attempt_ended(outcome, answered_in, answered_in_before)
        return sign != "" and self._slow_down(sign, "remote", now)

    def advance(self, now: float) -> bool:
        """Time passed: rise a step when it is due, and when the way out is well if that counts."""
        if self.pace == self.most or now < self._raise_at:
            return False
        num_steps = 1 if self.is_careful else 1 + int((now - self._raise_at) / STEP_SECONDS)     # nobody may have asked for a while
        self._raise_at = now + STEP_SECONDS
        if self.is_careful and not self._health.take_evidence():
            return False
        most, pace = self.most, self.pace
        self._set(pace.rate + num_steps * most.rate / STEPS, pace.half_open + num_steps * math.ceil(most.half_open / STEPS))
        return True

    def next_rise(self) -> float:
        """Return the moment of the next step; infinite when there is none to come by itself."""
        return math.inf if self.pace == self.most or (self.is_careful and not self._health.has_evidence()) else self._raise_at

    def _slow_down(self, reason: str, kind: str, now: float) -> bool:
        if now < self._held_until:
            return False
        self._held_until = self._raise_at = now + HOLD_SECONDS[kind]
        self.num_slowdowns += 1
        self.last_slowdown = Slowdown(reason, now)
        self._health.begin_anew()
        self._set(self.pace.rate / 2, self.pace.half_open // 2)
        return True

    def _set(self, rate: float, half_open: int) -> None:
        """Take this pace, as far as it lies between the lowest and the most; the burst follows the rate."""
        most = self.most
        half_open = min(max(half_open, math.ceil(most.half_open * LOWEST)), most.half_open)
        if math.isinf(most.rate):
            self.pace = DialPace(most.rate, most.burst, half_open)
            return
        rate = min(max(rate, most.rate * LOWEST), most.rate)
        self.pace = DialPace(rate, max(1, math.ceil(most.burst * rate / most.rate)), half_open)
