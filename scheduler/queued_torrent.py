"""QueuedTorrent: what the connection queue knows of one torrent."""

from dataclasses import dataclass, field
from typing import Final

from scheduler.grant_ledger import Account
from scheduler.turn_record import RecentTurns

IDLE: Final = "idle"                                    # asks for nothing
WAITING: Final = "waiting"                              # its turn comes; any other place is named after the rule that keeps it there


@dataclass(slots=True, eq=False)
class QueuedTorrent:
    """One torrent. Moments are steady seconds."""

    info_hash: bytes
    weight: float
    account: Account
    pending: int = 0                                    # grants that it could still use
    place: str = IDLE
    is_active: bool = False                             # asks, or has a dial under way: counts for the shares
    has_peers: bool = False                             # the class in whose ring it is: has, or has no claim to a first one
    num_fruitless: int = 0                              # grants that it used since it had a peer
    is_newcomer: bool = True                            # has no peer, and has not dialled often for one
    is_finished: bool = False                           # it has all that it wants: what it said with its last request
    is_among_finished: bool = False                     # in whose rings and shares it is; follows is_finished
    credit: float = 0.0                                 # see RoundRobinRing
    waiting_since: float = 0.0                          # since it asked, or since its last grant
    held_until: float | None = None                     # after a decline: not asked before
    hold_at_least_until: float = 0.0                    # the same, even if it asks for more meanwhile
    hold_reason: str = ""
    num_declines: int = 0                               # in a row
    keeps_its_turn: bool = False                        # comes back to the front of the ring
    recent: RecentTurns = field(default_factory=RecentTurns)

    def turn_class(self) -> tuple[bool, bool]:
        """Return what tells its class from others: torrents of one class take turns as equals, by their weights."""
        return self.is_among_finished, self.has_peers
