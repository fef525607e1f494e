"""What a command shows while an engine works: a live table in a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from actors import snapshots
from ui.terminal.summary import summary, tracker_trouble

LINE_INTERVAL_SECONDS = 5.0


class PlainLines:
    """A line for each change, and a summary every few seconds while something moves."""

    interval = LINE_INTERVAL_SECONDS

    def __init__(self, get_view: Callable[[], snapshots.FeedView]) -> None:
        self._get_view = get_view
        self._next_summary = time.monotonic() + LINE_INTERVAL_SECONDS
        self._last = ""

    def say(self, line: str) -> None:
        """A change, on stdout."""
        print(line, flush=True)

    def complain(self, line: str) -> None:
        """A failure, on stderr."""
        print(f"evenswarm: {line}", file=sys.stderr, flush=True)

    def update(self) -> None:
        """Print the summary if it is due and says something new."""
        if time.monotonic() < self._next_summary:
            return
        self._next_summary = time.monotonic() + LINE_INTERVAL_SECONDS
        view = self._get_view()
        trouble = tracker_trouble(view.torrents)
        line = summary(view) + (f"  {trouble}" if trouble else "")
        if line != self._last:
            self._last = line
            print(line, flush=True)


@contextmanager
def progress_view(get_view: Callable[[], snapshots.FeedView], num_torrents: int) -> Iterator["PlainLines"]:
    """The view that fits where stdout goes; it has `say`, `complain`, `update` and `interval`."""
    if not sys.stdout.isatty():
        yield PlainLines(get_view)
        return
    from ui.terminal.live_table import LiveTable  # rich costs 15 MB: only for a terminal

    with LiveTable(get_view, num_torrents) as table:
        yield table
