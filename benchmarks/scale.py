"""What it costs to have thousands of torrents: idle, and started again from what is remembered. Evenswarm and libtorrent.

    .venv/bin/python -m benchmarks.scale [--count 1000 --count 5000] [--write]

Each torrent is one file of 1 MiB in 64 pieces, complete on disk (sparse files of zeros: their hashes are right), seeded, without trackers and
peers. First the client adds all of them; then it is stopped as a user would and started again. That start is measured, from the start of the
process until all torrents are there and seed: Evenswarm loads its store, libtorrent its resume data, one file a torrent, as its example
client does. CPU is read IDLE_SECONDS long, SETTLE_SECONDS after that, of the whole process tree; memory then. What a torrent costs is the
memory with all less the memory with FEW, divided by the number of torrents between.
"""

import argparse
import hashlib
import json
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import contestants, report
from benchmarks.process_cost import cpu_seconds, memory
from benchmarks.talking_process import DidNotSay, TalkingProcess
from protocol.bencoding import encode

COUNTS = (1_000, 5_000)
FEW = 10
NAMES = (contestants.LIBTORRENT, contestants.EVENSWARM)
PIECE_BYTES, NUM_PIECES = 1 << 14, 64
START_SECONDS, SETTLE_SECONDS, IDLE_SECONDS = 240.0, 10.0, 20.0
GOAL_START_SECONDS, GOAL_TORRENT_BYTES, GOAL_IDLE_PERCENT = 5.0, 25 << 10, 1.0
DOCUMENT = contestants.ROOT / "docs" / "performance.md"


@dataclass(frozen=True, slots=True)
class Scale:
    """One run of one client."""

    started_in: float                                   # seconds, process start included
    cpu_percent: float                                  # of a core, idle
    pss: int                                            # bytes


def make_torrents(folder: Path, count: int) -> list[Path]:
    """Write `count` .torrents and their files, which hold nothing but zeros."""
    pieces = hashlib.sha1(bytes(PIECE_BYTES)).digest() * NUM_PIECES
    paths = []
    for number in range(count):
        name = f"{number:05}.bin"
        info = {b"name": name.encode(), b"length": PIECE_BYTES * NUM_PIECES, b"piece length": PIECE_BYTES, b"pieces": pieces}
        paths.append(folder / f"{name}.torrent")
        paths[-1].write_bytes(encode({b"info": info}))
        with open(folder / name, "wb") as stream:
            stream.truncate(PIECE_BYTES * NUM_PIECES)
    return paths


def client_of(name: str, torrents: list[Path], folder: Path, state: Path) -> list[str]:
    """The command that starts it on its state, which is filled when there is none."""
    if name == contestants.LIBTORRENT:
        script = Path(__file__).with_name("libtorrent_scale.py")
        return [sys.executable, str(script), str(state), str(folder), str(len(torrents))]
    copies = state / "torrents"
    if not copies.exists():
        copies.mkdir(parents=True)
        for path in torrents:
            info_hash = hashlib.sha1(path.read_bytes()[len(b"d4:info"):-1]).hexdigest()
            shutil.copy(path, copies / f"{info_hash}.torrent")
    return [
        sys.executable, str(contestants.ROOT / "run.py"), "--data", str(state), "--config", str(state / "settings.toml"), "--dir", str(folder),
        "--web", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--offline", "--log", str(state / "log"),
    ]


def wait_until_all_seed(name: str, client: TalkingProcess, count: int, state: Path) -> None:
    """Evenswarm says in its log when each torrent takes part. Raises DidNotSay."""
    if name == contestants.LIBTORRENT:
        client.wait_for("all seed", START_SECONDS)
        return
    deadline, at, started = time.monotonic() + START_SECONDS, 0, 0
    while started < count:
        if (state / "log").exists():
            with open(state / "log", "rb") as stream:
                stream.seek(at)
                data = stream.read()
            whole = data[:data.rfind(b"\n") + 1]
            at += len(whole)
            started += sum(json.loads(line)["event"] == "torrent_started" for line in whole.splitlines() if b"torrent_started" in line)
        if time.monotonic() > deadline:
            raise DidNotSay(f"{started} of {count} torrents started in {START_SECONDS:.0f} s")
        time.sleep(0.02)


