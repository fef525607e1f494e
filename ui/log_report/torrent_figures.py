"""What one torrent asked for, got and waited for; and how fair that was among several."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from ui.log_report.timeline import BinCounts, BinPeaks
from ui.log_report.wait_counts import WaitCounts

MOST_LAG: Final = 8                                     # means: this much or more
JAIN_SECONDS: Final = 10.0                              # in which 20 torrents have five turns each at 10 a second


@dataclass(slots=True, eq=False)
class TorrentFigures:
    """One torrent, or the sum of all that are too many to be told apart. Moments are monotonic seconds."""

    info_hash: str
    name: str = ""
    requests: int = 0                                   # how often its level changed
    grants: int = 0
    attempts: int = 0
    expired: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    declined: Counter[str] = field(default_factory=Counter)     # by reason
    waits: WaitCounts = field(default_factory=WaitCounts)
    first_request: float | None = None
    first_peer: float | None = None                     # that it dialled
    completed: float | None = None
    lag: int = 0                                        # the most turns of one other of its class while this one waited for its own
    grants_over_time: BinCounts = field(default_factory=BinCounts)
    asked_over_time: BinPeaks = field(default_factory=BinPeaks)     # 1 where it could have used a grant
    pending: int = 0                                    # of the level told, what is not granted yet
    has_peers: bool = False                             # its class: who has none comes first, so only equals are compared
    waits_since_turn: int = 0                           # the number of the grant, of its class, after which it began to wait
    recent_turns: tuple[int, ...] = ()                  # the numbers of its last grants, the newest first

    @property
    def label(self) -> str:
        """Its name, or as much of the hash as people read."""
        return self.name or self.info_hash[:8]

    def seconds_to(self, moment: float | None) -> float | None:
        """Return how long after its first request that was; None when either never came."""
        return None if moment is None or self.first_request is None else max(moment - self.first_request, 0.0)


class TurnOrder:
    """The grants of one class of torrents, and how often one was overtaken by another; MOST_LAG or more is not told apart.

    For k turns it suffices to know the latest start of k grants to one and the same torrent: who has waited since before that start
    saw them all.
    """

    def __init__(self) -> None:
        self.number = 0                                 # of grants
        self._latest_starts = [0] * (MOST_LAG + 1)      # by k

    def join(self, torrent: TorrentFigures) -> None:
        """From now on the torrent is of this class: turns of before are no lag."""
        torrent.waits_since_turn, torrent.recent_turns = self.number, ()

    def granted(self, torrent: TorrentFigures) -> int:
        """The torrent got a grant: return its lag, and note that it had a turn."""
        lag = 0
        while lag < MOST_LAG and self._latest_starts[lag + 1] > torrent.waits_since_turn:
            lag += 1
        self.number += 1
        torrent.recent_turns = (self.number, *torrent.recent_turns[:MOST_LAG - 1])
        for num_turns, start in enumerate(torrent.recent_turns, start=1):
            if start > self._latest_starts[num_turns]:
                self._latest_starts[num_turns] = start
        torrent.waits_since_turn = self.number
        return lag


def jain(shares: Iterable[int]) -> float | None:
    """Jain's fairness index: 1 when all have the same, 1/n when one has all; None without any."""
    shares = list(shares)
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else None


def jain_over_time(torrents: Iterable[TorrentFigures], num_bins: int, bin_seconds: float) -> list[float | None]:
    """Return for each bin Jain's index of the grants of the JAIN_SECONDS that end with it, among the torrents that asked all that time.

    None where they are fewer than two, or nothing was granted. A shorter time would have fewer grants than torrents, which is no unfairness.
    """
    torrents, reach = list(torrents), max(round(JAIN_SECONDS / bin_seconds), 1)
    indices: list[float | None] = []
    for place in range(num_bins):
        places = slice(max(place + 1 - reach, 0), place + 1)
        shares = [sum(torrent.grants_over_time.values[places]) for torrent in torrents if all(torrent.asked_over_time.values[places])]
        indices.append(jain(shares) if len(shares) > 1 else None)
    return indices
