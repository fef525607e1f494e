"""Figures to tables, and tables to a document: each benchmark owns the part between its two markers."""

import os
import platform
import statistics
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path


def spread(values: list[float], digits: int) -> str:
    """'median (smallest–largest)'."""
    if not values:
        return "–"
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def ratio(ours: list[float], theirs: list[float]) -> float | None:
    """The median of the ratios of each round: what changes from round to round changes both. None where a round lacks one."""
    if not ours or len(ours) != len(theirs):
        return None
    return statistics.median(mine / yours for mine, yours in zip(ours, theirs, strict=True))


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table that is readable as text, too. The first column is left-aligned."""
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    aligned = [
        "| " + " | ".join(cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(zip(line, widths, strict=True))) + " |"
        for line in lines
    ]
    rule = "|" + "|".join("-" * (width + 2) if column == 0 else "-" * (width + 1) + ":" for column, width in enumerate(widths)) + "|"
    return "\n".join([aligned[0], rule, *aligned[1:]])


def machine() -> str:
    """Where it was measured: processor, cores, memory, kernel, Python."""
    model = next((line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), platform.machine())
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return (f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} × {model}, {gibibytes:.0f} GiB, Linux {platform.release().split('-')[0]}, "
            f"Python {platform.python_version()}")


def write_section(document: Path, name: str, text: str) -> None:
    """Put `text` between the markers of `name` in `document`, at the end when it has none yet."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    section = f"{begin}\n{text.strip()}\n{end}\n"
    whole = document.read_text(encoding="utf-8") if document.exists() else ""
    before, found, rest = whole.partition(begin)
    if not found:
        document.write_text((whole.rstrip() + "\n\n" if whole else "") + section, encoding="utf-8")
        return
    _, found, after = rest.partition(end + "\n")
    if not found:
        raise ValueError(f"{document} has {begin!r} but not {end!r}")
    document.write_text(before + section + after, encoding="utf-8")
