"""TorrentPlaces: where each torrent that asks is kept, and whose turn it is.

A torrent that asks has one of these places, and `settle` is the one function that moves it:
- waiting: in the rings, its turn comes
- half_open_share: it has its share of the half-open slots, ceil(limit / torrents that ask or have a dial under way). It has turns as
  the others have while there are more free slots than torrents that wait, or nobody waits at all: what others leave unused is used
- torrent: it has as many connections as one torrent may have
- retry: it declined, and is not asked again before the time that it said

Nothing looks at all torrents for one grant. A torrent changes its place when something happens to itself, and one whose share became
smaller when its turn comes. Only when the share of all grows, those that are over it are looked at: there are never more of them than
half-open slots.
"""

import math
from collections.abc import Iterator

from scheduler import refusal
from scheduler.dial_rules import DialRules
from scheduler.queued_torrent import IDLE, WAITING, QueuedTorrent
from scheduler.refusal import Refusal
from scheduler.steady_time import ROUNDING_SECONDS
from scheduler.torrent_turns import TorrentTurns
from scheduler.withdrawable_heap import WithdrawableHeap


class TorrentPlaces:
    """The torrents that ask. Moments are steady seconds."""

    def __init__(self, rules: DialRules) -> None:
        self._rules = rules
        self._waiting: TorrentTurns[QueuedTorrent] = TorrentTurns()
        self._over_share: TorrentTurns[QueuedTorrent] = TorrentTurns()
        self._full: dict[bytes, QueuedTorrent] = {}
        self._held: WithdrawableHeap[QueuedTorrent] = WithdrawableHeap()
        self._num_active = 0                            # torrents that ask or have a dial under way
        self._share = rules.share(0)
        self._share_grew = False                        # since those over it were looked at

    @property
    def num_waiting(self) -> int:
        """How many torrents a slot would help now."""
        return len(self._waiting) + len(self._over_share)

    @property
    def is_a_downloader_waiting(self) -> bool:
        """Tell whether a slot would help a torrent that is not finished."""
        return bool(self.num_waiting)

    def upcoming(self) -> Iterator[QueuedTorrent]:
        """The order in which turns come, as it looks now."""
        yield from self._waiting
        yield from self._over_share

    def settle(self, torrent: QueuedTorrent) -> bool:
        """Move the torrent to the place where it belongs now. Return False if it is there already."""
        refused = self._own_refusal(torrent) if torrent.pending else None
        asks = torrent.pending > 0 and (refused is None or refused.rule == refusal.HALF_OPEN_SHARE)
        is_active = asks or torrent.account.in_flight > 0
        if is_active is not torrent.is_active:
            torrent.is_active = is_active
            self._num_active += 1 if is_active else -1
            self.count_shares()
        place = IDLE if torrent.pending == 0 else WAITING if refused is None else refused.rule
        has_peers = torrent.account.connected > 0
        if place == torrent.place and has_peers is torrent.has_peers and place != refusal.RETRY:
            return False
        self._leave(torrent)
        torrent.place, torrent.has_peers = place, has_peers
        self._join(torrent)
        return True

    def next_torrent(self, now: float) -> QueuedTorrent | None:
        """Return the torrent that may dial next, or None when a rule lets nobody."""
        while (self._waiting or self._over_share) and self._rules.refusal_to_all(now) is None:
            if self._share_grew:
                self._share_grew = False
                for torrent in list(self._over_share):
                    self.settle(torrent)
            head = self._head(with_peers_too=self._refusal_to_torrents_with_peers(now) is None)
            if head is None or not self.settle(head):   # it is still where it was: nothing but its turn kept it from dialling
                return head
        return None

    def served(self, torrent: QueuedTorrent) -> None:
        """The torrent that `next_torrent` returned got a grant."""
        (self._waiting if torrent.place == WAITING else self._over_share).served(torrent)

    def end_holds(self, now: float) -> None:
        """Let torrents have turns again whose time is over."""
        while (first := self._held.smallest()) is not None and first[0] <= now + ROUNDING_SECONDS:
            self.end_hold(first[1], now)

    def end_hold(self, torrent: QueuedTorrent, now: float) -> None:
        """The same for one, if its time is over."""
        if torrent.held_until is not None and torrent.held_until <= now + ROUNDING_SECONDS:
            torrent.held_until = None
            torrent.waiting_since = now
        self.settle(torrent)

    def limits_changed(self) -> None:
        """Some may have got room."""
        self.count_shares()
        for torrent in list(self._full.values()):
            self.settle(torrent)

    def count_shares(self) -> None:
        """The number of half-open slots, or of those who share them, changed."""
        share = self._rules.share(self._num_active)
        self._share_grew = self._share_grew or share > self._share
        self._share = share

    def next_change(self, now: float, next_lease_end: float | None) -> float | None:
        """Return the moment at which time alone can let somebody dial; None: never, it takes an event."""
        moments = [math.inf]
        if self.num_waiting:
            refused = self._rules.refusal_to_all(now)
            moments.append(now if refused is None else now + self._rules.seconds_until_changed(refused, now))
        if next_lease_end is not None and (self.num_waiting or self._full):
            moments.append(next_lease_end)
        if (first := self._held.smallest()) is not None:
            moments.append(first[0])
        return None if self._rules.pauses or min(moments) == math.inf else min(moments)

    def refusal_of(self, torrent: QueuedTorrent, now: float) -> Refusal | None:
        """Return the rule that says no to the torrent now; None if it asks for nothing."""
        if torrent.pending == 0:
            return None
        to_all = self._rules.refusal_to_all(now)
        if to_all is not None and to_all.rule == refusal.PAUSED:
            return to_all
        own = self._own_refusal(torrent)
        others_waiting = len(self._waiting) - (torrent.place == WAITING)
        if own is not None and (own.rule != refusal.HALF_OPEN_SHARE or self._shares_bind(others_waiting)):
            return own._replace(seconds=own.seconds - now)
        if to_all is None and torrent.has_peers:
            to_all = self._refusal_to_torrents_with_peers(now)
        return to_all or Refusal(refusal.NOT_ITS_TURN, limit=self._rules.bucket.rate)

    def check_invariants(self, torrents: list[QueuedTorrent]) -> None:
        """Assert that each of `torrents`, all that there are, has exactly the place that it says, and the counts hold."""
        expected: dict[tuple[str, bool], set[bytes]] = {}
        for torrent in torrents:
            assert torrent.pending >= 0 and (torrent.place == IDLE) is (torrent.pending == 0)
            assert torrent.has_peers is (torrent.account.connected > 0)
            assert torrent.place != refusal.HALF_OPEN_SHARE or self._share_grew or torrent.account.in_flight >= self._share
            asks = torrent.place in (WAITING, refusal.HALF_OPEN_SHARE)
            assert torrent.is_active is (asks or torrent.account.in_flight > 0)
            expected.setdefault((torrent.place, torrent.has_peers if asks else False), set()).add(torrent.info_hash)
        actual = {
            (WAITING, False): self._waiting.without_peers, (WAITING, True): self._waiting.with_peers,
            (refusal.HALF_OPEN_SHARE, False): self._over_share.without_peers, (refusal.HALF_OPEN_SHARE, True): self._over_share.with_peers,
            (refusal.TORRENT, False): self._full.values(), (refusal.RETRY, False): [t for t in torrents if t in self._held],
        }
        for place, members in actual.items():
            assert {torrent.info_hash for torrent in members} == expected.get(place, set()), place
        assert len(self._held) == len(expected.get((refusal.RETRY, False), set()))
        assert self._num_active == sum(torrent.is_active for torrent in torrents)
        assert self._share == self._rules.share(self._num_active)

    # ── one place each ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _head(self, *, with_peers_too: bool) -> QueuedTorrent | None:
        """Return whose turn it is, be it over its share."""
        waiting = self._waiting.head(with_peers_too=with_peers_too)
        over_share = self._over_share.head(with_peers_too=with_peers_too)
        if waiting is None or over_share is None:
            return waiting or over_share
        has_waited_longer = over_share.waiting_since < waiting.waiting_since and over_share.has_peers <= waiting.has_peers
        return over_share if has_waited_longer and not self._shares_bind(len(self._waiting)) else waiting

    def _shares_bind(self, num_waiting: int) -> bool:
        """Tell whether so many who have less than their share leave nothing to those who have it."""
        return num_waiting > 0 and self._rules.num_free_slots() <= num_waiting

    def _own_refusal(self, torrent: QueuedTorrent) -> Refusal | None:
        """Return the rule that says no to this torrent whatever the others do; about its share: if that binds."""
        if torrent.held_until is not None:
            return Refusal(refusal.RETRY, reason=torrent.hold_reason, seconds=torrent.held_until)
        if (refused := self._rules.refusal_to_torrent(torrent.account)) is not None:
            return refused
        if torrent.account.in_flight >= self._share:
            return Refusal(refusal.HALF_OPEN_SHARE, torrent.account.in_flight, self._share)
        return None

    def _refusal_to_torrents_with_peers(self, now: float) -> Refusal | None:
        somebody_has_no_peer = bool(self._waiting.without_peers or self._over_share.without_peers)
        return self._rules.refusal_to_torrents_with_peers(now, somebody_has_no_peer)

    def _leave(self, torrent: QueuedTorrent) -> None:
        match torrent.place:
            case "waiting":          self._waiting.ring_of(torrent).leave(torrent)
            case "half_open_share":  self._over_share.ring_of(torrent).leave(torrent)
            case "torrent":          del self._full[torrent.info_hash]
            case "retry":            self._held.withdraw(torrent)

    def _join(self, torrent: QueuedTorrent) -> None:
        match torrent.place:
            case "waiting":
                self._waiting.ring_of(torrent).join(torrent, in_front=torrent.keeps_its_turn)
                torrent.keeps_its_turn = False
            case "half_open_share":  self._over_share.ring_of(torrent).join(torrent)
            case "torrent":          self._full[torrent.info_hash] = torrent
            case "retry":            self._held.push(torrent, torrent.held_until)
