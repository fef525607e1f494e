"""One client in one namespace, watched for some seconds: `watch` is what others call.

    unshare --net python -m benchmarks.dialling.run CLIENT SHAPE SEED SECONDS FOLDER

is the process that it starts: it makes its namespace, starts recorder, swarm and client there, and leaves in FOLDER what was seen:
record.json (see recorder.py), meetings.json (see swarm.py), samples.json (entries of the connection table, CPU), output (what the client said).
"""

import contextlib
import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final

from benchmarks import contestants
from benchmarks.dialling import clients, namespace
from benchmarks.dialling.figures import Figures, figures_of
from benchmarks.dialling.plan import PlannedTorrent, SwarmShape, make_plan, write_torrents
from benchmarks.process_cost import cpu_seconds

SAMPLE_SECONDS: Final = 0.05
START_SECONDS: Final = 60.0                             # until the client dials for the first time
STOP_SECONDS: Final = 15.0
AFTERMATH_SECONDS: Final = 1.0                          # the clock of the record starts a little later than ours
QUOTED_CHARACTERS: Final = 1_000


class RunFailed(Exception):
    """With what the process said last."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What was seen of one client, and the swarm that it met."""

    events: Sequence[Sequence]
    greeted: set[str]                                   # the live addresses that shook hands
    told: tuple[float, ...]                             # when each torrent of the plan was told of its peers; infinite for never
    table_entries: Sequence[tuple[float, int]]
    cpu_seconds: float
    plan: tuple[PlannedTorrent, ...]

    def figures(self, seconds: float, half_open_limit: float = math.inf) -> Figures:
        """Of the first `seconds`. Raises dials.NobodyDialled."""
        return figures_of(self.events, self.greeted, self.told, self.plan, seconds, self.table_entries, self.cpu_seconds, half_open_limit)


def start(name: str, shape: SwarmShape, seed: int, seconds: float, folder: Path) -> subprocess.Popen:
    """Begin to watch the client `name`; `folder` is empty. End the process with SIGTERM to give up."""
    command = [*namespace.enter_command(), sys.executable, "-m", "benchmarks.dialling.run", name, shape_text(shape), str(seed), str(seconds), str(folder)]
    with open(folder / "said", "wb") as said:
        return subprocess.Popen(command, cwd=contestants.ROOT, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT)


def await_end(process: subprocess.Popen, folder: Path) -> None:
    """Wait for what `start` returned. Raises RunFailed."""
    if process.wait():
        raise RunFailed((folder / "said").read_text(errors="replace")[-QUOTED_CHARACTERS:])


def is_complete(folder: Path) -> bool:
    """Whether a whole recording lies there: its last file does."""
    return (folder / "samples.json").exists()


def recorded(shape: SwarmShape, seed: int, folder: Path) -> Recording:
    """What lies in `folder` once its process has ended well."""
    events, meetings, samples = (json.loads((folder / f"{name}.json").read_text()) for name in ("record", "meetings", "samples"))
    plan, answered = make_plan(shape, seed), dict(meetings["answered"])
    told = tuple(answered.get(torrent.info_hash.hex(), math.inf) for torrent in plan)
    return Recording(events, set(meetings["greeted"]), told, samples["table_entries"], samples["cpu_seconds"], plan)


def shape_text(shape: SwarmShape) -> str:
    """The form in which processes hand it on."""
    return ",".join(map(str, astuple(shape)))


@contextlib.contextmanager
def companion(*arguments: str) -> Iterator[None]:
    """A process of ours that says when it is ready, and writes its result when its stdin ends. Raises RunFailed."""
    process = subprocess.Popen([sys.executable, "-m", *arguments], cwd=contestants.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        if process.stdout.readline() != b"ready\n":
            raise RunFailed(f"{arguments[0]} did not start")
        yield
    finally:
        process.stdin.close()
        exit_code = process.wait()
        process.stdout.close()
    if exit_code:
        raise RunFailed(f"{arguments[0]} ended with {exit_code}")


@contextlib.contextmanager
def client_process(command: list[str], folder: Path) -> Iterator[subprocess.Popen]:
    """It runs in a session of its own; what it says goes into a file."""
    with open(folder / "output", "wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        yield process
    finally:
        process.stdin.close()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def observe(process: subprocess.Popen, seconds: float) -> dict[str, object]:
    """Sample the connection table until `seconds` after its first entry; CPU of all of the process's life. Raises RunFailed."""
    samples: list[tuple[float, int]] = []
    begun, first = time.monotonic(), None
    while first is None or time.monotonic() - first < seconds + AFTERMATH_SECONDS:
        entries = namespace.num_table_entries()
        if entries and first is None:
            first = time.monotonic()
        if first is None and time.monotonic() - begun > START_SECONDS:
            raise RunFailed(f"it did not dial anybody within {START_SECONDS:.0f} s")
        if process.poll() is not None:
            raise RunFailed(f"it ended with {process.returncode}")
        samples.append((time.time(), entries))
        time.sleep(SAMPLE_SECONDS)
    return {"table_entries": samples, "cpu_seconds": cpu_seconds(process.pid)}


def run(name: str, shape: SwarmShape, seed: int, seconds: float, folder: Path) -> None:
    """Do it, in this process's namespace. Raises NoNamespace, RunFailed."""
    namespace.set_up()
    plan = make_plan(shape, seed)
    (folder / "client").mkdir()
    (folder / "torrents").mkdir()
    command = clients.command(name, write_torrents(plan, folder / "torrents"), folder / "client")
    recorder = companion("benchmarks.dialling.recorder", str(folder / "record.json"))
    swarm = companion("benchmarks.dialling.swarm", shape_text(shape), str(seed), str(folder / "meetings.json"))
    with swarm, recorder, client_process(command, folder / "client") as process:
        try:
            samples = observe(process, seconds)
        except RunFailed as error:
            raise RunFailed(f"{name}: {error}: {(folder / 'client' / 'output').read_text(errors='replace')[-QUOTED_CHARACTERS:]}") from None
    (folder / "samples.json").write_text(json.dumps(samples))


def main() -> int:
    """Exit code 1, with the reason, when there is nothing to see."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # end what was started
    name, shape, seed, seconds, folder = sys.argv[1:]
    try:
        run(name, SwarmShape(*map(int, shape.split(","))), int(seed), float(seconds), Path(folder))
    except (RunFailed, namespace.NoNamespace) as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
