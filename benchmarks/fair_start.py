"""How clients begin to connect, seen from outside: Evenswarm's profiles, libtorrent, Transmission and aria2, side by side.

    apt-get install iproute2 nftables util-linux transmission-daemon aria2
    .venv/bin/python -m benchmarks.fair_start [--rounds 3] [--write]

50 torrents with 50 peers each, of which 30 time out, 5 refuse and 15 answer, and one torrent more with 2,000 dead peers. Every client
starts with all of them, in a network namespace of its own in which there is nothing but loopback, a tracker that names all peers, and these.
Nothing is asked of the clients: dials are counted as packets, with the kernel's time stamps; first peers when they shook hands with a live one;
the entries of a router's table are netfilter's connection tracking of that namespace. Time runs from a client's first connection to anybody, which is an
announce. CPU is what its process tree used, its start included. `benchmarks/dialling/` has the parts.

Clients run at the same time, as many as --together says: they mostly wait. But starting is work, so each starts some seconds after the one before.
Each round has a swarm of its own, the same for all clients.
"""

import argparse
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import contestants, report
from benchmarks.dialling import clients, namespace
from benchmarks.dialling.dials import NobodyDialled, excess_over_bucket
from benchmarks.dialling.figures import Figures
from benchmarks.dialling.picture import draw
from benchmarks.dialling.plan import FULL
from benchmarks.dialling.run import Recording, RunFailed, await_end, is_complete, recorded, start
from scheduler.dial_rate_control import CAREFUL_START
from scheduler.settings import AUTO, PROFILES

DOCUMENT: Final = contestants.ROOT / "docs" / "fairness.md"
PICTURE: Final = contestants.ROOT / "docs" / "fair_start.svg"
SECONDS: Final = 90.0
BETWEEN_STARTS_SECONDS: Final = 2.0                     # an interpreter, an engine and 51 torrents are loaded by then
MOMENTS: Final = (10, 30)                               # seconds at which torrents without a peer and Jain's index are looked at
SYN_JITTER_SECONDS: Final = 0.1
HEADER: Final = ("client", "first peer p50 s", "p95 s", "max s", "without at 10 s", "at 30 s", "peers met", "Jain at 10 s", "at 30 s", "lead in a class", "peak half-open", "most in 1 s",
                 "router entries", "CPU s")


@dataclass(frozen=True, slots=True)
class Goal:
    """What a profile is to reach. Seconds to the first peer; Jain's index at 30 s, since sooner torrents have one or two attempts each."""

    half_open: int
    entries: int | None = None
    p95: float | None = None
    last: float | None = None
    jain: float | None = 0.95


GOALS: Final = {
    "conservative": Goal(half_open=30, entries=520, p95=27, last=45),
    "moderate": Goal(half_open=60, entries=650, p95=14, last=25),
    "aggressive": Goal(half_open=100),
    "weak-router": Goal(half_open=15, entries=380, jain=None),
    AUTO: Goal(half_open=200, entries=520, last=15, jain=None),
}


@dataclass(frozen=True, slots=True)
class Run:
    """Of one client in one round. `excess`: attempts over burst + rate × window in the fullest window; None for clients that promise nothing."""

    figures: Figures
    excess: float | None


def run_of(name: str, recording: Recording, seconds: float) -> Run:
    """Raises NobodyDialled."""
    if (key := clients.profile_of(name)) is None:
        return Run(recording.figures(seconds), None)
    profile = PROFILES[key]                             # of `auto` the most that it rises to; its shares are those of the least
    half_open_limit = CAREFUL_START.half_open if key == AUTO else profile.half_open_limit
    figures = recording.figures(seconds, half_open_limit)
    return Run(figures, excess_over_bucket(figures.begun, profile.rate_per_second, profile.burst))


