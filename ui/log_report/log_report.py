"""LogReport: what a log says about connecting. A log may hold many runs of an engine; each is judged by itself.

A run begins with `engine_started`, or where the monotonic clock goes back (the machine was started anew, and the beginning is missing),
or with the first line of a log whose beginning was taken away. The wall clock is not looked at.
"""

from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ui.log_report.log_lines import DamagedEvent, LogEvent, LogLines
from ui.log_report.run_report import RunReport
from ui.log_report.violations import Violations

MAX_RUNS: Final = 8                                     # with figures, the last ones; all are judged
CLOCK_BACK_SECONDS: Final = 1.0                         # lines of one run are out of order by microseconds at most


class LogReport:
    """Reads `lines` once. Raises OSError when the file cannot be read."""

    def __init__(self, lines: LogLines) -> None:
        self.lines = lines
        self.violations = Violations()
        self.runs: deque[RunReport] = deque(maxlen=MAX_RUNS)
        self.num_runs = 0

    def read(self, events: Iterable[LogEvent | None] | None = None) -> "LogReport":
        """Take all events into account."""
        run = None
        for event in self.lines if events is None else events:
            if event is None:
                if run is not None:
                    run.line_missing()
                continue
            if run is None or event.name == "engine_started" or event.at < run.ended - CLOCK_BACK_SECONDS:
                run = self._begin_run(event)
            try:
                run.take(event)
            except DamagedEvent:
                self.lines.damaged.add(event.line)
                self.lines.num_events -= 1
                run.line_missing()
        return self

    def _begin_run(self, first: LogEvent) -> RunReport:
        self.num_runs += 1
        run = RunReport(self.num_runs, first, is_whole=first.name == "engine_started", violations=self.violations)
        self.runs.append(run)
        return run


def read_log(path: Path) -> LogReport:
    """Read a log from its first line to its last."""
    return LogReport(LogLines(path)).read()
