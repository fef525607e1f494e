"""TurnWatch: between two torrents of one class that both stay eligible, grants differ by at most one.

Each torrent that may be served has the number of its last grant, or of the moment since when it waits. Whoever gets a grant though he had
one since another one of his class has been waiting has passed that one over. The torrent that has waited longest is always the first of
its class, so one look is enough.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.violations import violated

ROUNDING = 1e-6
NEWCOMER_DIALS = 20                                     # docs/fairness.md: so many of a torrent without a peer are its first ones


@dataclass(eq=False)
class WatchedTorrent:
    """One torrent by what was said."""

    info_hash: bytes
    actor: Any
    weight: float
    is_finished: bool = False
    pending: int = 0
    leased: int = 0
    half_open: int = 0
    connected: int = 0
    incoming: int = 0
    held_until: float = 0.0
    hold_at_least_until: float = 0.0
    num_declines: int = 0
    num_fruitless: int = 0                              # grants that it used since a dial of it connected
    turn: int = 0                                       # number of its last grant, or of the moment since when it waits
    turn_before: int = 0
    turn_is_grant: bool = False
    ring: tuple | None = None                           # (class, weight) among whose members it takes turns now
    grants: dict[int, str] = field(default_factory=dict)

    @property
    def is_newcomer(self) -> bool:
        """Tell whether it has no peer, and has not dialled often for one."""
        return not self.connected and not self.is_finished and self.num_fruitless < NEWCOMER_DIALS

    @property
    def in_flight(self) -> int:
        return self.leased + self.half_open

    @property
    def total(self) -> int:
        return self.leased + self.half_open + self.connected


class TurnWatch:
    """Who takes turns with whom, by what was said."""

    def __init__(self, half_open_limit: int) -> None:
        self._limit = half_open_limit
        self._rings: dict[tuple, OrderedDict[bytes, WatchedTorrent]] = {}
        self._asking: dict[bytes, WatchedTorrent] = {}  # and have room; held ones too
        # Those that ask or have a dial under way share the half-open slots; downloading ones and finished ones (True) each among themselves
        self._active: dict[bool, set[bytes]] = {False: set(), True: set()}
        self._kinds: dict[bytes, bool] = {}             # the kind that each was counted among
        self._dialling: dict[bytes, WatchedTorrent] = {}
        self._over_share: dict[bytes, WatchedTorrent] = {}
        self._share = {False: half_open_limit, True: half_open_limit}
        self._turn = 0

    @property
    def somebody_asks(self) -> bool:
        """Tell whether a slot would help anybody, now or when a hold is over."""
        return bool(self._asking)

    def somebody_is_awake(self, now: float, *, only_newcomers: bool) -> bool:
        """Tell whether a slot would help somebody now, or a newcomer."""
        return any(torrent.held_until <= now and (torrent.is_newcomer or not only_newcomers) for torrent in self._asking.values())

    def somebody_wants_a_first_peer(self, now: float) -> bool:
        """Tell whether a slot would help a torrent that downloads and has no peer."""
        return any(
            torrent.held_until <= now and not torrent.connected and not torrent.is_finished for torrent in self._asking.values()
        )

    def take(self, torrent: WatchedTorrent, *, only_newcomers: bool) -> None:
        """It gets a grant; with `only_newcomers` these alone may have any."""
        ring = self._rings.get(torrent.ring)
        if ring and torrent.weight <= 1:                # who has three turns in a row is looked at by scenarios
            first = next((each for each in ring.values() if each.is_newcomer or not only_newcomers), torrent)
            passed_over = first is not torrent and torrent.turn_is_grant and first.turn < torrent.turn
            violated(passed_over, "turns", f"{torrent.info_hash.hex()[:8]} had two turns, {first.info_hash.hex()[:8]} waited and had none")
        self._turn += 1
        torrent.turn_before, torrent.turn, torrent.turn_is_grant = torrent.turn, self._turn, True
        if ring and torrent.info_hash in ring:
            ring.move_to_end(torrent.info_hash)

    def set_limit(self, half_open: int) -> None:
        """So many half-open slots are shared."""
        if half_open != self._limit:
            self._limit = half_open
            self._count_share(False)
            self._count_share(True)

    def settle(self, torrent: WatchedTorrent, *, is_here: bool, has_room: bool, now: float) -> None:
        """Find out whether it is eligible now, and among whom it takes turns."""
        asks = is_here and torrent.pending > 0 and has_room
        waits = asks and torrent.held_until <= now + ROUNDING
        self._put(self._asking, torrent, asks)
        self._join_ring(torrent, waits)
        self._put(self._dialling, torrent, is_here and torrent.in_flight > 0)
        self._count_active(torrent, waits or (is_here and torrent.in_flight > 0))

    def _count_active(self, torrent: WatchedTorrent, is_active: bool) -> None:
        before, after = self._kinds.get(torrent.info_hash), torrent.is_finished if is_active else None
        if before is after:
            return
        self._kinds[torrent.info_hash] = after
        for kind in (False, True):
            if kind in (before, after):
                (self._active[kind].add if kind is after else self._active[kind].discard)(torrent.info_hash)
                self._count_share(kind)

    @staticmethod
    def _put(place: dict[bytes, WatchedTorrent], torrent: WatchedTorrent, is_in: bool) -> None:
        if is_in:
            place[torrent.info_hash] = torrent
        else:
            place.pop(torrent.info_hash, None)

    def _join_ring(self, torrent: WatchedTorrent, waits: bool) -> None:
        below_share = torrent.in_flight < self._share[torrent.is_finished]
        self._put(self._over_share, torrent, waits and not below_share)
        ring = (torrent.connected > 0, torrent.is_finished, torrent.weight) if waits and below_share else None
        if ring == torrent.ring:
            return
        if torrent.ring is not None:
            del self._rings[torrent.ring][torrent.info_hash]
        torrent.ring = ring
        if ring is not None:
            self._turn += 1
            torrent.turn, torrent.turn_is_grant = self._turn, False
            self._rings.setdefault(ring, OrderedDict())[torrent.info_hash] = torrent

    def _count_share(self, kind: bool) -> None:
        before, after = self._share[kind], -(-self._limit // max(len(self._active[kind]), 1))
        self._share[kind] = after
        if after > before:
            moved = list(self._over_share.values())
        elif after < before:
            moved = [torrent for torrent in self._dialling.values() if torrent.ring is not None]    # never more than half-open slots
        else:
            return
        for torrent in moved:
            if torrent.is_finished is kind:
                self._join_ring(torrent, waits=True)
