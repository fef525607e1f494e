"""QueueModel: what a connection queue has to know, as plain as can be: no rings, no order, everything counted anew.

It is told what happened and what was granted, asserts that no grant broke a limit, and says when somebody could dial.
"""

import math
from collections import deque
from dataclasses import dataclass

from protocol import daemon_messages as dm
from scheduler.dial_rate_control import DialRateControl
from scheduler.settings import Settings
from tests.properties.reference_bucket import ROUNDING, ReferenceBucket

NEWCOMER_DIALS = 20                                     # docs/fairness.md: so many of a torrent without a peer are its first ones
KEPT_FOR_NEWCOMERS = 0.25                               # of the dials that a router may remember


@dataclass
class ModelTorrent:
    """What the model knows of a torrent."""

    pending: int = 0
    held_until: float = 0.0
    hold_at_least_until: float = 0.0
    num_declines: int = 0
    num_fruitless: int = 0                              # grants that it used since a dial of it connected
    is_finished: bool = False


class QueueModel:
    """All there is at one moment, `now`."""

    def __init__(self, settings: Settings, now: float) -> None:
        self.now = now
        self.settings = settings
        self.torrents: dict[bytes, ModelTorrent] = {}
        self.leased: dict[int, tuple[bytes, float]] = {}            # grant id → torrent, deadline
        self.half_open: dict[int, bytes] = {}
        self.connected: dict[int, tuple[bytes, bool]] = {}          # grant id → torrent, incoming
        self.bucket = ReferenceBucket(settings.connection_rate, settings.connection_burst, now)
        self.limits = {
            "half_open": settings.half_open_limit, "global_connections": settings.global_connection_limit,
            "torrent_connections": settings.torrent_connection_limit, "unanswered": settings.unanswered_limit,
        }
        self.is_paused = False
        self.num_granted = 0
        self._remembered: dict[float, deque[tuple[float, int]]] = {120.0: deque(), 10.0: deque()}   # seconds → when each dial ended, its grant
        self._of_newcomers: set[int] = set()            # grants

    # ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def pass_time(self, now: float) -> None:
        """It is `now`."""
        self.now = now
        self.bucket.pass_time(now)

    def follow_pace(self, control: DialRateControl) -> None:
        """How fast to dial is the control's to say, within what is allowed; from then on it is a limit as the others are."""
        pace, most = control.pace, control.most
        assert most.half_open / 16 <= pace.half_open <= most.half_open and pace.half_open >= 1
        assert most.rate / 16 <= pace.rate <= most.rate or pace.rate == most.rate
        assert 1 <= pace.burst <= most.burst
        self.limits["half_open"] = pace.half_open
        rate = 0 if pace.rate == math.inf else pace.rate
        if (rate, pace.burst) != (self.bucket.rate, self.bucket.burst):
            self.bucket.set_rate(rate, pace.burst)

    def granted(self, name: bytes, grant_id: int, deadline: float) -> None:
        """The queue gave a slot."""
        torrent = self.torrents[name]                   # KeyError: a grant for a torrent that is gone
        assert torrent.pending > 0, "a grant that nobody asked for, or after a cancel"
        assert torrent.held_until <= self.now + ROUNDING, "asked again before the time that it said"
        assert not self.is_paused
        assert grant_id not in self.leased and grant_id not in self.half_open and grant_id not in self.connected
        assert self._is_newcomer(name) or not self._only_newcomers(), "a quarter of what a router remembers is kept for newcomers"
        if self._is_newcomer(name):
            self._of_newcomers.add(grant_id)
        torrent.num_fruitless += 1
        torrent.pending -= 1
        self.leased[grant_id] = (name, deadline)
        self.num_granted += 1

    def attempt_ended(self, grant_id: int, name: bytes, outcome: str) -> bool:
        """A dial ended, which is no lease and not half-open any more. Return whether it is connected now."""
        if outcome == dm.CONNECTED:
            self.connected[grant_id] = (name, False)
            self.torrents[name].num_fruitless = 0
        elif outcome in (dm.TIMED_OUT, dm.CANCELLED):
            self.remember(grant_id, 120.0)
        elif outcome in (dm.REFUSED, dm.UNREACHABLE):
            self.remember(grant_id, 10.0)
        return outcome == dm.CONNECTED

    def remember(self, grant_id: int, seconds: float) -> None:
        """A router does, for so long."""
        self._remembered[seconds].append((self.now, grant_id))

    # ── what must hold ───────────────────────────────────────────────────────────────────────────────────────────────────

    def check_limits(self, granted: set[bytes]) -> None:
        """After grants; nothing else but an incoming connection, which has its own check, makes anything more."""
        assert len(self.leased) + len(self.half_open) <= self.limits["half_open"]
        assert self.total() <= self.limits["global_connections"]
        assert all(self.total(name) <= self.limits["torrent_connections"] for name in granted)
        assert self._num_remembered() + len(self.leased) + len(self.half_open) <= self.limits["unanswered"]
        if self.settings.profile == "auto":
            incoming = sum(incoming for _, incoming in self.connected.values())
            used = self._num_remembered() + self.total() - incoming
            assert used <= int(self.settings.router_entries * 0.7), "the router may be full"
        if self.bucket.rate:
            assert self.bucket.level - len(self.leased) >= -ROUNDING, "a lease without a token"

    def somebody_could_dial(self) -> bool:
        """Tell whether a token, a slot and a request lie idle together."""
        in_flight = len(self.leased) + len(self.half_open)
        num_incoming = sum(incoming for _, incoming in self.connected.values())
        if not (
            not self.is_paused
            and in_flight < self.limits["half_open"]
            and self.total() + self.kept("global_connections", num_incoming) < self.limits["global_connections"]
            and self._num_remembered() + in_flight < self.limits["unanswered"]
            and not self._is_router_full(in_flight)
            and (self.bucket.rate == 0 or self.bucket.level - len(self.leased) >= 1)
        ):
            return False
        only_newcomers = self._only_newcomers()
        return any(
            torrent.pending and torrent.held_until <= self.now
            and self.total(name) + self.kept("torrent_connections", self._incoming_of(name)) < self.limits["torrent_connections"]
            and (not only_newcomers or self._is_newcomer(name))
            for name, torrent in self.torrents.items()
        )

    def kept(self, limit: str, num_incoming: int) -> int:
        """Return how many connections of a limit are kept for incoming ones."""
        return max(int(self.limits[limit] * self.settings.incoming_reserve) - num_incoming, 0)

    def total(self, name: bytes | None = None) -> int:
        """Return how many connections, dials and leases there are, of one torrent or of all."""
        if name is None:
            return len(self.leased) + len(self.half_open) + len(self.connected)
        owners = [owner for owner, _ in self.leased.values()] + list(self.half_open.values()) + [owner for owner, _ in self.connected.values()]
        return owners.count(name)

    def _is_router_full(self, in_flight: int) -> bool:
        """Tell whether `auto` holds back, for all but first peers at least."""
        if self.settings.profile != "auto":
            return False
        return self._num_remembered() + in_flight + len(self.connected) >= self._most_flows() // 4

    def _most_flows(self) -> int:
        return int(self.settings.router_entries * 0.7)

    def _is_newcomer(self, name: bytes) -> bool:
        torrent = self.torrents[name]
        has_peers = any(owner == name for owner, _ in self.connected.values())
        return not has_peers and not torrent.is_finished and torrent.num_fruitless < NEWCOMER_DIALS

    def _only_newcomers(self) -> bool:
        """Tell whether all others have used up their part of what a router may remember."""
        most = self.limits["unanswered"]
        if self.settings.profile == "auto":
            most = min(most, max(self._most_flows() - len(self.connected), 0))
        self._forget()
        grants = [grant_id for ends in self._remembered.values() for _, grant_id in ends] + [*self.leased, *self.half_open]
        return sum(grant_id not in self._of_newcomers for grant_id in grants) >= math.ceil(most * (1 - KEPT_FOR_NEWCOMERS))

    def _incoming_of(self, name: bytes) -> int:
        return sum(owner == name and incoming for owner, incoming in self.connected.values())

    def _num_remembered(self) -> int:
        self._forget()
        return sum(map(len, self._remembered.values()))

    def _forget(self) -> None:
        for seconds, ends in self._remembered.items():
            while ends and ends[0][0] + seconds <= self.now + ROUNDING:
                ends.popleft()
