"""A heap whose items can be withdrawn or moved: the smallest in O(log n), whatever happens in between.

An item that changes leaves its old entry behind; it is thrown away when it comes to the top, or when more than half of the entries
are such. Nothing ever sorts or searches the whole.
"""

import heapq
import itertools
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)

_FEW = 64                                               # below this, cleaning up costs more than it gives


class WithdrawableHeap(Generic[Item]):
    """Items, each once, ordered by a key; of equal keys the one that came first."""

    def __init__(self) -> None:
        self._heap: list[tuple[Any, int, Item]] = []    # (key, ticket, item)
        self._tickets: dict[Item, int] = {}             # of the entry that counts
        self._next_ticket = itertools.count()

    def __len__(self) -> int:
        return len(self._tickets)

    def __contains__(self, item: Item) -> bool:
        return item in self._tickets

    def push(self, item: Item, key: Any) -> None:
        """Put `item` in, or give it a new key."""
        ticket = next(self._next_ticket)
        self._tickets[item] = ticket
        heapq.heappush(self._heap, (key, ticket, item))
        if len(self._heap) > 2 * len(self._tickets) + _FEW:
            self._heap = [entry for entry in self._heap if self._tickets.get(entry[2]) == entry[1]]
            heapq.heapify(self._heap)

    def withdraw(self, item: Item) -> None:
        """Take `item` out; nothing happens when it is not in."""
        self._tickets.pop(item, None)
        if not self._tickets:
            self._heap.clear()

    def smallest(self) -> tuple[Any, Item] | None:
        """Return the smallest key and its item, or None when there is nothing."""
        while self._heap:
            key, ticket, item = self._heap[0]
            if self._tickets.get(item) == ticket:
                return key, item
            heapq.heappop(self._heap)
        return None

    def first(self, how_many: int) -> list[Item]:
        """Return the so many smallest, in order; looks at all of them."""
        valid = (entry for entry in self._heap if self._tickets.get(entry[2]) == entry[1])
        return [item for _, _, item in heapq.nsmallest(how_many, valid)]
