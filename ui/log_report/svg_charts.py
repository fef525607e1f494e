"""Charts as SVG text: no script, no outside resource, colours by classes that the page's style sheet sets for light and dark.

Every text goes through `shown`: names come from .torrent files of strangers. What is drawn has a <title>, which browsers show on hover
and readers of screens say.
"""

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from ui.terminal.text import human_time, printable

WIDTH: Final = 960
LEFT: Final = 150                                       # for labels
RIGHT: Final = 12
PLOT: Final = WIDTH - LEFT - RIGHT
ROW: Final = 15                                         # of a torrent
LABEL_CHARACTERS: Final = 22
NUM_SHADES: Final = 4


def shown(text: str) -> str:
    """Return foreign text so that it is text: nothing in it can be markup, or turn the direction of the page."""
    return escape(printable(text))


def label(text: str) -> str:
    """As `shown`, short enough for a row."""
    return shown(text if len(text) <= LABEL_CHARACTERS else text[:LABEL_CHARACTERS - 1] + "…")


def svg(height: float, description: str, parts: Iterable[str]) -> str:
    """One picture."""
    return (f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{shown(description)}">' + "".join(parts) + "</svg>")


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{text}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def _rect(x: float, y: float, width: float, height: float, kind: str, title: str = "") -> str:
    inside = f"<title>{title}</title></rect>" if title else "</rect>"
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" class="{kind}">{inside}'


def time_axis(num_bins: int, bin_seconds: float, y: float) -> list[str]:
    """Marks below a chart, at about eight round times."""
    whole = num_bins * bin_seconds
    step = next((step for step in (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400) if whole / step <= 9), whole / 8)
    parts = [_line(LEFT, y, LEFT + PLOT, y, "axis")]
    for mark in range(int(whole / step) + 1):
        x = LEFT + PLOT * mark * step / whole
        anchor = "end" if x > LEFT + PLOT - 20 else "middle"
        parts += [_line(x, y, x, y + 4, "axis"), _text(x, y + 16, human_time(mark * step), "soft", anchor)]
    return parts


# ── levels and their limit ───────────────────────────────────────────────────────────────────────────────────────────────


def level_chart(name: str, values: Sequence[float | None], limits: Sequence[int], bin_seconds: float, *, top: float | None = None) -> str:
    """Bars of a value in time, and its limit as a line. A limit of 0 is none; a value of None is not known."""
    height, base = 120, 96
    highest = top or max([value for value in values if value is not None] + list(limits) + [1]) * 1.08
    scale = (base - 8) / highest

    def y_of(value: float) -> float:
        return base - value * scale

    parts = [_text(0, 18, shown(name), "name")]
    for value in sorted({0, _round_below(highest) / 2, _round_below(highest)}):
        parts += [_line(LEFT, y_of(value), LEFT + PLOT, y_of(value), "grid"), _text(LEFT - 6, y_of(value) + 4, f"{value:g}", "soft", "end")]
    width = PLOT / len(values)
    for place, value in enumerate(values):
        if value:
            limit = limits[place] if place < len(limits) and limits[place] else None
            of_limit = "" if limit is None else f" of {limit:,}"
            kind = "over" if limit is not None and value > limit else "level"
            title = f"{human_time(place * bin_seconds)}: {value:,.3g}{of_limit}" if isinstance(value, float) else f"{human_time(place * bin_seconds)}: {value:,}{of_limit}"
            parts.append(_rect(LEFT + place * width, y_of(value), max(width - 0.5, 0.5), base - y_of(value), kind, title))
    parts += _limit_line(limits, width, y_of)
    parts += time_axis(len(values), bin_seconds, base)
    return svg(height, f"{name} over time", parts)


def _limit_line(limits: Sequence[int], width: float, y_of) -> list[str]:
    """The limit where it is known, and its last value in words."""
    parts, points = [], []
    for place, limit in enumerate([*limits, 0]):
        if limit:
            points += [f"{LEFT + place * width:.1f},{y_of(limit):.1f}", f"{LEFT + (place + 1) * width:.1f},{y_of(limit):.1f}"]
        elif points:
            parts.append(f'<polyline points="{" ".join(points)}" class="limit"/>')
            points = []
    known = [limit for limit in limits if limit]
    if known:
        parts.append(_text(0, 34, f"limit {known[-1]:,}" + (" at the end" if min(known) < max(known) else ""), "soft"))
    return parts


def _round_below(value: float) -> float:
    """50 of 57, 200 of 340: the largest of 1, 2, 5 times a power of ten."""
    power = 10 ** math.floor(math.log10(value))
    return max(step * power for step in (1, 2, 5) if step * power <= value)


# ── rows of torrents ─────────────────────────────────────────────────────────────────────────────────────────────────────


def turns_chart(rows: Sequence[tuple[str, Sequence[int], Sequence[int]]], bin_seconds: float) -> str:
    """A row a torrent (name, grants in each bin, whether it asked): a cell is the stronger the more grants; a thin line is "asked, got none"."""
    num_bins = max((len(grants) for _, grants, _ in rows), default=1)
    most = max((max(grants, default=0) for _, grants, _ in rows), default=0) or 1
    width, parts = PLOT / num_bins, []
    for number, (name, grants, asked) in enumerate(rows):
        y = number * ROW
        parts.append(f"<g><title>{shown(name)}</title>" + _text(LEFT - 6, y + 11, label(name), "soft", "end") + "</g>")
        for place, count in enumerate(grants):
            if count:
                shade = math.ceil(NUM_SHADES * count / most)
                title = f"{shown(name)}, {human_time(place * bin_seconds)}: {count:,} grant{'s' if count > 1 else ''}"
                parts.append(_rect(LEFT + place * width, y + 1, width - 0.5, ROW - 2, f"shade{shade}", title))
        parts += [_rect(LEFT + first * width, y + 7, (end - first) * width, 1, "asked") for first, end in _spans(asked, grants)]
    return svg(len(rows) * ROW + 22, "grants over time, a row for each torrent", parts + time_axis(num_bins, bin_seconds, len(rows) * ROW + 2))


def _spans(asked: Sequence[int], grants: Sequence[int]) -> list[tuple[int, int]]:
    """Where it asked and got none: (first bin, bin after the last)."""
    spans: list[tuple[int, int]] = []
    for place, asks in enumerate(asked):
        if asks and not grants[place]:
            if spans and spans[-1][1] == place:
                spans[-1] = spans[-1][0], place + 1
            else:
                spans.append((place, place + 1))
    return spans


def waits_chart(rows: Sequence[tuple[str, float, float, float]]) -> str:
    """A row a torrent (name, p50, p95, max in seconds) on a logarithmic scale from 10 ms."""
    shortest, longest = 0.01, max([longest for *_, longest in rows] + [1.0])
    decades = math.log10(longest / shortest)

    def x_of(seconds: float) -> float:
        return LEFT + PLOT * math.log10(max(seconds, shortest) / shortest) / decades

    bottom, parts = len(rows) * ROW + 2, []
    for power in range(-2, math.ceil(math.log10(longest)) + 1):
        if 10.0 ** power <= longest:
            x = x_of(10.0 ** power)
            parts += [_line(x, 0, x, bottom, "grid"), _text(x, bottom + 16, f"{10.0 ** power:g} s", "soft", "middle")]
    for number, (name, half, most, longest_wait) in enumerate(rows):
        y = number * ROW + ROW / 2
        parts.append(f"<g><title>{shown(name)}: p50 {half:.2f} s, p95 {most:.2f} s, max {longest_wait:.2f} s</title>"
                     + _text(LEFT - 6, y + 4, label(name), "soft", "end")
                     + _line(x_of(half), y, x_of(longest_wait), y, "range")
                     + _rect(x_of(half), y - 3, max(x_of(most) - x_of(half), 1), 6, "level")
                     + f'<circle cx="{x_of(half):.1f}" cy="{y:.1f}" r="4" class="half"/>' + _line(x_of(longest_wait), y - 5, x_of(longest_wait), y + 5, "range") + "</g>")
    return svg(bottom + 22, "waits for a slot, a row for each torrent", [*parts, _line(LEFT, bottom, LEFT + PLOT, bottom, "axis")])


def outcomes_chart(rows: Sequence[tuple[str, Sequence[tuple[str, str, int]]]]) -> str:
    """A row a torrent: (name, parts of its bar as (what, class, count))."""
    most, parts = max((sum(count for *_, count in bar) for _, bar in rows), default=0) or 1, []
    for number, (name, bar) in enumerate(rows):
        x, y = float(LEFT), number * ROW
        parts.append(f"<g><title>{shown(name)}</title>" + _text(LEFT - 6, y + 11, label(name), "soft", "end") + "</g>")
        for what, kind, count in bar:
            if count:
                width = (PLOT - 50) * count / most
                parts.append(_rect(x, y + 2, width - 1 if width > 2 else width, ROW - 4, kind, f"{shown(name)}: {count:,} {shown(what)}"))
                x += width
        parts.append(_text(x + 5, y + 11, f"{sum(count for *_, count in bar):,}", "soft"))
    return svg(len(rows) * ROW + 4, "outcomes of dials, a row for each torrent", parts)
