"""The report of attempts as lines of text."""

from ui.log_report.attempts import AttemptsReport, TorrentReport

HEADINGS = ("torrent", "first peer", "complete", "attempts", "connected", "timed out", "refused", "cancelled", "other", "wait p50", "wait max")
NAMED_OUTCOMES = ("connected", "timed_out", "refused", "cancelled")


def lines_of(report: AttemptsReport, half_open_limit: int) -> list[str]:
    """A table with a row a torrent, then the figures of all together."""
    rows = [HEADINGS] + [row_of(torrent) for torrent in report.torrents.values()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) if place == 0 else cell.rjust(width) for place, (cell, width) in enumerate(zip(row, widths, strict=True))) for row in rows]
    attempts = sum(torrent.attempts for torrent in report.torrents.values())
    waits = max((torrent.wait_quantile(1.0) for torrent in report.torrents.values()), default=0.0)
    lines.append(f"{attempts} attempts by {len(report.torrents)} torrents; Jain's fairness index {report.jain():.3f}; longest wait for a slot {waits:.1f} s; "
                 f"peak half-open {report.peak_half_open} of {half_open_limit}")
    return lines


def row_of(torrent: TorrentReport) -> tuple[str, ...]:
    """One torrent; times in seconds since its first request."""
    other = torrent.outcomes.total() - sum(torrent.outcomes[outcome] for outcome in NAMED_OUTCOMES)
    return (
        torrent.name or torrent.info_hash[:8], seconds(torrent.first_peer), seconds(torrent.completed), str(torrent.attempts),
        *(str(torrent.outcomes[outcome]) for outcome in NAMED_OUTCOMES), str(other), seconds(torrent.wait_quantile(0.5)), seconds(torrent.wait_quantile(1.0)),
    )


def seconds(value: float | None) -> str:
    """'-' for what never came."""
    return "-" if value is None else f"{value:.1f} s"
