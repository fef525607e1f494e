"""BrokerWatch: what was told to the broker and what it decided, counted a second time, with the invariants of the spec after each event.

It reads messages and log events, never the queue's own counts (these are compared with its own), so that a queue which is wrong
in a consistent way is found as well. All of it is O(1) for an event; what looks at everything is done now and then, the more rarely
the more there is (`check_everything`).

`now` is the time that passes as the queue has to count it, from event to event: a step back of the clock takes none, a step forward
counts once.
"""

import copy
import math
from collections import Counter, OrderedDict
from typing import Any

from actors import messages as m
from actors.connection_broker import ConnectionBroker
from protocol import daemon_messages as dm
from scheduler.settings import Settings
from tests.properties.reference_bucket import ReferenceBucket
from tests.simulation.remembered_dials import RememberedDials
from tests.simulation.turn_watch import ROUNDING, TurnWatch, WatchedTorrent
from tests.simulation.violations import violated

TICK_SHARE = 0.5                                        # of a drain interval, between two looks for slots that lie idle
KEPT_FOR_NEWCOMERS = 0.25                               # of the dials that a router may remember
# What the profile that adapts itself may reach, whatever it does: rate, burst, half-open, unanswered
MOST_OF_AUTO = (50.0, 100, 200, 300)


class BrokerWatch:
    """The broker from outside. `num_granted`, `declined` and `expired` may be read by scenarios."""

    def __init__(self, settings: Settings, broker: ConnectionBroker, clock: float) -> None:
        self.now = self._now_at_event = clock
        self._clock_at_event = clock
        self._unseen_step = 0.0                         # by which the clock stepped forward since the last event
        self._timer_is_late = False                     # the broker's, since then
        self.settings = settings
        self.broker = broker
        self.torrents: dict[bytes, WatchedTorrent] = {}
        self.num_granted = 0
        self.declined: Counter[str] = Counter()
        self.expired = 0
        self.pauses: set[str] = set()
        self.bucket = ReferenceBucket(settings.connection_rate, settings.connection_burst, clock)
        self._bucket_now = self.bucket                  # as it would be if the broker looked now
        self._states: dict[int, tuple[WatchedTorrent, str]] = {}    # grant id → whose, "leased", "half_open", "connected", "incoming"
        self._deadlines: OrderedDict[int, float] = OrderedDict()    # of leases
        self._expired: dict[int, WatchedTorrent] = {}
        self._leased = self._half_open = self._connected = self._incoming = 0
        self._remembered = RememberedDials()
        self._turns = TurnWatch(settings.half_open_limit)
        self._idle_since: float | None = None
        self._allowed = self._allowed_by(settings)
        self._events_since_all = 0

    @staticmethod
    def _allowed_by(settings: Settings) -> list[float]:
        """Rate, burst, half-open and unanswered that the user permitted."""
        if settings.profile == "auto":
            return list(MOST_OF_AUTO)
        return [settings.connection_rate, settings.connection_burst, settings.half_open_limit, settings.unanswered_limit]

    # ── what is said ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def before(self, message: Any) -> None:
        """The broker is about to handle this."""
        match message:
            case m.RegisterTorrent():         self._register(message)
            case m.TorrentGone():             self._free(message.info_hash)
            case m.RequestConnections():      self._request(message)
            case m.CancelRequests():          self._cancel(message.info_hash)
            case m.SlotDeclined():            self._decline(message)
            case m.AttemptStarted():          self._start(message.grant_id)
            case m.AttemptEnded():            self._end(message.grant_id, message.outcome)
            case m.ConnectionClosed():        self._close(message.grant_id)
            case m.DrainDue():                self._timer_is_late = False
            case m.SetConnectionRateLimit():
                burst = message.burst if message.burst is not None else max(1, -int(-2 * message.per_second // 1))
                self._allowed[:2] = [message.per_second, burst]
            case m.SetConnectionLimits():     self._limits_were_set(message)
            case m.PauseConnecting():         self.pauses.add(message.reason)
            case m.ResumeConnecting():        self.pauses -= self.pauses if message.reason is None else {message.reason}

    def logged(self, event: str, fields: dict[str, Any]) -> None:
        """The broker says what it decided."""
        match event:
            case "slot_granted":        self._granted(fields["info_hash"], fields["grant_id"])
            case "slot_lease_expired":  self._lease_expired(fields["grant_id"])
            case "incoming_reserved":   self._reserved(fields["info_hash"], fields["grant_id"])
            case "grants_freed" if fields["reason"] == "its actor is dead":
                self._free(fields["info_hash"])

    def _register(self, message: m.RegisterTorrent) -> None:
        known = self.torrents.get(message.info_hash)
        if known is not None and known.actor is not message.torrent:
            self._free(message.info_hash)
            known = None
        weight = m.PRIORITY_WEIGHTS[message.priority]
        if known is None:
            self.torrents[message.info_hash] = WatchedTorrent(message.info_hash, message.torrent, weight)
        else:
            known.weight = weight
            self._settle(known)

    def _free(self, info_hash: bytes) -> None:
        torrent = self.torrents.pop(info_hash, None)
        if torrent is None:
            return
        for grant_id, state in list(torrent.grants.items()):
            if state == "half_open":
                self._remembered.ended(dm.CANCELLED, grant_id, self.now)
            self._move(torrent, grant_id, None)
        torrent.pending = 0
        self._settle(torrent)

    def _request(self, message: m.RequestConnections) -> None:
        torrent = self.torrents.get(message.info_hash)
        if torrent is not None:
            torrent.pending = max(message.count - torrent.leased, 0)
            torrent.is_finished = message.is_finished
            torrent.held_until = min(torrent.held_until, torrent.hold_at_least_until)
            self._settle(torrent)

    def _cancel(self, info_hash: bytes) -> None:
        torrent = self.torrents.get(info_hash)
        if torrent is not None:
            torrent.pending, torrent.held_until, torrent.num_declines = 0, 0.0, 0
            self._settle(torrent)

    def _decline(self, message: m.SlotDeclined) -> None:
        torrent, state = self._states.get(message.grant_id, (None, None))
        if state != "leased":
            return
        self._move(torrent, message.grant_id, None)
        self.declined[message.reason] += 1
        torrent.num_fruitless = max(torrent.num_fruitless - 1, 0)
        torrent.pending = 0 if message.retry_after is None else torrent.pending + 1
        torrent.num_declines += torrent.held_until <= self.now + ROUNDING
        torrent.turn = torrent.turn_before              # it costs nothing: its turn comes back
        at_least = self.settings.drain_interval * 2 ** min(torrent.num_declines - 1, 6)
        torrent.hold_at_least_until = self.now + at_least
        torrent.held_until = self.now + max(message.retry_after or 0.0, at_least)
        self._settle(torrent)

    def _start(self, grant_id: int) -> None:
        torrent, state = self._states.get(grant_id, (None, None))
        if state == "leased":
            self.bucket.start()
        elif (torrent := self._expired.pop(grant_id, None)) is not None and self.torrents.get(torrent.info_hash) is torrent:
            self.bucket.start_unasked()
            self.expired -= 1
        else:
            return
        torrent.num_declines = 0
        self._move(torrent, grant_id, "half_open")
        self._settle(torrent)

    def _end(self, grant_id: int, outcome: str) -> None:
        torrent, state = self._states.get(grant_id, (None, None))
        if state == "leased" or grant_id in self._expired:
            self._start(grant_id)
            torrent, state = self._states.get(grant_id, (None, None))
        if state != "half_open":
            return
        if outcome == dm.CONNECTED:
            self._move(torrent, grant_id, "connected")
            torrent.num_fruitless = 0
        else:
            self._remembered.ended(outcome, grant_id, self.now)
            self._move(torrent, grant_id, None)
        self._settle(torrent)

    def _close(self, grant_id: int) -> None:
        torrent, state = self._states.get(grant_id, (None, None))
        if state in (None, "leased"):
            return
        if state == "half_open":
            self._remembered.ended(dm.CANCELLED, grant_id, self.now)
        self._move(torrent, grant_id, None)
        self._settle(torrent)

    def _limits_were_set(self, message: m.SetConnectionLimits) -> None:
        for index, limit in ((2, message.half_open), (3, message.unanswered)):
            if limit is not None:
                self._allowed[index] = limit

    # ── what is decided ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _granted(self, info_hash: bytes, grant_id: int) -> None:
        torrent = self.torrents.get(info_hash)
        violated(torrent is None, "unknown", "a grant for a torrent that is not registered")
        violated(torrent.pending <= 0, "unasked", f"a grant that nobody asked for, or after a cancel: {info_hash.hex()[:8]}")
        violated(torrent.held_until > self.now + ROUNDING, "held", "asked again before the time that it said")
        violated(bool(self.pauses), "paused", f"a grant while connecting is paused: {self.pauses}")
        violated(grant_id in self._states, "twice", f"grant {grant_id} is alive already")
        self._follow_limits()
        only_newcomers = self._only_newcomers()
        violated(only_newcomers and not torrent.is_newcomer, "newcomers", "a quarter of what a router remembers is kept for newcomers")
        self._turns.take(torrent, only_newcomers=only_newcomers)
        self._remembered.granted(grant_id, had_peers=torrent.connected > 0, is_newcomer=torrent.is_newcomer)
        torrent.num_fruitless += 1
        torrent.pending -= 1
        self.num_granted += 1
        self._move(torrent, grant_id, "leased")
        self._deadlines[grant_id] = self.now + self.settings.lease_seconds
        self._check_limits(torrent)
        self._settle(torrent)

    def _check_limits(self, torrent: WatchedTorrent) -> None:
        limits, in_flight = self.broker._queue.rules.limits, self._leased + self._half_open
        violated(in_flight > limits.half_open, "half_open", f"{in_flight} half-open, at most {limits.half_open}")
        violated(self.total > limits.global_connections, "global", f"{self.total} connections, at most {limits.global_connections}")
        violated(torrent.total > limits.torrent_connections, "torrent", f"{torrent.total} of one torrent, at most {limits.torrent_connections}")
        unanswered = self.num_remembered + in_flight
        violated(unanswered > limits.unanswered, "unanswered", f"a router remembers {unanswered}, at most {limits.unanswered}")
        if torrent.connected and not limits.router_entries and self._remembered.num_with_peers > limits.unanswered // 2:
            wanted = self._turns.somebody_wants_a_first_peer(self.now)
            violated(wanted, "first_peer", "half of what a router remembers is kept for torrents without a peer")
        bucket = self.bucket
        violated(bucket.rate > 0 and bucket.level - self._leased < -ROUNDING, "rate", "a lease without a token")

    def _lease_expired(self, grant_id: int) -> None:
        torrent, state = self._states.get(grant_id, (None, None))
        violated(state != "leased", "lease", f"grant {grant_id} expired, it was {state}")
        violated(self._deadlines[grant_id] > self.now + ROUNDING, "lease", f"the lease {grant_id} had not ended")
        self._move(torrent, grant_id, None)
        self.expired += 1
        self._expired[grant_id] = torrent
        torrent.pending = 0
        self._settle(torrent)

    def _reserved(self, info_hash: bytes, grant_id: int) -> None:
        torrent, limits = self.torrents[info_hash], self.broker._queue.rules.limits
        self._move(torrent, grant_id, "incoming")
        violated(self.total > limits.global_connections, "global", f"{self.total} connections with incoming ones")
        violated(torrent.total > limits.torrent_connections, "torrent", f"{torrent.total} connections with incoming ones")
        self._settle(torrent)

    # ── after each event ─────────────────────────────────────────────────────────────────────────────────────────────────

    def look_at_clock(self, clock: float, *, is_event: bool) -> None:
        """The clock shows this; at an event that is what the broker sees, too."""
        unseen = 0.0 if is_event else self._unseen_step
        self.now = self._now_at_event + max(clock - unseen - self._clock_at_event, 0.0)
        if not is_event:                                # the broker knows nothing of it: the next event may count less
            self._bucket_now = copy.copy(self.bucket)
            self._bucket_now.pass_time(self.now)
            return
        self._bucket_now = self.bucket
        self.bucket.pass_time(self.now)
        self._idle_since = None if self._unseen_step else self._idle_since
        self._unseen_step = 0.0
        self._now_at_event, self._clock_at_event = self.now, clock

    def after(self, message: Any) -> None:
        """The broker has handled it."""
        self._follow_limits()
        self._check_counts(getattr(message, "info_hash", None))
        self.bucket.event_is_over(self._leased)
        self.look_for_idle_slots()
        self._events_since_all += 1
        if self._events_since_all > 20 * (len(self.torrents) + len(self._states) + 1):
            self.check_everything()

    def _follow_limits(self) -> None:
        """The limits in force may be lower than those permitted, never higher."""
        bucket, limits = self.broker._queue.rules.bucket, self.broker._queue.rules.limits
        rate, burst, half_open, unanswered = self._allowed
        violated(rate > 0 and not 0 < bucket.rate <= rate + ROUNDING, "rate", f"rate {bucket.rate}, {rate} is permitted")
        violated(bucket.burst > burst or limits.half_open > half_open or limits.unanswered > unanswered, "limits", "more than permitted")
        if (bucket.rate, bucket.burst) != (self.bucket.rate, self.bucket.burst):
            self.bucket.set_rate(bucket.rate, bucket.burst)
        self._turns.set_limit(limits.half_open)

    def _check_counts(self, info_hash: bytes | None) -> None:
        queue, ledger = self.broker._queue, self.broker._queue.ledger
        ours = (self._leased, self._half_open, self._connected)
        theirs = (ledger.count.leased, ledger.count.half_open, ledger.count.connected)
        violated(ours != theirs, "counts", f"leased, half-open, connected are {theirs}, should be {ours}")
        ended = ledger.failed.total() + ledger.cancelled + ledger.declined.total() + ledger.expired
        violated(ledger.granted != ledger.connected_ever + ended + ledger.count.in_flight, "identity", "granted ≠ sum of its parts")
        ours, theirs = (self.num_granted, self.expired, self.declined), (ledger.granted, ledger.expired, ledger.declined)
        violated(ours != theirs, "identity", f"granted, expired, declined are {theirs}, should be {ours}")
        torrent = self.torrents.get(info_hash)
        if torrent is not None:
            pending = queue.torrents[info_hash].pending
            violated(pending != torrent.pending, "level", f"{pending} pending, the torrent could use {torrent.pending}")

    def look_for_idle_slots(self) -> None:
        """No token, slot and request may be idle together for longer than a drain interval. Called at each event and tick."""
        if self._timer_is_late or not self._somebody_could_dial():
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = self.now
        else:
            idle = self.now - self._idle_since
            violated(idle > (1 + TICK_SHARE) * self.settings.drain_interval + ROUNDING, "idle", f"token, slot and request idle for {idle:.3f} s")

    @property
    def wants_ticks(self) -> bool:
        return self._turns.somebody_asks

    def clock_stepped(self, seconds: float) -> None:
        """A step forward is seen with the next event, and a timer that was set before does not come sooner because of it."""
        self._unseen_step += max(seconds, 0.0)
        self._timer_is_late |= seconds > 0
        self._idle_since = None

    def machine_slept(self) -> None:
        """Nobody could do anything meanwhile."""
        self._idle_since = None

    def check_everything(self) -> None:
        """What looks at all there is."""
        self._events_since_all = 0
        self.broker._queue.check_invariants()
        for info_hash, torrent in self.torrents.items():
            theirs = self.broker._queue.torrents[info_hash]
            violated(theirs.pending != torrent.pending, "level", f"{theirs.pending} pending, the torrent could use {torrent.pending}")
        violated(len(self.broker._queue.torrents) != len(self.torrents), "unknown", "torrents that are not there, or are missing")

    def _somebody_could_dial(self) -> bool:
        if self.pauses or not self._turns.somebody_asks:
            return False
        while self._deadlines and (first := next(iter(self._deadlines))) not in self._states:
            del self._deadlines[first]
        limits, bucket = self.broker._queue.rules.limits, self._bucket_now
        leased = self._leased - self._num_overdue()
        in_flight, remembered = leased + self._half_open, self.num_remembered
        total = leased + self._half_open + self._connected
        return (
            in_flight < limits.half_open
            and total + self._kept(limits.global_connections, self._incoming) < limits.global_connections
            and remembered + in_flight < limits.unanswered
            and (not limits.router_entries or remembered + total < limits.router_entries * 0.7 // 4)     # auto: beyond, not all may dial
            and (bucket.rate == 0 or bucket.level - leased >= 1)
            and self._turns.somebody_is_awake(self.now, only_newcomers=self._only_newcomers())
        )

    def _only_newcomers(self) -> bool:
        """Tell whether all others have used up their part of what a router may remember."""
        limits = self.broker._queue.rules.limits
        most = limits.unanswered
        if limits.router_entries:
            most = min(most, max(int(limits.router_entries * 0.7) - self._connected, 0))
        self._remembered.number(self.now)               # and forget what is over
        return self._remembered.num_of_no_newcomers >= math.ceil(most * (1 - KEPT_FOR_NEWCOMERS))

    def _num_overdue(self) -> int:
        """Leases that have ended: their slots are free."""
        number = 0
        for grant_id, deadline in self._deadlines.items():
            if deadline > self.now:
                break
            number += self._states.get(grant_id, (None, ""))[1] == "leased"
        return number

    def _kept(self, limit: int, num_incoming: int) -> int:
        return max(int(limit * self.settings.incoming_reserve) - num_incoming, 0)

    # ── counting ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def total(self) -> int:
        """Connections, and what may become one."""
        return self._leased + self._half_open + self._connected

    @property
    def num_remembered(self) -> int:
        """Dials that ended and that a router still knows, as the rule counts them."""
        return self._remembered.number(self.now)

    def _move(self, torrent: WatchedTorrent, grant_id: int, state: str | None) -> None:
        before = self._states.pop(grant_id, (None, None))[1]
        torrent.grants.pop(grant_id, None)
        for name, difference in ((before, -1), (state, 1)):
            if name is None:
                continue
            if name in ("leased", "half_open"):
                self._remembered.count(grant_id, difference)
            field_name = "connected" if name == "incoming" else name
            setattr(torrent, field_name, getattr(torrent, field_name) + difference)
            setattr(self, f"_{field_name}", getattr(self, f"_{field_name}") + difference)
            if name == "incoming":
                torrent.incoming += difference
                self._incoming += difference
        if state is not None:
            self._states[grant_id] = (torrent, state)
            torrent.grants[grant_id] = state

    def _settle(self, torrent: WatchedTorrent) -> None:
        """Find out whether it may take turns now."""
        limit = self.broker._queue.rules.limits.torrent_connections
        has_room = torrent.total + self._kept(limit, torrent.incoming) < limit
        self._turns.settle(torrent, is_here=self.torrents.get(torrent.info_hash) is torrent, has_room=has_room, now=self.now)
