"""TorrentPlaces: where each torrent that asks is kept, and whose turn it is.

A torrent that asks has one of these places, and `settle` is the one function that moves it:
- waiting: in the rings, its turn comes
- half_open_share: it has its share of the half-open slots (see SharedTurns), and turns as the others have while slots are left over
- torrent: it has as many connections as one torrent may have
- retry: it declined, and is not asked again before the time that it said

Finished torrents have rings and shares of their own: while others wait they get one turn in ten, and no finished one more than a ninth
of what one of the others gets. In common rings, five hundred seeds would leave the one torrent that downloads a slot or two.

Nothing looks at all torrents for one grant. A torrent changes its place when something happens to itself, and one whose share became
smaller when its turn comes.
"""

import math
from collections.abc import Iterator
from typing import Final

from scheduler import refusal
from scheduler.dial_rules import DialRules
from scheduler.grant_ledger import FIRST_PEER
from scheduler.queued_torrent import IDLE, WAITING, QueuedTorrent
from scheduler.refusal import Refusal
from scheduler.shared_turns import SharedTurns
from scheduler.steady_time import ROUNDING_SECONDS
from scheduler.torrent_turns import EVERYBODY, NEWCOMERS, WHOLE_TURN, WITHOUT_PEERS, interleaved
from scheduler.turn_record import TurnRecord
from scheduler.withdrawable_heap import WithdrawableHeap

DOWNLOADER_TURNS: Final = 9                             # of torrents that download, for one turn of a finished one


