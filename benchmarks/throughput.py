"""How fast, at what cost: libtorrent, aria2 and Evenswarm side by side on this machine.

    .venv/bin/python -m benchmarks.throughput [--runs 5] [--write]

Cases: download from a libtorrent seed; from `fast_seeder` on 1, 10 and 50 addresses; the same paced to 200 MB/s over 50
connections; seed to a libtorrent that downloads. One client at a time, in turn, `--runs` rounds, in a different order each.

What is measured is the transfer, not the start of a program, for all in the same way. It begins when the other side sees the
first peer (the fast seeder: the first handshake; libtorrent: the first connection) and ends when the downloading client
says that it has everything in its file, which is after its last hash. CPU is what the client's whole process tree used between
these two moments. Memory is sampled from start to end in one round more that is not timed. Each file is hashed afterwards; a
wrong one is a failure, not a result. Nobody is pinned to a core. A run during which the machine did other things is repeated.
"""

import argparse
import contextlib
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks import contestants, report
from benchmarks.payload import Payload, is_intact, make_payload
from benchmarks.process_cost import Memory, PeakMemory, cpu_seconds, machine_busy_seconds
from benchmarks.ram_disk import NotARamDisk, ram_disk_folder
from benchmarks.talking_process import DidNotSay, TalkingProcess

GIBIBYTE = 1 << 30
PIECE_BYTES = 1 << 20
PACED_RATE = 200_000_000
READY_SECONDS, TRANSFER_SECONDS = 60.0, 300.0
DOCUMENT = contestants.ROOT / "docs" / "performance.md"


@dataclass(frozen=True, slots=True)
class Case:
    """One table. `addresses` is 0 for a libtorrent seed; `rate` in bytes a second; `seeds`: the client seeds to libtorrent."""

    key: str
    title: str
    goal_rate: float                                    # of libtorrent's, at least
    goal_cpu: float                                     # of libtorrent's, at most
    addresses: int = 0
    rate: int = 0
    seeds: bool = False


CASES = (
    Case("libtorrent-seed", "Download from a libtorrent seed", 1.0, 0.75),
    Case("fast-1", "Download from the fast seeder, 1 address", 1.0, 0.75, addresses=1),
    Case("fast-10", "Download from the fast seeder, 10 addresses", 1.0, 0.75, addresses=10),
    Case("fast-50", "Download from the fast seeder, 50 addresses", 1.0, 0.75, addresses=50),
    Case("paced-50", "Download at 200 MB/s in total from 50 addresses", 1.0, 0.65, addresses=50, rate=PACED_RATE),
    Case("seeding", "Seed to libtorrent", 1.0, 0.5, seeds=True),
)
GOAL_MEMORY_BYTES = 120_000_000
MOST_DISTURBANCE = 0.1                                  # of a core, used by processes that do not belong to the run
CALM_SECONDS, WAIT_FOR_CALM_SECONDS = 2.0, 120.0          # a run begins after so long without disturbance; not waited for longer than that


@dataclass(frozen=True, slots=True)
class Run:
    """MB/s, CPU seconds a GiB, and how much of a core others used meanwhile."""

    rate: float
    cpu: float
    disturbance: float


@dataclass(slots=True)
class Figures:
    """Of one client in one case: a value a round."""

    rates: list[float] = field(default_factory=list)            # MB/s
    cpu: list[float] = field(default_factory=list)              # CPU seconds a GiB
    memory: Memory | None = None
    failures: list[str] = field(default_factory=list)
    num_disturbed: int = 0

    def take(self, run: Run) -> None:
        """One round more."""
        self.rates.append(run.rate)
        self.cpu.append(run.cpu)
        self.num_disturbed += run.disturbance > MOST_DISTURBANCE


class WrongBytes(Exception):
    """The file is complete, and not what was seeded."""


