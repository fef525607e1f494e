"""From what the recorder saw to dials, and from those to figures. Pure: lists in, numbers out; times in seconds since the run's start."""

import bisect
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.dialling.plan import DEAD_PORT, LIVE_PORT, REFUSING_PORT, TRACKER_PORT, PlannedTorrent
from benchmarks.dialling.recorder import CLOSED, RESET, SYN, SYN_ACK

PEER_PORTS: Final = (LIVE_PORT, REFUSING_PORT, DEAD_PORT)
# How late the kernel's word that a socket is closed may come. Who dials the next peer when one is given up has both for a moment in the record.
CLOSED_LATENESS_SECONDS: Final = 0.02


@dataclass(slots=True)
class Dial:
    """One TCP connect. It is half-open until it was `answered`, was refused or was given up; `ended` is infinite if none was seen."""

    begun: float
    ip: str
    port: int
    ended: float = math.inf
    answered: bool = False


class NobodyDialled(Exception):
    """The client made no connection at all."""


def first_activity(events: Iterable[Sequence]) -> float:
    """When the client first dialled anybody, a tracker or a peer; `events` are in the order of time. Raises NobodyDialled."""
    for when, kind, _, _, _, port in events:
        if kind == SYN and port in (TRACKER_PORT, *PEER_PORTS):
            return when
    raise NobodyDialled("the client dialled neither its tracker nor a peer")


def dials_of(events: Iterable[Sequence], start: float) -> list[Dial]:
    """Every dial to a peer in the order of their beginnings. A SYN that is sent again is the same dial until its socket is closed."""
    dials: list[Dial] = []
    open_dials: dict[tuple, Dial] = {}
    for when, kind, source_ip, source_port, ip, port in events:
        flow = (source_ip, source_port, ip, port)
        if kind == SYN and port in PEER_PORTS and flow not in open_dials:
            dials.append(Dial(when - start, ip, port))
            open_dials[flow] = dials[-1]
        elif kind in (SYN_ACK, RESET) and (answered := open_dials.get((ip, port, source_ip, source_port))):
            answered.ended = min(answered.ended, when - start)
            answered.answered |= kind == SYN_ACK
        elif kind == CLOSED and (closed := open_dials.pop(flow, None)):
            closed.ended = max(closed.begun, min(closed.ended, when - start - CLOSED_LATENESS_SECONDS))
    return dials


def peak_half_open(dials: Sequence[Dial]) -> int:
    """The most at one time. What ends and what begins at the same moment overlap."""
    changes = sorted([(dial.begun, 0) for dial in dials] + [(dial.ended, 1) for dial in dials])
    now = peak = 0
    for _, is_end in changes:
        now += -1 if is_end else 1
        peak = max(peak, now)
    return peak


def most_in_window(times: Sequence[float], seconds: float) -> int:
    """The most of the sorted `times` that any window of so many seconds holds."""
    return max((index + 1 - bisect.bisect_left(times, when - seconds) for index, when in enumerate(times)), default=0)


def excess_over_bucket(times: Sequence[float], rate: float, burst: float) -> float:
    """By how much the fullest window of all lengths exceeds burst + rate × length; at most 0 when none does."""
    excess = lowest = -math.inf
    for index, when in enumerate(times):                # windows that begin at one dial and end at another, both in them
        lowest = max(lowest, rate * when - index)
        excess = max(excess, index + 1 - rate * when + lowest - burst)
    return excess


def jain(counts: Sequence[int]) -> float:
    """Jain's index: 1 when all have the same, 1/n when one has all; 0 when there is nothing."""
    squares = sum(count * count for count in counts)
    return sum(counts) ** 2 / (len(counts) * squares) if squares else 0.0


def fairest_jain(total: int, num: int) -> float:
    """What the fairest possible distribution of `total` attempts gives: attempts cannot be halved."""
    each, rest = divmod(total, num)
    return jain([each + 1] * rest + [each] * (num - rest))


def attempts_by_torrent(dials: Iterable[Dial], plan: Sequence[PlannedTorrent], until: float) -> list[int]:
    """How many dials each torrent of the plan had begun at `until`."""
    owners = owner_of(plan)
    counts = Counter(owners[dial.ip] for dial in dials if dial.begun <= until)
    return [counts[number] for number in range(len(plan))]


def owner_of(plan: Sequence[PlannedTorrent]) -> dict[str, int]:
    """The torrent of each address, by its number."""
    return {ip: number for number, torrent in enumerate(plan) for ip, _ in torrent.peers}
