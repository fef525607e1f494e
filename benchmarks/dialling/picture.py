"""Two charts above each other as one SVG: torrents with a peer, and entries in the router's table, over the seconds of a run.

Readable on light and dark pages: the page's own background shows through, text and lines take their colour from the reader's scheme.
Ours are drawn solid, other clients dashed; each line has its colour and its name in the legend.
"""

from collections.abc import Sequence
from typing import Final

from benchmarks.dialling.figures import Figures

WIDTH, PANEL_HEIGHT = 860, 250
LEFT, RIGHT, TOP, GAP = 60, 220, 34, 70
COLOURS: Final = ("#2f81f7", "#2da44e", "#8957e5", "#1b9aaa", "#0550ae", "#d9822b", "#d1242f", "#bf3989")
DASHES: Final = ("", "6 3")
STYLE: Final = """
text { font: 12px system-ui, sans-serif; fill: #57606a; }
.title { font-weight: 600; fill: #24292f; }
.grid { stroke: #8c959f; stroke-opacity: .35; }
.line { fill: none; stroke-width: 2; }
@media (prefers-color-scheme: dark) { text { fill: #9198a1; } .title { fill: #e6edf3; } }
"""

Series = Sequence[tuple[float, float]]


def draw(found: dict[str, Figures], seconds: float) -> str:
    """The whole file."""
    waits = {name: torrents_with_a_peer(figures, seconds) for name, figures in found.items()}
    tables = {name: figures.table_entries for name, figures in found.items()}
    num_torrents = max((len(figures.first_live) for figures in found.values()), default=1)
    highest = max((entries for series in tables.values() for _, entries in series), default=1)
    height = TOP + 2 * PANEL_HEIGHT + GAP + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Torrents with a peer, and router entries, over time">',
        f"<style>{STYLE}</style>",
        *panel("Torrents that have found a peer", waits, seconds, num_torrents, TOP),
        *panel("Entries in the router's connection table", tables, seconds, highest, TOP + PANEL_HEIGHT + GAP),
        *legend(list(found)), "</svg>",
    ]
    return "\n".join(parts) + "\n"


def torrents_with_a_peer(figures: Figures, seconds: float) -> Series:
    """Steps: a point before and after each first peer."""
    points: list[tuple[float, float]] = [(0.0, 0.0)]
    for count, when in enumerate(sorted(when for when in figures.first_live if when <= seconds)):
        points += [(when, count), (when, count + 1)]
    return [*points, (seconds, points[-1][1])]


def panel(title: str, lines: dict[str, Series], seconds: float, highest: float, top: float) -> list[str]:
    """Axes, grid and one line for each client."""
    right = WIDTH - RIGHT
    def x(moment: float) -> float:
        return LEFT + (right - LEFT) * moment / seconds

    step = round_step(highest)
    ceiling = step * -(-highest // step)

    def y(value: float) -> float:
        return top + PANEL_HEIGHT * (1 - value / ceiling)

    parts = [f'<text class="title" x="{LEFT}" y="{top - 12:.0f}">{title}</text>']
    for number in range(int(ceiling / step) + 1):
        height = y(number * step)
        parts.append(f'<path class="grid" d="M{LEFT} {height:.1f}H{right}"/><text x="{LEFT - 8}" y="{height + 4:.1f}" text-anchor="end">{number * step:,.0f}</text>')
    for moment in range(0, int(seconds) + 1, 10):
        parts.append(f'<text x="{x(moment):.1f}" y="{top + PANEL_HEIGHT + 18:.0f}" text-anchor="middle">{moment} s</text>')
    for number, (name, points) in enumerate(lines.items()):
        path = "L".join(f"{x(moment):.1f} {y(value):.1f}" for moment, value in points)
        parts.append(f'<path class="line" d="M{path}" {stroke(number, name)}><title>{name}</title></path>')
    return parts


def legend(names: Sequence[str]) -> list[str]:
    """To the right of the upper panel."""
    left = WIDTH - RIGHT + 20
    return [
        f'<path class="line" d="M{left} {TOP + 20 * number + 6}h28" {stroke(number, name)}/><text x="{left + 36}" y="{TOP + 20 * number + 10}">{name}</text>'
        for number, name in enumerate(names)
    ]


def stroke(number: int, name: str) -> str:
    """The colour of the line, and whether it is dashed."""
    dash = DASHES[not name.startswith("Evenswarm")]
    return f'stroke="{COLOURS[number % len(COLOURS)]}"' + (f' stroke-dasharray="{dash}"' if dash else "")


def round_step(highest: float) -> float:
    """1, 2 or 5 times a power of ten, so that there are three to seven lines."""
    step = 1.0
    while True:
        for factor in (1, 2, 5):
            if highest <= 6 * step * factor:
                return step * factor
        step *= 10
