"""A log file as a stream of events: one line at a time, in bounded memory. What is none of our events is counted, never fatal.

A *foreign* line is text or JSON of somebody else: another program wrote into the same file. A *damaged* one may have been an event: it is
cut, or has a field of a wrong kind. After a damaged line whoever counts grants must expect that one is missing.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

LONGEST_LINE: Final = 1 << 20                           # bytes; an event is below 1 KiB, one with a traceback below 100 KiB
MAX_LINE_NUMBERS: Final = 10                            # of each kind of bad lines: the first ones are named
LARGEST_NUMBER: Final = 1e12                            # seconds or a grant's number; more is nothing that an engine has
MOST_CHARACTERS: Final = 200                            # of a text that is kept: a name, an outcome, a reason


class DamagedEvent(ValueError):
    """A field of an event is missing or of a wrong kind."""


class LogEvent:
    """One event. What is read of its fields is checked here: raises DamagedEvent."""

    __slots__ = ("at", "fields", "line", "name")

    def __init__(self, line: int, name: str, at: float, fields: dict[str, Any]) -> None:
        self.line = line
        self.name = name
        self.at = at                                    # monotonic seconds
        self.fields = fields

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text, cut to MOST_CHARACTERS."""
        value = self.fields.get(key, default)
        if not isinstance(value, str):
            raise DamagedEvent(f"{self.name}.{key} is no text")
        return value[:MOST_CHARACTERS]

    def whole(self, key: str) -> int:
        """Return a whole number of at least 0."""
        value = self.fields.get(key)
        if type(value) is not int or not 0 <= value <= LARGEST_NUMBER:
            raise DamagedEvent(f"{self.name}.{key} is no whole number of at least 0")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """Return a finite number of at least 0."""
        value = self.fields.get(key, default)
        if not _is_number(value):
            raise DamagedEvent(f"{self.name}.{key} is no number of at least 0")
        return value

    def flag(self, key: str) -> bool:
        """Return true or false."""
        value = self.fields.get(key)
        if not isinstance(value, bool):
            raise DamagedEvent(f"{self.name}.{key} is neither true nor false")
        return value


@dataclass(slots=True)
class BadLines:
    """How many lines of one kind there were, and where the first ones are."""

    count: int = 0
    first: list[int] = field(default_factory=list)      # line numbers

    def add(self, number: int) -> None:
        """Line `number` is one."""
        self.count += 1
        if len(self.first) < MAX_LINE_NUMBERS:
            self.first.append(number)


@dataclass(slots=True)
class LogLines:
    """Iterate to get the events, and None for each damaged line. Raises OSError when the file cannot be read."""

    path: Path
    num_lines: int = 0
    num_events: int = 0
    damaged: BadLines = field(default_factory=BadLines)
    foreign: BadLines = field(default_factory=BadLines)

    def __iter__(self) -> Iterator[LogEvent | None]:
        with open(self.path, "rb", buffering=1 << 18) as stream:
            while line := stream.readline(LONGEST_LINE):
                self.num_lines += 1
                if len(line) == LONGEST_LINE and line[-1:] != b"\n":
                    _skip_line(stream)
                    self.damaged.add(self.num_lines)
                    yield None
                elif (read := self._read(line)) is not None:
                    self.num_events += 1
                    yield read
                elif not line.strip():
                    continue
                elif _is_foreign(line):
                    self.foreign.add(self.num_lines)
                else:
                    self.damaged.add(self.num_lines)
                    yield None

    def _read(self, line: bytes) -> LogEvent | None:
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            return None
        if not isinstance(fields, dict):
            return None
        name, at = fields.get("event"), fields.get("monotonic")
        return LogEvent(self.num_lines, name, at, fields) if isinstance(name, str) and _is_number(at) else None


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= LARGEST_NUMBER and math.isfinite(value)


def _skip_line(stream: Any) -> None:
    while (rest := stream.readline(LONGEST_LINE)) and rest[-1:] != b"\n":
        pass


def _is_foreign(line: bytes) -> bool:
    """Tell whether the line cannot have been an event of ours: JSON without our fields, or text without a brace or a quote."""
    try:
        fields = json.loads(line)
    except RecursionError:
        return False
    except ValueError:
        return b"{" not in line and b'"' not in line and line.rstrip(b"\r\n").decode("utf-8", errors="replace").isprintable()
    return not (isinstance(fields, dict) and ("event" in fields or "monotonic" in fields))
