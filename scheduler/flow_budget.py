"""FlowBudget: how many new flows of one kind may begin, and be under way, in the whole engine.

An announce is a new flow for a router, as a dial is, so a thousand torrents that start together must not ask a thousand trackers at
once; nor may anything else that begins flows (names that are looked up, web seeds, the DHT): each kind has a budget of its own, with
the limits of the profile. Who wants to begin stands in one queue, first come, first served; a turn needs a token and a free place. A
token is spent when the turn is given: unlike a dial a flow that has its turn is always used.
"""

from collections import OrderedDict
from collections.abc import Hashable

from scheduler.settings import FlowLimits
from scheduler.token_bucket import TokenBucket


class FlowBudget:
    """Turns of one kind of flow. Waiting ones are any hashable values that their owners choose. Times are seconds of one clock."""

    def __init__(self, limits: FlowLimits) -> None:
        self.limits = limits
        self.num_begun = 0                              # since the start
        self._tokens = TokenBucket(limits.rate_per_second, limits.burst, 0.0)   # it starts full, so any moment in the past is right
        self._waiting: OrderedDict[Hashable, None] = OrderedDict()
        self._under_way: set[Hashable] = set()

    def set_limits(self, limits: FlowLimits, now: float) -> None:
        """Other limits from now on. What is over a lowered one runs out by itself."""
        self.limits = limits
        self._tokens.set_rate(limits.rate_per_second, limits.burst, now)

    @property
    def num_waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    @property
    def num_under_way(self) -> int:
        """How many had their turn and have not left."""
        return len(self._under_way)

    def ask(self, asker: Hashable) -> None:
        """Stand in the queue. Who stands there already keeps its place; who is under way stays so."""
        if asker not in self._under_way:
            self._waiting.setdefault(asker)

    def leave(self, asker: Hashable) -> None:
        """Its flow is over, or is not wanted any more. Repeated: nothing."""
        self._waiting.pop(asker, None)
        self._under_way.discard(asker)

    def next_turns(self, now: float) -> list[Hashable]:
        """Return those whose turn is now, in order; they are under way until they leave."""
        turns = []
        while self._waiting and len(self._under_way) < self.limits.under_way and self._tokens.can_reserve(now):
            asker, _ = self._waiting.popitem(last=False)
            self._tokens.spend(now, reserved=False)
            self._under_way.add(asker)
            self.num_begun += 1
            turns.append(asker)
        return turns

    def seconds_until_turn(self, now: float) -> float | None:
        """In how many seconds time alone brings the next turn; None: nobody waits, or only for somebody to leave."""
        if not self._waiting or len(self._under_way) >= self.limits.under_way:
            return None
        return self._tokens.seconds_until_available(now)
