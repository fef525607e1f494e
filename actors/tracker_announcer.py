"""TrackerAnnouncer: the HTTP(S) trackers of one torrent.

Which tracker is due when is the schedule's matter (scheduler/announce_schedule.py), whether an announce may begin now is the gate's,
which all torrents share; HTTP runs in a greenlet of its own and posts what came. There is at most one announce under way; only `stopped`
goes to all that know us at the same time, because it has two seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pykka

from actors import messages as m
from actors.announce_gate import AnnounceGate, AnnounceTicket
from actors.engine_actor import DelayedMessage, EngineActor, Timer
from actors.http_tracker import SCHEMES, HttpTracker
from protocol.tracker_messages import STOPPED, AnnounceRequest, AnnounceResponse, announce_url, tracker_name
from scheduler.announce_schedule import Announce, AnnounceSchedule, Tracker
from scheduler.random_source import RandomSource
from scheduler.settings import Settings

ANNOUNCE_SECONDS: Final = 30.0                          # whole, from the first look-up of the name to the last byte
GOODBYE_SECONDS: Final = 1.8                            # a little less than the torrent waits for it


@dataclass(slots=True)
class UnderWay:
    """One announce between its asking for a turn and its end."""

    ticket: AnnounceTicket
    since: float                                        # moment at which it asked for its turn, later at which it began
    goodbye_to: Tracker | None                          # None: an announce of the schedule, chosen when the turn comes
    announce: Announce | None = None
    event: str = STOPPED                                # chosen then as well
    request: Timer | None = None                        # what HttpTracker.start returned

    def end(self) -> None:
        """Free its place; what comes of it is not wanted any more."""
        if self.request is not None:
            self.request.kill(block=False)
        self.ticket.leave()


class TrackerAnnouncer(EngineActor):
    """Announces one torrent. `gate` and `http` are shared by all; `tiers` are URLs (BEP 12)."""

    def __init__(
        self, session: pykka.ActorRef | None, *, torrent: pykka.ActorRef, info_hash: bytes, tiers: Sequence[Sequence[str]],
        peer_id: bytes, settings: Settings, gate: AnnounceGate, http: HttpTracker, rng: RandomSource, **engine: Any,
    ) -> None:
        super().__init__(session, **engine)
        self.name = f"the announcer of {info_hash.hex()}"
        self._log = self._log.bind(info_hash=info_hash)
        self._torrent = torrent
        self._info_hash = info_hash
        self._peer_id = peer_id
        self._settings = settings
        self._gate = gate
        self._http = http
        self._key = f"{rng.randrange(1 << 32):08x}"
        self._unusable = [url for tier in tiers for url in tier if not is_usable(url)]
        self._schedule = AnnounceSchedule([[url for url in tier if is_usable(url)] for tier in tiers], rng)
        self._port = 0
        self._totals = (0, 0)                           # downloaded, uploaded in this run
        self._totals_at_start = (0, 0)                  # … when announcing began: trackers are told what came since
        self._left = 0
        self._timer: DelayedMessage | None = None
        self._counter = 0                               # of announces
        self._under_way: dict[int, UnderWay] = {}       # by number; one, or the goodbyes
        self._says_goodbye = False
        self._goodbye_timer: DelayedMessage | None = None
        self._reply_to: list[pykka.ActorRef] = []       # who waits for AnnouncerStopped
        self._start_after: m.StartAnnouncing | None = None

    def on_start(self) -> None:
        self.actor_ref.tell(m.Begin())

    def on_receive(self, message: Any) -> Any:
        self.give_way()
        match message:
            case m.TransferReported():  self._transfer_reported(message)
            case m.AnnounceDue():       self._announce_due()
            case m.AnnounceTurn():      self._announce_turn(message)
            case m.AnnounceEnded():     self._announce_ended(message)
            case m.AnnounceNow():       self._announce_now()
            case m.StartAnnouncing():   self._start_announcing(message)
            case m.StopAnnouncing():    self._stop_announcing(message)
            case m.GoodbyeOverdue():    self._end_goodbyes()
            case m.ApplySettings():     self._settings = message.settings
            case m.Begin():             pass
            case m.Ping():              return True
            case _:                     self.unknown(message)
        return None

    def on_stop(self) -> None:
        super().on_stop()
        self._end_all()

    def on_failure(self, *error: Any) -> None:
        super().on_failure(*error)
        self._end_all()

    # ── what the torrent wants ───────────────────────────────────────────────────────────────────────────────────────────

    def _start_announcing(self, message: m.StartAnnouncing) -> None:
        if self._says_goodbye:                          # `started` must not overtake `stopped`
            self._start_after = message
            return
        self._end_all()
        self._port, self._left, self._totals_at_start = message.port, message.left, self._totals
        self._schedule.start(self.clock(), is_complete=message.left == 0)
        if self._unusable:
            name = tracker_name(self._unusable.pop())
            self._unusable.clear()                      # said once
            self._warn(name, "UDP trackers come later" if name.startswith("udp:") else "only HTTP trackers can be asked")
        self._look()

    def _transfer_reported(self, message: m.TransferReported) -> None:
        self._totals = (message.downloaded, message.uploaded)
        is_news = message.left == 0 and self._left > 0
        self._left = message.left
        if is_news:
            self._schedule.complete(self.clock())
            self._look()

    def _announce_now(self) -> None:
        self._schedule.hurry(self.clock())
        self._look()

    def _stop_announcing(self, message: m.StopAnnouncing) -> None:
        self._start_after = None
        if message.reply_to is not None:
            self._reply_to.append(message.reply_to)
        if self._says_goodbye:
            return
        self._says_goodbye = True
        self._goodbye_timer = self.call_later(GOODBYE_SECONDS, m.GoodbyeOverdue())
        for number, under_way in list(self._under_way.items()):
            if under_way.announce is None:              # it still waits for its turn
                self._end(number)
        for tracker in self._schedule.stop():
            self._ask_for_turn(tracker)
        self._look()
        self._end_goodbyes_if_said()

    # ── one announce ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _look(self) -> None:
        """Ask for a turn if an announce is due, or set the timer for the moment at which one is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._under_way:
            return
        due_at = self._schedule.due_at(self.clock())
        if due_at is not None and due_at <= self.clock():
            self._ask_for_turn(None)
        elif due_at is not None:
            self._timer = self.call_later(due_at - self.clock(), m.AnnounceDue())

    def _announce_due(self) -> None:
        self._timer = None
        self._look()

    def _ask_for_turn(self, goodbye_to: Tracker | None) -> None:
        self._counter += 1
        turn = m.AnnounceTurn(self._counter)
        ticket = self._gate.ask(lambda: self.post(self.actor_ref, turn), is_goodbye=goodbye_to is not None)
        self._under_way[self._counter] = UnderWay(ticket, self.clock(), goodbye_to)

    def _announce_turn(self, message: m.AnnounceTurn) -> None:
        under_way = self._under_way.get(message.number)
        if under_way is None:
            return
        if under_way.goodbye_to is not None:
            self._begin(message.number, under_way, under_way.goodbye_to, self._schedule.last_words(under_way.goodbye_to))
            return
        announce = under_way.announce = self._schedule.take(self.clock())
        if announce is None:                            # what was due is not any more
            self._end(message.number)
            self._look()
            return
        self._begin(message.number, under_way, announce.tracker, announce.event)

    def _begin(self, number: int, under_way: UnderWay, tracker: Tracker, event: str) -> None:
        under_way.event, under_way.since = event, self.clock()
        is_goodbye = under_way.goodbye_to is not None
        downloaded, uploaded = (total - before for total, before in zip(self._totals, self._totals_at_start, strict=True))
        request = AnnounceRequest(
            self._info_hash, self._peer_id, self._port, uploaded, downloaded, self._left, event, self._key,
            0 if is_goodbye else self._num_want, tracker.tracker_id,
        )

        def ended(response: AnnounceResponse | None, error: str) -> None:
            self.post(self.actor_ref, m.AnnounceEnded(number, response, error))

        under_way.request = self._http.start(announce_url(tracker.url, request), GOODBYE_SECONDS if is_goodbye else ANNOUNCE_SECONDS, ended)

    @property
    def _num_want(self) -> int:
        """Peers are of no use to a seed, which does not dial."""
        return self._settings.num_want if self._left or self._settings.seeds_dial else 0

    def _announce_ended(self, message: m.AnnounceEnded) -> None:
        under_way = self._end(message.number)
        if under_way is None:
            return
        error = message.error or message.response.failure
        if under_way.goodbye_to is not None:
            self._goodbye_ended(under_way, message.response, error)
        else:
            self._regular_ended(under_way, message.response, error)

    def _regular_ended(self, under_way: UnderWay, response: AnnounceResponse | None, error: str) -> None:
        tracker, now = under_way.announce.tracker, self.clock()
        if error:
            self._schedule.failed(now, response.retry_in if response else None)
        else:
            self._schedule.answered(response, now)
        due_at = self._schedule.due_at(now)
        next_announce_in = None if due_at is None else due_at - now
        self._log_end(tracker, under_way, response, error, next_announce_in)
        if self._says_goodbye:
            self._go_on_with_goodbye(tracker)
        else:
            self._report(tracker, response, error, next_announce_in)
            self._look()

    def _goodbye_ended(self, under_way: UnderWay, response: AnnounceResponse | None, error: str) -> None:
        tracker = under_way.goodbye_to
        self._log_end(tracker, under_way, response, error, None)
        if error:
            self._end_goodbyes_if_said()
        else:
            self._schedule.said(tracker, under_way.event)
            self._go_on_with_goodbye(tracker)

    def _go_on_with_goodbye(self, tracker: Tracker) -> None:
        """An announce to it is over; there may be more that it has to hear."""
        if self._schedule.last_words(tracker) is not None:
            self._ask_for_turn(tracker)
        self._end_goodbyes_if_said()

    def _end(self, number: int) -> UnderWay | None:
        """Forget an announce and free its place; None: it was forgotten before."""
        under_way = self._under_way.pop(number, None)
        if under_way is not None:
            under_way.end()
        return under_way

    def _end_all(self) -> None:
        for number in list(self._under_way):
            self._end(number)

    def _end_goodbyes_if_said(self) -> None:
        if not self._under_way:
            self._end_goodbyes()

    def _end_goodbyes(self) -> None:
        """All that know us were told, or time is up."""
        if not self._says_goodbye:
            return
        self._says_goodbye = False
        self._goodbye_timer.cancel()
        for under_way in self._under_way.values():
            tracker = under_way.goodbye_to or under_way.announce.tracker
            self._log_end(tracker, under_way, None, "there was no time left", None)
        self._end_all()
        reply_to, self._reply_to = self._reply_to, []
        for waiting in reply_to:
            self.post(waiting, m.AnnouncerStopped(self._info_hash))
        start_after, self._start_after = self._start_after, None
        if start_after is not None:
            self._start_announcing(start_after)

    # ── what came of it ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _report(self, tracker: Tracker, response: AnnounceResponse | None, error: str, next_announce_in: float | None) -> None:
        """Tell the torrent: peers, and what is shown."""
        name = tracker_name(tracker.url)
        if error:
            self.post(self._torrent, m.TrackerReported(name, f"{name}: {error}", next_announce_in, None, None))
            return
        warning = f"{name}: {response.warning}" if response.warning else ""
        self.post(self._torrent, m.TrackerReported(name, warning, next_announce_in, response.complete, response.incomplete))
        if response.peers:
            self.post(self._torrent, m.PeersFound("tracker", response.peers))

    def _warn(self, name: str, warning: str) -> None:
        self._log.warning("tracker_warned", tracker=name, warning=warning)
        self.post(self._torrent, m.TrackerReported(name, f"{name}: {warning}", None, None, None))

    def _log_end(
        self, tracker: Tracker, under_way: UnderWay, response: AnnounceResponse | None, error: str, next_announce_in: float | None,
    ) -> None:
        name, kind, elapsed = tracker_name(tracker.url), under_way.event or "regular", self.clock() - under_way.since
        if error:
            self._log.warning("tracker_failed", tracker=name, kind=kind, reason=error, elapsed=elapsed, next_announce_in=next_announce_in)
            return
        self._log.info(
            "tracker_announced", tracker=name, kind=kind, elapsed=elapsed, peers=len(response.peers), seeds=response.complete,
            leeches=response.incomplete, next_announce_in=next_announce_in,
        )
        if response.warning:
            self._log.warning("tracker_warned", tracker=name, warning=response.warning)


def is_usable(url: str) -> bool:
    """Tell whether this tracker can be asked."""
    return url.partition(":")[0].lower() in SCHEMES
