"""RememberedDials: what a router remembers of the dials that ended, as the rule counts it: 120 s without an answer, 10 s refused."""

from collections import deque

from protocol import daemon_messages as dm

REMEMBERED_SECONDS = {dm.TIMED_OUT: 120.0, dm.CANCELLED: 120.0, dm.REFUSED: 10.0, dm.UNREACHABLE: 10.0}
ROUNDING = 1e-6


class RememberedDials:
    """Counted from outcomes, independently of scheduler/router_memory.py."""

    def __init__(self) -> None:
        self.num_with_peers = 0                         # remembered or in flight, of torrents that had a peer when they were granted
        self._had_peers: dict[int, bool] = {}
        self._ends: dict[float, deque[tuple[float, bool]]] = {seconds: deque() for seconds in REMEMBERED_SECONDS.values()}

    def granted(self, grant_id: int, *, had_peers: bool) -> None:
        """A grant was given."""
        self._had_peers[grant_id] = had_peers

    def in_flight(self, grant_id: int, difference: int) -> None:
        """One more (1) or less (-1) is leased or half-open."""
        self.num_with_peers += difference * self._had_peers.get(grant_id, False)

    def ended(self, outcome: str, grant_id: int, now: float) -> None:
        """A dial came to nothing."""
        seconds = REMEMBERED_SECONDS.get(outcome)
        if seconds is not None:
            had_peers = self._had_peers.get(grant_id, False)
            self.num_with_peers += had_peers
            self._ends[seconds].append((now + seconds, had_peers))

    def number(self, now: float) -> int:
        """Return how many a router knows now."""
        for ends in self._ends.values():
            while ends and ends[0][0] <= now + ROUNDING:
                self.num_with_peers -= ends.popleft()[1]
        return sum(map(len, self._ends.values()))
