"""RoundRobinRing: whose turn is it? Members take turns by last served, weighted.

The order is a queue, never an index into a collection that changes under it: members come and go at any time, and each stays where it
is relative to the others. Weights are deficit round robin (Shreedhar and Varghese, 1995): when a member's turn comes it is given its
weight as credit, a grant costs 1, and the turn is over when less than 1 is left. Weight 3 has three grants in a turn, weight 1/3 one
in three turns; with equal weights the ring simply rotates. All steps are O(1); of a ring of lowest weights a step is three.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

_ROUNDING = 1e-9                                        # three thirds are a whole


class RingMember(Protocol):
    """What a ring needs of its members. The credit is the member's, so that leaving and coming back neither gains nor loses any."""

    info_hash: bytes
    weight: float                                       # grants a turn; more than 0
    credit: float                                       # of the turn that has begun, or towards the next one


Member = TypeVar("Member", bound=RingMember)


class RoundRobinRing(Generic[Member]):
    """Members, each once, in the order in which their turns come."""

    def __init__(self) -> None:
        self._members: OrderedDict[bytes, Member] = OrderedDict()   # a deque that can also be left from its middle

    def __len__(self) -> int:
        return len(self._members)

    def __bool__(self) -> bool:
        return bool(self._members)

    def __contains__(self, member: Member) -> bool:
        return self._members.get(member.info_hash) is member

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def join(self, member: Member, *, in_front: bool = False) -> None:
        """Come in: behind all others, or before them."""
        self._members[member.info_hash] = member
        if in_front:
            self._members.move_to_end(member.info_hash, last=False)

    def leave(self, member: Member) -> None:
        """Go, from wherever in the ring."""
        del self._members[member.info_hash]

    def head(self) -> Member | None:
        """Return whose turn it is, or None when nobody is here."""
        while self._members:
            member = next(iter(self._members.values()))
            if member.credit < 1 - _ROUNDING:
                member.credit += member.weight
            if member.credit >= 1 - _ROUNDING:
                return member
            self._members.move_to_end(member.info_hash)
        return None

    def served(self, member: Member) -> None:
        """The head got a grant; its turn is over when its credit is."""
        member.credit = max(member.credit - 1, 0.0)
        if member.credit < 1 - _ROUNDING:
            self._members.move_to_end(member.info_hash)
