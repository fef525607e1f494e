"""Progress of a long computation: a bar in a terminal, a line each ten per cent elsewhere."""

import sys
from types import TracebackType

from ui.terminal.text import human_bytes

PLAIN_STEPS = 10


class HashingProgress:
    """A context manager; `advance(bytes)` as work is done."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._said = 0
        self._bar = None

    def __enter__(self) -> "HashingProgress":
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

            self._bar = Progress(
                "hashing", BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn(),
                console=Console(stderr=True), transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("hashing", total=self._total)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, count: int) -> None:
        """`count` more bytes are done."""
        self._done += count
        if self._bar is not None:
            self._bar.advance(self._task, count)
            return
        step = PLAIN_STEPS * self._done // max(self._total, 1)
        if step > self._said and self._total > 64 << 20:
            self._said = step
            print(f"hashed {human_bytes(self._done)} of {human_bytes(self._total)}", file=sys.stderr)