def play_round(number: int, names: list[str], together: int, seconds: float, folder: Path, say: Callable[[str], None]) -> dict[str, Run]:
    """Every client once, in a different order each round. One that failed is missing; one that was recorded there before is not run again."""
    order = names[number % len(names):] + names[:number % len(names)]
    folders = {name: folder / f"{number}-{name.replace(' ', '-')}" for name in order}
    absent = [name for name in order if not is_complete(folders[name])]
    found: dict[str, Run] = {}
    for first in range(0, len(absent), together):
        for name, reason in record(absent[first:first + together], folders, number, seconds).items():
            say(f"round {number + 1}: {name} failed: {reason}")
    for name in names:
        if not is_complete(folders[name]):
            continue
        try:
            found[name] = run_of(name, recorded(FULL, number, folders[name]), seconds)
        except NobodyDialled as error:
            say(f"round {number + 1}: {name} failed: {error}")
            continue
        say(f"round {number + 1}: " + ", ".join(f"{title} {cell}" for title, cell in zip(HEADER, row(name, [found[name]], seconds), strict=True)))
    return found


def record(names: list[str], folders: dict[str, Path], number: int, seconds: float) -> dict[str, str]:
    """Run these clients at the same time; return why those failed that did."""
    failed: dict[str, str] = {}
    running: dict[str, subprocess.Popen] = {}
    try:
        for name in names:
            if folders[name].exists():                      # of a run that was interrupted
                shutil.rmtree(folders[name])
            folders[name].mkdir(parents=True)
            running[name] = start(name, FULL, number, seconds, folders[name])
            time.sleep(BETWEEN_STARTS_SECONDS)
        for name, process in running.items():
            try:
                await_end(process, folders[name])
            except RunFailed as error:
                failed[name] = str(error)
    finally:
        for process in running.values():
            if process.poll() is None:
                process.terminate()
                process.wait()
    return failed


def row(name: str, runs: list[Run], seconds: float) -> list[str]:
    """A line of the table: median (smallest–largest) of the rounds; what did not happen within the run is '>90'."""
    def cell(value: Callable[[Figures], float], digits: int = 0) -> str:
        values = [value(run.figures) for run in runs]
        text = f"{values[0]:,.{digits}f}" if len(set(values)) == 1 else report.spread(values, digits)
        return text.replace("inf", f">{seconds:.0f}")

    return [
        name, cell(lambda f: f.quantile(0.5), 1), cell(lambda f: f.quantile(0.95), 1), cell(lambda f: f.quantile(1), 1),
        *(cell(lambda f, moment=moment: f.without_at(moment)) for moment in MOMENTS), cell(lambda f: f.num_met),
        *(cell(lambda f, moment=moment: f.jain_at[moment], 2) for moment in MOMENTS),
        cell(lambda f: f.largest_lead), cell(lambda f: f.peak_half_open), cell(lambda f: f.most_in_one_second), cell(lambda f: f.peak_table_entries),
        cell(lambda f: f.cpu_seconds, 1),
    ]


def goal_line(profile: str, goal: Goal, runs: list[Run]) -> str:
    """What was to be reached: limits and the last torrent in every round, p95 and Jain's index by their medians. And what was not."""
    def values(of: Callable[[Figures], float]) -> list[float]:
        return [of(run.figures) for run in runs]

    demands = [(f"half-open ≤ {goal.half_open}", max(values(lambda f: f.peak_half_open)), goal.half_open),
               ("attempts in every window ≤ burst + rate × window", max(run.excess for run in runs), allowed_excess(profile)),
               ("lead in a class ≤ 1", max(values(lambda f: f.largest_lead)), 1)]
    if goal.entries is not None:
        demands.append((f"router entries ≤ {goal.entries}", max(values(lambda f: f.peak_table_entries)), goal.entries))
    if goal.last is not None:
        demands.append((f"the last first peer ≤ {goal.last:.0f} s", max(values(lambda f: f.quantile(1))), goal.last))
    if goal.p95 is not None:
        demands.append((f"p95 of the first peer ≤ {goal.p95:.0f} s", statistics.median(values(lambda f: f.quantile(0.95))), goal.p95))
    if goal.jain is not None:
        demands.append((f"Jain at {MOMENTS[-1]} s ≥ {goal.jain}", -statistics.median(values(lambda f: f.jain_at[MOMENTS[-1]])), -goal.jain))
    missed = [f"{what} ({abs(found):,.4g})" for what, found, bound in demands if found > bound]
    return f"- `{profile}`: {'; '.join(what for what, _, _ in demands)}: " + (f"**missed**: {'; '.join(missed)}." if missed else "reached.")


