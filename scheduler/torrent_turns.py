"""TorrentTurns: rings for the classes of torrents, and which class has the next turn.

Torrents without a single connected peer come before the others 3:1. So that this also means something for a single torrent, the others
never get more than one turn in four, and no torrent among them more than a third of what one without a peer gets: when one torrent
has peers and a hundred have none, it gets a turn in three hundred and one, not one in four.

Newcomers are those without a peer that have not dialled often yet. They take their turns with the others without a peer, as equals;
but there are times when only they may have any.
"""

from collections.abc import Iterable, Iterator
from typing import Final, Generic, Protocol, TypeVar

from scheduler.round_robin_ring import RingMember, RoundRobinRing

FIRST_PEER_TURNS: Final = 3                             # of torrents without a peer, for one turn of the others
WHOLE_TURN: Final = 1 - 1e-9                              # a turn, though its parts were rounded

# Who may have turns now
EVERYBODY: Final = "everybody"
WITHOUT_PEERS: Final = "without_peers"
NEWCOMERS: Final = "newcomers"


class ClassedMember(RingMember, Protocol):
    """What turns need of a torrent."""

    has_peers: bool


Member = TypeVar("Member", bound=ClassedMember)


def interleaved(firsts: Iterable[Member], others: Iterable[Member], earned: float, share: float) -> Iterator[Member]:
    """Yield those that come first, and one of the others whenever these have `earned` a turn, by `share` of one for each first."""
    others = iter(others)
    for member in firsts:
        if earned >= WHOLE_TURN and (other := next(others, None)) is not None:
            earned -= 1
            yield other
        earned += share
        yield member
    yield from others


class TorrentTurns(Generic[Member]):
    """Torrents that wait, each in the ring of its class."""

    def __init__(self) -> None:
        self.without_peers: RoundRobinRing[Member] = RoundRobinRing()
        self.with_peers: RoundRobinRing[Member] = RoundRobinRing()
        self._earned = 0.0                              # turns that torrents with peers have earned; at most 1

    def __len__(self) -> int:
        return len(self.without_peers) + len(self.with_peers)

    def __bool__(self) -> bool:
        return bool(self.without_peers or self.with_peers)

    def __iter__(self) -> Iterator[Member]:
        """The order in which the turns come, as near as can be said without giving them."""
        return interleaved(self.without_peers, self.with_peers, self._earned, self._share_of_others())

    def ring_of(self, member: Member) -> RoundRobinRing[Member]:
        """Return the ring of the member's class."""
        return self.with_peers if member.has_peers else self.without_peers

    def has_members(self, who: str) -> bool:
        """Tell whether some of these wait."""
        return self.without_peers.has_newcomers if who is NEWCOMERS else bool(self.without_peers or (who is EVERYBODY and self.with_peers))

    def head(self, who: str = EVERYBODY) -> Member | None:
        """Return whose turn it is when these may have turns."""
        if self.with_peers and who is EVERYBODY and (self._earned >= WHOLE_TURN or not self.without_peers):
            return self.with_peers.head()
        return self.without_peers.head(newcomers_only=who is NEWCOMERS)

    def served(self, member: Member) -> None:
        """The head got a grant."""
        if not member.has_peers:
            if self.with_peers:
                self._earned = min(self._earned + self._share_of_others(), 1.0)
        elif self.without_peers:
            self._earned = max(self._earned - 1, 0.0)
        self.ring_of(member).served(member)

    def _share_of_others(self) -> float:
        """Turns that the others earn by one turn of a torrent without a peer."""
        return min(1.0, len(self.with_peers) / max(len(self.without_peers), 1)) / FIRST_PEER_TURNS
