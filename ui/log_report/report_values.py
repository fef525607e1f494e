"""A report as values of JSON. The shape is documented in docs/inspect.md and stable: keys are added, not renamed."""

from typing import Any, Final

from ui.log_report.grant_book import CANCELLED, CONNECTED, EXPIRED
from ui.log_report.log_lines import BadLines
from ui.log_report.log_report import LogReport
from ui.log_report.run_report import Peak, RunReport
from ui.log_report.torrent_figures import TorrentFigures, jain_over_time
from ui.log_report.violations import RULES, Violations
from ui.log_report.wait_counts import WaitCounts

SHAPE_VERSION: Final = 1
DECLINED: Final = "declined"


def values_of(report: LogReport) -> dict[str, Any]:
    """The whole report."""
    return {
        "shape": SHAPE_VERSION,
        "log": {
            "path": str(report.lines.path), "lines": report.lines.num_lines, "events": report.lines.num_events,
            "damaged": _bad_lines(report.lines.damaged), "foreign": _bad_lines(report.lines.foreign),
        },
        "violations": violations_of(report.violations),
        "num_runs": report.num_runs,
        "runs": [run_values(run) for run in report.runs],
    }


def violations_of(violations: Violations) -> list[dict[str, Any]]:
    """Each rule that was broken."""
    return [
        {
            "rule": rule, "says": says, "count": violations.counts[rule],
            "examples": [
                {"run": one.run, "line": one.line, "monotonic": one.at, "text": one.text, "after_damage": one.is_after_damage}
                for one in violations.examples[rule]
            ],
        }
        for rule, says in RULES.items() if rule in violations.counts
    ]


def run_values(run: RunReport) -> dict[str, Any]:
    """One run."""
    limits = run.judge.limits
    return {
        "run": run.number, "first_line": run.first_line, "last_line": run.last_line, "began_at": run.began_at, "seconds": run.seconds,
        "whole": run.is_whole, "gaps": run.num_gaps, "violations": run.num_violations, "version": run.version,
        "limits": {
            "profile": limits.profile, "per_second": limits.tokens.rate, "burst": limits.tokens.burst if limits.tokens.num_told else None,
            "half_open": limits.half_open, "unanswered": limits.unanswered, "global_connections": limits.global_connections,
            "torrent_connections": limits.torrent_connections, "incoming_reserve": limits.incoming_reserve,
        },
        "grants": grants_of(run),
        "waits": wait_values(all_waits(run)),
        "half_open": _peak(run.half_open), "unanswered": _peak(run.unanswered), "connections": _peak(run.connections),
        "starts": {
            "windows": [
                {"seconds": seconds, "most": most, "bound": limits.tokens.bound(seconds)} for seconds, most in run.windows.most.items()
            ],
            "at_least": run.windows.is_at_least, "most_of_burst": limits.tokens.most_used if limits.tokens.rate else None,
        },
        "fairness": {
            "jain": run.jain(), "lag": max((torrent.lag for torrent in run.torrents.values()), default=0),
            "bin_seconds": run.timeline.bin_seconds, "jain_over_time": jain_over_time_of(run),
            "lag_over_time": list(run.lag_over_time.values[:run.timeline.num_used]),
        },
        "over_time": {
            "attempts": _used(run, run.attempts_over_time), "most_starts_in_1_s": _used(run, run.starts_over_time),
            "half_open": _used(run, run.half_open_over_time), "unanswered": _used(run, run.unanswered_over_time),
        },
        "torrents": [torrent_values(torrent, run.timeline.num_used) for torrent in run.torrents.values()],
        "others": None if run.others is None else {"torrents": run.num_others} | torrent_values(run.others, run.timeline.num_used),
    }


def jain_over_time_of(run: RunReport) -> list[float | None]:
    """Jain's index for each bin that is used."""
    return jain_over_time(run.torrents.values(), run.timeline.num_used, run.timeline.bin_seconds)


def grants_of(run: RunReport) -> dict[str, Any]:
    """The identity: granted = connected + failed + cancelled + declined + expired + in flight + unknown, which is 0 where no line is missing."""
    book = run.judge.book
    named = {CONNECTED, CANCELLED, DECLINED, EXPIRED}
    return {
        "granted": book.granted, "connected": book.ends[CONNECTED], "failed": {end: num for end, num in book.ends.items() if end not in named},
        "cancelled": book.ends[CANCELLED], "declined": book.ends[DECLINED], "expired": book.ends[EXPIRED], "in_flight": book.count.in_flight,
        "unknown": book.granted - book.ends.total() - book.count.in_flight,
    }


def torrent_values(torrent: TorrentFigures, num_bins: int) -> dict[str, Any]:
    """One torrent; seconds since its first request."""
    return {
        "info_hash": torrent.info_hash, "name": torrent.name, "requests": torrent.requests, "grants": torrent.grants,
        "attempts": torrent.attempts, "outcomes": dict(torrent.outcomes), "declined": dict(torrent.declined), "expired": torrent.expired,
        "waits": wait_values(torrent.waits), "first_peer_after": torrent.seconds_to(torrent.first_peer),
        "completed_after": torrent.seconds_to(torrent.completed), "lag": torrent.lag,
        "grants_over_time": list(torrent.grants_over_time.values[:num_bins]),
    }


def all_waits(run: RunReport) -> WaitCounts:
    """The waits of all torrents."""
    waits = WaitCounts()
    for torrent in run.all_figures():
        waits.add_all(torrent.waits)
    return waits


def wait_values(waits: WaitCounts) -> dict[str, Any]:
    """p50 and p95 within 5 % or 1 ms, the longest exactly."""
    return {"count": waits.num, "p50": waits.quantile(0.5), "p95": waits.quantile(0.95), "max": waits.longest}


def _used(run: RunReport, series: Any) -> list[int]:
    return list(series.values[:run.timeline.num_used])


def _bad_lines(bad: BadLines) -> dict[str, Any]:
    return {"count": bad.count, "first_lines": bad.first}


def _peak(peak: Peak) -> dict[str, Any]:
    return {"peak": peak.value, "limit": peak.limit, "line": peak.line}
