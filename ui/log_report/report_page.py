"""A report as one HTML page: self-contained, without script, light or dark as the reader's system is."""

from collections.abc import Iterable, Sequence
from typing import Final

from ui.log_report import svg_charts as charts
from ui.log_report.log_report import LogReport
from ui.log_report.report_tables import (
    TORRENT_HEADINGS,
    bad_lines,
    fairness_text,
    identity,
    limit_rows,
    title,
    torrent_row,
    verdict,
    wait_text,
)
from ui.log_report.report_values import all_waits, jain_over_time_of
from ui.log_report.run_report import RunReport
from ui.log_report.svg_charts import shown
from ui.log_report.torrent_figures import TorrentFigures

MAX_TORRENTS_DRAWN: Final = 60                          # rows of a picture
MAX_TORRENTS_LISTED: Final = 1_000
OUTCOMES: Final = (                                     # what, class, its names in the log; the rest is "other"
    ("connected", "good", ("connected",)), ("timed out", "late", ("timed_out",)), ("refused", "bad", ("refused",)),
    ("cancelled", "given-up", ("cancelled",)),
)

STYLE: Final = """
:root { color-scheme: light dark; --back: #fbfbf9; --panel: #ffffff; --line: #e3e4e0; --text: #1c1d1f; --soft: #5b5f66; --accent: #0b6b5d;
  --good: #1a6e3c; --late: #b97a00; --bad: #b3261e; --given-up: #8b8f96; --other: #2456b8; }
@media (prefers-color-scheme: dark) { :root { --back: #131416; --panel: #1b1d20; --line: #2e3136; --text: #e8e8e4; --soft: #a2a6ad; --accent: #5cc9b5;
  --good: #6fcf91; --late: #e0b050; --bad: #ff8a80; --given-up: #767b84; --other: #8ab4ff; } }
body { margin: 0 auto; padding: 24px; max-width: 1100px; background: var(--back); color: var(--text); font: 14px/1.5 system-ui, sans-serif; }
h1 { font-size: 20px; margin: 0 0 4px; } h2 { font-size: 16px; margin: 32px 0 4px; } h3 { font-size: 14px; margin: 24px 0 4px; }
p { margin: 4px 0 8px; max-width: 80ch; } .soft { color: var(--soft); } code { overflow-wrap: anywhere; }
section, .verdict { background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: 16px; margin: 12px 0; }
section h3:first-child { margin-top: 0; } .verdict { border-left: 4px solid var(--good); } .verdict.violated { border-left-color: var(--bad); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: 2px 10px 2px 0; text-align: right; white-space: nowrap; } th:first-child, td:first-child { text-align: left; }
th { color: var(--soft); font-weight: 600; border-bottom: 1px solid var(--line); } td:first-child { max-width: 52ch; overflow: hidden; text-overflow: ellipsis; }
svg { width: 100%; min-width: 640px; height: auto; display: block; font: 11px system-ui, sans-serif; } svg text { fill: var(--text); } svg .soft { fill: var(--soft); }
svg .name { font-weight: 600; font-size: 12px; } .axis { stroke: var(--soft); } .grid { stroke: var(--line); } .limit { fill: none; stroke: var(--bad); stroke-width: 1.5; stroke-dasharray: 5 3; }
.level { fill: var(--accent); } .over, .bad { fill: var(--bad); } .good { fill: var(--good); } .late { fill: var(--late); } .given-up { fill: var(--given-up); } .other { fill: var(--other); }
.asked { fill: var(--soft); } .range { stroke: var(--soft); stroke-width: 1.5; } .half { fill: var(--panel); stroke: var(--accent); stroke-width: 2; }
.shade1, .shade2, .shade3, .shade4 { fill: var(--accent); } .shade1 { fill-opacity: .35; } .shade2 { fill-opacity: .55; } .shade3 { fill-opacity: .78; }
.key { display: inline-block; margin-right: 16px; } .key svg { display: inline-block; width: 12px; min-width: 0; height: 12px; vertical-align: -1px; margin-right: 4px; }
"""


def page_of(report: LogReport) -> str:
    """Return the page."""
    lines = report.lines
    name = lines.path.name
    sentences = verdict(report)
    kind = "verdict violated" if report.violations else "verdict"
    return "".join([
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8"/>\n<meta name="viewport" content="width=device-width, initial-scale=1"/>\n',
        f"<title>{shown(name)}: who was granted what</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
        f'<h1>{shown(name)}</h1>\n<p class="soft">{lines.num_lines:,} lines, {lines.num_events:,} events{shown(bad_lines(report))}. {_runs(report)}</p>\n',
        f'<div class="{kind}"><strong>{shown(sentences[0])}</strong>', *(f"<br/>{shown(sentence)}" for sentence in sentences[1:]), "</div>\n",
        *(_run(run) for run in reversed(report.runs)),
        "</body>\n</html>\n",
    ])


