"""Trackers without HTTP: what the announcers ask for is answered after a while."""

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from protocol.peer_address import PeerAddress
from protocol.tracker_messages import AnnounceResponse
from tests.simulation.world import DueCall, World


@dataclass
class SimulatedTracker:
    """One URL. `is_dead`: it never answers. `asked` are (moment, event) of the announces that it got."""

    answers_after: float = 0.2
    is_dead: bool = False
    interval: float = 1_800.0
    peers: dict[bytes, tuple[PeerAddress, ...]] = field(default_factory=dict)   # by info hash
    asked: list[tuple[float, str]] = field(default_factory=list)


class SimulatedTrackers:
    """Stands for HttpTracker."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.at: dict[str, SimulatedTracker] = {}

    def start(self, url: str, deadline: float, on_end: Callable[[AnnounceResponse | None, str], None]) -> DueCall:
        """As HttpTracker.start; kill what it returns."""
        parts = urlsplit(url)
        query = parse_qs(parts.query, encoding="latin-1")
        tracker = self.at.get(f"{parts.scheme}://{parts.netloc}{parts.path}")
        if tracker is None or tracker.is_dead:
            return self.world.later(deadline, lambda: on_end(None, f"did not answer within {deadline:g} s"))
        tracker.asked.append((self.world.now, query.get("event", [""])[0]))
        peers = tracker.peers.get(query["info_hash"][0].encode("latin-1"), ()) if int(query["numwant"][0]) else ()
        response = AnnounceResponse(interval=tracker.interval, peers=peers)
        return self.world.later(tracker.answers_after, lambda: on_end(response, ""))
