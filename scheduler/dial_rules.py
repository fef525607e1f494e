"""DialRules: the limits of dialling, and which of them says no.

Each limit is one `if` here and nowhere else. The order is the order in which people are told: what somebody switched off, what
is full, and only then the rate, which is the one that always ends.
"""

import math
from dataclasses import dataclass, replace
from typing import Final

from scheduler import refusal as r
from scheduler.dial_rate_control import DialPace, DialRateControl
from scheduler.grant_ledger import FIRST_PEER, FIRST_PEER_STILL, MORE_PEERS, Account, ConnectionCount, GrantLedger
from scheduler.refusal import Refusal
from scheduler.router_memory import RouterMemory
from scheduler.settings import AUTO, Settings
from scheduler.token_bucket import TokenBucket

# Of a router's table of connections, where its size is looked at (profile `auto`). It gives no sign before it is full, and then it
# drops what others in the house begin as well: so much is ours, connections included.
FULL: Final = 0.7
FOR_OTHERS: Final = 0.25                                # of that; the rest is kept for torrents without a peer while one of them waits
FIRST_PEER_TRIES: Final = 20                            # of swarms of which 3 in 10 peers answer, 1 in 1,000 has given none by then
FOR_NEWCOMERS: Final = 0.25                             # of the unanswered dials, kept for torrents that have none and tried less often


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What may be changed while it runs. A limit that is lowered below its use runs out by itself."""

    half_open: int
    global_connections: int
    torrent_connections: int
    unanswered: int
    incoming_reserve: float                             # of the two limits of connections, kept for incoming ones
    router_entries: int                                 # what a router's table may hold, see FULL; 0 = not looked at


class DialRules:
    """Says no, or nothing. Moments are steady seconds."""

    def __init__(self, settings: Settings, ledger: GrantLedger, now: float) -> None:
        self.bucket = TokenBucket(settings.connection_rate, settings.connection_burst, now)
        self.router_memory = RouterMemory()
        self.pauses: dict[str, None] = {}               # why nobody may dial, in the order in which that was said
        self._ledger = ledger
        self.apply(settings, now)

    def apply(self, settings: Settings, now: float) -> None:
        """From now on these settings."""
        is_careful = settings.profile == AUTO
        most = DialPace(settings.connection_rate or math.inf, settings.connection_burst, settings.half_open_limit)
        self.limits = ConnectionLimits(
            settings.half_open_limit, settings.global_connection_limit, settings.torrent_connection_limit, settings.unanswered_limit,
            settings.incoming_reserve, settings.router_entries if is_careful else 0,
        )
        self.control = DialRateControl(most, is_careful=is_careful, now=now)
        self._follow_control(now)

    # ── how fast ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def set_rate(self, per_second: float, burst: int, now: float) -> None:
        """At most so many dials per second from now on; 0 = unlimited."""
        self.control.set_most(self.control.most._replace(rate=per_second or math.inf, burst=burst))
        self._follow_control(now)

    def set_limits(self, now: float, **limits: int) -> None:
        """Replace limits by their names."""
        self.limits = replace(self.limits, **limits)
        if "half_open" in limits:
            self.control.set_most(self.control.most._replace(half_open=limits["half_open"]))
            self._follow_control(now)

    def attempt_ended(self, outcome: str, answered_in: float | None, answered_in_before: float | None, now: float) -> bool:
        """A dial ended. Return whether the half-open limit is another one now."""
        return self.control.attempt_ended(outcome, answered_in, answered_in_before, now) and self._follow_control(now)

    def advance(self, now: float) -> bool:
        """Time passed. Return whether the half-open limit is another one now."""
        return self.control.advance(now) and self._follow_control(now)

    def _follow_control(self, now: float) -> bool:
        pace = self.control.pace
        rate = pace.rate if math.isfinite(pace.rate) else 0.0
        if (rate, pace.burst) != (self.bucket.rate, self.bucket.burst):
            self.bucket.set_rate(rate, pace.burst, now)
        if pace.half_open == self.limits.half_open:
            return False
        self.limits = replace(self.limits, half_open=pace.half_open)
        return True

    # ── who says no ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def refusal_to_all(self, now: float) -> Refusal | None:
        """Return the rule that lets nobody dial now."""
        if self.pauses:
            return Refusal(r.PAUSED, reason="; ".join(self.pauses))
        return self._refusal_of_global_place(incoming=False) or self._refusal_of_flow(now)

    def lacks_only_a_place(self, now: float) -> bool:
        """Tell whether one place more of the global limit would let somebody dial now."""
        full = self._refusal_of_global_place(incoming=False)
        return full is not None and full.used + full.kept == full.limit and not self.pauses and self._refusal_of_flow(now) is None

    def has_more_incoming_than_kept(self) -> bool:
        """Tell whether the end of an incoming connection makes room for a dial."""
        return self._ledger.incoming > int(self.limits.global_connections * self.limits.incoming_reserve)

    def _refusal_of_flow(self, now: float) -> Refusal | None:
        """Return the rule about new flows that lets nobody dial now."""
        limits, count = self.limits, self._ledger.count
        if count.in_flight >= limits.half_open:
            return Refusal(r.HALF_OPEN, count.in_flight, limits.half_open)
        if (unanswered := self.num_unanswered(now)) >= limits.unanswered:
            return Refusal(r.UNANSWERED, unanswered, limits.unanswered)
        if limits.router_entries and (flows := self.num_flows(now)) >= self.most_flows:
            return Refusal(r.ROUTER, flows, self.most_flows, reason=self._router_text())
        if not self.bucket.can_reserve(now):
            return Refusal(r.RATE, limit=self.bucket.rate)
        return None

    def refusal_to_torrents_with_peers(self, now: float, somebody_has_no_peer: bool) -> Refusal | None:
        """Return the rule that lets only torrents without a peer dial: while one waits, half of what a router remembers is theirs."""
        if not somebody_has_no_peer:
            return None
        if self.limits.router_entries and (flows := self.num_flows(now)) >= (most := int(self.most_flows * FOR_OTHERS)):
            return Refusal(r.ROUTER, flows, most, reason=self._router_text() + ", the others are kept for torrents without a peer")
        used = self._num_unanswered_for(MORE_PEERS, now)
        if used < self.limits.unanswered // 2:
            return None
        return Refusal(r.UNANSWERED, used, self.limits.unanswered, reason=", half is kept for torrents without a peer")

    def refusal_to_all_but_newcomers(self, now: float) -> Refusal | None:
        """Return the rule that keeps a part of what a router remembers for torrents that come: entries are not forgotten sooner because
        somebody needs them.
        """
        most = self.limits.unanswered
        if self.limits.router_entries:
            most = min(most, max(self.most_flows - self._ledger.count.connected, 0))
        used = self._num_unanswered_for(MORE_PEERS, now) + self._num_unanswered_for(FIRST_PEER_STILL, now)
        if used < math.ceil(most * (1 - FOR_NEWCOMERS)):
            return None
        return Refusal(r.UNANSWERED, used, most, reason=", a quarter is kept for torrents that begin to look for their first peer")

    def refusal_to_torrent(self, account: Account) -> Refusal | None:
        """Return the rule that gives this torrent no further connection."""
        return self._refusal_of_place(r.TORRENT, account, account.incoming, self.limits.torrent_connections, incoming=False)

    def refusal_to_incoming(self, account: Account) -> Refusal | None:
        """Return the rule that takes no further connection from outside for this torrent."""
        return self._refusal_of_global_place(incoming=True) or self._refusal_of_place(
            r.TORRENT, account, account.incoming, self.limits.torrent_connections, incoming=True)

    def num_unanswered(self, now: float) -> int:
        """Return how many dials a router has an entry for: ended ones that it remembers, and each that is under way."""
        return self.router_memory.num_entries(now) + self._ledger.count.in_flight

    def _num_unanswered_for(self, purpose: str, now: float) -> int:
        return self.router_memory.num_entries_for(purpose, now) + self._ledger.in_flight_for[purpose]

    def num_flows(self, now: float) -> int:
        """Return how many entries of a router's table are ours: connections, and what `num_unanswered` counts."""
        return self.num_unanswered(now) + self._ledger.count.connected

    @property
    def most_flows(self) -> int:
        """How many of these there may be; 0 = not limited as such."""
        return int(self.limits.router_entries * FULL)

    def has_claim_to_a_first_peer(self, num_fruitless: int) -> bool:
        """Tell whether a torrent that has no peer, and got none by so many dials in a row, comes before those that have one."""
        return not self.limits.router_entries or num_fruitless < FIRST_PEER_TRIES

    def purpose_of_dial(self, account: Account, num_fruitless: int, *, is_finished: bool) -> str:
        """Return what a torrent dials for now, as grant_ledger names it."""
        if is_finished or account.connected:
            return MORE_PEERS
        return FIRST_PEER if num_fruitless < FIRST_PEER_TRIES else FIRST_PEER_STILL

    def num_free_slots(self) -> int:
        """Return how many half-open slots nobody uses; below 0 after the limit was lowered."""
        return self.limits.half_open - self._ledger.count.in_flight

    def share(self, num_torrents: int) -> int:
        """Return how many half-open slots each of so many torrents may use before the others."""
        return math.ceil(self.limits.half_open / max(num_torrents, 1))

    def seconds_until_changed(self, refusal: Refusal, now: float) -> float:
        """Return when time alone can end this refusal to all; infinite when it takes an event."""
        if refusal.rule == r.RATE:
            return self.bucket.seconds_until_available(now)
        if refusal.rule == r.HALF_OPEN:
            return self.control.next_rise() - now
        if refusal.rule in (r.UNANSWERED, r.ROUTER) and (forgotten := self.router_memory.next_forgotten()) is not None:
            return forgotten - now
        return math.inf

    def _router_text(self) -> str:
        return f", for a router that may have room for only {self.limits.router_entries} (setting router_entries)"

    def _refusal_of_global_place(self, *, incoming: bool) -> Refusal | None:
        ledger = self._ledger
        return self._refusal_of_place(r.GLOBAL, ledger.count, ledger.incoming, self.limits.global_connections, incoming=incoming)

    def _refusal_of_place(
        self, rule: str, count: ConnectionCount, num_incoming: int, limit: int, *, incoming: bool,
    ) -> Refusal | None:
        used = count.total
        kept = 0 if incoming else int(limit * self.limits.incoming_reserve) - num_incoming
        if used + kept < limit and used < limit:
            return None
        return Refusal(rule, used, limit, max(kept, 0))
