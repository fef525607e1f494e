"""A log as long as wanted, of an engine that keeps every rule: `python -m tests.ui.long_log LINES FILE [TORRENTS]`.

To see what `inspect` costs with a million lines (docs/inspect.md).
"""

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.ui.log_builder import LIMITS

EVERY_SECONDS = 0.5                                     # one dial in this time: 120 s of them stay far below the limit of unanswered ones
OUTCOMES = ("timed_out", "refused", "connected")


def long_log(num_lines: int, num_torrents: int, seed: int = 1) -> Iterator[bytes]:
    """The lines. Torrents take turns; each dial takes up to 10 s, each connection up to a minute."""
    rng, number, at = random.Random(seed), 1, 0.0
    due: list[tuple[float, str, int, str]] = []         # what ends when: (moment, event, grant id, info hash)
    yield _line(0.0, "engine_started", **LIMITS)
    grant_id = 0
    while number < num_lines:
        grant_id += 1
        at += EVERY_SECONDS
        info_hash = f"{grant_id % num_torrents:040x}"
        due.sort()
        lines = []
        while due and due[0][0] <= at:
            moment, event, ended, of = due.pop(0)
            lines.append(_end(moment, event, ended, of))
            if event == "connected":
                due.append((moment + rng.uniform(1, 20), "closed", ended, of))
                due.sort()
        if grant_id <= num_torrents:
            lines.append(_line(at, "torrent_added", info_hash=info_hash, name=f"torrent {grant_id}", source=""))
        lines.append(_line(at, "slot_requested", info_hash=info_hash, count=10, candidates=10))
        lines.append(_line(at, "slot_granted", info_hash=info_hash, grant_id=grant_id, waited=rng.expovariate(0.5)))
        lines.append(_line(at, "connect_started", info_hash=info_hash, grant_id=grant_id, peer="192.0.2.1:6881", source="tracker", attempt=1, timeout=10.0))
        due.append((at + rng.uniform(0.1, 10), rng.choice(OUTCOMES), grant_id, info_hash))
        yield from lines[:num_lines - number]
        number += len(lines)


def _end(at: float, event: str, grant_id: int, info_hash: str) -> bytes:
    match event:
        case "connected":
            return _line(at, "peer_connected", info_hash=info_hash, grant_id=grant_id, peer="192.0.2.1:6881", incoming=False, client_name="?", elapsed=0.1)
        case "closed":
            return _line(at, "peer_disconnected", info_hash=info_hash, grant_id=grant_id, peer="192.0.2.1:6881", reason="end", elapsed=1.0, downloaded=0, uploaded=0)
        case _:
            return _line(at, "connect_failed", info_hash=info_hash, grant_id=grant_id, peer="192.0.2.1:6881", outcome=event, reason=event, elapsed=1.0, next_try=15.0)


def _line(at: float, event: str, **fields) -> bytes:
    return json.dumps({"timestamp": "2026-11-22T10:00:00.000000Z", "monotonic": round(at, 6), "event": event, "level": "info", **fields}).encode() + b"\n"


if __name__ == "__main__":
    with open(Path(sys.argv[2]), "wb") as log:
        log.writelines(long_log(int(sys.argv[1]), int(sys.argv[3]) if len(sys.argv) > 3 else 200))