def allowed_excess(profile: str) -> float:
    """A token is taken when the broker hears that a dial begins, and its SYN leaves a little sooner or later than those before: up to so much."""
    return 1 + PROFILES[profile].rate_per_second * SYN_JITTER_SECONDS


def document(found: dict[str, list[Run]], seconds: float, rounds: int) -> str:
    """The text between the markers."""
    facts = (f"{rounds} rounds of {seconds:.0f} s: median (smallest–largest) of the rounds, one figure where all are equal; >{seconds:.0f}: not within the run. "
             f"{', '.join(dict.fromkeys(map(clients.version, found)))}. {report.machine()}.")
    fairest = ", ".join(f"{min(run.figures.fairest_at[MOMENTS[0]] for run in runs):.2f} for {name}" for name, runs in found.items() if runs and name in clients.OURS)
    parts = [facts, report.table(HEADER, [row(name, runs, seconds) for name, runs in found.items() if runs]),
             f"![When torrents have their first peer, and how full a router's table becomes]({PICTURE.name})"]
    if fairest:
        parts.append(f"Jain's index at {MOMENTS[0]} s cannot be 1 where there are only one or two attempts a torrent; with as many as were made it is at most {fairest}.")
    goals = [goal_line(profile, GOALS[profile], runs) for name, runs in found.items() if runs and (profile := clients.profile_of(name)) in GOALS]
    return "\n\n".join([*parts, "\n".join(["To reach (limits and the last torrent in every round, the others by their median):", "", *goals])] if goals else parts)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--seconds", type=float, default=SECONDS, metavar="N", help=f"how long each client is watched (default {SECONDS:.0f})")
    parser.add_argument("--client", action="append", choices=clients.NAMES, help="may be repeated; all when not given")
    parser.add_argument("--together", type=int, default=len(clients.NAMES), metavar="N", help="how many run at the same time (default: all)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave there what was recorded, and Evenswarm's logs; rounds that are there already are not run again")
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOCUMENT.relative_to(contestants.ROOT)}, the picture beside it")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.together < 1 or arguments.seconds < MOMENTS[-1]:
        parser.error(f"--rounds and --together must be at least 1, --seconds {MOMENTS[-1]}")
    return arguments


def main() -> int:
    """Exit code 0 when every run gave a result."""
    arguments = parse_arguments()
    names = [name for name in clients.NAMES if name in (arguments.client or clients.NAMES)]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # as Ctrl-C does: end what was started
    found: dict[str, list[Run]] = {name: [] for name in names}
    try:
        clients.check(names)
        if (reason := namespace.why_not()) is not None:
            raise namespace.NoNamespace(reason)
        with tempfile.TemporaryDirectory(prefix="evenswarm-fair-start-") as folder:
            for number in range(arguments.rounds):
                played = play_round(number, names, arguments.together, arguments.seconds, (arguments.keep or Path(folder)).absolute(), lambda line: print(line, flush=True))
                for name, run in played.items():
                    found[name].append(run)
    except (namespace.NoNamespace, contestants.Missing) as error:
        print(f"fair_start: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    text = document(found, arguments.seconds, arguments.rounds)
    print("\n" + text)
    if arguments.write:
        report.write_section(DOCUMENT, "fair start", text)
        PICTURE.write_text(draw({name: runs[0].figures for name, runs in found.items() if runs}, arguments.seconds), encoding="utf-8")
    return 0 if all(len(runs) == arguments.rounds for runs in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