@dataclass(slots=True)
class Bench:
    """The payload and a folder to download into, which every run finds empty."""

    payload: Payload
    folder: Path

    @contextlib.contextmanager
    def empty_folder(self) -> Iterator[Path]:
        """Yield it; empty it afterwards, so that the RAM disk never holds two copies."""
        target = self.folder / "download"
        target.mkdir()
        try:
            yield target
        finally:
            shutil.rmtree(target)

    def transfer(self, client: TalkingProcess, other: TalkingProcess, downloader: TalkingProcess, says: str) -> Run:
        """Time one transfer between `client`, whose cost is measured, and `other`, which says when they are connected."""
        other.wait_for("connected", READY_SECONDS)
        begun, cpu_before, others_before = time.monotonic(), cpu_seconds(client.pid), others_cpu_seconds(client, other)
        downloader.wait_for(says, TRANSFER_SECONDS)
        ended, cpu_after, others_after = time.monotonic(), cpu_seconds(client.pid), others_cpu_seconds(client, other)
        elapsed = ended - begun
        return Run(self.payload.size / elapsed / 1e6, (cpu_after - cpu_before) * GIBIBYTE / self.payload.size, (others_after - others_before) / elapsed)

    def verify(self, folder: Path) -> None:
        """Raises WrongBytes."""
        if not is_intact(folder / self.payload.file.name, self.payload):
            raise WrongBytes("the file differs from what was seeded")

    def download(self, name: str, seeder: TalkingProcess, peers: list[str], tracker: str, figures: Figures, timed: bool) -> Run:
        """One run of `name` as a downloader."""
        with self.empty_folder() as folder:
            running = contestants.download(name, self.payload.torrent, folder, peers, tracker)
            seeder.forget()
            with TalkingProcess(running.command) as client, observed(client, figures, timed):
                run = self.transfer(client, seeder, client, running.says)
            self.verify(folder)
        return run

    def seed(self, name: str, figures: Figures, timed: bool) -> Run:
        """One run of `name` as a seed for libtorrent, which dials it in the clear so that nobody's first dial fails."""
        running, address = contestants.seed(name, self.payload.torrent, self.payload.file.parent)
        with self.empty_folder() as folder, TalkingProcess(running.command) as client, observed(client, figures, timed):
            client.wait_for(running.says, READY_SECONDS)
            options = ("--peer", address, "--set", "out_enc_policy=2")
            with TalkingProcess(contestants.libtorrent_command([self.payload.torrent], folder, "127.0.0.1:0", *options)) as downloader:
                run = self.transfer(client, downloader, downloader, "all complete")
            self.verify(folder)
        return run


def others_cpu_seconds(*processes: TalkingProcess) -> float:
    """What the machine spent on anything but these and ourselves."""
    return machine_busy_seconds() - sum(cpu_seconds(process.pid) for process in processes) - time.process_time()


@contextlib.contextmanager
def observed(client: TalkingProcess, figures: Figures, timed: bool) -> Iterator[None]:
    """Sample its memory, unless the run is timed."""
    if timed:
        yield
        return
    with PeakMemory(client.pid) as sampler:
        yield
    figures.memory = sampler.peak


@contextlib.contextmanager
def other_side(case: Case, payload: Payload) -> Iterator[tuple[TalkingProcess, list[str], str] | None]:
    """The seed of a download case, its addresses, and a tracker that gives them; None where libtorrent downloads."""
    if case.seeds:
        yield None
        return
    if case.addresses:
        command = [sys.executable, "-m", "benchmarks.fast_seeder", str(payload.torrent), str(payload.file)]
        command += ["--addresses", str(case.addresses), "--rate", str(case.rate)]
    else:
        command = contestants.libtorrent_command([payload.torrent], payload.file.parent, "127.0.0.1:0")
    with TalkingProcess(command, cwd=contestants.ROOT) as seeder:
        peers = seeder.wait_for("listening", READY_SECONDS).split()[1:]
        if not case.addresses:
            seeder.wait_for("all complete", READY_SECONDS)
        tracker = [sys.executable, "-m", "tests.interop.loopback_tracker", "127.0.0.1:0", *contestants.with_option("--give", peers)]
        with TalkingProcess(tracker, cwd=contestants.ROOT) as tracker_process:
            yield seeder, peers, tracker_process.wait_for("listening", READY_SECONDS).split()[1]


def run_case(case: Case, bench: Bench, names: list[str], runs: int, patience: int, say: Callable[[str], None]) -> dict[str, Figures]:
    """All rounds of one case; the last one is for memory. A disturbed run is repeated up to `patience` times."""
    found = {name: Figures() for name in names}
    with other_side(case, bench.payload) as other:
        for number in range(runs + 1):
            timed = number < runs
            for name in names[number % len(names):] + names[:number % len(names)]:
                figures = found[name]
                try:
                    run = calm_run(partial(bench.seed, name) if other is None else partial(bench.download, name, *other), figures, timed, patience)
                except (DidNotSay, WrongBytes, FileNotFoundError) as error:
                    figures.failures.append(str(error))
                    say(f"{case.key}: {name} failed: {error}")
                    continue
                if timed:
                    figures.take(run)
                    say(f"{case.key} {number + 1}/{runs}: {name} {run.rate:,.0f} MB/s, {run.cpu:.2f} CPU s/GiB, others used {run.disturbance:.2f} of a core")
                else:
                    say(f"{case.key} memory: {name} {figures.memory.pss / 1e6:,.0f} MB")
    return found


def calm_run(measure: Callable[[Figures, bool], Run], figures: Figures, timed: bool, patience: int) -> Run:
    """Measure until the machine does nothing else meanwhile, or patience is at its end: then the calmest run counts."""
    if not timed:
        return measure(figures, timed)
    runs: list[Run] = []
    while len(runs) <= patience and (not runs or runs[-1].disturbance > MOST_DISTURBANCE):
        if patience:
            wait_for_calm()
        runs.append(measure(figures, timed))
    return min(runs, key=lambda run: run.disturbance)


def wait_for_calm() -> None:
    """Return when the machine has had little to do for a moment, or when that seems not to come."""
    give_up = time.monotonic() + WAIT_FOR_CALM_SECONDS
    while time.monotonic() < give_up:
        begun, busy = time.monotonic(), machine_busy_seconds()
        time.sleep(CALM_SECONDS)
        if (machine_busy_seconds() - busy) / (time.monotonic() - begun) < MOST_DISTURBANCE:
            return


