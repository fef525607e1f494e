"""GrantLedger: the one count of every connection there is or may soon be, in either direction, keyed by grant id.

A grant is leased (given, not yet used), then half-open (a dial or its handshake is under way), then connected, and leaves from any of
these. An incoming connection enters as connected. Every change goes through one function, which moves the counts, so that

    granted = connected ever + failed + cancelled + declined + expired + in flight (leased + half-open)

holds after each. What is said twice, too late or of an unknown grant finds nothing here and changes nothing; with one exception:
a dial that begins after its lease expired is a connection that there is, so it is counted again, over a limit if need be.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Final

from protocol import daemon_messages as dm

LEASED: Final = "leased"
HALF_OPEN: Final = "half_open"
CONNECTED: Final = "connected"

# What a grant is for. Who has had its chance must not use up what others need for theirs
FIRST_PEER: Final = "first_peer"
FIRST_PEER_STILL: Final = "first_peer_still"            # many dials have not found one
MORE_PEERS: Final = "more_peers"                        # the torrent had a peer, or was finished

MAX_EXPIRED_REMEMBERED: Final = 1_000                   # for those that are used all the same; answers come within seconds


@dataclass(slots=True, eq=False)
class Grant:
    """One connection, or the permission for one."""

    grant_id: int
    info_hash: bytes
    state: str
    incoming: bool
    purpose: str                                        # when it was granted
    deadline: float                                     # of the lease, in steady seconds


@dataclass(slots=True, eq=False)
class ConnectionCount:
    """How many grants are in which state."""

    leased: int = 0
    half_open: int = 0
    connected: int = 0

    @property
    def in_flight(self) -> int:
        """Those that will become a connection or nothing."""
        return self.leased + self.half_open

    @property
    def total(self) -> int:
        """What the limits of connections count."""
        return self.leased + self.half_open + self.connected

    def add(self, state: str, difference: int) -> None:
        """Count one more or less in this state."""
        if state is LEASED:
            self.leased += difference
        elif state is HALF_OPEN:
            self.half_open += difference
        else:
            self.connected += difference


@dataclass(slots=True, eq=False)
class Account(ConnectionCount):
    """The grants of one torrent."""

    incoming: int = 0                                   # of the connected ones
    granted: int = 0                                    # since the account was opened
    grants: dict[int, Grant] = field(default_factory=dict)


class GrantLedger:
    """All grants that are alive, and how the others ended."""

    def __init__(self) -> None:
        self.count = ConnectionCount()
        self.incoming = 0                               # of the connected ones
        self.in_flight_for = dict.fromkeys((FIRST_PEER, FIRST_PEER_STILL, MORE_PEERS), 0)
        self.granted = 0                                # these and the following: since the start, outgoing ones only
        self.connected_ever = 0
        self.declined: Counter[str] = Counter()         # by reason
        self.failed: Counter[str] = Counter()           # by outcome; local_busy is this machine's fault and no peer's
        self.cancelled = 0
        self.expired = 0
        self._accounts: dict[bytes, Account] = {}
        self._grants: dict[int, Grant] = {}
        self._leases: OrderedDict[int, Grant] = OrderedDict()       # in the order of their deadlines
        self._expired_grants: OrderedDict[int, tuple[Grant, Account]] = OrderedDict()
        self._last_grant_id = 0

    def open_account(self, info_hash: bytes) -> Account:
        """A torrent is there."""
        account = self._accounts[info_hash] = Account()
        return account

    def close_account(self, info_hash: bytes) -> list[tuple[Grant, str]]:
        """The torrent is gone: end all its grants, as cancelled where they had not led to anything. Return them and their states."""
        ended = [(grant, grant.state) for grant in self._accounts[info_hash].grants.values()]
        for grant, state in ended:
            self._move(grant, None)
            self.cancelled += state is not CONNECTED
        del self._accounts[info_hash]
        return ended

    def get(self, grant_id: int) -> Grant | None:
        """Return the grant if it is alive."""
        return self._grants.get(grant_id)

    # ── from wish to connection ──────────────────────────────────────────────────────────────────────────────────────────

    def lease(self, info_hash: bytes, deadline: float, purpose: str = FIRST_PEER) -> Grant:
        """Give a grant. `deadline` is not before that of the grant before."""
        account = self._accounts[info_hash]
        grant = self._enter(info_hash, LEASED, incoming=False, purpose=purpose, deadline=deadline)
        self.granted += 1
        account.granted += 1
        return grant

    def start(self, grant: Grant) -> None:
        """The dial of a lease began."""
        self._move(grant, HALF_OPEN)

    def decline(self, grant: Grant, reason: str) -> None:
        """A lease came back unused."""
        self._move(grant, None)
        self.declined[reason] += 1

    def expire(self, until: float) -> list[Grant]:
        """End the leases whose deadline is not after `until` and return them."""
        expired = []
        while self._leases:
            grant = next(iter(self._leases.values()))
            if grant.deadline > until:
                break
            self._move(grant, None)
            self.expired += 1
            self._expired_grants[grant.grant_id] = grant, self._accounts[grant.info_hash]
            expired.append(grant)
        while len(self._expired_grants) > MAX_EXPIRED_REMEMBERED:
            self._expired_grants.popitem(last=False)
        return expired

    def revive(self, grant_id: int) -> Grant | None:
        """A lease that expired is used all the same: it is half-open. None if it is no such lease or its torrent is gone."""
        grant, account = self._expired_grants.pop(grant_id, (None, None))
        if grant is None or self._accounts.get(grant.info_hash) is not account:
            return None
        self.expired -= 1
        self._move(grant, HALF_OPEN)
        return grant

    def end_attempt(self, grant: Grant, outcome: str) -> None:
        """A dial ended: with a connection, or as one of the other outcomes."""
        if outcome == dm.CONNECTED:
            self._move(grant, CONNECTED)
            self.connected_ever += 1
            return
        self._move(grant, None)
        if outcome == dm.CANCELLED:
            self.cancelled += 1
        else:
            self.failed[outcome] += 1

    def reserve_incoming(self, info_hash: bytes) -> Grant:
        """A peer dialled us and gets a place."""
        return self._enter(info_hash, CONNECTED, incoming=True, purpose=MORE_PEERS, deadline=0.0)

    def close(self, grant: Grant) -> None:
        """A connection is gone."""
        self._move(grant, None)

    # ── time and truth ───────────────────────────────────────────────────────────────────────────────────────────────────

    def next_deadline(self) -> float | None:
        """Return when the next lease ends, or None without any."""
        return next(iter(self._leases.values())).deadline if self._leases else None

    def check_invariants(self) -> None:
        """Count everything anew and assert that the counts and the identity hold."""
        rows = {info_hash: {LEASED: 0, HALF_OPEN: 0, CONNECTED: 0, "incoming": 0} for info_hash in self._accounts}
        in_flight_for = dict.fromkeys(self.in_flight_for, 0)
        for grant_id, grant in self._grants.items():
            row, account = rows[grant.info_hash], self._accounts[grant.info_hash]
            row[grant.state] += 1
            row["incoming"] += grant.incoming
            in_flight_for[grant.purpose] += grant.state is not CONNECTED
            assert account.grants[grant_id] is grant and (grant_id in self._leases) is (grant.state is LEASED)
        for info_hash, account in self._accounts.items():
            counted = {LEASED: account.leased, HALF_OPEN: account.half_open, CONNECTED: account.connected, "incoming": account.incoming}
            assert rows[info_hash] == counted and len(account.grants) == account.total
        totals = [sum(row[state] for row in rows.values()) for state in (LEASED, HALF_OPEN, CONNECTED, "incoming")]
        assert totals == [self.count.leased, self.count.half_open, self.count.connected, self.incoming]
        assert len(self._grants) == self.count.total and len(self._leases) == self.count.leased
        assert self.in_flight_for == in_flight_for
        ended = self.failed.total() + self.cancelled + self.declined.total() + self.expired
        assert self.granted == self.connected_ever + ended + self.count.in_flight

    def _enter(self, info_hash: bytes, state: str, *, incoming: bool, purpose: str, deadline: float) -> Grant:
        self._last_grant_id += 1
        grant = Grant(self._last_grant_id, info_hash, state, incoming, purpose, deadline)
        self._count(grant, state, +1)
        return grant

    def _move(self, grant: Grant, state: str | None) -> None:
        """The one place where a grant changes its state; None ends it."""
        if grant.grant_id in self._grants:
            self._count(grant, grant.state, -1)
        if state is not None:
            grant.state = state
            self._count(grant, state, +1)

    def _count(self, grant: Grant, state: str, difference: int) -> None:
        account = self._accounts[grant.info_hash]
        self.count.add(state, difference)
        account.add(state, difference)
        if state is not CONNECTED:
            self.in_flight_for[grant.purpose] += difference
        elif grant.incoming:
            self.incoming += difference
            account.incoming += difference
        for grants in (self._grants, account.grants):
            if difference > 0:
                grants[grant.grant_id] = grant
            else:
                del grants[grant.grant_id]
        if state is LEASED:
            if difference > 0:
                self._leases[grant.grant_id] = grant
            else:
                del self._leases[grant.grant_id]
