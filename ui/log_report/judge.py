"""Judge: holds each event of one run against the invariants. What it says is so: where the log leaves a doubt, it says nothing.

Why a line of the log proves what it shows: see GrantBook about counts. For dials in windows: each was granted, with a token reserved,
before it was written, and its token is spent after that; so the dials between two lines never exceed what the bucket may give
between them. Clocks: all is judged by `monotonic`, which the wall clock's steps do not touch.

A limit is judged where something is added to what it counts, by the limit in force then: what is over a lowered limit may run out.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from ui.log_report.grant_book import GrantBook
from ui.log_report.limits_in_force import LimitsInForce, RouterMemory
from ui.log_report.log_lines import LogEvent

LEASE_SLACK_SECONDS: Final = 5.0                        # an engine that is this late has another problem
CLOCK_SLACK_SECONDS: Final = 0.001
INBOX_SECONDS: Final = 30.0                             # what was asked so long before a cancel was handled before it
MAX_TORRENTS_REMEMBERED: Final = 10_000                 # who asked and who cancelled; of the others nothing is said


class Judge:
    """One run. `violated(rule, event, text)` is called for each line that breaks a rule."""

    def __init__(self, is_whole: bool, violated: Callable[[str, LogEvent, str], None]) -> None:
        self.book = GrantBook(is_whole)
        self.limits = LimitsInForce()
        self.router = RouterMemory()
        self.num_unanswered = 0                         # dials that a router remembers, at the last grant
        self._violated = violated
        self._asked: OrderedDict[str, float] = OrderedDict()        # info hash → when it told its level last
        self._cancelled: OrderedDict[str, float] = OrderedDict()    # info hash → when, and not granted since

    def begin_anew(self, at: float) -> None:
        """A line may be missing before this moment."""
        self.book.begin_anew()
        self.limits.begin_anew(at)
        self._cancelled.clear()

    def take(self, event: LogEvent) -> bool:
        """Judge one event. Return whether it did what it says: a decline that came after the end of its lease did not."""
        took_effect = True
        match event.name:
            case "slot_requested":             _remember(self._asked, event.text("info_hash"), event.at)
            case "slot_granted":               self._granted(event)
            case "slot_declined":              took_effect = self._declined(event)
            case "slot_lease_expired":         self._check("one_end", event, self.book.expired(event.whole("grant_id"), event.at))
            case "connect_started":            self._dial_started(event)
            case "connect_failed":             took_effect = self._attempt_ended(event, event.text("outcome"))
            case "peer_connected":             took_effect = self._peer_connected(event)
            case "peer_disconnected":          self._check("one_end", event, self.book.closed(event.whole("grant_id")))
            case "incoming_reserved":          self._reserved(event)
            case "requests_cancelled":         self._requests_cancelled(event)
            case "grants_freed":               self._grants_freed(event)
            case "engine_started":             self.limits.engine_started(event)
            case "connection_rate_changed":    self.limits.rate_changed(event, len(self.book.leases))
            case "connection_limits_changed":  self.limits.limits_changed(event)
            case "dialling_slowed":            self.limits.slowed(event)
            case "connecting_paused":          self.limits.paused(event.text("reason"))
            case "connecting_resumed":         self.limits.resumed(event.fields.get("reason") and event.text("reason"), event.at)
        return took_effect

    # ── grants ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _granted(self, event: LogEvent) -> None:
        grant_id, info_hash, waited = event.whole("grant_id"), event.text("info_hash"), event.number("waited")
        self._check("granted", event, self.book.given(grant_id, info_hash, event.at))
        self._judge_counts(event, info_hash)
        if self.limits.pauses:
            self._violated("pause", event, f"grant {grant_id} was given while connecting is paused ({'; '.join(self.limits.pauses)})")
        self._judge_cancel(event, info_hash, waited)
        self._judge_leases(event, waited)

    def _judge_counts(self, event: LogEvent, info_hash: str) -> None:
        """Hold what the log counts against the limits, after something was added to it."""
        limits, count = self.limits, self.book.count
        of_torrent = self.book.by_torrent[info_hash].total if info_hash in self.book.by_torrent else 0
        self.num_unanswered = self.router.num_entries(event.at) + count.in_flight
        self._judge_limit("half_open", event, count.in_flight, limits.half_open_at(event.at), "half-open (granted, dialling, in a handshake)")
        self._judge_limit("unanswered", event, self.num_unanswered, limits.unanswered, "dials that a router remembers")
        self._judge_limit("global", event, count.total, limits.global_connections, "connections, dials and grants")
        self._judge_limit("torrent", event, of_torrent, limits.torrent_connections, f"connections, dials and grants of {info_hash[:8]}")
        if limits.global_connections is not None and (kept := int(limits.global_connections * (limits.incoming_reserve or 0))):
            ours = count.in_flight + count.outgoing
            self._judge_limit("incoming_reserve", event, ours, limits.global_connections - kept, "outgoing connections, dials and grants")

    def _judge_limit(self, rule: str, event: LogEvent, used: int, limit: int | None, what: str) -> None:
        if limit is not None and used > limit:
            self._violated(rule, event, f"{used} {what}, the limit is {limit}")

    def _judge_cancel(self, event: LogEvent, info_hash: str, waited: float) -> None:
        """A grant must be of a wish that is younger than the cancel."""
        cancelled = self._cancelled.pop(info_hash, None)
        if cancelled is None:
            return
        if event.at - waited < cancelled - CLOCK_SLACK_SECONDS:
            self._violated("cancel", event, f"granted after a wait of {waited:.3f} s, but its requests were cancelled {event.at - cancelled:.3f} s ago")
        elif info_hash in self._asked and self._asked[info_hash] < cancelled - INBOX_SECONDS:
            self._violated("cancel", event, f"granted {event.at - cancelled:.3f} s after a cancel, and it has not asked since")

    def _judge_leases(self, event: LogEvent, waited: float) -> None:
        """While a torrent waits, leases come back at their end. Nobody need look at them while none does, or while paused."""
        lease_seconds = self.limits.lease_seconds
        while lease_seconds is not None and self.book.leases:
            grant_id, lease = next(iter(self.book.leases.items()))
            deadline = lease.since + lease_seconds
            if deadline + LEASE_SLACK_SECONDS >= event.at or max(event.at - waited, self.limits.resumed_at) >= deadline:
                return
            self._violated("lease", event, f"grant {grant_id} was given {event.at - lease.since:.1f} s ago for {lease_seconds:g} s, and neither answered nor taken back")
            self.book.forget_lease(grant_id)

    def _declined(self, event: LogEvent) -> bool:
        fault, took_effect = self.book.declined(event.whole("grant_id"))
        self._check("one_end", event, fault)
        return took_effect

    # ── dials and connections ────────────────────────────────────────────────────────────────────────────────────────────

    def _dial_started(self, event: LogEvent) -> None:
        grant_id, info_hash = event.whole("grant_id"), event.text("info_hash")
        had_lease = grant_id in self.book.leases
        before = self.book.count.in_flight
        fault = self.book.dial_started(grant_id, info_hash, event.at)
        self._check("granted", event, fault)
        if (had_lease or fault) and not self.limits.tokens.start(event.at):
            self._violated("rate", event, f"one dial more than burst {self.limits.tokens.burst} and rate {self.limits.tokens.rate:g}/s allow in some window that ends here")
        if fault and self.book.count.in_flight > before:
            self._judge_counts(event, info_hash)

    def _attempt_ended(self, event: LogEvent, outcome: str) -> bool:
        fault, was_dial = self.book.attempt_ended(event.whole("grant_id"), outcome, event.at)
        self._check("one_end", event, fault)
        if was_dial:
            self.router.dial_ended(outcome, event.at)
        return was_dial

    def _peer_connected(self, event: LogEvent) -> bool:
        if not event.flag("incoming"):
            return self._attempt_ended(event, "connected")
        self._check("one_end", event, self.book.came_in(event.whole("grant_id"), event.text("info_hash"), event.at))
        return True

    def _reserved(self, event: LogEvent) -> None:
        self._check("granted", event, self.book.given(event.whole("grant_id"), event.text("info_hash"), event.at, incoming=True))

    # ── torrents ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _requests_cancelled(self, event: LogEvent) -> None:
        _remember(self._cancelled, event.text("info_hash"), event.at)

    def _grants_freed(self, event: LogEvent) -> None:
        for _ in range(self.book.freed(event.text("info_hash"))):
            self.router.dial_ended("cancelled", event.at)

    def _check(self, rule: str, event: LogEvent, fault: str) -> None:
        if fault:
            self._violated(rule, event, fault)


def _remember(moments: OrderedDict[str, float], info_hash: str, at: float) -> None:
    moments[info_hash] = at
    moments.move_to_end(info_hash)
    if len(moments) > MAX_TORRENTS_REMEMBERED:
        moments.popitem(last=False)