def measure(name: str, torrents: list[Path], folder: Path, idle_seconds: float) -> Scale:
    """Fill, stop, start again and look. Raises DidNotSay."""
    with tempfile.TemporaryDirectory(prefix="evenswarm-scale-") as text:
        state = Path(text)
        with TalkingProcess(client_of(name, torrents, folder, state)) as client:
            wait_until_all_seed(name, client, len(torrents), state)
        (state / "log").unlink(missing_ok=True)
        begun = time.monotonic()
        with TalkingProcess(client_of(name, torrents, folder, state)) as client:
            wait_until_all_seed(name, client, len(torrents), state)
            started_in = time.monotonic() - begun
            time.sleep(SETTLE_SECONDS)
            before, from_ = cpu_seconds(client.pid), time.monotonic()
            time.sleep(idle_seconds)
            percent = 100 * (cpu_seconds(client.pid) - before) / (time.monotonic() - from_)
            return Scale(started_in, percent, memory(client.pid).pss)


def per_torrent(few: Scale, many: Scale, count: int) -> float:
    """Bytes of PSS that each torrent more costs."""
    return (many.pss - few.pss) / (count - FEW)


def document(found: dict[str, dict[int, Scale]]) -> str:
    """The table, and what is to be reached."""
    rows = [
        [name, f"{count:,}", f"{scale.started_in:.1f}", f"{scale.cpu_percent:.2f}", f"{scale.pss / 1e6:,.0f}",
         "–" if count == FEW else f"{per_torrent(by_count[FEW], scale, count) / 1024:.1f}"]
        for name, by_count in found.items() for count, scale in by_count.items()
    ]
    lines = [report.table(["client", "torrents", "all seed after s", "idle CPU % of a core", "PSS MB", "KiB a torrent"], rows)]
    if ours := found.get(contestants.EVENSWARM):
        most = max(ours)
        missed = [name for name, is_reached in (
            ("start", ours[most].started_in <= GOAL_START_SECONDS), ("idle CPU", ours[most].cpu_percent <= GOAL_IDLE_PERCENT),
            ("memory", per_torrent(ours[FEW], ours[most], most) <= GOAL_TORRENT_BYTES),
        ) if not is_reached]
        lines += ["", f"To reach with {most:,} torrents: ≤ {GOAL_START_SECONDS:.0f} s, ≤ {GOAL_IDLE_PERCENT:.0f} % of a core, ≤ {GOAL_TORRENT_BYTES >> 10} KiB a torrent: "
                  + (f"missed in {', '.join(missed)}." if missed else "reached.")]
    return "\n".join(lines)


def main() -> int:
    """Exit code 0 when every run gave a result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, action="append", metavar="N", help=f"torrents; may be repeated (default {COUNTS})")
    parser.add_argument("--client", action="append", choices=NAMES, help="may be repeated; both when not given")
    parser.add_argument("--idle", type=float, default=IDLE_SECONDS, metavar="SECONDS", help=f"to look at it (default {IDLE_SECONDS:.0f})")
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOCUMENT.relative_to(contestants.ROOT)}")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # as Ctrl-C does: end what was started, remove the folders
    names = [name for name in NAMES if name in (arguments.client or NAMES)]
    counts = [FEW, *(arguments.count or COUNTS)]
    found: dict[str, dict[int, Scale]] = {name: {} for name in names}
    try:
        contestants.check(names)
        with tempfile.TemporaryDirectory(prefix="evenswarm-benchmark-") as folder:
            torrents = make_torrents(Path(folder), max(counts))
            for count in counts:
                for name in names:
                    found[name][count] = scale = measure(name, torrents[:count], Path(folder), arguments.idle)
                    print(f"{name}, {count:,} torrents: all seed after {scale.started_in:.1f} s, idle {scale.cpu_percent:.2f} %, {scale.pss / 1e6:,.0f} MB", flush=True)
    except (DidNotSay, contestants.Missing) as error:
        print(f"scale: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    text = document(found)
    print("\n" + text)
    if arguments.write:
        facts = f"One file of 1 MiB in {NUM_PIECES} pieces each, complete; second start of each client; idle CPU over {arguments.idle:.0f} s."
        report.write_section(DOCUMENT, "scale", f"{', '.join(map(contestants.version, names))}. {report.machine()}. {facts}\n\n{text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
