"""RoundRobinRing: whose turn is it? Members take turns by last served, weighted.

The order is a queue, never an index into a collection that changes under it: members come and go at any time, and each stays where it
is relative to the others. Weights are deficit round robin (Shreedhar and Varghese, 1995): when a member's turn comes it is given its
weight as credit, a grant costs 1, and the turn is over when less than 1 is left. Weight 3 has three grants in a turn, weight 1/3 one
in three turns; with equal weights the ring simply rotates. All steps are O(1); of a ring of lowest weights a step is three.

Some members are newcomers, and now and then only they may have turns. They have no order of their own: the ring goes on as if the
others were passed over, and these keep their places.
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
        self._newcomers: OrderedDict[bytes, Member] = OrderedDict()     # some of these, always in the same order

    def __len__(self) -> int:
        return len(self._members)

    def __bool__(self) -> bool:
        return bool(self._members)

    def __contains__(self, member: Member) -> bool:
        return self._members.get(member.info_hash) is member

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    @property
    def has_newcomers(self) -> bool:
        """Tell whether some are newcomers."""
        return bool(self._newcomers)

    def join(self, member: Member, *, in_front: bool = False, is_newcomer: bool = False) -> None:
        """Come in: behind all others, or before them."""
        for members in (self._members, self._newcomers) if is_newcomer else (self._members,):
            members[member.info_hash] = member
            if in_front:
                members.move_to_end(member.info_hash, last=False)

    def leave(self, member: Member) -> None:
        """Go, from wherever in the ring."""
        del self._members[member.info_hash]
        self._newcomers.pop(member.info_hash, None)

    def is_no_newcomer_any_more(self, member: Member) -> None:
        """It keeps its place among all."""
        self._newcomers.pop(member.info_hash, None)

    def head(self, *, newcomers_only: bool = False) -> Member | None:
        """Return whose turn it is, or None when nobody is here."""
        members = self._newcomers if newcomers_only else self._members
        while members:
            member = next(iter(members.values()))
            if member.credit < 1 - _ROUNDING:
                member.credit += member.weight
            if member.credit >= 1 - _ROUNDING:
                return member
            self._pass_on(member)
        return None

    def served(self, member: Member) -> None:
        """The head got a grant; its turn is over when its credit is."""
        member.credit = max(member.credit - 1, 0.0)
        if member.credit < 1 - _ROUNDING:
            self._pass_on(member)

    def _pass_on(self, member: Member) -> None:
        self._members.move_to_end(member.info_hash)
        if member.info_hash in self._newcomers:
            self._newcomers.move_to_end(member.info_hash)
