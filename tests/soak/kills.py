"""SIGKILL of engine, daemon and web process at random moments while a client downloads:

    .venv/bin/python -m tests.soak.kills [--torrents 200] [--kills 60] [--seed 1]

After each kill the client has to come back with all torrents and go on by itself. At the end every file is compared byte by byte,
the seed says whether it was asked again for a piece that had been logged as verified, and no process may be left.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from gevent import monkey

monkey.patch_all()

import gevent  # noqa: E402

from tests.actors.loopback_tracker import LoopbackTracker, answer  # noqa: E402
from tests.processes.torrent_files import TestTorrent, make_torrent  # noqa: E402
from tests.soak.counting_seed import CountingSeed  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent.parent
VICTIMS = {"engine": 5, "daemon": 3, "web": 2}          # and how often each in ten kills
COMES_BACK_SECONDS = 60.0
CHILDREN_END_SECONDS = 10.0                             # they end within a second; the machine may be busy
STOP_SECONDS = 5.0


class SomethingIsWrong(AssertionError):
    """What was promised and did not happen."""


@dataclass
class Report:
    """Of one run."""

    kills: Counter = field(default_factory=Counter)
    times_to_come_back: list[float] = field(default_factory=list)
    known_at_kills: int = 0                             # pieces that were logged as verified before the last kill
    bytes_served: int = 0
    total_bytes: int = 0
    asked_again: int = 0
    stopped_in: float = 0.0


class KilledClient:
    """A client in `folder` whose torrents come from one seed; `rng` chooses moments and victims."""

    def __init__(self, folder: Path, num_torrents: int, torrent_bytes: int, bytes_per_second: float, rng: random.Random) -> None:
        self.folder, self.rng, self.report = folder, rng, Report()
        self.log = folder / "log"
        self._log_at = 0                                # read up to here
        self._pids: set[int] = set()                    # that were ever started
        self._verified: set[tuple[bytes, int]] = set()  # pieces that were logged as such
        placeholder = LoopbackTracker(answer(b""))
        self.torrents = [
            make_torrent(folder / "made", torrent_bytes + number * 1_001, f"{number:04}.bin", piece_length=1 << 15, seed=number, announce=placeholder.url)
            for number in range(num_torrents)
        ]
        self.seed = CountingSeed(self.torrents, bytes_per_second)
        peer = bytes([127, 0, 0, 1]) + self.seed.port.to_bytes(2, "big")
        self.tracker, self.tracker.behaviour = placeholder, answer(b"d8:intervali30e5:peers6:" + peer + b"e")
        copies = folder / "data" / "torrents"
        copies.mkdir(parents=True)
        for torrent in self.torrents:
            shutil.copy(torrent.path, copies / f"{torrent.info_hash.hex()}.torrent")
        self.process: subprocess.Popen | None = None

    # ── the client ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Start it; it is not waited for."""
        downloads = self.folder / "downloads"
        limits = [option for value in ("connection_rate=200", "half_open_limit=100", "global_connection_limit=1000", "announce_rate=500", "announces_under_way=100")
                  for option in ("--set", value)]
        with open(self.folder / "said", "ab") as said:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "run.py"), "--data", str(self.folder / "data"), "--config", str(self.folder / "settings.toml"),
                 "--dir", str(downloads), "--web", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--offline", "--log", str(self.log), *limits],
                stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
            )
        self._pids.add(self.process.pid)

    def wait_until_loaded(self) -> float:
        """Return after how many seconds the engine had all its torrents. Raises SomethingIsWrong."""
        begun = time.monotonic()
        while time.monotonic() - begun < COMES_BACK_SECONDS:
            for event in self.news():
                if event["event"] == "torrents_loaded":
                    if event["count"] != len(self.torrents):
                        raise SomethingIsWrong(f"it came back with {event['count']} of {len(self.torrents)} torrents: {self.said()}")
                    return time.monotonic() - begun
            if self.process.poll() is not None:
                raise SomethingIsWrong(f"it ended with {self.process.returncode}: {self.said()}")
            gevent.sleep(0.02)
        raise SomethingIsWrong(f"it did not come back in {COMES_BACK_SECONDS:.0f} s: {self.said()}")

    def news(self) -> list[dict]:
        """What was logged since the last call; pieces that were verified are noted."""
        if not self.log.exists():
            return []
        with open(self.log, "rb") as stream:
            stream.seek(self._log_at)
            data = stream.read()
        whole = data[:data.rfind(b"\n") + 1]
        self._log_at += len(whole)
        events = []
        for line in whole.splitlines():
            try:
                events.append(json.loads(line))
            except ValueError:
                continue                                # a kill cut it, and the next run wrote on
        self._verified |= {
            (bytes.fromhex(event["info_hash"]), index) for event in events if event["event"] == "piece_verified" for index in event["piece_indices"]
        }
        return events

    def said(self) -> str:
        """The end of what it printed."""
        return (self.folder / "said").read_text()[-2_000:]

    def children(self) -> dict[str, int]:
        """'daemon' and 'web' → pid, of those that run now."""
        found = {}
        try:
            for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                self._pids.add(int(pid))
                if b"daemon" in command:
                    found["daemon"] = int(pid)
                elif b"ui.web" in command:
                    found["web"] = int(pid)
        except OSError:
            pass                                        # one of them ended just now
        return found

    # ── kills ────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def kill_one(self, longest_wait: float) -> None:
        """Wait for a random moment and kill somebody. Raises SomethingIsWrong."""
        gevent.sleep(self.rng.uniform(0.0, longest_wait))
        victim = self.rng.choices(list(VICTIMS), VICTIMS.values())[0]
        children = self.children()
        pid = self.process.pid if victim == "engine" else children.get(victim)
        if pid is None:
            return                                      # not started yet
        os.kill(pid, signal.SIGKILL)
        self.report.kills[victim] += 1
        if victim == "engine":
            self.process.wait()
            self._wait_until_gone(set(children.values()))
        if victim != "web":
            self.news()
            self.seed.other_side_died(self._verified)
            self.report.known_at_kills = len(self._verified)
        if victim == "engine":
            self.start()
            if self.rng.random() < 0.8:                 # else the next kill may come while it starts
                self.report.times_to_come_back.append(self.wait_until_loaded())

    def _wait_until_gone(self, pids: set[int]) -> None:
        deadline = time.monotonic() + CHILDREN_END_SECONDS
        while left := [pid for pid in pids if is_running(pid)]:
            if time.monotonic() > deadline:
                raise SomethingIsWrong(f"{left} outlived their engine by {CHILDREN_END_SECONDS:.0f} s")
            gevent.sleep(0.02)

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def wait_until_complete(self, seconds: float) -> None:
        """Let the seed be fast; every file has to become right. Raises SomethingIsWrong."""
        self.seed.bytes_per_second = 0.0
        deadline = time.monotonic() + seconds
        left = list(self.torrents)
        while left:
            left = [torrent for torrent in left if not self.is_right(torrent)]
            if time.monotonic() > deadline:
                raise SomethingIsWrong(f"{len(left)} of {len(self.torrents)} torrents are not complete after {seconds:.0f} s: {self.said()}")
            gevent.sleep(0.1)

    def is_right(self, torrent: TestTorrent) -> bool:
        """Its file is what it should be, byte by byte."""
        file = self.folder / "downloads" / torrent.name
        return file.exists() and file.stat().st_size == len(torrent.data) and file.read_bytes() == torrent.data

    def end(self) -> Report:
        """Stop it as a user would. Raises SomethingIsWrong when that takes long, or somebody is left."""
        report = self.report
        self.children()
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            exit_code = self.process.wait(timeout=2 * STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise SomethingIsWrong(f"it did not stop in {2 * STOP_SECONDS:.0f} s") from None
        report.stopped_in = time.monotonic() - begun
        if exit_code != 0:
            raise SomethingIsWrong(f"it ended with {exit_code}: {self.said()}")
        if left := [pid for pid in self._pids if is_running(pid)]:
            raise SomethingIsWrong(f"{left} are left")
        report.bytes_served, report.asked_again = self.seed.bytes_served, len(self.seed.asked_again)
        report.total_bytes = sum(len(torrent.data) for torrent in self.torrents)
        if "Traceback" in (self.folder / "said").read_text():
            raise SomethingIsWrong(self.said())
        return report

    def close(self) -> None:
        """Leave nothing, whatever happened."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.seed.stop()
        self.tracker.close()


def is_running(pid: int) -> bool:
    """A process with this id is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def run(folder: Path, num_torrents: int, num_kills: int, seed: int, torrent_bytes: int, bytes_per_second: float, longest_wait: float, patience: float) -> Report:
    """The whole. Raises SomethingIsWrong."""
    client = KilledClient(folder, num_torrents, torrent_bytes, bytes_per_second, random.Random(seed))
    try:
        client.start()
        client.wait_until_loaded()
        while client.report.kills.total() < num_kills:
            client.kill_one(longest_wait)
        client.wait_until_complete(patience)
        return client.end()
    finally:
        client.close()


def main() -> int:
    """Exit code 0 when all is as promised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torrents", type=int, default=200)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="evenswarm-kills-") as folder:
        try:
            report = run(Path(folder), arguments.torrents, arguments.kills, arguments.seed, 1 << 20, 2e6, 4.0, 120.0)
        except SomethingIsWrong as error:
            print(f"kills: {error}", file=sys.stderr)
            return 1
    print(f"{arguments.torrents} torrents, {report.total_bytes / 1e6:.0f} MB; killed {dict(report.kills)}; all files are right")
    print(f"back after {max(report.times_to_come_back, default=0.0):.1f} s at most; stopped in {report.stopped_in:.1f} s; nobody is left")
    print(f"{report.known_at_kills} pieces were logged as verified before the last kill; {report.asked_again} of such were downloaded again; "
          f"{report.bytes_served / report.total_bytes:.3f} × the data was served")
    return 1 if report.asked_again else 0


if __name__ == "__main__":
    sys.exit(main())
