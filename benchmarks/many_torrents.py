"""What torrents cost that have nobody to talk to: Evenswarm and libtorrent with 10, 100 and 1,000 of them, without peers.

    .venv/bin/python -m benchmarks.many_torrents [--write]

All are given on one command line, each 1 GiB in pieces of 1 MiB, none on disk. A torrent counts as started when its client
says so: Evenswarm by its line `NAME: downloading`, libtorrent by its alert. When all are, and SETTLE_SECONDS later, CPU is read,
and again after IDLE_SECONDS; then memory. Both are of the whole process tree. The runs of the two alternate.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import contestants, report
from benchmarks.process_cost import Memory, cpu_seconds, memory
from benchmarks.talking_process import DidNotSay, TalkingProcess
from protocol.bencoding import encode

COUNTS = (10, 100, 1_000)
NAMES = (contestants.LIBTORRENT, contestants.EVENSWARM)
PIECE_BYTES, NUM_PIECES = 1 << 20, 1_024
START_SECONDS, SETTLE_SECONDS = 120.0, 10.0
IDLE_SECONDS = 30.0
GOAL_IDLE_PERCENT = 2.0
DOCUMENT = contestants.ROOT / "docs" / "performance.md"


@dataclass(frozen=True, slots=True)
class Idle:
    """One run: seconds until all were started, CPU in percent of a core while idle, memory then."""

    started_after: float
    cpu_percent: float
    memory: Memory


def make_torrents(folder: Path, count: int) -> list[Path]:
    """Write `count` .torrents with hashes of nothing that exists."""
    rng = random.Random(1)
    paths = []
    for number in range(count):
        info = {b"name": b"torrent-%04d.bin" % number, b"length": PIECE_BYTES * NUM_PIECES, b"piece length": PIECE_BYTES, b"pieces": rng.randbytes(20 * NUM_PIECES)}
        paths.append(folder / f"{number:04}.torrent")
        paths[-1].write_bytes(encode({b"info": info}))
    return paths


def measure(name: str, torrents: list[Path], folder: Path, idle_seconds: float) -> Idle:
    """Start `name` with all torrents and look at it while nothing happens. Raises DidNotSay."""
    if name == contestants.LIBTORRENT:
        running = contestants.libtorrent_command(torrents, folder, "127.0.0.1:0")
        says = "started"
    else:
        running = contestants.evenswarm_command("download", torrents, folder, "127.0.0.1:0")
        says = ": downloading"
    begun = time.monotonic()
    with TalkingProcess(running) as client:
        client.wait_for(says, START_SECONDS, count=len(torrents))
        started_after = time.monotonic() - begun
        time.sleep(SETTLE_SECONDS)
        before, from_ = cpu_seconds(client.pid), time.monotonic()
        time.sleep(idle_seconds)
        percent = 100 * (cpu_seconds(client.pid) - before) / (time.monotonic() - from_)
        return Idle(started_after, percent, memory(client.pid))


def per_torrent(found: dict[int, Idle]) -> float:
    """Bytes of PSS for each torrent more, between the smallest and the largest number."""
    fewest, most = min(found), max(found)
    return (found[most].memory.pss - found[fewest].memory.pss) / (most - fewest)


def document(found: dict[str, dict[int, Idle]]) -> str:
    """The table, and what is to be reached."""
    rows = [
        [name, f"{count:,}", f"{idle.started_after:.1f}", f"{idle.cpu_percent:.2f}", f"{idle.memory.pss / 1e6:,.0f}", f"{idle.memory.rss / 1e6:,.0f}"]
        for name, by_count in found.items() for count, idle in by_count.items()
    ]
    text = [report.table(["client", "torrents", "all started after s", "idle CPU % of a core", "PSS MB", "RSS MB"], rows), ""]
    text += [f"{name}: {per_torrent(by_count) / 1e3:,.0f} kB for each torrent more." for name, by_count in found.items() if len(by_count) > 1]
    if ours := found.get(contestants.EVENSWARM):
        most = max(ours)
        reached = "reached" if ours[most].cpu_percent < GOAL_IDLE_PERCENT else "missed"
        text += ["", f"To reach: less than {GOAL_IDLE_PERCENT:.0f} % of a core with {most:,} torrents: {reached}."]
    return "\n".join(text)


def main() -> int:
    """Exit code 0 when every run gave a result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, action="append", metavar="N", help=f"torrents; may be repeated (default {COUNTS})")
    parser.add_argument("--client", action="append", choices=NAMES, help="may be repeated; both when not given")
    parser.add_argument("--idle", type=float, default=IDLE_SECONDS, metavar="SECONDS", help=f"to look at it (default {IDLE_SECONDS:.0f})")
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOCUMENT.relative_to(contestants.ROOT)}")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # as Ctrl-C does: end what was started, remove the folder
    names = [name for name in NAMES if name in (arguments.client or NAMES)]
    found: dict[str, dict[int, Idle]] = {name: {} for name in names}
    try:
        contestants.check(names)
        with tempfile.TemporaryDirectory(prefix="evenswarm-benchmark-") as folder:
            torrents = make_torrents(Path(folder), max(arguments.count or COUNTS))
            for count in arguments.count or COUNTS:
                for name in names:
                    found[name][count] = idle = measure(name, torrents[:count], Path(folder), arguments.idle)
                    print(f"{name}, {count:,} torrents: all started after {idle.started_after:.1f} s, idle {idle.cpu_percent:.2f} %, {idle.memory.pss / 1e6:,.0f} MB", flush=True)
    except (DidNotSay, contestants.Missing) as error:
        print(f"many_torrents: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    text = document(found)
    print("\n" + text)
    if arguments.write:
        facts = f"1 GiB in 1,024 pieces each; idle CPU over {arguments.idle:.0f} s."
        report.write_section(DOCUMENT, "many torrents", f"{', '.join(map(contestants.version, names))}. {report.machine()}. {facts}\n\n{text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
