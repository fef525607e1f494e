"""AnnounceBudget: how many announces may begin, and be under way, in the whole engine.

Each announce is a new flow for a router, as a dial is (spec §1), so a thousand torrents that start together must not ask a thousand
trackers at once. Who wants to announce stands in one queue, first come, first served; a turn needs a token and a free place. A token is
spent when the turn is given: unlike a dial an announce that has its turn is always used.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

from scheduler.token_bucket import TokenBucket

ANNOUNCES_PER_SECOND: Final = 20.0                      # 1,000 torrents have announced in 50 s
ANNOUNCE_BURST: Final = 50
MOST_ANNOUNCES: Final = 30                              # under way; a dead tracker holds a place for its whole timeout
# `stopped` has two seconds for all torrents, and nothing follows: it may be said faster, still not by all at once.
GOODBYES_PER_SECOND: Final = 60.0
GOODBYE_BURST: Final = 100
MOST_GOODBYES: Final = 60


class AnnounceBudget:
    """Turns of one kind of announce. Waiting ones are any hashable values that their owners choose. Times are seconds of one clock."""

    def __init__(self, rate: float = ANNOUNCES_PER_SECOND, burst: int = ANNOUNCE_BURST, most_under_way: int = MOST_ANNOUNCES) -> None:
        self._tokens = TokenBucket(rate, burst, 0.0)    # it starts full, so any moment in the past is right
        self._most_under_way = most_under_way
        self._waiting: OrderedDict[Hashable, None] = OrderedDict()
        self._under_way: set[Hashable] = set()

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
        """Its announce is over, or is not wanted any more. Repeated: nothing."""
        self._waiting.pop(asker, None)
        self._under_way.discard(asker)

    def next_turns(self, now: float) -> list[Hashable]:
        """Return those whose turn is now, in order; they are under way until they leave."""
        turns = []
        while self._waiting and len(self._under_way) < self._most_under_way and self._tokens.can_reserve(now):
            asker, _ = self._waiting.popitem(last=False)
            self._tokens.spend(now, reserved=False)
            self._under_way.add(asker)
            turns.append(asker)
        return turns

    def seconds_until_turn(self, now: float) -> float | None:
        """In how many seconds time alone brings the next turn; None: nobody waits, or only for somebody to leave."""
        if not self._waiting or len(self._under_way) >= self._most_under_way:
            return None
        return self._tokens.seconds_until_available(now)
