"""What a run of a client comes to: the figures of the table, from the dials that were seen. Pure; times in seconds since the client's first connection."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.dialling.dials import (
    Dial,
    attempts_by_torrent,
    dials_of,
    fairest_jain,
    first_activity,
    jain,
    most_in_window,
    owner_of,
    peak_half_open,
)
from benchmarks.dialling.plan import PlannedTorrent
from benchmarks.dialling.turns import turns_of


@dataclass(frozen=True, slots=True)
class Figures:
    """One run of one client. `first_live`: seconds to the first peer of each torrent that has a live one; infinite for none.

    A peer counts from the moment at which it answered the SYN, if it shook hands then. Jain's index is that of the torrents that have live peers: they are alike.
    """

    first_live: tuple[float, ...]
    num_met: int                                        # live peers of all torrents that shook hands
    jain_at: dict[int, float]                           # seconds → index of the torrents' attempts
    fairest_at: dict[int, float]                        # the same, distributed as evenly as so many can be
    largest_lead: int                                   # of a torrent over another of its class: see turns.py
    peak_half_open: int
    most_in_one_second: int
    begun: tuple[float, ...]                            # of every attempt
    table_entries: tuple[tuple[float, int], ...]        # of the router's table: (seconds, entries), one a second and the fullest moment
    cpu_seconds: float

    @property
    def num_attempts(self) -> int:
        """In the whole run."""
        return len(self.begun)

    @property
    def peak_table_entries(self) -> int:
        """The most that the router had to remember."""
        return max((entries for _, entries in self.table_entries), default=0)

    def without_at(self, seconds: float) -> int:
        """How many torrents had no peer then."""
        return sum(when > seconds for when in self.first_live)

    def quantile(self, share: float) -> float:
        """The nearest rank; 1 is the last."""
        return sorted(self.first_live)[math.ceil(share * len(self.first_live)) - 1]


def figures_of(events: Sequence[Sequence], greeted: set[str], told: Sequence[float], plan: Sequence[PlannedTorrent], seconds: float,
               table_entries: Sequence[tuple[float, int]], cpu_seconds: float, half_open_limit: float = math.inf, moments: Sequence[int] = (10, 30)) -> Figures:
    """Count what happened in the first `seconds`. Jain's index is taken at `moments`; `greeted` are the live addresses that shook hands,
    `told` is when each torrent heard of its peers and `table_entries` are samples, (when, entries); both by the wall clock, as `events` are.

    Raises NobodyDialled.
    """
    start = first_activity(events)
    dials = [dial for dial in dials_of(events, start) if dial.begun <= seconds]
    first = first_live(dials, greeted, plan)
    counts = {moment: [count for count, torrent in zip(attempts_by_torrent(dials, plan, moment), plan, strict=True) if torrent.has_live_peers] for moment in moments}
    return Figures(
        first_live=tuple(when for when, torrent in zip(first, plan, strict=True) if torrent.has_live_peers),
        num_met=len({dial.ip for dial in dials if dial.answered} & greeted),
        jain_at={moment: jain(count) for moment, count in counts.items()},
        fairest_at={moment: fairest_jain(sum(count), len(count)) for moment, count in counts.items()},
        largest_lead=turns_of(dials, plan, [when - start for when in told], half_open_limit).largest_lead,
        peak_half_open=peak_half_open(dials), most_in_one_second=most_in_window([dial.begun for dial in dials], 1.0),
        begun=tuple(dial.begun for dial in dials), cpu_seconds=cpu_seconds,
        table_entries=thinned([(when - start, entries) for when, entries in table_entries if 0 <= when - start <= seconds]),
    )


def first_live(dials: Sequence[Dial], greeted: set[str], plan: Sequence[PlannedTorrent]) -> list[float]:
    """When the first peer of each torrent answered that shook hands then; infinite for none."""
    owners = owner_of(plan)
    first = [math.inf] * len(plan)
    for dial in dials:
        if dial.answered and dial.ip in greeted:
            first[owners[dial.ip]] = min(first[owners[dial.ip]], dial.ended)
    return first


def thinned(samples: Sequence[tuple[float, int]]) -> tuple[tuple[float, int], ...]:
    """The fullest moment of each second."""
    fullest: dict[int, tuple[float, int]] = {}
    for when, entries in samples:
        if entries > fullest.get(int(when), (0.0, -1))[1]:
            fullest[int(when)] = (when, entries)
    return tuple(fullest.values())
