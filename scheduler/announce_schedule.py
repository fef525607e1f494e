"""AnnounceSchedule: which tracker of which tier is due when, and with which event (BEP 3, 12, 31).

The trackers of a tier are shuffled once; an announce goes through the tiers in order until one tracker answers, and that one moves to the
front of its tier. So each announce is a round: every tracker is asked at most once in it, and those that failed lately (their own backoff
is not over) are left out. A tracker that works is asked again after its interval, also when one of a better tier failed: that is
tried first in the next round.

Events belong to a tracker, not to the torrent: the first announce that it answers is `started`, `completed` goes to those that know
us as somebody who downloads, `stopped` to those that know us at all. The end comes often right after the last piece, so `completed` may
still be owed then: it goes before `stopped`. An announce that is under way at the end is waited for, so that nothing overtakes it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from protocol.tracker_messages import COMPLETED, REGULAR, STARTED, STOPPED, AnnounceResponse
from scheduler.random_source import RandomSource

DEFAULT_INTERVAL_SECONDS: Final = 1800.0                # what most trackers say
SHORTEST_INTERVAL_SECONDS: Final = 30.0                 # a tracker that says 0 would have us ask without a pause
LONGEST_INTERVAL_SECONDS: Final = 24 * 3600.0           # one that says a year would never see us again
DEFAULT_MIN_INTERVAL_SECONDS: Final = 60.0              # between announces that we want, when the tracker does not say
FIRST_RETRY_SECONDS: Final = 15.0
LONGEST_RETRY_SECONDS: Final = 1800.0
JITTER: Final = 0.25                                    # torrents that lost their tracker together do not come back together

_UNKNOWN, _LEECH, _SEED = range(3)                      # as what a tracker knows us


@dataclass(slots=True, eq=False)
class Tracker:
    """One tracker of one torrent, and how it went with it since the start."""

    url: str
    failures: int = 0                                   # in a row
    retry_at: float = -math.inf                         # moment before which it is not asked again; math.inf: never (BEP 31)
    tracker_id: bytes = b""
    knows_us_as: int = _UNKNOWN

    def forget(self) -> None:
        """Announcing begins anew."""
        self.failures, self.retry_at, self.tracker_id, self.knows_us_as = 0, -math.inf, b"", _UNKNOWN


@dataclass(frozen=True, slots=True)
class Announce:
    """Ask this tracker now, with this event."""

    tracker: Tracker
    event: str
    says: int                                           # as what the tracker will know us once it answered


class AnnounceSchedule:
    """The trackers of one torrent; one announce at a time. Moments are monotonic seconds."""

    def __init__(self, tiers: Sequence[Sequence[str]], rng: RandomSource) -> None:
        self._rng = rng
        self._tiers = [[Tracker(url) for url in dict.fromkeys(tier)] for tier in tiers]
        for tier in self._tiers:
            rng.shuffle(tier)
        self._is_announcing = False
        self._is_complete = False
        self._due_at = math.inf                         # moment of the next round; math.inf: none
        self._soonest = -math.inf                       # moment before which the tracker does not want us, whatever we want
        self._round: list[Tracker] = []                 # still to be asked in the round that runs
        self._under_way: Announce | None = None

    def start(self, now: float, *, is_complete: bool) -> None:
        """Take part in the swarm: announce at once."""
        self._is_announcing, self._is_complete = True, is_complete
        for tracker in self._all():
            tracker.forget()
        self._due_at, self._soonest = now, -math.inf
        self._round, self._under_way = [], None

    def stop(self) -> list[Tracker]:
        """No more announces. Return the trackers that may have to be told, but for the one whose announce is under way."""
        known = [tracker for tracker in self._all() if self.last_words(tracker) and not self._asks(tracker)]
        self._is_announcing, self._due_at, self._round = False, math.inf, []
        return known

    def last_words(self, tracker: Tracker) -> str | None:
        """Return the event that this tracker is to hear next at the end; None: none, it does not know us (any more)."""
        if tracker.knows_us_as == _UNKNOWN:
            return None
        return COMPLETED if self._owes_completed(tracker) else STOPPED

    def said(self, tracker: Tracker, event: str) -> None:
        """It took one of its last words."""
        tracker.knows_us_as = _SEED if event == COMPLETED else _UNKNOWN

    def complete(self, now: float) -> None:
        """The last piece came: say so at once, to whom it concerns."""
        self._is_complete = True
        if any(tracker.knows_us_as == _LEECH for tracker in self._all()):
            self._due_at = min(self._due_at, now)

    def hurry(self, now: float) -> None:
        """More peers are wanted: announce as soon as the tracker's minimum interval allows. Trackers that fail are not asked sooner."""
        if self._is_announcing:
            self._due_at = min(self._due_at, max(now, self._soonest))

    def due_at(self, now: float) -> float | None:
        """Return the moment of the next announce, `now` in the middle of a round; None: none is due, or one is under way."""
        if not self._is_announcing or self._under_way is not None:
            return None
        if self._round:
            return now
        first_retry = min((tracker.retry_at for tracker in self._all()), default=math.inf)
        due_at = max(self._due_at, first_retry)
        return None if due_at == math.inf else due_at

    def take(self, now: float) -> Announce | None:
        """Return the announce that is due, which is under way until `answered` or `failed`; None: none is."""
        due_at = self.due_at(now)
        if due_at is None or due_at > now:
            return None
        if not self._round:
            self._round = [tracker for tracker in self._all() if tracker.retry_at <= now]
            self._round.sort(key=lambda tracker: not self._owes_completed(tracker))
        tracker = self._round.pop(0)
        self._under_way = Announce(tracker, self._event(tracker), _SEED if self._is_complete else _LEECH)
        return self._under_way

    def answered(self, response: AnnounceResponse, now: float) -> None:
        """The tracker took the announce that is under way."""
        announce, self._under_way, self._round = self._under_way, None, []
        tracker = announce.tracker
        tracker.failures, tracker.retry_at, tracker.knows_us_as = 0, -math.inf, announce.says
        tracker.tracker_id = response.tracker_id or tracker.tracker_id
        tier = next(tier for tier in self._tiers if tracker in tier)
        tier.remove(tracker)
        tier.insert(0, tracker)
        interval = DEFAULT_INTERVAL_SECONDS if response.interval is None else float(response.interval)
        interval = min(max(interval, SHORTEST_INTERVAL_SECONDS), LONGEST_INTERVAL_SECONDS)
        soonest = DEFAULT_MIN_INTERVAL_SECONDS if response.min_interval is None else float(response.min_interval)
        self._soonest = now + min(max(soonest, SHORTEST_INTERVAL_SECONDS), interval)
        self._due_at = now if self._owes_completed(tracker) else now + interval

    def failed(self, now: float, retry_in: float | None = None) -> None:
        """It did not answer, or refused. `retry_in`: what it said about another try (BEP 31); math.inf: never."""
        tracker, self._under_way = self._under_way.tracker, None
        wait = min(FIRST_RETRY_SECONDS * 2.0 ** min(tracker.failures, 16), LONGEST_RETRY_SECONDS / (1 + JITTER))
        wait *= 1 + JITTER * self._rng.random()
        if retry_in is not None:
            wait = math.inf if retry_in == math.inf else min(max(wait, retry_in), LONGEST_INTERVAL_SECONDS)
        tracker.failures += 1
        tracker.retry_at = now + wait
        if not self._round:
            self._due_at = now

    def _all(self) -> list[Tracker]:
        return [tracker for tier in self._tiers for tracker in tier]

    def _asks(self, tracker: Tracker) -> bool:
        return self._under_way is not None and self._under_way.tracker is tracker

    def _owes_completed(self, tracker: Tracker) -> bool:
        return self._is_complete and tracker.knows_us_as == _LEECH

    def _event(self, tracker: Tracker) -> str:
        if tracker.knows_us_as == _UNKNOWN:
            return STARTED
        return COMPLETED if self._owes_completed(tracker) else REGULAR
