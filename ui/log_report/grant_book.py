"""GrantBook: every grant from its line to its end, as the log tells it. Each method returns what is wrong with that, '' when nothing is.

Whoever writes a line has told the broker before, and the broker gives a grant before it writes that. So at any line the book counts at
most as many leases, dials and connections as the broker did: what the book finds over a limit was over it.

A log may begin in the middle, or lack a line. Then the book begins anew with the next grant that it reads: numbers grow by one, so every
smaller one is of before, and nothing is said about those.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Final

from ui.log_report.kind_counts import count_kind

LEASED: Final = "leased"
HALF_OPEN: Final = "half_open"
CONNECTED: Final = "connected"
RESERVED: Final = "reserved"                            # a place for an incoming peer: not counted before its handshake is complete

EXPIRED: Final = "expired"
FREED: Final = "freed"
CANCELLED: Final = "cancelled"

MAX_OPEN_GRANTS: Final = 100_000                        # as many connections as the settings allow
MAX_ENDED_GRANTS: Final = 10_000                        # how those ended is known; what comes late comes within seconds
ANSWER_SECONDS: Final = 0.05                            # a dial that began so shortly before the end of its lease was told too late


@dataclass(slots=True)
class OpenGrant:
    """A grant that has not ended."""

    info_hash: str
    state: str
    since: float                                        # when it came into this state
    incoming: bool = False


@dataclass(slots=True)
class GrantCount:
    """How many grants are in which state."""

    leased: int = 0
    half_open: int = 0
    connected: int = 0
    outgoing: int = 0                                   # of the connected ones
    grant_ids: set[int] = field(default_factory=set)    # of one torrent: all its open grants

    @property
    def in_flight(self) -> int:
        """What the half-open limit counts."""
        return self.leased + self.half_open

    @property
    def total(self) -> int:
        """What the limits of connections count."""
        return self.leased + self.half_open + self.connected

    def add(self, grant: OpenGrant, difference: int) -> None:
        """Count one more or less."""
        match grant.state:
            case "leased":     self.leased += difference
            case "half_open":  self.half_open += difference
            case "connected":
                self.connected += difference
                self.outgoing += difference * (not grant.incoming)


@dataclass(slots=True)
class GrantBook:
    """`is_whole`: the log begins with the engine, so every grant is in it."""

    is_whole: bool
    count: GrantCount = field(default_factory=GrantCount)
    by_torrent: dict[str, GrantCount] = field(default_factory=dict)     # those with an open grant
    leases: OrderedDict[int, OpenGrant] = field(default_factory=OrderedDict)    # by grant id, the oldest first
    ends: Counter[str] = field(default_factory=Counter)
    granted: int = 0
    incoming: int = 0
    _open: OrderedDict[int, OpenGrant] = field(default_factory=OrderedDict)
    _ended: OrderedDict[int, str] = field(default_factory=OrderedDict)
    _judged_from: int | None = None                     # grant ids; None: until the next grant is read
    _highest: int = 0

    def __post_init__(self) -> None:
        self._judged_from = 1 if self.is_whole else None

    def begin_anew(self) -> None:
        """A line may be missing: nothing is known of the grants that are open."""
        self._open.clear()
        self._ended.clear()
        self.leases.clear()
        self.by_torrent.clear()
        self.count = GrantCount()
        self._judged_from = None

    # ── what is told of grants ───────────────────────────────────────────────────────────────────────────────────────────

    def given(self, grant_id: int, info_hash: str, at: float, *, incoming: bool = False) -> str:
        """A slot was granted, or a place reserved for an incoming peer."""
        if self._judged_from is None:
            self._judged_from, self._highest = grant_id, grant_id - 1
        if grant_id <= self._highest:
            return f"grant {grant_id} was given, but its number was in use: the last one was {self._highest}"
        self._highest = grant_id
        self.granted += not incoming
        self._enter(grant_id, OpenGrant(info_hash, RESERVED if incoming else LEASED, at, incoming))
        if len(self._open) > MAX_OPEN_GRANTS:
            self._leave(next(iter(self._open)), None)
        return ""

    def dial_started(self, grant_id: int, info_hash: str, at: float) -> str:
        """A dial began."""
        grant = self._open.get(grant_id)
        if grant is not None:
            if grant.info_hash != info_hash:
                return f"grant {grant_id} was given to {_short(grant.info_hash)}, and {_short(info_hash)} dialled with it"
            if grant.state != LEASED:
                return f"a second dial with grant {grant_id}"
            self._move(grant_id, grant, HALF_OPEN, at)
            return ""
        ended = self._ended.get(grant_id)
        if ended == EXPIRED:                            # allowed: the dial is there, so it is counted again
            del self._ended[grant_id]
            self.ends[EXPIRED] -= 1
        elif ended is not None or self._is_older(grant_id):
            return "" if ended in (FREED, None) else f"a dial with grant {grant_id}, which had ended ({ended})"
        self._enter(grant_id, OpenGrant(info_hash, HALF_OPEN, at))
        return "" if ended == EXPIRED or not self._is_judged(grant_id) else f"a dial with grant {grant_id}, which nobody gave"

    def attempt_ended(self, grant_id: int, outcome: str, at: float) -> tuple[str, bool]:
        """The dial led to a peer ("connected") or to nothing. Also return whether there was that dial."""
        grant = self._open.get(grant_id)
        if grant is None or grant.state != HALF_OPEN:
            state = self._ended.get(grant_id, "was never given") if grant is None else f"is {grant.state}"
            return self._fault(grant_id, f"an attempt with grant {grant_id} ended ({outcome}), but that grant {_had(state)}"), False
        count_kind(self.ends, outcome)
        if outcome == CONNECTED:
            self._move(grant_id, grant, CONNECTED, at)
        else:
            self._leave(grant_id, outcome)
        return "", True

    def came_in(self, grant_id: int, info_hash: str, at: float) -> str:
        """The handshake of an incoming peer is complete."""
        grant = self._open.get(grant_id)
        if grant is None and not self._is_judged(grant_id):
            self._enter(grant_id, OpenGrant(info_hash, CONNECTED, at, incoming=True))
            return ""
        if grant is None or grant.state != RESERVED:
            return self._fault(grant_id, f"an incoming peer took the place of grant {grant_id}, which was not reserved")
        self._move(grant_id, grant, CONNECTED, at)
        return ""

    def closed(self, grant_id: int) -> str:
        """A connection is gone."""
        grant = self._open.get(grant_id)
        if grant is None or grant.state not in (CONNECTED, RESERVED):
            return self._fault(grant_id, f"a connection of grant {grant_id} was closed, but that grant had none")
        self._leave(grant_id, "closed")
        return ""

    def declined(self, grant_id: int) -> tuple[str, bool]:
        """The torrent gave the slot back. Also return whether that ended the lease."""
        grant = self._open.get(grant_id)
        if grant is None and self._ended.get(grant_id) == EXPIRED:
            return "", False                            # it was told too late
        if grant is None or grant.state != LEASED:
            state = self._ended.get(grant_id, "was never given") if grant is None else f"is {grant.state}"
            return self._fault(grant_id, f"grant {grant_id} was declined, but {_had(state)}"), False
        self.ends["declined"] += 1
        self._leave(grant_id, "declined")
        return "", True

    def expired(self, grant_id: int, at: float) -> str:
        """The broker took the lease back."""
        grant = self._open.get(grant_id)
        if grant is not None and grant.state == HALF_OPEN and at - grant.since < ANSWER_SECONDS:
            return ""                                   # its dial was told at the same moment, and is counted again
        if grant is None or grant.state != LEASED:
            state = self._ended.get(grant_id, "was never given") if grant is None else f"is {grant.state}"
            return self._fault(grant_id, f"the lease of grant {grant_id} expired, but that grant {_had(state)}")
        self.ends[EXPIRED] += 1
        self._leave(grant_id, EXPIRED)
        return ""

    def freed(self, info_hash: str) -> int:
        """A torrent is gone: all its grants ended. Return how many dials were under way."""
        held = self.by_torrent.get(info_hash)
        if held is None:
            return 0
        num_dials = held.half_open
        for grant_id in list(held.grant_ids):
            self.ends[CANCELLED] += self._open[grant_id].state in (LEASED, HALF_OPEN)
            self._leave(grant_id, FREED)
        return num_dials

    def forget_lease(self, grant_id: int) -> None:
        """It was told that this one should have ended; nothing more is said about it."""
        self._leave(grant_id, FREED)

    # ── one place for counts ─────────────────────────────────────────────────────────────────────────────────────────────

    def _is_judged(self, grant_id: int) -> bool:
        return self._judged_from is not None and grant_id >= self._judged_from

    def _is_older(self, grant_id: int) -> bool:
        """Tell whether it was given so long ago that its end is forgotten."""
        return self._is_judged(grant_id) and grant_id <= self._highest

    def _fault(self, grant_id: int, text: str) -> str:
        """Return the text, or '' where the book does not know enough to say so."""
        if not self._is_judged(grant_id) or self._ended.get(grant_id) == FREED:
            return ""
        is_forgotten = grant_id not in self._open and grant_id not in self._ended and grant_id <= self._highest
        return "" if is_forgotten else text

    def _enter(self, grant_id: int, grant: OpenGrant) -> None:
        self._open[grant_id] = grant
        if grant.state == LEASED:
            self.leases[grant_id] = grant
        self._count(grant, +1)
        self.by_torrent[grant.info_hash].grant_ids.add(grant_id)

    def _move(self, grant_id: int, grant: OpenGrant, state: str, at: float) -> None:
        self._count(grant, -1)
        self.leases.pop(grant_id, None)
        grant.state, grant.since = state, at
        self._count(grant, +1)

    def _leave(self, grant_id: int, end: str | None) -> None:
        grant = self._open.pop(grant_id)
        self.leases.pop(grant_id, None)
        self._count(grant, -1)
        of_torrent = self.by_torrent[grant.info_hash]
        of_torrent.grant_ids.discard(grant_id)
        if not of_torrent.grant_ids:
            del self.by_torrent[grant.info_hash]
        if end is not None:
            self._ended[grant_id] = end
            if len(self._ended) > MAX_ENDED_GRANTS:
                self._ended.popitem(last=False)

    def _count(self, grant: OpenGrant, difference: int) -> None:
        self.count.add(grant, difference)
        self.by_torrent.setdefault(grant.info_hash, GrantCount()).add(grant, difference)


def _short(info_hash: str) -> str:
    return info_hash[:8]


def _had(state: str) -> str:
    return state if state.startswith(("is ", "was ")) else f"had ended ({state})"
