"""Whether torrents of one class took turns, judged from their dials alone: no torrent is ever more than one attempt ahead of another.

Two torrents are compared from when both have begun to dial, or could have, until one of them surely is of another class or may not dial for a reason of its own:
it has a peer, it has as many dials under way as its share of the half-open limit, or it has tried all its addresses.
"""

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from benchmarks.dialling.dials import Dial, owner_of
from benchmarks.dialling.plan import LIVE_PORT, PlannedTorrent

# Slots are granted in order, but a torrent that gets two in one drain dials twice in a row: SYNs of one drain may stand in any order.
ONE_DRAIN_SECONDS: Final = 0.05
# A client that was told of peers has had the time to want them.
READY_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Turns:
    """The largest lead of one torrent over another, and how many attempts were looked at for that."""

    largest_lead: int
    num_compared: int


def turns_of(dials: Sequence[Dial], plan: Sequence[PlannedTorrent], told: Sequence[float], half_open_limit: float) -> Turns:
    """Compare all pairs. `told` is when each torrent heard of its peers; the limit is infinite for a client that knows no shares of it."""
    owners = owner_of(plan)
    share = math.ceil(half_open_limit / len(plan)) if half_open_limit < math.inf else math.inf
    by_torrent = [[dial for dial in dials if owners[dial.ip] == number] for number in range(len(plan))]
    periods = [
        (min([dial.begun for dial in own] + [when + READY_SECONDS]), [dial.begun for dial in own], period_end(own, share, len(torrent.peers)))
        for own, torrent, when in zip(by_torrent, plan, told, strict=True)
    ]
    largest = num_compared = 0
    for one, other in combinations(periods, 2):
        start, end = max(one[0], other[0]) - ONE_DRAIN_SECONDS, min(one[2], other[2])
        for (_, ahead, _), (_, behind, _) in ((one, other), (other, one)):
            for when in ahead[bisect.bisect_left(ahead, start):bisect.bisect_right(ahead, end)]:
                lead = num_between(ahead, start, when) - num_between(behind, start, when + ONE_DRAIN_SECONDS)
                largest, num_compared = max(largest, lead), num_compared + 1
    return Turns(largest, num_compared)


def period_end(own: Sequence[Dial], share: float, num_peers: int) -> float:
    """When the torrent was last in the class of those without a peer, with room and with an address to try."""
    end, tried = math.inf, set()
    for dial in own:
        tried.add(dial.ip)
        if dial.port == LIVE_PORT:
            end = min(end, dial.begun)
        if len(tried) == num_peers or sum(other.begun <= dial.begun < other.ended for other in own) >= share:
            end = min(end, dial.begun)
    return end


def num_between(times: Sequence[float], first: float, last: float) -> int:
    """How many of the sorted `times` lie there, both ends counted."""
    return bisect.bisect_right(times, last) - bisect.bisect_left(times, first)
