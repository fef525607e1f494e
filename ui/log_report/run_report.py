"""RunReport: what one run of an engine did, figure by figure, as its events come. Memory grows with nothing but the constants below."""

from dataclasses import dataclass
from typing import Final

from ui.log_report.judge import Judge
from ui.log_report.kind_counts import count_kind
from ui.log_report.log_lines import MOST_CHARACTERS, LogEvent
from ui.log_report.start_windows import StartWindows
from ui.log_report.timeline import BinCounts, BinPeaks, Timeline
from ui.log_report.torrent_figures import TorrentFigures, TurnOrder, jain
from ui.log_report.violations import Violation, Violations

MAX_TORRENTS: Final = 1_000                             # with figures of their own; about 4 KiB each. The rest is summed
MAX_HASHES_COUNTED: Final = 10_000                      # of the rest: how many they are
OTHERS: Final = "others"


@dataclass(slots=True)
class Peak:
    """The highest value, the limit in force then, and the line."""

    value: int = 0
    limit: int | None = None
    line: int = 0

    def raise_to(self, value: int, limit: int | None, line: int) -> None:
        """The value was reached."""
        if value > self.value:
            self.value, self.limit, self.line = value, limit, line


class RunReport:
    """One run. `is_whole`: the log has its beginning."""

    def __init__(self, number: int, first: LogEvent, is_whole: bool, violations: Violations) -> None:
        self.number = number
        self.is_whole = is_whole
        self.first_line = self.last_line = first.line
        self.began = self.ended = first.at              # monotonic seconds
        self.began_at = str(first.fields.get("timestamp", ""))[:MOST_CHARACTERS]    # wall clock, for people
        self.version = ""
        self.num_events = 0
        self.num_gaps = 0                               # damaged lines, and lines that the engine could not write
        self.num_violations = 0
        self.judge = Judge(is_whole, self._violated)
        self.windows = StartWindows()
        self.half_open, self.unanswered, self.connections = Peak(), Peak(), Peak()
        self.torrents: dict[str, TorrentFigures] = {}
        self.others: TorrentFigures | None = None
        self.timeline = Timeline(first.at)
        self.starts_over_time, self.half_open_over_time, self.unanswered_over_time = BinPeaks(), BinPeaks(), BinPeaks()
        self.half_open_limit_over_time, self.unanswered_limit_over_time, self.start_limit_over_time = BinPeaks(), BinPeaks(), BinPeaks()
        self.lag_over_time, self.attempts_over_time = BinPeaks(), BinCounts()
        for series in (
            self.starts_over_time, self.half_open_over_time, self.unanswered_over_time, self.half_open_limit_over_time,
            self.unanswered_limit_over_time, self.start_limit_over_time, self.lag_over_time, self.attempts_over_time,
        ):
            self.timeline.keep(series)
        self._violations = violations
        self._turns = {False: TurnOrder(), True: TurnOrder()}     # of torrents without and with peers
        self._other_hashes: set[str] = set()

    @property
    def seconds(self) -> float:
        """How long it ran, as far as the log goes."""
        return self.ended - self.began

    @property
    def num_others(self) -> int:
        """How many torrents are summed; at most MAX_HASHES_COUNTED are counted."""
        return len(self._other_hashes)

    def all_figures(self) -> list[TorrentFigures]:
        """Each torrent, then the sum of the others if there are any."""
        return [*self.torrents.values(), *([self.others] if self.others is not None else [])]

    def jain(self) -> float | None:
        """Jain's index of attempts, by torrent; None where nobody asked. Those that never asked take no part."""
        return jain(torrent.attempts for torrent in self.torrents.values() if torrent.requests or torrent.attempts)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def line_missing(self) -> None:
        """A line before the next one is damaged, or was not written."""
        self.num_gaps += 1
        self.judge.begin_anew(self.ended)

    def take(self, event: LogEvent) -> None:
        """Take one event into account. Raises DamagedEvent."""
        self.num_events += 1
        self.last_line = event.line
        event.at = max(event.at, self.ended)            # lines of one run are in order but for microseconds
        self.ended = event.at
        for place, moment in self.timeline.advance(event.at):
            self._begin_bin(place, moment)
        match event.name:
            case "log_lines_dropped":  self.line_missing()
            case "engine_started":     self.version = event.text("version", "")
        took_effect = self.judge.take(event)
        if "info_hash" in event.fields and took_effect:
            self._take_of_torrent(event)
        self._note_levels(event)

    def _take_of_torrent(self, event: LogEvent) -> None:
        match event.name:
            case "torrent_added":       self._of(event).name = event.text("name", "")
            case "slot_requested":      self._requested(event)
            case "slot_granted":        self._granted(event)
            case "slot_declined":       self._declined(event)
            case "slot_lease_expired":  self._of(event).expired += 1
            case "requests_cancelled":  self._cancelled(event)
            case "connect_started":     self._dial_started(event)
            case "connect_failed":      count_kind(self._of(event).outcomes, event.text("outcome"))
            case "peer_connected":      self._peer_connected(event)
            case "peer_disconnected":   self._note_class(self._of(event))
            case "torrent_completed":   self._of(event).completed = event.at

    def _of(self, event: LogEvent) -> TorrentFigures:
        info_hash = event.text("info_hash")
        torrent = self.torrents.get(info_hash)
        if torrent is None and len(self.torrents) < MAX_TORRENTS:
            torrent = self.torrents[info_hash] = self._new(info_hash)
        elif torrent is None:
            if len(self._other_hashes) < MAX_HASHES_COUNTED:
                self._other_hashes.add(info_hash)
            torrent = self.others = self.others or self._new(OTHERS)
        return torrent

    def _new(self, info_hash: str) -> TorrentFigures:
        torrent = TorrentFigures(info_hash)
        self.timeline.keep(torrent.grants_over_time)
        self.timeline.keep(torrent.asked_over_time)
        return torrent

    def _requested(self, event: LogEvent) -> None:
        count, torrent = event.whole("count"), self._of(event)
        torrent.requests += 1
        if torrent.first_request is None:
            torrent.first_request = event.at
        if torrent.pending == 0:
            self._turns[torrent.has_peers].join(torrent)
        torrent.pending = count
        torrent.asked_over_time.raise_to(self.timeline.place, 1)

    def _granted(self, event: LogEvent) -> None:
        waited, torrent = event.number("waited"), self._of(event)
        torrent.grants += 1
        torrent.waits.add(waited)
        torrent.pending = max(torrent.pending - 1, 0)
        torrent.grants_over_time.values[self.timeline.place] += 1
        if torrent is not self.others:
            lag = self._turns[torrent.has_peers].granted(torrent)
            torrent.lag = max(torrent.lag, lag)
            self.lag_over_time.raise_to(self.timeline.place, lag)

    def _declined(self, event: LogEvent) -> None:
        torrent = self._of(event)
        count_kind(torrent.declined, event.text("reason"))
        torrent.pending = 0

    def _cancelled(self, event: LogEvent) -> None:
        self._of(event).pending = 0

    def _dial_started(self, event: LogEvent) -> None:
        self._of(event).attempts += 1
        self.attempts_over_time.values[self.timeline.place] += 1
        self.starts_over_time.raise_to(self.timeline.place, self.windows.add(event.at))

    def _peer_connected(self, event: LogEvent) -> None:
        torrent = self._of(event)
        self._note_class(torrent)
        if not event.flag("incoming"):
            count_kind(torrent.outcomes, "connected")
            if torrent.first_peer is None:
                torrent.first_peer = event.at

    def _note_class(self, torrent: TorrentFigures) -> None:
        """Who has a peer now has turns among those that have."""
        of_torrent = self.judge.book.by_torrent.get(torrent.info_hash)
        has_peers = of_torrent is not None and of_torrent.connected > 0
        if has_peers is not torrent.has_peers:
            torrent.has_peers = has_peers
            self._turns[has_peers].join(torrent)

    # ── levels ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _begin_bin(self, place: int, moment: float) -> None:
        """What lasts goes on in the next bin, though no line says so."""
        in_flight = self.judge.book.count.in_flight
        self.half_open_over_time.raise_to(place, in_flight)
        self.unanswered_over_time.raise_to(place, self.judge.router.num_entries(moment) + in_flight)
        self._note_limits(place)
        for torrent in self.torrents.values():
            if torrent.pending:
                torrent.asked_over_time.raise_to(place, 1)

    def _note_levels(self, event: LogEvent) -> None:
        limits, count, place = self.judge.limits, self.judge.book.count, self.timeline.place
        self.half_open.raise_to(count.in_flight, limits.half_open, event.line)
        self.connections.raise_to(count.total, limits.global_connections, event.line)
        self.half_open_over_time.raise_to(place, count.in_flight)
        if event.name == "slot_granted":
            self.unanswered.raise_to(self.judge.num_unanswered, limits.unanswered, event.line)
            self.unanswered_over_time.raise_to(place, self.judge.num_unanswered)
        elif event.name.endswith(("_started", "_changed")):
            self._note_limits(place)

    def _note_limits(self, place: int) -> None:
        limits = self.judge.limits
        self.half_open_limit_over_time.raise_to(place, limits.half_open or 0)
        self.unanswered_limit_over_time.raise_to(place, limits.unanswered or 0)
        if limits.tokens.rate:
            self.start_limit_over_time.raise_to(place, int(limits.tokens.burst + limits.tokens.rate))

    def _violated(self, rule: str, event: LogEvent, text: str) -> None:
        self.num_violations += 1
        self._violations.add(Violation(rule, self.number, event.line, event.at, text, is_after_damage=self.num_gaps > 0))
