"""What a log says about connecting: per torrent first peer, attempts, outcomes and waits; fairness; peak half-open.

All figures come from the events that every user's log has (docs/events.md). Memory grows with torrents and grants under way,
not with lines; waits are kept as counts of 10 ms.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

WAIT_STEP_SECONDS = 0.01


@dataclass(slots=True)
class TorrentReport:
    """One torrent's figures. Times are seconds since its first request."""

    info_hash: str
    name: str = ""
    first_request: float | None = None
    first_peer: float | None = None
    attempts: int = 0
    outcomes: Counter = field(default_factory=Counter)
    waits: Counter = field(default_factory=Counter)     # in steps of WAIT_STEP_SECONDS
    completed: float | None = None

    def wait_quantile(self, share: float) -> float:
        """The wait for a slot that `share` of the grants did not exceed; 0.0 when there were none."""
        wanted, seen = share * self.waits.total(), 0
        for step in sorted(self.waits):
            seen += self.waits[step]
            if seen >= wanted:
                return step * WAIT_STEP_SECONDS
        return 0.0


@dataclass(slots=True)
class AttemptsReport:
    """The whole log's figures."""

    torrents: dict[str, TorrentReport] = field(default_factory=dict)
    half_open: set[int] = field(default_factory=set)    # grants whose dial is under way
    peak_half_open: int = 0

    def jain(self) -> float:
        """Jain's fairness index of attempts by torrent: 1 when all had the same, 1/n when one had all."""
        attempts = [torrent.attempts for torrent in self.torrents.values()]
        squares = sum(count * count for count in attempts)
        return sum(attempts) ** 2 / (len(attempts) * squares) if squares else 1.0

    def take(self, event: dict) -> None:
        """Take one event of the log into account; those that say nothing of connecting change nothing."""
        info_hash = event.get("info_hash")
        if not isinstance(info_hash, str):
            return
        torrent = self.torrents.setdefault(info_hash, TorrentReport(info_hash))
        since = event["monotonic"] - torrent.first_request if torrent.first_request is not None else 0.0
        match event["event"]:
            case "torrent_added":
                torrent.name = event.get("name", "")
            case "slot_requested" if torrent.first_request is None:
                torrent.first_request = event["monotonic"]
            case "slot_granted":
                torrent.waits[round(event["waited"] / WAIT_STEP_SECONDS)] += 1
            case "connect_started":
                torrent.attempts += 1
                self.half_open.add(event["grant_id"])
                self.peak_half_open = max(self.peak_half_open, len(self.half_open))
            case "connect_failed":
                torrent.outcomes[event["outcome"]] += 1
                self.half_open.discard(event["grant_id"])
            case "peer_connected" if not event["incoming"]:
                torrent.outcomes["connected"] += 1
                self.half_open.discard(event["grant_id"])
                if torrent.first_peer is None:
                    torrent.first_peer = since
            case "torrent_completed":
                torrent.completed = since


def report_attempts(events: Iterable[dict]) -> AttemptsReport:
    """Read all events once."""
    report = AttemptsReport()
    for event in events:
        report.take(event)
    return report
