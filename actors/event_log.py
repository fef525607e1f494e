"""structlog set-up: one JSON object a line in the file, readable colours in a terminal (docs/events.md).

An event is made into a line at once and written with its neighbours: at most FLUSH_SECONDS later, when much has gathered, and at the
end. Logging never raises: what cannot be written (a full disk) is dropped and counted, and the count is said once writing works again.
"""

import atexit
import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gevent
import structlog

from protocol.errors import StorageError

FLUSH_SECONDS = 0.5
FLUSH_BYTES = 1 << 16
TERMINAL_HASH_DIGITS = 8


class LogFile:
    """Lines gathered in memory and appended to a file."""

    def __init__(self, path: Path) -> None:
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StorageError(f"cannot write the log {path}: {error.strerror}") from None
        self._lines: list[bytes] = []
        self._bytes = 0
        self._dropped = 0
        self._flusher: gevent.Greenlet | None = None

    def add(self, line: bytes) -> None:
        """Append a line, with its newline."""
        self._lines.append(line)
        self._bytes += len(line)
        if self._bytes >= FLUSH_BYTES:
            self.flush()
        elif self._flusher is None:
            self._flusher = gevent.spawn_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what has gathered."""
        lines, self._lines, self._bytes = self._lines, [], 0
        if self._flusher is not None and self._flusher is not gevent.getcurrent():
            self._flusher.kill(block=False)
        self._flusher = None
        if not lines:
            return
        data = b"".join(lines)
        try:
            if self._dropped:
                data = line_of({"event": "log_lines_dropped", "level": "error", "count": self._dropped}) + data
            while data:
                data = data[os.write(self._fd, data):]
            self._dropped = 0
        except OSError:
            self._dropped += len(lines)

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        os.close(self._fd)


_log_file: LogFile | None = None


def configure_logging(path: Path | None, terminal: bool = False) -> None:
    """Send events to `path` (JSON), to stderr (`terminal`), to both or nowhere. Raises StorageError when `path` cannot be written."""
    global _log_file
    close_log()
    _log_file = LogFile(path) if path is not None else None
    console = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if terminal else None

    def hand_on(_logger: Any, method: str, event: dict[str, Any]) -> Any:
        event["level"] = method
        if "exc_info" in event:
            structlog.processors.format_exc_info(_logger, method, event)
        if _log_file is not None:
            _log_file.add(line_of(event))
        if console is not None:
            with contextlib.suppress(Exception):        # a terminal that is gone is no reason to stop
                print(console(_logger, method, {key: _short(key, value) for key, value in event.items()}), file=sys.stderr)
        raise structlog.DropEvent

    structlog.configure(
        processors=[hand_on], wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.ReturnLoggerFactory(), cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [LibraryRecords()]
    root.setLevel(logging.WARNING)


def close_log() -> None:
    """Write what has gathered and let the file go. Events after this go nowhere."""
    global _log_file
    if _log_file is not None:
        _log_file.close()
        _log_file = None


def line_of(event: Mapping[str, Any]) -> bytes:
    """One JSON object with the times added; bytes become hex, what JSON cannot say becomes its repr."""
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    entry = {"timestamp": f"{stamp}.{int(now % 1 * 1e6):06d}Z", "monotonic": round(time.monotonic(), 6), **event}
    return json.dumps(entry, default=_plain, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes | bytearray | memoryview) else list(value) if isinstance(value, set | frozenset) else repr(value)


def _short(key: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()[:TERMINAL_HASH_DIGITS] if key == "info_hash" else value.hex()
    return value


class LibraryRecords(logging.Handler):
    """Records of pykka, gevent and urllib3 take the same way as our events."""

    def __init__(self) -> None:
        super().__init__()
        self._log = structlog.get_logger()

    def emit(self, record: logging.LogRecord) -> None:
        """Name, text and traceback as fields of one event."""
        exception = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        self._log.warning("library_logged", logger=record.name, text=record.getMessage(), exception=exception)


atexit.register(close_log)
