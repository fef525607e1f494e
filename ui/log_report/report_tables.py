"""A report as tables in a terminal."""

from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ui.log_report.attempts_table import NAMED_OUTCOMES, seconds
from ui.log_report.log_lines import BadLines
from ui.log_report.log_report import LogReport
from ui.log_report.report_values import all_waits, grants_of, jain_over_time_of
from ui.log_report.run_report import Peak, RunReport
from ui.log_report.torrent_figures import JAIN_SECONDS, TorrentFigures
from ui.log_report.wait_counts import WaitCounts
from ui.terminal.text import human_time, printable

MAX_TORRENT_ROWS: Final = 60                            # more is for --json
NUM_SLICES: Final = 12                                  # of a run, for fairness over time
NOT_TOLD: Final = "not told"


def print_report(report: LogReport, console: Console) -> None:
    """Print all of it; the verdict comes last, where people look."""
    lines = report.lines
    console.print(Text(f"{printable(str(lines.path))}: {lines.num_lines:,} lines, {lines.num_events:,} events{bad_lines(report)}"))
    if report.num_runs > len(report.runs):
        console.print(Text(f"{report.num_runs} runs; figures of the last {len(report.runs)}, all are judged"))
    for run in report.runs:
        console.print()
        print_run(run, console)
    console.print()
    for sentence in verdict(report):
        console.print(Text(sentence))


def bad_lines(report: LogReport) -> str:
    """Which lines were no events, '' when all were."""
    return _named(report.lines.damaged, "damaged") + _named(report.lines.foreign, "foreign")


def _named(bad: BadLines, what: str) -> str:
    if not bad.count:
        return ""
    more = ", …" if bad.count > len(bad.first) else ""
    return f"; {bad.count:,} {what} (line {', '.join(map(str, bad.first))}{more})"


def verdict(report: LogReport) -> list[str]:
    """What was found, and the lines that prove it."""
    if not report.num_runs:
        return ["no events: this is no log of Evenswarm"]
    if not report.violations:
        return ["no invariant violated"]
    sentences = [f"{report.violations.total:,} violation{'s' if report.violations.total > 1 else ''}"]
    for rule, examples in report.violations.examples.items():
        sentences.append(f"{rule}: {report.violations.counts[rule]:,} ×")
        for one in examples:
            doubt = " (a line before it is missing: a change of a limit may be among them)" if one.is_after_damage else ""
            sentences.append(f"  line {one.line}, run {one.run}, {one.at:.3f} s: {printable(one.text)}{doubt}")
    return sentences


# ── one run ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def print_run(run: RunReport, console: Console) -> None:
    """Its title, limits, torrents, and fairness over time."""
    console.print(Text(title(run), style="bold"))
    console.print(_limits(run))
    console.print(Text(f"{identity(run)}\nwaits for a slot: {wait_text(all_waits(run))}\n"))
    console.print(_torrents(run))
    if len(run.torrents) > MAX_TORRENT_ROWS:
        console.print(Text(f"{len(run.torrents) - MAX_TORRENT_ROWS} torrents more: see --json"))
    console.print()
    console.print(_fairness(run))
    console.print(Text(fairness_text(run)))


def title(run: RunReport) -> str:
    """Which run, when, how long, and by what limits."""
    began = "" if run.is_whole else ", its beginning is missing"
    gaps = f", {run.num_gaps} gap{'s' if run.num_gaps > 1 else ''}" if run.num_gaps else ""
    profile = f", {run.judge.limits.profile}" if run.judge.limits.profile else ""
    return printable(f"run {run.number}: {run.began_at or 'time not told'}, {human_time(run.seconds)}, lines {run.first_line:,} to {run.last_line:,}{profile}{began}{gaps}")


def identity(run: RunReport) -> str:
    """granted = connected + failed + …"""
    grants = grants_of(run)
    unknown = f" {'+' if grants['unknown'] > 0 else '-'} {abs(grants['unknown']):,} of which a line is missing" if grants["unknown"] else ""
    return (f"{grants['granted']:,} granted = {grants['connected']:,} connected + {sum(grants['failed'].values()):,} failed + {grants['cancelled']:,} cancelled"
            f" + {grants['declined']:,} declined + {grants['expired']:,} expired + {grants['in_flight']:,} in flight{unknown}")


