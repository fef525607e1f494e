"""SwarmTable: the records of a swarm, how many there are in each state, and the two heaps over them.

A state changes in `_move` alone, which also moves the counters and keeps the heaps: the candidates, best first, and those that wait for
their next try, earliest first. So the best candidate costs O(log n) and nobody sorts the swarm.

Bounded. When it is full, records that are worth less than an address that was never tried make room: never dialled again, or never
reached and failed, the most often failed first. If there are none, it is the newcomers that are left out; only somebody who dials us
finds room, because a table full of untried addresses may be somebody's attempt to isolate us. Who was dialled in the last seconds is not
forgotten: a source that makes us forget a peer and names it anew would have us dial it all the time.

Whoever shows the records can be told which of them changed, so that a look at 2,000 costs what changed and not 2,000.
"""

import heapq
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from protocol.peer_address import PeerAddress
from scheduler.candidate_order import CandidateOrder
from scheduler.own_address import OwnAddress
from scheduler.swarm_peer import FAILED, QUEUED, STATES, SwarmPeer
from scheduler.withdrawable_heap import WithdrawableHeap

ROOM_FOR_INCOMING: Final = 50                           # made at once, so that a full table is not searched for each newcomer
TOO_OFTEN_TEXT: Final = "dialled too often in the last seconds"


class SwarmNews(NamedTuple):
    """What changed since the last look; both in the order in which it happened."""

    changed: dict[SwarmPeer, None]
    gone: dict[PeerAddress, SwarmPeer]                  # the record that this address had; it may have another address now


class SwarmTable:
    """Base of Swarm, which says what happens to a record. `now` is in monotonic seconds."""

    def __init__(self, max_peers: int, own_address: OwnAddress) -> None:
        self.counts = dict.fromkeys(STATES, 0)          # of records by state; read only
        self._max_peers = max_peers
        self._order = CandidateOrder(own_address)
        self._peers: dict[PeerAddress, SwarmPeer] = {}
        self._candidates: WithdrawableHeap[SwarmPeer] = WithdrawableHeap()
        self._waiting: WithdrawableHeap[SwarmPeer] = WithdrawableHeap()
        self._news: SwarmNews | None = None             # None: nobody looks

    def __len__(self) -> int:
        return len(self._peers)

    def __iter__(self) -> Iterator[SwarmPeer]:
        return iter(self._peers.values())

    def get(self, address: PeerAddress) -> SwarmPeer | None:
        """Return the record of `address`."""
        return self._peers.get(address)

    # ── who is next ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def wake(self, now: float) -> int:
        """Make candidates of those whose wait is over, and return how many that were."""
        before = self.num_candidates
        while (earliest := self._waiting.smallest()) is not None and earliest[0] <= now:
            self._queue(earliest[1], now)
        num_woken = self.num_candidates - before
        if self._order.has_changed():
            for peer in self._peers.values():
                if peer.state == QUEUED:
                    self._enlist(peer)
        return num_woken

    @property
    def num_candidates(self) -> int:
        """How many may be dialled now, as of the last `wake`."""
        return len(self._candidates)

    def best_candidate(self) -> SwarmPeer | None:
        """Return the peer to dial next, as of the last `wake`."""
        best = self._candidates.smallest()
        return best and best[1]

    def next_try(self) -> float | None:
        """Return the moment at which the next waiting peer becomes a candidate; None when nobody waits."""
        earliest = self._waiting.smallest()
        return earliest and earliest[0]

    def first_candidates(self, how_many: int) -> list[SwarmPeer]:
        """Return who is dialled next, in order. Looks at all candidates."""
        return self._candidates.first(how_many)

    # ── who looks ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def take_news(self) -> SwarmNews | None:
        """Return what changed since the last call; None: everything may have, for nobody had looked. From now on news are kept."""
        news, self._news = self._news, SwarmNews({}, {})
        return news

    def forget_news(self) -> None:
        """Nobody looks any more."""
        self._news = None

    def _changed(self, peer: SwarmPeer) -> None:
        if self._news is not None:
            self._news.changed[peer] = None
            self._news.gone.pop(peer.address, None)

    def _gone(self, peer: SwarmPeer) -> None:
        if self._news is not None:
            self._news.changed.pop(peer, None)
            self._news.gone[peer.address] = peer

    # ── changes ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _queue(self, peer: SwarmPeer, now: float) -> None:
        """It may be dialled now, unless it was too often: then in a few seconds."""
        free_at = peer.burst.free_at(now)
        if free_at > now:
            self._move(peer, FAILED, now, until=free_at, reason=TOO_OFTEN_TEXT)
        else:
            self._move(peer, QUEUED, now)

    def _move(self, peer: SwarmPeer, state: str, now: float, until: float | None = None, reason: str = "") -> None:
        """Change the state of a record; the only place where that is done."""
        self.counts[peer.state] -= 1
        self.counts[state] += 1
        self._candidates.withdraw(peer)
        self._waiting.withdraw(peer)
        peer.enter(state, now, until, reason)
        self._enlist(peer)
        self._changed(peer)

    def _enlist(self, peer: SwarmPeer) -> None:
        if peer.state == QUEUED:
            self._candidates.push(peer, self._order.key(peer))
        elif peer.state == FAILED and peer.until is not None:
            self._waiting.push(peer, peer.until)

    def _insert(self, peer: SwarmPeer) -> None:
        self._peers[peer.address] = peer
        self.counts[peer.state] += 1
        self._enlist(peer)
        self._changed(peer)

    def _remove(self, peer: SwarmPeer) -> None:
        self.counts[peer.state] -= 1
        self._candidates.withdraw(peer)
        self._waiting.withdraw(peer)
        del self._peers[peer.address]
        self._gone(peer)

    # ── room ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _make_room(self, wanted: int, now: float) -> int:
        """Forget records that are worth less than newcomers until `wanted` fit; return how many fit."""
        free = self._max_peers - len(self._peers)
        if free < wanted and self.counts[FAILED]:
            self._forget(wanted - free, (peer for peer in self._peers.values() if peer.is_worth_less_than_untried), now)
            free = self._max_peers - len(self._peers)
        return min(free, wanted)

    def _make_room_for_incoming(self, now: float) -> bool:
        if len(self._peers) >= self._max_peers:
            self._forget(ROOM_FOR_INCOMING, (peer for peer in self._peers.values() if not peer.is_busy), now)
        return len(self._peers) < self._max_peers

    def _forget(self, how_many: int, peers: Iterable[SwarmPeer], now: float) -> None:
        old = (peer for peer in peers if not peer.burst.is_recent(now))
        for peer in heapq.nlargest(how_many, old, key=SwarmPeer.uselessness):
            self._remove(peer)

    def check_invariants(self) -> None:
        """Raise AssertionError when counts, heaps and records disagree."""
        assert len(self._peers) <= self._max_peers
        for address, peer in self._peers.items():
            assert peer.address == address
            assert (peer in self._candidates) == (peer.state == QUEUED), peer
            assert (peer in self._waiting) == (peer.next_try is not None), peer
            assert not (peer.barred and (peer.state == QUEUED or peer.next_try is not None)), peer
        assert len(self._candidates) == self.counts[QUEUED]
        states = [peer.state for peer in self._peers.values()]
        assert self.counts == {state: states.count(state) for state in STATES}
