"""Two charts above each other as one SVG: torrents with a peer, and entries in the router's table, over the seconds of a run.

The second has a logarithmic scale, whose lines are the sizes that tables of routers have.

Readable on light and dark pages: the page's own background shows through, text and lines take their colour from the reader's scheme.
Ours are drawn solid, other clients dashed; each line has its colour and its name in the legend.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.dialling.figures import Figures

WIDTH, PANEL_HEIGHT = 860, 250
LEFT, RIGHT, TOP, GAP = 60, 220, 34, 70
COLOURS: Final = ("#2f81f7", "#2da44e", "#8957e5", "#1b9aaa", "#bf8700", "#d9822b", "#d1242f", "#bf3989")
TABLE_SIZES: Final = (16, 64, 256, 1_024, 4_096)
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
    height = TOP + 2 * PANEL_HEIGHT + GAP + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Torrents with a peer, and router entries, over time">',
        f"<style>{STYLE}</style>",
        *panel("Torrents that have found a peer", waits, seconds, range(0, num_torrents + 1, 10), lambda count: count / num_torrents, TOP),
        *panel("Entries in the router's connection table", tables, seconds, TABLE_SIZES, share_of_table, TOP + PANEL_HEIGHT + GAP),
        *legend(list(found)), "</svg>",
    ]
    return "\n".join(parts) + "\n"


def torrents_with_a_peer(figures: Figures, seconds: float) -> Series:
    """Steps: a point before and after each first peer."""
    points: list[tuple[float, float]] = [(0.0, 0.0)]
    for count, when in enumerate(sorted(when for when in figures.first_live if when <= seconds)):
        points += [(when, count), (when, count + 1)]
    return [*points, (seconds, points[-1][1])]


def share_of_table(entries: float) -> float:
    """Where a number of entries stands between the smallest and the largest table."""
    smallest, *_, largest = map(math.log2, TABLE_SIZES)
    return (min(max(math.log2(max(entries, 1)), smallest), largest) - smallest) / (largest - smallest)


def panel(title: str, lines: dict[str, Series], seconds: float, ticks: Sequence[int], share: Callable[[float], float], top: float) -> list[str]:
    """Axes, grid and one line for each client; `share` says at which part of the height a value stands."""
    right = WIDTH - RIGHT

    def x(moment: float) -> float:
        return LEFT + (right - LEFT) * moment / seconds

    def y(value: float) -> float:
        return top + PANEL_HEIGHT * (1 - share(value))

    parts = [f'<text class="title" x="{LEFT}" y="{top - 12:.0f}">{title}</text>']
    for tick in ticks:
        parts.append(f'<path class="grid" d="M{LEFT} {y(tick):.1f}H{right}"/><text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:,}</text>')
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