def limit_rows(run: RunReport) -> list[tuple[str, str, str, str]]:
    """What, the most of it, its limit, where."""
    tokens, at_least = run.judge.limits.tokens, "at least " if run.windows.is_at_least else ""
    rows = [
        _peak_row("half-open: granted, dialling, in a handshake", run.half_open),
        _peak_row("unanswered dials that a router remembers", run.unanswered),
        _peak_row("connections, dials and grants", run.connections),
    ]
    for length, most in run.windows.most.items():
        bound = tokens.bound(length)
        rows.append((f"dials in any {length:g} s", f"{at_least}{most:,}", _bound(run) if bound is None else f"{bound:,.0f}", ""))
    if tokens.rate:
        rows.append(("of the burst in use, windows of any length", f"{tokens.most_used:.1f}", f"{tokens.burst}", ""))
    return rows


def _bound(run: RunReport) -> str:
    tokens = run.judge.limits.tokens
    return NOT_TOLD if tokens.rate is None else "none" if tokens.num_told == 1 else "changed"


def _peak_row(what: str, peak: Peak) -> tuple[str, str, str, str]:
    return what, f"{peak.value:,}", NOT_TOLD if peak.limit is None else f"{peak.limit:,}", f"line {peak.line:,}" if peak.value else ""


def _limits(run: RunReport) -> Table:
    table = _table("", "most", "limit", "first at")
    for row in limit_rows(run):
        table.add_row(*row)
    return table


def wait_text(waits: WaitCounts) -> str:
    """p50, p95 and max."""
    return f"p50 {seconds(waits.quantile(0.5))}, p95 {seconds(waits.quantile(0.95))}, max {seconds(waits.longest)}" if waits.num else "none"


TORRENT_HEADINGS: Final = (
    "torrent", "requests", "grants", "wait p50", "p95", "max", "first peer", "complete", "dials", "connected", "timed out", "refused",
    "cancelled", "other", "declined", "expired", "lag",
)


def torrent_row(torrent: TorrentFigures) -> tuple[str, ...]:
    """One torrent under TORRENT_HEADINGS."""
    waits = torrent.waits
    other = torrent.outcomes.total() - sum(torrent.outcomes[outcome] for outcome in NAMED_OUTCOMES)
    return (
        printable(torrent.label), f"{torrent.requests:,}", f"{torrent.grants:,}",
        *(seconds(value if waits.num else None) for value in (waits.quantile(0.5), waits.quantile(0.95), waits.longest)),
        seconds(torrent.seconds_to(torrent.first_peer)), seconds(torrent.seconds_to(torrent.completed)), f"{torrent.attempts:,}",
        *(f"{torrent.outcomes[outcome]:,}" for outcome in NAMED_OUTCOMES), f"{other:,}", f"{torrent.declined.total():,}", f"{torrent.expired:,}",
        str(torrent.lag),
    )


def _torrents(run: RunReport) -> Table:
    table = _table(*TORRENT_HEADINGS)
    figures = run.all_figures()
    for torrent in figures[:MAX_TORRENT_ROWS] + figures[len(run.torrents):] * (len(run.torrents) > MAX_TORRENT_ROWS):
        table.add_row(*(Text(cell) for cell in torrent_row(torrent)))
    return table


def fairness_text(run: RunReport) -> str:
    """What the columns of fairness mean, and the index of the whole run."""
    return (f"Jain's index of dials over the whole run {'-' if run.jain() is None else f'{run.jain():.3f}'}. Jain over time: of the grants of {JAIN_SECONDS:g} s, "
            "among the torrents that asked all that time.\nLag: the most turns of one other torrent (with or without peers, as itself) while one waited for its own.")


def _fairness(run: RunReport) -> Table:
    table = _table("from", "dials", "most in 1 s", "half-open", "unanswered", "Jain", "lag")
    num_used, jains = run.timeline.num_used, jain_over_time_of(run)
    per_slice = -(-num_used // NUM_SLICES)
    for first in range(0, num_used, per_slice):
        places = slice(first, min(first + per_slice, num_used))
        known = [value for value in jains[places] if value is not None]
        table.add_row(
            f"{first * run.timeline.bin_seconds:,.0f} s", f"{sum(run.attempts_over_time.values[places]):,}",
            *(f"{max(series.values[places]):,}" for series in (run.starts_over_time, run.half_open_over_time, run.unanswered_over_time)),
            f"{min(known):.2f}" if known else "-", str(max(run.lag_over_time.values[places])),
        )
    return table


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left", no_wrap=True, overflow="ellipsis", max_width=50)
    return table
