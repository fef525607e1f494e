"""Hand-made logs: lines as the engine writes them, with what a test does not care about filled in."""

import json
from collections.abc import Iterable
from pathlib import Path

from ui.log_report.log_lines import LogEvent, LogLines
from ui.log_report.log_report import LogReport

A, B, C = "a" * 40, "b" * 40, "c" * 40
LIMITS = {
    "version": "0.1.0", "profile": "conservative", "per_second": 10.0, "burst": 20, "half_open": 30, "global_connections": 200,
    "torrent_connections": 50, "incoming_reserve": 0.1, "unanswered": 300, "lease_seconds": 2.0, "drain_interval": 0.1,
}


def line(at, event, info_hash=A, /, **fields) -> dict:
    """One event at the monotonic second `at`."""
    return {"timestamp": "2026-11-22T10:00:00.000000Z", "monotonic": at, "event": event, "level": "info", "info_hash": info_hash, **fields}


def engine(at=0.0, **limits) -> dict:
    """The first line of a run, with the limits of `conservative` but for those given."""
    event = line(at, "engine_started", **LIMITS | limits)
    del event["info_hash"]
    return event


def change(at, event, **fields) -> dict:
    """A line of the broker about all torrents."""
    changed = line(at, event, **fields)
    del changed["info_hash"]
    return changed


def limits_changed(at, **limits) -> dict:
    given = {key: LIMITS[key] for key in ("half_open", "global_connections", "torrent_connections", "unanswered")}
    return change(at, "connection_limits_changed", **given | limits)


def granted(at, grant_id, info_hash=A, waited=0.0) -> dict:
    return line(at, "slot_granted", info_hash, grant_id=grant_id, waited=waited)


def started(at, grant_id, info_hash=A) -> dict:
    return line(at, "connect_started", info_hash, grant_id=grant_id, peer="127.0.0.1:1", source="tracker", attempt=1, timeout=10.0)


def failed(at, grant_id, outcome="timed_out", info_hash=A) -> dict:
    return line(at, "connect_failed", info_hash, grant_id=grant_id, peer="127.0.0.1:1", outcome=outcome, reason=outcome, elapsed=1.0, next_try=15.0)


def connected(at, grant_id, info_hash=A, incoming=False) -> dict:
    return line(at, "peer_connected", info_hash, grant_id=grant_id, peer="127.0.0.1:1", incoming=incoming, client_name="?", elapsed=0.1)


def closed(at, grant_id, info_hash=A) -> dict:
    return line(at, "peer_disconnected", info_hash, grant_id=grant_id, peer="127.0.0.1:1", reason="end", elapsed=1.0, downloaded=0, uploaded=0)


def attempt(at, grant_id, ended_at, outcome="timed_out", info_hash=A, waited=0.0) -> list[dict]:
    """The lines of one attempt, from the grant to its end."""
    end = connected(ended_at, grant_id, info_hash) if outcome == "connected" else failed(ended_at, grant_id, outcome, info_hash)
    return [granted(at, grant_id, info_hash, waited), started(at, grant_id, info_hash), end]


def in_order(*parts: Iterable[dict]) -> list[dict]:
    """All lines by time; those of one moment stay as they were."""
    return sorted((one for part in parts for one in part), key=lambda one: one["monotonic"])


def report_of(*lines: dict | None) -> LogReport:
    """What is read from these lines; None is a damaged one."""
    report = LogReport(LogLines(Path("log")))
    return report.read(None if one is None else LogEvent(number, one["event"], one["monotonic"], one) for number, one in enumerate(lines, start=1))


def write_log(path: Path, *lines: dict | bytes) -> Path:
    """Write them as a file."""
    path.write_bytes(b"".join(one + b"\n" if isinstance(one, bytes) else json.dumps(one).encode() + b"\n" for one in lines))
    return path
