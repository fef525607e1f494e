"""A home router: a connection table that is too small.

As Linux conntrack does it. A new flow takes an entry; when the table is full the packet is dropped, so the dial looks as if nobody
answered. A SYN without an answer keeps its entry for 120 s after it was last sent (syn_sent), whether we gave up or not. An answer by
reset frees it after 10 s (close). A connection keeps it while it lives, and for 120 s after an orderly end (time_wait).
"""

import heapq

SYN_SENT_SECONDS = 120.0
CLOSE_SECONDS = 10.0
TIME_WAIT_SECONDS = 120.0
NEVER = float("inf")


class Flow:
    """One entry. `ends_at` is when it is dropped by itself."""

    __slots__ = ("answered", "ends_at")

    def __init__(self, ends_at: float) -> None:
        self.ends_at = ends_at
        self.answered = False


class Router:
    """`capacity` None: a table that is never full, whose entries are only counted."""

    def __init__(self, capacity: int | None = None) -> None:
        self.capacity = capacity
        self.num_dropped = 0                            # SYNs that found no room
        self.most_entries = 0
        self.num_entries = 0
        self.num_unanswered = 0
        self._ends: list[tuple[float, int, Flow]] = []
        self._number = 0

    def open(self, now: float) -> Flow | None:
        """A first packet: return its entry, or None when it was dropped."""
        self.forget(now)
        if self.capacity is not None and self.num_entries >= self.capacity:
            self.num_dropped += 1
            return None
        flow = Flow(NEVER)
        self.num_entries += 1
        self.num_unanswered += 1
        self.most_entries = max(self.most_entries, self.num_entries)
        self._let_end(flow, now + SYN_SENT_SECONDS)
        return flow

    def sent_again(self, flow: Flow, now: float) -> None:
        """The SYN is repeated."""
        self._let_end(flow, now + SYN_SENT_SECONDS)

    def answered(self, flow: Flow) -> None:
        """The connection is there."""
        self._answer(flow)
        if flow.ends_at >= 0:
            flow.ends_at = NEVER

    def refused(self, flow: Flow, now: float) -> None:
        """Reset, or the host is not there."""
        self._answer(flow)
        self._let_end(flow, now + CLOSE_SECONDS)

    def closed(self, flow: Flow, now: float) -> None:
        """An established connection ended."""
        self._let_end(flow, now + TIME_WAIT_SECONDS)

    def forget(self, now: float) -> None:
        """Drop the entries whose time is over."""
        while self._ends and self._ends[0][0] <= now:
            moment, _, flow = heapq.heappop(self._ends)
            if flow.ends_at == moment:
                self.num_entries -= 1
                self.num_unanswered -= not flow.answered
                flow.ends_at = -1.0

    def _answer(self, flow: Flow) -> None:
        if not flow.answered:
            flow.answered = True
            self.num_unanswered -= flow.ends_at >= 0

    def _let_end(self, flow: Flow, moment: float) -> None:
        if flow.ends_at >= 0:                           # not dropped already
            flow.ends_at = moment
            self._number += 1
            heapq.heappush(self._ends, (moment, self._number, flow))
