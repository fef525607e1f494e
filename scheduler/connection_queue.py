"""ConnectionQueue: who gets the next slot, or which rule says no.

Torrents never dial by themselves: they state how many connections they could use, and each drain grants as many slots as tokens and
limits allow, to one torrent after the other. docs/fairness.md tells which rules there are and why each exists.

What is not obvious:
- A request states a level. Leases that the torrent had not seen when it stated it are part of that: whatever it told before it asked
  is handled before, so what is still leased is what it does not know of.
- A cancel drops what is pending. Leases keep their slots and tokens until the torrent declines them or they expire: it may have
  begun to dial before it changed its mind, or after it changed it again, and then the connection is counted, as it must be.
- A declined grant costs nothing, and the torrent gets its turn back, at the front. It is held for a drain interval at least. Who
  declines again goes to the end, and is held for twice as long each time: nobody is kept from dialling by those who decline.
- Whoever asks while nobody waits is not served at once but after a drain interval: torrents that start together then take turns from
  the first token on, and not the first of them the whole burst.
- A lease that expires also drops what is pending: a torrent that is alive will ask again, one that is stuck must not get the next.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from protocol import daemon_messages as dm
from scheduler import grant_ledger
from scheduler.dial_rules import DialRules
from scheduler.grant_ledger import Grant, GrantLedger
from scheduler.idle_connections import IdleConnections, IdleOffer
from scheduler.queued_torrent import QueuedTorrent
from scheduler.refusal import Refusal
from scheduler.settings import Settings
from scheduler.steady_time import ROUNDING_SECONDS, SteadyTime
from scheduler.torrent_places import TorrentPlaces
from scheduler.turn_record import TurnRecord

MAX_HOLD_DOUBLINGS: Final = 6                           # 6.4 s at a drain interval of 100 ms: about as often as a torrent asks by itself


class GivenSlot(NamedTuple):
    """A decision of `drain`: this torrent may dial once."""

    info_hash: bytes
    grant_id: int
    deadline: float                                     # on the caller's clock: when the lease ends
    waited: float                                       # seconds since it asked, or since its last grant


class FreedGrants(NamedTuple):
    """What a torrent that is gone had held."""

    leased: int
    half_open: int
    connected: int


class ConnectionQueue:
    """The policy of the ConnectionBroker. Every `now` is the caller's monotonic clock in seconds; it may step."""

    def __init__(self, settings: Settings, now: float) -> None:
        self.drain_interval = settings.drain_interval
        self.ledger = GrantLedger()
        self._lease_seconds = settings.lease_seconds
        self._time = SteadyTime(now)
        self.rules = DialRules(settings, self.ledger, self._time.at(now))
        self.idle = IdleConnections()
        self._places = TorrentPlaces(self.rules)
        self._torrents: dict[bytes, QueuedTorrent] = {}
        self._gathering_until = 0.0                     # steady seconds

    # ── torrents: what is asked for one that is not registered is ignored ────────────────────────────────────────────────

    def register(self, info_hash: bytes, weight: float = 1.0) -> None:
        """A torrent is there, or has another weight now: grants for each of those of a torrent with weight 1."""
        torrent = self._torrents.get(info_hash)
        if torrent is None:
            self._torrents[info_hash] = QueuedTorrent(info_hash, weight, self.ledger.open_account(info_hash))
        else:
            self._places.set_weight(torrent, weight)

    def forget(self, info_hash: bytes, now: float) -> FreedGrants | None:
        """The torrent or its actor is gone: free all that it held. None if it was not there."""
        torrent = self._torrents.pop(info_hash, None)
        if torrent is None:
            return None
        seconds = self._time.advance(now)
        freed = FreedGrants(torrent.account.leased, torrent.account.half_open, torrent.account.connected)
        for grant, state in self.ledger.close_account(info_hash):
            if state is grant_ledger.LEASED:
                self.rules.bucket.release()
            elif state is grant_ledger.HALF_OPEN:
                self.rules.router_memory.dial_ended(dm.CANCELLED, grant.purpose, seconds)
        self.idle.withdraw(info_hash)
        self._drop_pending(torrent)
        return freed

    def request(self, info_hash: bytes, count: int, now: float, *, is_finished: bool = False) -> None:
        """The torrent could use `count` more connections; this replaces what it said before."""
        torrent = self._torrents.get(info_hash)
        if torrent is None:
            return
        seconds = self._time.advance(now)
        torrent.is_finished = is_finished
        if torrent.held_until is not None:              # it knows better now
            torrent.held_until = torrent.hold_at_least_until
            self._places.end_hold(torrent, seconds)
        if torrent.pending == 0:
            torrent.waiting_since = seconds
        torrent.pending = max(count - torrent.account.leased, 0)
        if not self._places.is_anybody_waiting:
            self._gathering_until = seconds + self.drain_interval
        self._places.settle(torrent)

    def cancel(self, info_hash: bytes) -> int:
        """Forget the torrent's requests: no grant follows until it asks again. Return how many were dropped."""
        torrent = self._torrents.get(info_hash)
        if torrent is None:
            return 0
        dropped = torrent.pending
        torrent.held_until, torrent.keeps_its_turn, torrent.num_declines = None, False, 0
        self._drop_pending(torrent)
        return dropped

    def _drop_pending(self, torrent: QueuedTorrent) -> None:
        torrent.pending = 0
        self._places.settle(torrent)

    # ── grants: what is told of an unknown or ended one is ignored ───────────────────────────────────────────────────────

    def decline(self, grant_id: int, reason: str, retry_after: float | None, now: float) -> None:
        """The torrent cannot use the lease; asking it again makes sense in `retry_after` seconds (None: it will ask)."""
        grant = self.ledger.get(grant_id)
        if grant is None or grant.state is not grant_ledger.LEASED:
            return
        seconds = self._time.advance(now)
        torrent = self._torrents[grant.info_hash]
        self.ledger.decline(grant, reason)
        self.rules.bucket.release()
        torrent.pending = 0 if retry_after is None else torrent.pending + 1
        torrent.num_fruitless = max(torrent.num_fruitless - 1, 0)
        # Of several leases declined at once only the first one counts.
        if torrent.held_until is None or torrent.held_until <= seconds + ROUNDING_SECONDS:
            torrent.num_declines += 1
            torrent.keeps_its_turn = torrent.num_declines == 1
            if torrent.keeps_its_turn:
                torrent.credit = min(torrent.credit + 1, max(torrent.weight, 1.0))
        torrent.hold_at_least_until = seconds + self.drain_interval * 2 ** min(torrent.num_declines - 1, MAX_HOLD_DOUBLINGS)
        torrent.held_until = max(seconds + (retry_after or 0.0), torrent.hold_at_least_until)
        torrent.hold_reason = reason
        self._places.settle(torrent)

    def attempt_started(self, grant_id: int, now: float) -> None:
        """The dial of a lease is under way. One that expired meanwhile counts again, for the dial is there."""
        self._dial_of(grant_id, self._time.advance(now))

    def attempt_ended(
        self, grant_id: int, outcome: str, now: float, answered_in: float | None = None, answered_in_before: float | None = None,
    ) -> None:
        """The dial led to a peer or to nothing; `outcome` is one of daemon_messages.OUTCOMES. For the times see AttemptEnded."""
        seconds = self._time.advance(now)
        grant = self._dial_of(grant_id, seconds)
        if grant is not None:
            self._end_attempt(grant, outcome, seconds)
            if self.rules.attempt_ended(outcome, answered_in, answered_in_before, seconds):
                self._places.half_open_limit_changed()

    def connection_closed(self, grant_id: int, now: float) -> None:
        """A connection is gone. A dial whose outcome was never told counts as cancelled; a lease stays one."""
        seconds = self._time.advance(now)
        grant = self.ledger.get(grant_id)
        if grant is None or grant.state is grant_ledger.LEASED:
            return
        if grant.state is grant_ledger.HALF_OPEN:
            self._end_attempt(grant, dm.CANCELLED, seconds)
        else:
            self.ledger.close(grant)
            self.idle.connection_closed(grant)
            self._places.settle(self._torrents[grant.info_hash])

    def reserve_incoming(self, info_hash: bytes) -> Grant | Refusal | None:
        """A peer dialled us: return its grant, or the rule that says no; None if the torrent is not registered."""
        torrent = self._torrents.get(info_hash)
        if torrent is None:
            return None
        refused = self.rules.refusal_to_incoming(torrent.account)
        if refused is not None:
            return refused
        grant = self.ledger.reserve_incoming(info_hash)
        self.idle.place_taken()
        self._places.settle(torrent)
        return grant

    def offer_idle(self, info_hash: bytes, grant_id: int | None, idle_seconds: float, now: float) -> None:
        """The torrent's longest idle useless connection, which replaces what it offered before; None: it has none."""
        grant = None if grant_id is None else self.ledger.get(grant_id)
        if grant is not None and grant.info_hash == info_hash and grant.state is grant_ledger.CONNECTED:
            self.idle.offer(grant, self._time.advance(now) - idle_seconds)
        else:
            self.idle.withdraw(info_hash)

    def expire_leases(self, now: float, told_until: float) -> list[Grant]:
        """Take back the leases that ended by `told_until`, a moment until which all that torrents told has been handled."""
        until = self._time.advance(now) - max(now - told_until, 0.0) + ROUNDING_SECONDS
        expired = self.ledger.expire(until)
        for grant in expired:
            self.rules.bucket.release()
            self._drop_pending(self._torrents[grant.info_hash])
        return expired

    def _dial_of(self, grant_id: int, seconds: float) -> Grant | None:
        """Return the grant, half-open if need be from now on; None if there is none, or it is connected."""
        grant = self.ledger.get(grant_id)
        if grant is None:
            grant = self.ledger.revive(grant_id)
            if grant is None:
                return None
            self.rules.bucket.spend(seconds, reserved=False)
        elif grant.state is grant_ledger.LEASED:
            self.ledger.start(grant)
            self.rules.bucket.spend(seconds)
        else:
            return grant if grant.state is grant_ledger.HALF_OPEN else None
        torrent = self._torrents[grant.info_hash]
        torrent.num_declines = 0
        self._places.settle(torrent)
        return grant

    def _end_attempt(self, grant: Grant, outcome: str, seconds: float) -> None:
        torrent = self._torrents[grant.info_hash]
        self.ledger.end_attempt(grant, outcome)
        self.rules.router_memory.dial_ended(outcome, grant.purpose, seconds)
        if outcome == dm.CONNECTED:
            torrent.num_fruitless = 0
        self._places.settle(torrent)

    # ── limits ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    def set_rate(self, per_second: float, burst: int, now: float) -> None:
        """Dials per second from now on; 0 = unlimited."""
        self.rules.set_rate(per_second, burst, self._time.advance(now))

    def set_limits(self, now: float, **limits: int) -> None:
        """Replace limits of ConnectionLimits by name. What is over a lowered one runs out by itself."""
        self.rules.set_limits(self._time.advance(now), **limits)
        self._limits_changed()

    def apply(self, settings: Settings, now: float) -> None:
        """From now on these settings, all of them."""
        self.drain_interval, self._lease_seconds = settings.drain_interval, settings.lease_seconds
        self.rules.apply(settings, self._time.advance(now))
        self._limits_changed()

    def _limits_changed(self) -> None:
        self.idle.place_taken()
        self._places.limits_changed()

    def pause(self, reason: str) -> bool:
        """Grant nothing until this reason and all others are gone. Return False if it holds already."""
        is_new = reason not in self.rules.pauses
        self.rules.pauses[reason] = None
        return is_new

    def resume(self, reason: str | None = None) -> bool:
        """This reason of a pause is gone; None: all of them. Return False if it did not hold."""
        gone = list(self.rules.pauses) if reason is None else [reason] if reason in self.rules.pauses else []
        for each in gone:
            del self.rules.pauses[each]
        return bool(gone)

    # ── handing out ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def drain(self, now: float) -> list[GivenSlot]:
        """Grant every slot that tokens and limits allow, to those whose turn it is."""
        seconds = self._time.advance(now)
        self._places.record.advance(seconds)
        if self.rules.advance(seconds):
            self._places.half_open_limit_changed()
        self._places.end_holds(seconds)
        slots: list[GivenSlot] = []
        if seconds < self._gathering_until - ROUNDING_SECONDS:
            return slots
        while (torrent := self._places.next_torrent(seconds)) is not None:
            grant = self.ledger.lease(torrent.info_hash, seconds + self._lease_seconds, self._places.purpose_of_dial(torrent))
            self.rules.bucket.reserve()
            self.idle.place_taken()
            self._places.served(torrent)
            slots.append(GivenSlot(torrent.info_hash, grant.grant_id, now + self._lease_seconds, seconds - torrent.waiting_since))
            torrent.waiting_since = seconds
            torrent.num_fruitless += 1
            torrent.pending -= 1
            self._places.settle(torrent)
        return slots

    def idle_to_close(self, now: float) -> IdleOffer | None:
        """Return the connection that has to make room for a torrent that downloads and lacks only a place; None: none."""
        seconds = self._time.advance(now)
        if not self.idle or not self._places.may_a_downloader_dial(seconds) or not self.rules.lacks_only_a_place(seconds):
            return None
        return self.idle.choose(seconds, incoming_too=self.rules.has_more_incoming_than_kept())

    def next_drain(self, now: float) -> float | None:
        """In how many seconds time alone can make a drain useful, at least a drain interval; None: never, it takes an event."""
        seconds = self._time.at(now)
        moment = self._places.next_change(seconds, self.ledger.next_deadline())
        return None if moment is None else max(max(moment, self._gathering_until) - seconds, self.drain_interval)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def torrents(self) -> Mapping[bytes, QueuedTorrent]:
        """All that are registered; not to be changed."""
        return self._torrents

    @property
    def num_waiting(self) -> int:
        """How many torrents a slot would help now."""
        return self._places.num_waiting

    @property
    def record(self) -> TurnRecord:
        """What each torrent got in the last minute; as of the last drain."""
        return self._places.record

    def upcoming(self) -> Iterator[QueuedTorrent]:
        """The order in which turns come, as it looks now."""
        return self._places.upcoming()

    def refusal_of(self, torrent: QueuedTorrent, now: float) -> Refusal | None:
        """Return the rule that says no to the torrent now; None if it asks for nothing."""
        return self._places.refusal_of(torrent, self._time.at(now))

    def note_time(self, now: float) -> None:
        """Let the record of the last minute end now."""
        self._places.record.advance(self._time.at(now))

    def seconds_since(self, moment: float, now: float) -> float:
        """Return how long ago a moment in steady seconds was."""
        return self._time.at(now) - moment

    def waited(self, torrent: QueuedTorrent, now: float) -> float:
        """Return for how many seconds the torrent has waited for its next grant; 0 when it asks for nothing."""
        return self._time.at(now) - torrent.waiting_since if torrent.pending else 0.0

    def tokens(self, now: float) -> float:
        """Return how many tokens are free; infinite without a limit."""
        return self.rules.bucket.available(self._time.at(now))

    def num_unanswered(self, now: float) -> int:
        """Return how many dials a router has an entry for: unanswered, refused a moment ago, or under way."""
        return self.rules.num_unanswered(self._time.at(now))

    def check_invariants(self) -> None:
        """Assert what must hold after every event. Looks at everything: for tests and the simulator."""
        self.ledger.check_invariants()
        self._places.check_invariants(list(self._torrents.values()))
        assert self.rules.bucket.reserved == self.ledger.count.leased
