"""LogFile: lines gathered in memory and appended to a file with their neighbours.

At most FLUSH_SECONDS later, when much has gathered, and at the end: one write for all of them, so that an event costs no system call.
What cannot be written (a full disk) is dropped, counted and told, never raised: no torrent stops because its log does.
"""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import gevent
from gevent.monkey import get_original

from protocol.errors import StorageError

FLUSH_SECONDS = 0.5
FLUSH_BYTES = 1 << 16

_thread_ident: Callable[[], int] = get_original("_thread", "get_ident")     # the patched one names greenlets


class LogFile:
    """Appends to `path`. Raises StorageError when that cannot be written at all.

    `on_first_lost` hears once why lines are being lost; `on_dropped` hears, whenever there is room again, how many lines there was no
    room for. `num_lost` and `why_lost` say it of the whole time.
    """

    def __init__(self, path: Path, on_dropped: Callable[[int], None], on_first_lost: Callable[[str], None]) -> None:
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StorageError(f"cannot write the log {path}: {error.strerror}") from None
        self.path = path
        self._on_dropped = on_dropped
        self._on_first_lost = on_first_lost
        self.num_lost = 0
        self.why_lost = ""
        self._thread = _thread_ident()
        self._loop = gevent.get_hub().loop
        self._lines: list[bytes] = []
        self._bytes = 0
        self._num_dropped = 0
        self._is_cut = False                            # what was written last ends in the middle of a line
        self._flusher: gevent.Greenlet | None = None
        self._is_closed = False

    def add(self, line: bytes) -> None:
        """Append a line, with its newline. Any thread may; after `close` it goes nowhere."""
        if _thread_ident() != self._thread:             # a timer of that thread's own loop would never fire
            self._loop.run_callback_threadsafe(self.add, line)
            return
        self._lines.append(line)
        self._bytes += len(line)
        if self._bytes >= FLUSH_BYTES:
            self.flush()
        elif self._flusher is None:
            self._flusher = gevent.spawn_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what has gathered."""
        flusher, self._flusher = self._flusher, None
        if flusher is not None and flusher is not gevent.getcurrent():
            flusher.kill(block=False)
        lines, self._lines, self._bytes = self._lines, [], 0
        if lines and not self._is_closed:
            self._write(lines)

    def _write(self, lines: list[bytes]) -> None:
        before = b"\n" if self._is_cut else b""         # so that the half line stays alone
        data = before + b"".join(lines)
        num_written = self._write_all(data)
        if num_written:
            self._is_cut = data[num_written - 1:num_written] != b"\n"
        if num_written < len(data):
            num_lost = data.count(b"\n", max(num_written, len(before)))
            self._num_dropped += num_lost
            is_first, self.num_lost = not self.num_lost, self.num_lost + num_lost
            if is_first:
                self._on_first_lost(self.why_lost)
        elif self._num_dropped:
            num_dropped, self._num_dropped = self._num_dropped, 0
            self._on_dropped(num_dropped)

    def _write_all(self, data: bytes) -> int:
        """Return how many bytes there was room for."""
        num_written = 0
        try:
            while num_written < len(data):
                num_written += os.write(self._fd, memoryview(data)[num_written:])
        except OSError as error:
            self.why_lost = error.strerror
        return num_written

    def close(self) -> None:
        """Write what has gathered and let the file go."""
        self.flush()
        self.flush()                                    # the first may have brought a line of its own
        self._is_closed = True
        with contextlib.suppress(OSError):              # a network file system may say only now that there was no room
            os.close(self._fd)
