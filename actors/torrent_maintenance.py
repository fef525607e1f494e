"""When a torrent asks the broker, and for how many.

It asks at once when something made a slot useful, and states its level again after 0.5, 1, 1, 2, 2, then every 5 seconds, should the
broker have lost it. Whoever has room but nobody to dial sleeps until the first backoff ends; whoever has neither sleeps until
something happens: there is no timer that finds nothing to do. The rule that keeps it from asking is the one that viewers are told.
"""

from collections.abc import Callable
from typing import Final

from actors import messages as m
from actors.torrent_surroundings import TorrentSurroundings
from scheduler import refusal
from scheduler.refusal import Refusal
from scheduler.swarm import Swarm
from scheduler.swarm_peer import FAILED

SCHEDULE_SECONDS: Final = (0.5, 1.0, 1.0, 2.0, 2.0, 5.0)  # the last one again and again
SHORTEST_SLEEP_SECONDS: Final = 0.1                     # backoffs that end together are one wake-up


class TorrentMaintenance:
    """The level that the broker was told, and when to look again."""

    def __init__(self, around: TorrentSurroundings, swarm: Swarm, on_exhausted: Callable[[], None]) -> None:
        self._around = around
        self._swarm = swarm
        self._on_exhausted = on_exhausted               # called once when the candidates that came have all been tried
        self._has_new_candidates = False
        self._is_active = False
        self._asked = 0                                 # of the level told, what is not yet granted
        self._is_finished = False                       # as the broker was told
        self._logged = 0
        self._state_again_at = 0.0
        self._step = 0

    @property
    def is_active(self) -> bool:
        """Tell whether the torrent dials."""
        return self._is_active

    def start(self) -> None:
        """It takes part in the swarm and wants peers."""
        self._is_active = True
        self._step = 0

    def stop(self) -> None:
        """No more grants."""
        if self._is_active:
            self._is_active = False
            self._asked = self._logged = 0
            self._around.to_broker(m.CancelRequests(self._around.info_hash))

    def candidates_came(self) -> None:
        """A source named new ones."""
        self._has_new_candidates = True

    def granted(self) -> None:
        """A grant came: one less is asked for."""
        self._asked = max(self._asked - 1, 0)

    def declined(self) -> None:
        """A grant was given back: the next useful slot is asked for anew."""
        self._asked = 0

    def maintain(self, room: int, is_finished: bool) -> float | None:
        """Ask for what is useful now; a torrent that is finished asks in order to give, and has fewer turns for that.

        Return the seconds until time alone can change that; None: never.
        """
        if not self._is_active:
            return None
        now = self._around.clock()
        self._swarm.wake(now)
        refused = self.refusal(room)
        if refused is None:
            level = min(room, self._swarm.num_candidates)
            if level != self._asked or is_finished != self._is_finished or now >= self._state_again_at:
                self._is_finished = is_finished
                self._ask(level, now)
            return self._state_again_at - now
        if refused.rule == refusal.TORRENT:
            return None
        if self._has_new_candidates:
            self._has_new_candidates = False
            self._on_exhausted()
        next_try = self._swarm.next_try()
        return None if next_try is None else max(next_try - now, SHORTEST_SLEEP_SECONDS)

    def refusal(self, room: int, limit: int = 0, tracker_answers_in: float | None = None) -> Refusal | None:
        """Return the rule that keeps the torrent from asking, as of the last `wake`; None: it asks, and the broker has the next word.

        `room`: places left of its `limit`.
        """
        swarm = self._swarm
        if room <= 0:
            return Refusal(refusal.TORRENT, limit - room, limit)
        if swarm.num_candidates:
            return None
        if not len(swarm):
            return Refusal(refusal.NO_PEERS, seconds=tracker_answers_in)
        if not swarm.counts[FAILED]:
            return Refusal(refusal.ALL_BUSY)
        next_try = swarm.next_try()
        seconds = None if next_try is None else next_try - self._around.clock()
        return Refusal(refusal.ALL_FAILED, swarm.counts[FAILED], len(swarm), seconds=seconds)

    def _ask(self, level: int, now: float) -> None:
        self._asked = level
        self._state_again_at = now + SCHEDULE_SECONDS[self._step]
        self._step = min(self._step + 1, len(SCHEDULE_SECONDS) - 1)
        self._around.to_broker(m.RequestConnections(self._around.info_hash, level, self._is_finished))
        if level != self._logged:
            self._logged = level
            self._around.log.info("slot_requested", count=level, candidates=self._swarm.num_candidates)