def _runs(report: LogReport) -> str:
    if report.num_runs <= 1:
        return "One run." if report.num_runs else ""
    kept = f", the last {len(report.runs)} are drawn" if len(report.runs) < report.num_runs else ""
    return f"{report.num_runs:,} runs, each judged by itself{kept}, the newest first."


def _run(run: RunReport) -> str:
    drawn, rest = _drawn(run)
    return "".join([
        f"<h2>{shown(title(run))}</h2>\n",
        "<section><h3>Limits</h3>\n", _table(("", "most", "limit", "first at"), limit_rows(run)),
        f'<p class="soft">{shown(identity(run))}<br/>waits for a slot: {wait_text(all_waits(run))}</p></section>\n',
        "<section><h3>Rate and half-open against their limits</h3>\n", *_levels(run), "</section>\n",
        "<section><h3>Turns: grants over time by torrent</h3>\n",
        f'<p class="soft">A cell is {run.timeline.bin_seconds:g} s, stronger with more grants. A thin line: it asked and had no turn then.{rest}</p>\n',
        _picture(charts.turns_chart([_turns(run, torrent) for torrent in drawn], run.timeline.bin_seconds)), "</section>\n",
        "<section><h3>Fairness over time</h3>\n", *_fairness(run), "</section>\n",
        "<section><h3>Waits for a slot</h3>\n",
        f'<p class="soft">Ring: half of the waits are shorter. Bar: up to the 95th of a hundred. Line: to the longest.{rest}</p>\n',
        _picture(charts.waits_chart([
            (torrent.label, torrent.waits.quantile(0.5), torrent.waits.quantile(0.95), torrent.waits.longest) for torrent in drawn if torrent.waits.num
        ])), "</section>\n",
        "<section><h3>Outcomes of dials</h3>\n", _key(run), _picture(charts.outcomes_chart([(torrent.label, _outcomes(torrent)) for torrent in drawn])), "</section>\n",
        "<section><h3>Torrents</h3>\n", _table(TORRENT_HEADINGS, [torrent_row(torrent) for torrent in run.all_figures()[:MAX_TORRENTS_LISTED]]), "</section>\n",
    ])


def _drawn(run: RunReport) -> tuple[list[TorrentFigures], str]:
    """Return the torrents that are drawn, those with the most grants, in the order of the log; and how many are not."""
    figures = run.all_figures()
    if len(figures) <= MAX_TORRENTS_DRAWN:
        return figures, ""
    chosen = set(sorted(range(len(figures)), key=lambda place: figures[place].grants, reverse=True)[:MAX_TORRENTS_DRAWN])
    return [figures[place] for place in sorted(chosen)], f" Drawn are the {MAX_TORRENTS_DRAWN} with the most grants of {len(figures):,}."


def _turns(run: RunReport, torrent: TorrentFigures) -> tuple[str, Sequence[int], Sequence[int]]:
    num_used = run.timeline.num_used
    return torrent.label, torrent.grants_over_time.values[:num_used], torrent.asked_over_time.values[:num_used]


def _levels(run: RunReport) -> list[str]:
    num_used, bin_seconds = run.timeline.num_used, run.timeline.bin_seconds
    return [
        _picture(charts.level_chart(name, values.values[:num_used], limits.values[:num_used], bin_seconds)) for name, values, limits in (
            ("Dials in 1 s", run.starts_over_time, run.start_limit_over_time),
            ("Half-open", run.half_open_over_time, run.half_open_limit_over_time),
            ("Unanswered, 120 s", run.unanswered_over_time, run.unanswered_limit_over_time),
        )
    ]


def _fairness(run: RunReport) -> list[str]:
    num_used, bin_seconds = run.timeline.num_used, run.timeline.bin_seconds
    return [
        f'<p class="soft">{"<br/>".join(shown(line) for line in fairness_text(run).splitlines())}</p>\n',
        _picture(charts.level_chart("Jain", jain_over_time_of(run), [], bin_seconds, top=1.05)),
        _picture(charts.level_chart("Lag", run.lag_over_time.values[:num_used], [], bin_seconds)),
    ]


def _outcomes(torrent: TorrentFigures) -> list[tuple[str, str, int]]:
    bar = [(what, kind, sum(torrent.outcomes[name] for name in names)) for what, kind, names in OUTCOMES]
    return [*bar, ("other", "other", torrent.outcomes.total() - sum(count for *_, count in bar))]


def _key(run: RunReport) -> str:
    totals: dict[tuple[str, str], int] = {}
    for torrent in run.all_figures():
        for what, kind, count in _outcomes(torrent):
            totals[what, kind] = totals.get((what, kind), 0) + count
    return "<p>" + "".join(
        f'<span class="key"><svg viewBox="0 0 12 12" aria-hidden="true"><rect width="12" height="12" rx="2" class="{kind}"/></svg>{what} {count:,}</span>'
        for (what, kind), count in totals.items()
    ) + "</p>\n"


def _picture(svg: str) -> str:
    return f'<div class="wide">{svg}</div>\n'


def _table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{shown(heading)}</th>" for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{shown(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>\n'
