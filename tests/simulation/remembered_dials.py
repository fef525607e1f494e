"""RememberedDials: what a router remembers of the dials that ended, as the rules count it: 120 s without an answer, 10 s refused."""

from collections import deque

from protocol import daemon_messages as dm

REMEMBERED_SECONDS = {dm.TIMED_OUT: 120.0, dm.CANCELLED: 120.0, dm.REFUSED: 10.0, dm.UNREACHABLE: 10.0}
ROUNDING = 1e-6


class RememberedDials:
    """Counted from outcomes, independently of scheduler/router_memory.py."""

    def __init__(self) -> None:
        # Remembered or in flight, of torrents that when they were granted ...
        self.num_with_peers = 0                         # had a peer
        self.num_of_no_newcomers = 0                    # had a peer, were finished, or had dialled often for their first peer
        self._kinds: dict[int, tuple[bool, bool]] = {}  # had peers, was no newcomer; by grant id
        self._ends: dict[float, deque[tuple[float, int]]] = {seconds: deque() for seconds in REMEMBERED_SECONDS.values()}

    def granted(self, grant_id: int, *, had_peers: bool, is_newcomer: bool) -> None:
        """A grant was given."""
        self._kinds[grant_id] = had_peers, not is_newcomer

    def count(self, grant_id: int, difference: int) -> None:
        """One more (1) or less (-1) is leased, half-open or remembered."""
        had_peers, was_no_newcomer = self._kinds.get(grant_id, (False, False))
        self.num_with_peers += difference * had_peers
        self.num_of_no_newcomers += difference * was_no_newcomer

    def ended(self, outcome: str, grant_id: int, now: float) -> None:
        """A dial came to nothing."""
        seconds = REMEMBERED_SECONDS.get(outcome)
        if seconds is not None:
            self.count(grant_id, 1)
            self._ends[seconds].append((now + seconds, grant_id))

    def number(self, now: float) -> int:
        """Return how many a router knows now."""
        for ends in self._ends.values():
            while ends and ends[0][0] <= now + ROUNDING:
                self.count(ends.popleft()[1], -1)
        return sum(map(len, self._ends.values()))