def case_report(case: Case, found: dict[str, Figures]) -> str:
    """A title, a table, and whether Evenswarm reached what it is to reach."""
    theirs = found.get(contestants.LIBTORRENT, Figures())
    rows = []
    for name, figures in found.items():
        rate, cpu = report.ratio(figures.rates, theirs.rates), report.ratio(figures.cpu, theirs.cpu)
        memory = figures.memory
        rows.append([
            name, report.spread(figures.rates, 0), report.spread(figures.cpu, 2), two_digits(rate), two_digits(cpu),
            f"{memory.pss / 1e6:,.0f}" if memory else "–", f"{memory.rss / 1e6:,.0f}" if memory else "–",
        ])
    text = [f"### {case.title}", "", report.table(["client", "MB/s", "CPU s/GiB", "rate ÷", "CPU ÷", "PSS MB", "RSS MB"], rows), ""]
    if contestants.EVENSWARM in found and contestants.LIBTORRENT in found:
        text += [goal_line(case, found[contestants.EVENSWARM], theirs), ""]
    text += [f"{name} failed {len(figures.failures)} times: {figures.failures[0]}\n" for name, figures in found.items() if figures.failures]
    text += [f"{figures.num_disturbed} of {len(figures.rates)} runs of {name} were disturbed: others used more than {MOST_DISTURBANCE} of a core.\n"
             for name, figures in found.items() if figures.num_disturbed]
    return "\n".join(text)


def goal_line(case: Case, ours: Figures, theirs: Figures) -> str:
    """'Goal: …: reached' or which part is missed."""
    rate, cpu = report.ratio(ours.rates, theirs.rates), report.ratio(ours.cpu, theirs.cpu)
    missed = ["rate"] * (rate is None or rate < case.goal_rate) + ["CPU"] * (cpu is None or cpu > case.goal_cpu)
    missed += ["memory"] * (ours.memory is None or ours.memory.pss > GOAL_MEMORY_BYTES)
    return (f"To reach: rate ≥ {case.goal_rate} ×, CPU ≤ {case.goal_cpu} ×, at most {GOAL_MEMORY_BYTES / 1e6:.0f} MB (PSS): "
            + (f"missed in {', '.join(missed)}." if missed else "reached."))


def two_digits(value: float | None) -> str:
    """'0.75', or a dash for None."""
    return "–" if value is None else f"{value:.2f}"


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="timed rounds (default 5)")
    parser.add_argument("--patience", type=int, default=3, metavar="N", help="how often a disturbed run is repeated (default 3)")
    parser.add_argument("--case", action="append", choices=[case.key for case in CASES], help="may be repeated; all when not given")
    parser.add_argument("--client", action="append", choices=contestants.NAMES, help="may be repeated; all when not given")
    parser.add_argument("--mebibytes", type=int, default=1024, metavar="N", help="to transfer, a multiple of 16 (default 1024)")
    parser.add_argument("--ram-dir", type=Path, default=Path("/dev/shm"), metavar="DIR", help="on a tmpfs (default /dev/shm)")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {DOCUMENT.relative_to(contestants.ROOT)}")
    arguments = parser.parse_args()
    if arguments.runs < 1 or arguments.mebibytes < 16 or arguments.mebibytes % 16:
        parser.error("--runs must be at least 1, --mebibytes a multiple of 16")
    return arguments


def main() -> int:
    """Exit code 0 when every run gave a result."""
    arguments = parse_arguments()
    names = [name for name in contestants.NAMES if name in (arguments.client or contestants.NAMES)]
    cases = [case for case in CASES if case.key in (arguments.case or [case.key])]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # as Ctrl-C does: end what was started, empty the RAM disk
    size = arguments.mebibytes << 20
    sections, failures = [], 0
    try:
        contestants.check(names)
        with ram_disk_folder(arguments.ram_dir, needed_bytes=2 * size + (64 << 20)) as folder:
            print(f"making {arguments.mebibytes} MiB …", flush=True)
            (folder / "payload").mkdir()
            bench = Bench(make_payload(folder / "payload", size, PIECE_BYTES), folder)
            for case in cases:
                found = run_case(case, bench, names, arguments.runs, arguments.patience, lambda line: print(line, flush=True))
                failures += sum(len(figures.failures) for figures in found.values())
                sections.append(case_report(case, found))
                print("\n" + sections[-1], flush=True)
    except (NotARamDisk, contestants.Missing, DidNotSay) as error:
        print(f"throughput: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if arguments.write:
        facts = f"{arguments.mebibytes} MiB in pieces of 1 MiB, {arguments.runs} rounds: median (smallest–largest); ÷: median of the ratios to libtorrent, round by round."
        versions = ", ".join(contestants.version(name) for name in names)
        report.write_section(DOCUMENT, "throughput", "\n\n".join([f"{versions}. {report.machine()}. {facts}", *sections]))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
