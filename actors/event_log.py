"""structlog set-up: one JSON object a line in a file, readable colours in a terminal (docs/events.md).

Logging never raises and hardly costs: an event is one line in memory within about ten microseconds, and the file is written behind it
(log_file.py). Values are what JSON has; bytes become hex, what no JSON can say becomes its repr.
"""

import atexit
import contextlib
import json
import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import structlog

from actors.log_file import LogFile

TERMINAL_HASH_DIGITS = 8

_JSON_KINDS = frozenset({str, int, float, bool, type(None)})
_encode = msgspec.json.Encoder().encode
_log_file: LogFile | None = None


def configure_logging(path: Path | None, terminal: bool = False) -> None:
    """Send events to `path` (JSON), to stderr (`terminal`), to both or nowhere. Raises StorageError when `path` cannot be written.

    When there is no room for more in the file, the user is told on stderr: at once, and at the end how many events it lacks.
    """
    global _log_file
    close_log()
    if path is not None:
        _log_file = LogFile(path, lines_dropped, on_first_lost=lambda reason: complain(
            f"cannot write the log {path}: {reason}; it lacks events from now on, everything else goes on: make room there"))
    sinks = [*([to_file] if path is not None else []), *([to_terminal()] if terminal else [])]

    def hand_on(logger: Any, method: str, event: dict[str, Any]) -> Any:
        with contextlib.suppress(Exception):            # a log that cannot be written is no reason to stop
            if "exc_info" in event:
                structlog.processors.format_exc_info(logger, method, event)
            for sink in sinks:
                sink(method, event)
        raise structlog.DropEvent                       # nobody is left to whom structlog could hand it

    structlog.configure(
        processors=[hand_on], wrapper_class=structlog.make_filtering_bound_logger(logging.INFO if sinks else logging.CRITICAL),
        logger_factory=structlog.ReturnLoggerFactory(), cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [LibraryRecords()]
    root.setLevel(logging.WARNING)


@atexit.register
def close_log() -> None:
    """Write what has gathered and let the file go; say how many events it lacks. Events after this go nowhere."""
    global _log_file
    if _log_file is not None:
        _log_file.close()
        if num_lost := _log_file.num_lost:
            complain(f"the log {_log_file.path} lacks {num_lost} event{'s' * (num_lost != 1)}: {_log_file.why_lost}")
        _log_file = None


def complain(line: str) -> None:
    """Tell the user, if stderr can be written."""
    with contextlib.suppress(OSError):                  # it may lie on the same full disk
        print(f"evenswarm: {line}", file=sys.stderr, flush=True)


# ── to the file ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def to_file(level: str, event: dict[str, Any]) -> None:
    """Add a line to the log file."""
    if _log_file is not None:
        _log_file.add(line_of(level, event))


def line_of(level: str, event: Mapping[str, Any]) -> bytes:
    """Return the event as one JSON object and a newline, with the times added. Whatever its values are."""
    entry = {"timestamp": _timestamp(), "monotonic": round(time.monotonic(), 6), "event": "", "level": level, **event}
    try:
        for key, value in entry.items():
            if type(value) not in _JSON_KINDS:
                entry[key] = plain(value)
        return _encode(entry) + b"\n"
    except Exception:                                   # a repr that raises, half a surrogate pair, a list that contains itself
        return json.dumps({str(key): _surely(value) for key, value in entry.items()}).encode() + b"\n"


def lines_dropped(count: int) -> None:
    """There was no room for so many lines."""
    structlog.get_logger().error("log_lines_dropped", count=count)


def plain(value: Any) -> Any:
    """Return `value` in the words of JSON."""
    if type(value) in _JSON_KINDS:
        return value
    match value:
        case bytes() | bytearray() | memoryview():          return value.hex()
        case list() | tuple() | set() | frozenset():        return [plain(item) for item in value]
        case Mapping():                                     return {str(plain(key)): plain(item) for key, item in value.items()}
        case _:                                             return repr(value)


def _surely(value: Any) -> Any:
    try:
        return (value if isinstance(value, str) else repr(value)).encode(errors="backslashreplace").decode()
    except Exception:
        return f"a {type(value).__name__} that cannot be shown"


_second = (-1, "")                                      # the last whole second that was asked for, and how it is written


def _timestamp() -> str:
    """Now, in UTC (ISO 8601)."""
    global _second
    now = time.time()
    second = int(now)
    if second != _second[0]:
        _second = (second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)))
    return f"{_second[1]}.{int((now - second) * 1e6):06d}Z"


# ── to the terminal ──────────────────────────────────────────────────────────────────────────────────────────────────────


def to_terminal() -> Any:
    """Return the function that prints an event to stderr."""
    render = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)

    def show(level: str, event: dict[str, Any]) -> None:
        shown = {key: shown_value(key, value) for key, value in event.items()}
        print(render(None, level, {"timestamp": time.strftime("%H:%M:%S"), "level": level, **shown}), file=sys.stderr)

    return show


def shown_value(key: str, value: Any) -> Any:
    """Return `value` for people: hashes short, foreign text so that it cannot rewrite the screen."""
    if key == "info_hash" and isinstance(value, bytes):
        return value.hex()[:TERMINAL_HASH_DIGITS]
    if isinstance(value, str):
        kept = "\n" if key == "exception" else ""       # a traceback has lines
        return "".join(char if char.isprintable() or char in kept else char.encode("unicode_escape").decode() for char in value)
    return plain(value)


# ── what others log ──────────────────────────────────────────────────────────────────────────────────────────────────────


class LibraryRecords(logging.Handler):
    """Records of pykka, gevent and urllib3 take the same way as our events."""

    def __init__(self) -> None:
        super().__init__()
        self._log = structlog.get_logger()

    def emit(self, record: logging.LogRecord) -> None:
        """Name, text and traceback as fields of one event."""
        try:
            text = record.getMessage()
        except Exception:                               # its arguments do not fit its text
            text = str(record.msg)
        exception = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        self._log.warning("library_logged", logger=record.name, text=text, exception=exception)
