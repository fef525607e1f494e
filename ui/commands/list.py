"""`list`: the torrents of the running client, a line each, or JSON."""

import argparse
import json
from typing import Any

from ui.commands.api_client import api_client
from ui.terminal.text import human_bytes, human_rate, percent, printable

HEADINGS = ("Hash", "Size", "%", "Down", "Up", "Peers", "State", "Name")
SHORT_HASH = 10


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0, also when there are none."""
    torrents = api_client(arguments.data).get("/api/torrents")["torrents"]
    if arguments.json:
        print(json.dumps(torrents, indent=2))
        return 0
    print(table([HEADINGS, *map(row, torrents)]) if torrents else "no torrents; add one with 'evenswarm add SOURCE'")
    return 0


def row(torrent: dict[str, Any]) -> tuple[str, ...]:
    """As HEADINGS."""
    state = torrent["state"]
    said = f"{state}: {torrent['error'] or torrent['why']}" if torrent["error"] or torrent["why"] else state
    return (
        torrent["info_hash"][:SHORT_HASH], human_bytes(torrent["total_bytes"]), percent(torrent["verified_bytes"], torrent["total_bytes"]),
        human_rate(torrent["download_rate"]), human_rate(torrent["upload_rate"]), str(torrent["peers_by_state"]["connected"]),
        printable(said), printable(torrent["name"]),
    )


def table(rows: list[tuple[str, ...]]) -> str:
    """Columns as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip() for cells in rows)
