"""IdleConnections: which connection is closed when every place is taken and a torrent that downloads waits.

Each torrent offers its longest idle useless connection (both ends are seeds, or neither has been interested for a while); of these the
one that has been idle longest goes. At most one for each place that is taken: the next one is asked for when the place of the last has
been used, or when its torrent kept it, or did not answer in time.

Outgoing and incoming ones are apart. While there are fewer incoming connections than places kept for them, closing one of these makes
room for another incoming one and for no dial.
"""

from typing import Final, NamedTuple

from scheduler.grant_ledger import Grant
from scheduler.withdrawable_heap import WithdrawableHeap

ANSWER_SECONDS: Final = 2.0                             # a torrent answers in milliseconds; one that is stuck blocks nobody for longer


class IdleOffer(NamedTuple):
    """A connection that may be closed."""

    info_hash: bytes
    grant_id: int
    incoming: bool
    idle_since: float                                   # steady seconds


class IdleConnections:
    """The offers, one a torrent. Moments are steady seconds."""

    def __init__(self) -> None:
        self.num_closed = 0                             # since the start, because they were asked for
        self._offers: dict[bytes, IdleOffer] = {}
        self._longest: dict[bool, WithdrawableHeap[bytes]] = {False: WithdrawableHeap(), True: WithdrawableHeap()}     # by incoming
        self._asked: IdleOffer | None = None            # its answer is awaited
        self._asked_until = 0.0
        self._place_is_unused = False                   # it was closed, and nobody has taken the place yet

    def __len__(self) -> int:
        return len(self._offers)

    def offer(self, grant: Grant, idle_since: float) -> None:
        """This connection may be closed; it replaces the torrent's last offer."""
        self.withdraw(grant.info_hash)
        self._offers[grant.info_hash] = IdleOffer(grant.info_hash, grant.grant_id, grant.incoming, idle_since)
        self._longest[grant.incoming].push(grant.info_hash, idle_since)

    def withdraw(self, info_hash: bytes) -> None:
        """The torrent has no such connection, or keeps the one that was asked for. Repeated: nothing."""
        offer = self._offers.pop(info_hash, None)
        if offer is not None:
            self._longest[offer.incoming].withdraw(info_hash)
        if self._asked is not None and self._asked.info_hash == info_hash:
            self._asked = None

    def connection_closed(self, grant: Grant) -> None:
        """A connection is gone, asked for or not."""
        offer = self._offers.get(grant.info_hash)
        if self._asked is not None and self._asked.grant_id == grant.grant_id:
            self._asked, self._place_is_unused = None, True
            self.num_closed += 1
        elif offer is not None and offer.grant_id == grant.grant_id:
            self.withdraw(grant.info_hash)

    def place_taken(self) -> None:
        """Somebody uses the place that was made, or one that became free by itself; or there are other limits now."""
        self._place_is_unused = False

    def choose(self, now: float, *, incoming_too: bool) -> IdleOffer | None:
        """Return whose connection is to be closed now; None: nobody offers one, or the last that was asked for is not over."""
        if self._place_is_unused or (self._asked is not None and now < self._asked_until):
            return None
        firsts = [self._longest[incoming].smallest() for incoming in ((False, True) if incoming_too else (False,))]
        since_and_name = min((first for first in firsts if first is not None), default=None)
        if since_and_name is None:
            return None
        offer = self._offers[since_and_name[1]]
        self.withdraw(offer.info_hash)
        self._asked, self._asked_until = offer, now + ANSWER_SECONDS
        return offer
