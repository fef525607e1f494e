"""RouterMemory: how many unanswered dials a router still remembers.

A router keeps an entry for each SYN that got no answer, for 120 s (Linux conntrack's syn_sent; RFC 5382 asks for even more), however
soon we gave up. Entries, not rates or half-open dials, are what its table runs out of. A refused dial is forgotten after 10 s
(conntrack's close). What each kind of end leaves there:

- timed_out, cancelled: no answer came, 120 s from the end (a SYN that was sent again renews the entry)
- refused, unreachable: somebody answered, 10 s. Most unreachable ones never left this machine: it has no route
- connected, handshake_failed: answered, an established flow that ends when we close it; local_busy: no SYN was sent. Nothing

Parts of the budget are kept for some purposes (see DialRules), so the dials for each are also counted by themselves.
"""

from collections import Counter, deque
from typing import Final

from protocol import daemon_messages as dm
from scheduler.steady_time import ROUNDING_SECONDS

UNANSWERED_SECONDS: Final = 120.0
REFUSED_SECONDS: Final = 10.0
REMEMBERED_SECONDS: Final = {
    dm.TIMED_OUT: UNANSWERED_SECONDS, dm.CANCELLED: UNANSWERED_SECONDS, dm.REFUSED: REFUSED_SECONDS, dm.UNREACHABLE: REFUSED_SECONDS,
}


class RouterMemory:
    """The entries of dials that have ended. Times are steady seconds."""

    def __init__(self) -> None:
        self._num_entries = 0
        self._num_for: Counter[str] = Counter()         # the same by purpose
        # (when it is forgotten, the purpose), for each time of remembering in order
        self._entries: dict[float, deque[tuple[float, str]]] = {seconds: deque() for seconds in REMEMBERED_SECONDS.values()}

    def dial_ended(self, outcome: str, purpose: str, now: float) -> None:
        """A dial ended so. `purpose` is one of grant_ledger's."""
        seconds = REMEMBERED_SECONDS.get(outcome)
        if seconds is not None:
            self._entries[seconds].append((now + seconds, purpose))
            self._num_entries += 1
            self._num_for[purpose] += 1

    def num_entries(self, now: float) -> int:
        """Return how many the router has now."""
        self._forget(now)
        return self._num_entries

    def num_entries_for(self, purpose: str, now: float) -> int:
        """Return how many of these are of dials for this purpose."""
        self._forget(now)
        return self._num_for[purpose]

    def next_forgotten(self) -> float | None:
        """Return the moment at which the next entry is dropped, or None without any."""
        return min((entries[0][0] for entries in self._entries.values() if entries), default=None)

    def _forget(self, now: float) -> None:
        for entries in self._entries.values():
            while entries and entries[0][0] <= now + ROUNDING_SECONDS:
                _, purpose = entries.popleft()
                self._num_entries -= 1
                self._num_for[purpose] -= 1
