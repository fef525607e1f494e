"""The attempts of one run as lines of text, for the end of a command."""

from ui.log_report.run_report import RunReport
from ui.log_report.torrent_figures import TorrentFigures
from ui.terminal.text import printable

HEADINGS = ("torrent", "first peer", "complete", "attempts", "connected", "timed out", "refused", "cancelled", "other", "wait p50", "wait max")
NAMED_OUTCOMES = ("connected", "timed_out", "refused", "cancelled")


def lines_of(run: RunReport) -> list[str]:
    """A table with a row a torrent, then the figures of all together."""
    figures = run.all_figures()
    rows = [HEADINGS] + [row_of(torrent) for torrent in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) if place == 0 else cell.rjust(width) for place, (cell, width) in enumerate(zip(row, widths, strict=True))) for row in rows]
    attempts = sum(torrent.attempts for torrent in figures)
    longest_wait = max((torrent.waits.longest for torrent in figures), default=0.0)
    lines.append(f"{attempts} attempts by {len(run.torrents) + run.num_others} torrents; Jain's fairness index {run.jain() or 1:.3f}; "
                 f"longest wait for a slot {longest_wait:.1f} s; peak half-open {run.half_open.value} of {run.half_open.limit or '?'}")
    return lines


def row_of(torrent: TorrentFigures) -> tuple[str, ...]:
    """One torrent; times in seconds since its first request."""
    other = torrent.outcomes.total() - sum(torrent.outcomes[outcome] for outcome in NAMED_OUTCOMES)
    return (
        printable(torrent.label), seconds(torrent.seconds_to(torrent.first_peer)), seconds(torrent.seconds_to(torrent.completed)), str(torrent.attempts),
        *(str(torrent.outcomes[outcome]) for outcome in NAMED_OUTCOMES), str(other), seconds(torrent.waits.quantile(0.5)),
        seconds(torrent.waits.longest),
    )


def seconds(value: float | None) -> str:
    """'-' for what never came."""
    return "-" if value is None else f"{value:.1f} s"
