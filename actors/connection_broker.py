"""ConnectionBroker: scheduler/connection_queue.py behind an inbox and one timer.

Each message changes the queue, then the queue is drained: every slot that a rule lets out goes out at once. Only what time alone can
change (a token, the end of a lease, of a hold, of what a router remembers) has a timer: at most one, never sooner than a drain
interval from now, and none while nobody waits.
"""

import math
from collections.abc import Callable
from typing import Any, Final

import pykka

from actors import messages as m
from actors.connection_queue_stats import connection_queue_stats
from actors.engine_actor import DelayedMessage, EngineActor
from actors.half_open_board import HalfOpenBoard
from actors.snapshots import ConnectionQueueStats, FlowStats
from scheduler.connection_queue import ConnectionQueue
from scheduler.grant_ledger import Grant
from scheduler.settings import Settings

OVERDUE_SECONDS: Final = 1.0                            # more than a loop that has much to do keeps a timer waiting


class ConnectionBroker(EngineActor):
    """The only one that permits a dial, and the only count of all connections. See `EngineActor` for **engine.

    `flow_stats` returns what there is to show of new flows that are no dials.
    """

    def __init__(
        self, settings: Settings, session: pykka.ActorRef | None = None, *, flow_stats: Callable[[], dict[str, FlowStats]] = dict, **engine: Any,
    ) -> None:
        super().__init__(session, **engine)
        self._flow_stats = flow_stats
        self._queue = ConnectionQueue(settings, self.clock())
        self._board = HalfOpenBoard(self._queue.ledger)
        self._torrents: dict[bytes, pykka.ActorRef] = {}
        self._slowdowns_said = 0
        self._timer: DelayedMessage | None = None
        self._timer_due = 0.0                           # monotonic moment

    def on_receive(self, message: Any) -> Any:
        self.give_way()
        match message:
            case m.RequestConnections():      self._request_connections(message)
            case m.AttemptStarted():          self._attempt_started(message)
            case m.AttemptChanged():          return self._board.changed(message, self.clock())
            case m.AttemptEnded():            self._attempt_ended(message)
            case m.ConnectionClosed():        self._connection_closed(message)
            case m.SlotDeclined():            self._slot_declined(message)
            case m.DrainDue():                self._drain_due(message)
            case m.ReserveIncoming():         self._reserve_incoming(message)
            case m.CancelRequests():          self._cancel_requests(message)
            case m.RegisterTorrent():         self._register_torrent(message)
            case m.TorrentGone():             self._free(message.info_hash, "the torrent is gone")
            case m.IdleConnectionOffered():   self._idle_connection_offered(message)
            case m.SetConnectionRateLimit():  self._set_connection_rate_limit(message)
            case m.SetConnectionLimits():     self._set_connection_limits(message)
            case m.ApplySettings():           self._apply_settings(message)
            case m.PauseConnecting():         self._pause_connecting(message)
            case m.ResumeConnecting():        self._resume_connecting(message)
            case m.GetConnectionQueueStats(): return self._get_connection_queue_stats(message)
            case m.Ping():                    return True
            case _:                           self.unknown(message)
        self._drain()
        return None

    # ── torrents ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _request_connections(self, message: m.RequestConnections) -> None:
        self._queue.request(message.info_hash, message.count, self.clock(), is_finished=message.is_finished)

    def _register_torrent(self, message: m.RegisterTorrent) -> None:
        if self._torrents.get(message.info_hash) is not message.torrent:
            self._free(message.info_hash, "another actor speaks for it")    # what the old one held it cannot tell the end of
        self._torrents[message.info_hash] = message.torrent
        self._queue.register(message.info_hash, m.PRIORITY_WEIGHTS[message.priority])

    def _free(self, info_hash: bytes, reason: str) -> None:
        self._torrents.pop(info_hash, None)
        freed = self._queue.forget(info_hash, self.clock())
        if freed is not None and any(freed):
            self._log.info(
                "grants_freed", info_hash=info_hash, reason=reason, leased=freed.leased, half_open=freed.half_open, connected=freed.connected,
            )

    def _cancel_requests(self, message: m.CancelRequests) -> None:
        dropped = self._queue.cancel(message.info_hash)
        if dropped:
            self._log.info("requests_cancelled", info_hash=message.info_hash, dropped=dropped)

    def _attempt_started(self, message: m.AttemptStarted) -> None:
        now = self.clock()
        self._queue.attempt_started(message.grant_id, now)
        self._board.started(message, now)

    def _connection_closed(self, message: m.ConnectionClosed) -> None:
        self._queue.connection_closed(message.grant_id, self.clock())
        self._board.ended(message.grant_id)

    def _attempt_ended(self, message: m.AttemptEnded) -> None:
        self._board.ended(message.grant_id)
        self._queue.attempt_ended(
            message.grant_id, message.outcome, self.clock(), message.answered_in, message.answered_in_before,
        )
        self._say_slowdown()

    def _say_slowdown(self) -> None:
        control = self._queue.rules.control
        if control.num_slowdowns != self._slowdowns_said:
            self._slowdowns_said = control.num_slowdowns
            pace = control.pace
            self._log.warning(
                "dialling_slowed", reason=control.last_slowdown.reason if control.last_slowdown else "",
                per_second=pace.rate if math.isfinite(pace.rate) else 0.0, burst=pace.burst, half_open=pace.half_open,
            )

    def _slot_declined(self, message: m.SlotDeclined) -> None:
        self._queue.decline(message.grant_id, message.reason, message.retry_after, self.clock())

    def _reserve_incoming(self, message: m.ReserveIncoming) -> None:
        torrent = self._torrents.get(message.info_hash)
        if torrent is None:
            return                                      # it is gone, and with it whoever could hear the answer
        answer = self._queue.reserve_incoming(message.info_hash)
        if isinstance(answer, Grant):
            self._log.info(
                "incoming_reserved", info_hash=message.info_hash, grant_id=answer.grant_id, connection_id=message.connection_id,
            )
            reply = m.IncomingReserved(message.connection_id, answer.grant_id)
        else:
            reason = answer.sentence(0.0, 0)
            self._log.info("incoming_refused", info_hash=message.info_hash, connection_id=message.connection_id, reason=reason)
            reply = m.IncomingRefused(message.connection_id, reason)
        if not self.post(torrent, reply):
            self._free(message.info_hash, "its actor is dead")

    def _idle_connection_offered(self, message: m.IdleConnectionOffered) -> None:
        self._queue.offer_idle(message.info_hash, message.grant_id, message.idle_seconds, self.clock())

    # ── limits ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _set_connection_rate_limit(self, message: m.SetConnectionRateLimit) -> None:
        burst = max(1, math.ceil(2 * message.per_second)) if message.burst is None else message.burst
        self._queue.set_rate(message.per_second, burst, self.clock())
        self._log.info("connection_rate_changed", per_second=message.per_second, burst=burst)

    def _set_connection_limits(self, message: m.SetConnectionLimits) -> None:
        given = {
            "half_open": message.half_open, "global_connections": message.global_connections,
            "torrent_connections": message.torrent_connections, "unanswered": message.unanswered,
        }
        self._queue.set_limits(self.clock(), **{name: limit for name, limit in given.items() if limit is not None})
        self._limits_changed()

    def _limits_changed(self) -> None:
        limits, half_open = self._queue.rules.limits, self._queue.rules.control.most.half_open
        self._log.info(
            "connection_limits_changed", half_open=half_open, global_connections=limits.global_connections,
            torrent_connections=limits.torrent_connections, unanswered=limits.unanswered,
        )
        if self._session is not None:                   # not by overload: a daemon that waits for fewer is busy sooner
            self.post(self._session, m.LimitDials(half_open))

    def _apply_settings(self, message: m.ApplySettings) -> None:
        settings = message.settings
        self._queue.apply(settings, self.clock())
        self._log.info("connection_rate_changed", per_second=settings.connection_rate, burst=settings.connection_burst)
        self._limits_changed()

    def _pause_connecting(self, message: m.PauseConnecting) -> None:
        if self._queue.pause(message.reason):
            self._log.warning("connecting_paused", reason=message.reason)

    def _resume_connecting(self, message: m.ResumeConnecting) -> None:
        if self._queue.resume(message.reason):
            self._log.info("connecting_resumed", reason=message.reason, still_paused="; ".join(self._queue.rules.pauses))

    def _get_connection_queue_stats(self, message: m.GetConnectionQueueStats) -> ConnectionQueueStats:
        stats = connection_queue_stats(self._queue, self.clock(), self._flow_stats(), self._board.dials())
        if message.reply_to is not None:
            self.post(message.reply_to, stats)
        return stats

    # ── handing out ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _drain(self) -> None:
        while slots := self._queue.drain(self.clock()):
            for slot in slots:
                self._log.info("slot_granted", info_hash=slot.info_hash, grant_id=slot.grant_id, waited=slot.waited)
            for slot in slots:
                torrent = self._torrents.get(slot.info_hash)
                if torrent is not None and not self.post(torrent, m.ConnectOnePeer(slot.grant_id, slot.deadline)):
                    self._free(slot.info_hash, "its actor is dead")         # with its other slots of this drain
        self._make_room()
        self._set_timer()

    def _make_room(self) -> None:
        """Where every place is taken an idle connection goes, for a torrent that downloads."""
        offer = self._queue.idle_to_close(self.clock())
        if offer is not None:
            self._log.info("idle_close_requested", info_hash=offer.info_hash, grant_id=offer.grant_id)
            if not self.post(self._torrents[offer.info_hash], m.CloseIdleConnection(offer.grant_id)):
                self._free(offer.info_hash, "its actor is dead")

    def _drain_due(self, message: m.DrainDue) -> None:
        for grant in self._queue.expire_leases(self.clock(), told_until=message.due):
            self._log.warning("slot_lease_expired", info_hash=grant.info_hash, grant_id=grant.grant_id)
        self._cancel_timer()

    def _set_timer(self) -> None:
        """Have one timer that is due no later than needed. One that is due sooner stays: it finds nothing and sets the next.

        One that is long overdue was set before the clock stepped forward: it comes when it would have come without that.
        """
        now = self.clock()
        delay = self._queue.next_drain(now)
        if delay is None:
            self._cancel_timer()
        elif self._timer is None or not now - OVERDUE_SECONDS <= self._timer_due <= now + delay:
            self._cancel_timer()
            self._timer_due = now + delay
            self._timer = self.call_later(delay, m.DrainDue(self._timer_due))

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
