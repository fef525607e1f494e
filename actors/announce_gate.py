"""AnnounceGate: the one place that all announcers of an engine pass before an announce.

A plain object shared by actors of one process: nothing here switches to another greenlet. The budgets are pure; this wakes whoever
has the turn, and is the only one with a timer for that.
"""

import time
from collections.abc import Callable

from actors.engine_actor import Timer, spawn_later
from scheduler.announce_budget import GOODBYE_BURST, GOODBYES_PER_SECOND, MOST_GOODBYES, AnnounceBudget


class AnnounceTicket:
    """One announce: waiting, or under way. Its owner leaves, whatever comes of it."""

    __slots__ = ("_lane", "on_turn")

    def __init__(self, lane: "_Lane", on_turn: Callable[[], None]) -> None:
        self._lane = lane
        self.on_turn = on_turn

    def leave(self) -> None:
        """It is over, or not wanted any more. Repeated: nothing."""
        self._lane.leave(self)


class _Lane:
    """A budget and its timer."""

    def __init__(
        self, budget: AnnounceBudget, clock: Callable[[], float], start_timer: Callable[[float, Callable[[], None]], Timer],
    ) -> None:
        self.budget = budget
        self._clock = clock
        self._start_timer = start_timer
        self._timer: Timer | None = None

    def ask(self, ticket: AnnounceTicket) -> None:
        self.budget.ask(ticket)
        self._give_turns()

    def leave(self, ticket: AnnounceTicket) -> None:
        self.budget.leave(ticket)
        self._give_turns()

    def _timer_fired(self) -> None:
        self._timer = None
        self._give_turns()

    def _give_turns(self) -> None:
        for ticket in self.budget.next_turns(self._clock()):
            ticket.on_turn()
        if self._timer is None:
            delay = self.budget.seconds_until_turn(self._clock())
            if delay is not None:
                self._timer = self._start_timer(delay, self._timer_fired)


class AnnounceGate:
    """Turns for announces, and others for `stopped`, which has little time and must not wait behind them."""

    def __init__(
        self, announces: AnnounceBudget | None = None, goodbyes: AnnounceBudget | None = None, *,
        clock: Callable[[], float] = time.monotonic, call_later: Callable[[float, Callable[[], None]], Timer] = spawn_later,
    ) -> None:
        self._announces = _Lane(announces or AnnounceBudget(), clock, call_later)
        self._goodbyes = _Lane(goodbyes or AnnounceBudget(GOODBYES_PER_SECOND, GOODBYE_BURST, MOST_GOODBYES), clock, call_later)

    def ask(self, on_turn: Callable[[], None], *, is_goodbye: bool = False) -> AnnounceTicket:
        """Call `on_turn`, which must not do more than tell an actor, when the turn comes: maybe before this returns."""
        lane = self._goodbyes if is_goodbye else self._announces
        ticket = AnnounceTicket(lane, on_turn)
        lane.ask(ticket)
        return ticket
