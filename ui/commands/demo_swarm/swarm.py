"""The demo's swarm: payloads, .torrents, a tracker, seeding processes and dead peers, all on loopback, all ended by `close`."""

import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from protocol.errors import EvenswarmError
from protocol.metainfo import Metainfo, build_metainfo, parse_metainfo
from ui.commands.create import SourceFile, chosen_piece_length, piece_hashes
from ui.commands.demo_swarm.dead_peers import DeadPeers

ROOT = Path(__file__).resolve().parent.parent.parent.parent
NAMES = (
    "almanac", "birdsong", "cartography", "dictionary", "encyclopedia", "field-notes", "gazetteer", "herbarium", "ice-cores", "journal",
    "kites", "lighthouses", "maps", "night-sky", "orchard", "papers", "quilts", "radio-plays", "survey", "tide-tables",
)
NUM_SEEDS = 3
SMALLEST_BYTES, STEP_BYTES = 2 << 20, 1 << 20           # 20 torrents of 2 to 21 MiB, 230 MiB together
NUM_DEAD, NUM_REFUSING = 100, 20                        # distinct addresses; a torrent is told some of each
DEAD_EACH, REFUSING_EACH = 6, 1                         # with 3 seeds: 60 % time out, 10 % refuse, 30 % answer
READY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class DemoTorrent:
    """A torrent of the demo and its .torrent on disk."""

    metainfo: Metainfo
    path: Path


class Swarm:
    """Everything but the client that is shown."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._payloads = folder / "seeds"
        self._children: list[subprocess.Popen] = []
        self.dead_peers = DeadPeers(NUM_DEAD, NUM_REFUSING)
        self.torrents: list[DemoTorrent] = []

    def start(self) -> None:
        """Return when the tracker answers and the seeds have checked their data. Raises EvenswarmError."""
        self._payloads.mkdir(parents=True)
        tracker_port = self._start_tracker()
        rng = random.Random(20)
        for number, name in enumerate(NAMES):
            self.torrents.append(self._make_torrent(name, SMALLEST_BYTES + number * STEP_BYTES, tracker_port, rng))
        seeds = [self._start_seed(number) for number in range(NUM_SEEDS)]
        for seed in seeds:
            self._first_line(seed, "listening")

    def close(self) -> None:
        """End every process that was started, and free the ports."""
        for child in self._children:
            child.terminate()
        for child in self._children:
            try:
                child.wait(timeout=5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.dead_peers.close()

    def _start_tracker(self) -> int:
        arguments = [str(DEAD_EACH), str(REFUSING_EACH), str(len(self.dead_peers.dead)), *map(str, self.dead_peers.dead + self.dead_peers.refusing)]
        tracker = self._spawn("-m", "ui.commands.demo_swarm.tracker", *arguments)
        return int(self._first_line(tracker, ""))

    def _start_seed(self, number: int) -> subprocess.Popen:
        torrents = [str(torrent.path) for torrent in self.torrents]
        return self._spawn(str(ROOT / "run.py"), "seed", *torrents, "--dir", str(self._payloads), "--listen", "127.0.0.1:0",
                           "--offline", "--log", str(self._folder / f"seed-{number}.log"))

    def _spawn(self, *arguments: str) -> subprocess.Popen:
        child = subprocess.Popen(
            [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
            start_new_session=True,
        )
        self._children.append(child)
        return child

    @staticmethod
    def _first_line(child: subprocess.Popen, beginning: str) -> str:
        """Wait for the line that says that the process is ready."""
        for line in child.stdout:
            if line.startswith(beginning):
                return line
        raise EvenswarmError(f"{' '.join(map(str, child.args[1:3]))} ended with {child.wait()} before it was ready")

    def _make_torrent(self, name: str, size: int, tracker_port: int, rng: random.Random) -> DemoTorrent:
        payload = self._payloads / f"{name}.bin"
        payload.write_bytes(rng.randbytes(size))
        piece_length = chosen_piece_length(size)
        files = [SourceFile(payload, (payload.name.encode(),), size)]
        info = {b"name": payload.name.encode(), b"length": size, b"piece length": piece_length,
                b"pieces": b"".join(piece_hashes(files, piece_length, lambda count: None))}
        data = build_metainfo(info, tiers=((f"http://127.0.0.1:{tracker_port}/announce",),), web_seeds=(), comment="", created_by="", creation_date=None)
        path = self._folder / f"{name}.torrent"
        path.write_bytes(data)
        return DemoTorrent(parse_metainfo(data, path.name), path)
