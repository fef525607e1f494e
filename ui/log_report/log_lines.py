"""A log file as a stream of events: one line at a time, foreign and damaged lines counted, never fatal."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

LONGEST_LINE = 1 << 16                                  # an event of ours is below 1 KiB


@dataclass(slots=True)
class LogLines:
    """Iterate to get the events; `bad_lines` counts what was none."""

    path: Path
    bad_lines: int = field(default=0)

    def __iter__(self) -> Iterator[dict]:
        with open(self.path, "rb") as stream:
            while line := stream.readline(LONGEST_LINE):
                event = self._event(line)
                if event is None:
                    self.bad_lines += 1
                else:
                    yield event

    @staticmethod
    def _event(line: bytes) -> dict | None:
        try:
            event = json.loads(line)
        except ValueError:
            return None
        return event if isinstance(event, dict) and isinstance(event.get("event"), str) and isinstance(event.get("monotonic"), int | float) else None
