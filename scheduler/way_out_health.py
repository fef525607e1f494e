"""WayOutHealth: is the way out well, as far as dials can tell? What the profile `auto` rises and falls by.

Dead peers say nothing about a router: most of what trackers name is dead. What does:

- a peer that answered before and does not now, or only much later than before. One such peer may have left; several of the last few
  have not. That is the sign of overload
- the times in which peers answer. A router or an uplink that begins to queue answers later long before it drops: a median far above
  the best one is a sign, one that is a bit above is a reason not to rise
- the share of timeouts. It also rises when only dead candidates are left, so it is no sign, only a reason not to rise

A table of connections gives no sign at all before it is full: see docs/fairness.md. That bound is a rule of its own in DialRules.
"""

from collections import deque
from typing import Final

from protocol import daemon_messages as dm

NUM_KNOWN: Final = 8                                    # the last dials to peers that answered before …
MOST_WORSE: Final = 3                                   # … of which so many did not answer as before: a sign
MUCH_SLOWER: Final = 3.0                                # times as long as before, and
SLOWER_SECONDS: Final = 0.25                            # so much more: below that it is chance
NUM_TIMES: Final = 16                                   # the last answers whose median is looked at …
LEAST_TIMES: Final = 3                                  # … once there are so many; as many new ones are evidence for one step
NOT_FLAT: Final = 1.5                                   # times the best median, and
NOT_FLAT_SECONDS: Final = 0.1                           # so much more
NUM_OUTCOMES: Final = 32                                # the last dials whose share of timeouts is looked at
MORE_TIMEOUTS: Final = 0.2                              # of these, above the long-time share
LONG_TIME: Final = 128                                  # dials that the long-time share is about
BEST_FORGETS: Final = 1.001                             # a dial: networks change, the best median of yesterday is no measure for ever


class WayOutHealth:
    """What the last dials tell. All values are seconds."""

    def __init__(self) -> None:
        self._worse: deque[bool] = deque(maxlen=NUM_KNOWN)
        self._times: deque[float] = deque(maxlen=NUM_TIMES)
        self._outcomes: deque[bool] = deque(maxlen=NUM_OUTCOMES)
        self._best_median: float | None = None
        self._usual_timeouts = 0.0                      # share
        self._num_outcomes = 0                          # until LONG_TIME
        self._new_answers = 0

    def attempt_ended(self, outcome: str, answered_in: float | None, answered_in_before: float | None) -> str:
        """Take note of a dial; return the sign of overload that this completes, in words, or ''."""
        if outcome in (dm.CANCELLED, dm.UNREACHABLE):   # we ended it, or had no route: nobody was asked
            return ""
        timed_out = outcome == dm.TIMED_OUT
        self._outcomes.append(timed_out)
        self._num_outcomes = min(self._num_outcomes + 1, LONG_TIME)
        self._usual_timeouts += (timed_out - self._usual_timeouts) / self._num_outcomes
        if answered_in is not None:
            self._new_answers += 1
            self._times.append(answered_in)
            self._note_median()
        if answered_in_before is not None and (timed_out or answered_in is not None):
            self._worse.append(timed_out or answered_in > max(answered_in_before * MUCH_SLOWER, answered_in_before + SLOWER_SECONDS))
        if sum(self._worse) >= MOST_WORSE:
            return f"{sum(self._worse)} of the last {len(self._worse)} peers that answered before do not, or much later"
        if self._is_above_best(MUCH_SLOWER, SLOWER_SECONDS):
            return f"peers answer after {self._median():.2f} s, at best it was {self._best_median:.2f} s"
        return ""

    def has_evidence(self) -> bool:
        """Tell whether new answers came, and all is as flat as before."""
        return self._new_answers >= LEAST_TIMES and not self._is_above_best(NOT_FLAT, NOT_FLAT_SECONDS) and not self._are_timeouts_rising()

    def take_evidence(self) -> bool:
        """The same; the answers are used up for one step."""
        has_evidence = self.has_evidence()
        if has_evidence:
            self._new_answers = 0
        return has_evidence

    def begin_anew(self) -> None:
        """The pace was lowered: what was seen before it says nothing about the new one. The measures of flatness stay."""
        self._worse.clear()
        self._times.clear()
        self._outcomes.clear()
        self._new_answers = 0

    def _median(self) -> float:
        return sorted(self._times)[len(self._times) // 2]

    def _note_median(self) -> None:
        if len(self._times) >= LEAST_TIMES:
            best = self._best_median
            self._best_median = self._median() if best is None else min(self._median(), best * BEST_FORGETS)

    def _is_above_best(self, times: float, seconds: float) -> bool:
        best = self._best_median
        return best is not None and len(self._times) >= NUM_TIMES // 2 and self._median() > max(best * times, best + seconds)

    def _are_timeouts_rising(self) -> bool:
        if len(self._outcomes) < NUM_OUTCOMES:
            return False
        return sum(self._outcomes) / NUM_OUTCOMES > self._usual_timeouts + MORE_TIMEOUTS