class TorrentPlaces:
    """The torrents that ask. Moments are steady seconds."""

    def __init__(self, rules: DialRules) -> None:
        self._rules = rules
        self._downloading = SharedTurns(rules)
        self._finished = SharedTurns(rules)
        self._earned = 0.0                              # turns that finished torrents have earned; at most 1
        self._full: dict[bytes, QueuedTorrent] = {}
        self._held: WithdrawableHeap[QueuedTorrent] = WithdrawableHeap()
        self.record = TurnRecord()

    @property
    def num_waiting(self) -> int:
        """How many torrents a slot would help now."""
        return len(self._downloading) + len(self._finished)

    @property
    def is_anybody_waiting(self) -> bool:
        """Tell whether a slot would help somebody."""
        return bool(self._downloading or self._finished)

    def may_a_downloader_dial(self, now: float) -> bool:
        """Tell whether a torrent that is not finished waits, and lacks nothing but what everybody lacks."""
        return self._downloading.has_members(self._who_may_dial(now)[0])

    def upcoming(self) -> Iterator[QueuedTorrent]:
        """The order in which turns come, as it looks now."""
        return interleaved(self._downloading, self._finished, self._earned, self._share_of_finished())

    def set_weight(self, torrent: QueuedTorrent, weight: float) -> None:
        """It has another priority."""
        waits = torrent.recent.clock is not None
        self.record.left(torrent)
        torrent.weight = weight
        if waits:
            self.record.joined(torrent)

    def settle(self, torrent: QueuedTorrent) -> bool:
        """Move the torrent to the place where it belongs now. Return False if it is there already."""
        if torrent.is_finished is not torrent.is_among_finished:
            self._change_kind(torrent)
        refused = self._own_refusal(torrent) if torrent.pending else None
        asks = torrent.pending > 0 and (refused is None or refused.rule == refusal.HALF_OPEN_SHARE)
        is_active = asks or torrent.account.in_flight > 0
        if is_active is not torrent.is_active:
            torrent.is_active = is_active
            self._turns_of(torrent).change_num_active(1 if is_active else -1)
        place = IDLE if torrent.pending == 0 else WAITING if refused is None else refused.rule
        has_peers, is_newcomer = self._has_peers(torrent), self.purpose_of_dial(torrent) is FIRST_PEER
        if place == torrent.place and has_peers is torrent.has_peers and is_newcomer <= torrent.is_newcomer and place != refusal.RETRY:
            if is_newcomer is not torrent.is_newcomer:
                self._is_no_newcomer_any_more(torrent)
            return False
        self._leave(torrent)
        torrent.place, torrent.has_peers, torrent.is_newcomer = place, has_peers, is_newcomer
        self._join(torrent)
        return True

    def next_torrent(self, now: float) -> QueuedTorrent | None:
        """Return the torrent that may dial next, or None when a rule lets nobody."""
        while (self._downloading or self._finished) and self._rules.refusal_to_all(now) is None:
            for turns in (self._downloading, self._finished):
                for torrent in turns.take_stale():
                    self.settle(torrent)
            head = self._head(self._who_may_dial(now)[0])
            if head is None or not self.settle(head):   # it is still where it was: nothing but its turn kept it from dialling
                return head
        return None

    def served(self, torrent: QueuedTorrent) -> None:
        """The torrent that `next_torrent` returned got a grant."""
        if not torrent.is_finished:
            if self._finished:
                self._earned = min(self._earned + self._share_of_finished(), 1.0)
        elif self._downloading:
            self._earned = max(self._earned - 1, 0.0)
        self.record.was_granted(torrent)
        turns = self._turns_of(torrent)
        (turns.below_share if torrent.place == WAITING else turns.at_share).served(torrent)

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

    def half_open_limit_changed(self) -> None:
        """All shares are other ones."""
        self._downloading.count_share()
        self._finished.count_share()

    def limits_changed(self) -> None:
        """Some may have got room."""
        self.half_open_limit_changed()
        for torrent in list(self._full.values()):
            self.settle(torrent)

    def next_change(self, now: float, next_lease_end: float | None) -> float | None:
        """Return the moment at which time alone can let somebody dial; None: never, it takes an event."""
        moments = [math.inf]
        if self.is_anybody_waiting:
            refused = self._rules.refusal_to_all(now) or self._refusal_to_all_who_wait(now)
            moments.append(now if refused is None else now + self._rules.seconds_until_changed(refused, now))
        if next_lease_end is not None and (self.is_anybody_waiting or self._full):
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
        own, turns = self._own_refusal(torrent), self._turns_of(torrent)
        others_waiting = len(turns.below_share) - (torrent.place == WAITING)
        if own is not None and (own.rule != refusal.HALF_OPEN_SHARE or turns.shares_bind(others_waiting)):
            return own._replace(seconds=own.seconds - now)
        who, to_others = self._who_may_dial(now)
        if to_all is None and (torrent.is_finished or torrent.has_peers or (who is NEWCOMERS and not torrent.is_newcomer)):
            to_all = to_others
        return to_all or Refusal(refusal.NOT_ITS_TURN, limit=self._rules.bucket.rate)

    def check_invariants(self, torrents: list[QueuedTorrent]) -> None:
        """Assert that each of `torrents`, all that there are, has exactly the place that it says, and the counts hold."""
        num_in_rings, num_full, num_held, num_active = 0, 0, 0, {False: 0, True: 0}
        for torrent in torrents:
            turns = self._turns_of(torrent)
            assert torrent.pending >= 0 and (torrent.place == IDLE) is (torrent.pending == 0)
            assert torrent.has_peers is self._has_peers(torrent) and torrent.is_among_finished is torrent.is_finished
            assert torrent.is_newcomer is (self.purpose_of_dial(torrent) is FIRST_PEER)
            asks = torrent.place in (WAITING, refusal.HALF_OPEN_SHARE)
            assert torrent.is_active is (asks or torrent.account.in_flight > 0)
            num_active[torrent.is_finished] += torrent.is_active
            assert (torrent.recent.clock is not None) is asks
            match torrent.place:
                case "waiting":          assert torrent in turns.below_share.ring_of(torrent)
                case "half_open_share":  assert torrent in turns.at_share.ring_of(torrent) and (turns.may_be_stale() or turns.has_its_share(torrent))
                case "torrent":          assert self._full[torrent.info_hash] is torrent
                case "retry":            assert torrent in self._held
            num_in_rings, num_full, num_held = num_in_rings + asks, num_full + (torrent.place == "torrent"), num_held + (torrent.place == "retry")
        assert (num_in_rings, num_full, num_held) == (self.num_waiting, len(self._full), len(self._held)), "a torrent is in two places"
        for is_finished, turns in ((False, self._downloading), (True, self._finished)):
            assert turns.num_active == num_active[is_finished] and turns.share == self._rules.share(turns.num_active)
        assert 0 <= self._earned <= 1

    # ── one place each ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _has_peers(self, torrent: QueuedTorrent) -> bool:
        return torrent.account.connected > 0 or not self._rules.has_claim_to_a_first_peer(torrent.num_fruitless)

    def purpose_of_dial(self, torrent: QueuedTorrent) -> str:
        """Return what it dials for now, as grant_ledger names it."""
        return self._rules.purpose_of_dial(torrent.account, torrent.num_fruitless, is_finished=torrent.is_finished)

    def _turns_of(self, torrent: QueuedTorrent) -> SharedTurns:
        return self._finished if torrent.is_among_finished else self._downloading

    def _change_kind(self, torrent: QueuedTorrent) -> None:
        """It finished, or wants more again: take it out of where it is, as one that asks for nothing."""
        self._leave(torrent)
        if torrent.is_active:
            self._turns_of(torrent).change_num_active(-1)
        torrent.place, torrent.is_active, torrent.is_among_finished = IDLE, False, torrent.is_finished

    def _head(self, who: str) -> QueuedTorrent | None:
        """Return whose turn it is. What is kept for torrents without a peer is not for finished ones."""
        downloading = self._downloading.head(who)
        if who is not EVERYBODY or not self._finished or (downloading is not None and self._earned < WHOLE_TURN):
            return downloading
        return self._finished.head(EVERYBODY)

    def _share_of_finished(self) -> float:
        """Turns that finished torrents earn by one turn of the others."""
        return min(1.0, len(self._finished) / max(len(self._downloading), 1)) / DOWNLOADER_TURNS

    def _own_refusal(self, torrent: QueuedTorrent) -> Refusal | None:
        """Return the rule that says no to this torrent whatever the others do; about its share: if that binds."""
        if torrent.held_until is not None:
            return Refusal(refusal.RETRY, reason=torrent.hold_reason, seconds=torrent.held_until)
        if (refused := self._rules.refusal_to_torrent(torrent.account)) is not None:
            return refused
        turns = self._turns_of(torrent)
        if turns.has_its_share(torrent):
            return Refusal(refusal.HALF_OPEN_SHARE, torrent.account.in_flight, turns.share)
        return None

    def _who_may_dial(self, now: float) -> tuple[str, Refusal | None]:
        """Return whom the rules about some let dial (see torrent_turns), and the rule that the others are told."""
        if (refused := self._rules.refusal_to_all_but_newcomers(now)) is not None:
            return NEWCOMERS, refused
        refused = self._rules.refusal_to_torrents_with_peers(now, self._downloading.has_members(WITHOUT_PEERS))
        return (EVERYBODY if refused is None else WITHOUT_PEERS), refused

    def _refusal_to_all_who_wait(self, now: float) -> Refusal | None:
        """Return the rule about some, if it is about all that wait."""
        who, refused = self._who_may_dial(now)
        return None if who is EVERYBODY or self._downloading.has_members(who) else refused

    def _is_no_newcomer_any_more(self, torrent: QueuedTorrent) -> None:
        torrent.is_newcomer = False
        match torrent.place:
            case "waiting":          self._turns_of(torrent).below_share.ring_of(torrent).is_no_newcomer_any_more(torrent)
            case "half_open_share":  self._turns_of(torrent).at_share.ring_of(torrent).is_no_newcomer_any_more(torrent)

    def _leave(self, torrent: QueuedTorrent) -> None:
        self.record.left(torrent)
        match torrent.place:
            case "waiting":          self._turns_of(torrent).below_share.ring_of(torrent).leave(torrent)
            case "half_open_share":  self._turns_of(torrent).at_share.ring_of(torrent).leave(torrent)
            case "torrent":          del self._full[torrent.info_hash]
            case "retry":            self._held.withdraw(torrent)

    def _join(self, torrent: QueuedTorrent) -> None:
        match torrent.place:
            case "waiting":
                self._turns_of(torrent).below_share.ring_of(torrent).join(
                    torrent, in_front=torrent.keeps_its_turn, is_newcomer=torrent.is_newcomer)
                torrent.keeps_its_turn = False
                self.record.joined(torrent)
            case "half_open_share":
                self._turns_of(torrent).at_share.ring_of(torrent).join(torrent, is_newcomer=torrent.is_newcomer)
                self.record.joined(torrent)
            case "torrent":          self._full[torrent.info_hash] = torrent
            case "retry":            self._held.push(torrent, torrent.held_until)
