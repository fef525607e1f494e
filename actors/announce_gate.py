"""AnnounceGate: the one place that all announcers of an engine pass before an announce.

A plain object shared by actors of one process: nothing here switches to another greenlet. The budgets are pure; this wakes whoever
has the turn, and is the only one with a timer for that.
"""

import time
from collections.abc import Callable

from actors.engine_actor import Timer, spawn_later
from actors.snapshots import FlowStats
from scheduler.flow_budget import FlowBudget
from scheduler.settings import ANNOUNCE, GOODBYE, Settings, flow_limits


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
        self, budget: FlowBudget, clock: Callable[[], float], start_timer: Callable[[float, Callable[[], None]], Timer],
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

    def limits_changed(self) -> None:
        if self._timer is not None:
            self._timer.kill(block=False)
            self._timer = None
        self._give_turns()

    def stats(self) -> FlowStats:
        budget, limits = self.budget, self.budget.limits
        return FlowStats(
            limits.rate_per_second, limits.burst, budget.num_under_way, limits.under_way, budget.num_waiting, budget.num_begun,
        )

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
        self, settings: Settings | None = None, *,
        clock: Callable[[], float] = time.monotonic, call_later: Callable[[float, Callable[[], None]], Timer] = spawn_later,
    ) -> None:
        self._clock = clock
        limits = flow_limits(settings or Settings())
        self._lanes = {kind: _Lane(FlowBudget(limits[kind]), clock, call_later) for kind in (ANNOUNCE, GOODBYE)}

    def apply(self, settings: Settings) -> None:
        """From now on the limits of these settings."""
        for kind, limits in flow_limits(settings).items():
            self._lanes[kind].budget.set_limits(limits, self._clock())
            self._lanes[kind].limits_changed()

    def stats(self) -> dict[str, FlowStats]:
        """Return what there is to show of each kind of flow."""
        return {kind: lane.stats() for kind, lane in self._lanes.items()}

    def ask(self, on_turn: Callable[[], None], *, is_goodbye: bool = False) -> AnnounceTicket:
        """Call `on_turn`, which must not do more than tell an actor, when the turn comes: maybe before this returns."""
        lane = self._lanes[GOODBYE if is_goodbye else ANNOUNCE]
        ticket = AnnounceTicket(lane, on_turn)
        lane.ask(ticket)
        return ticket
