"""What a process and all that it started cost: CPU seconds, memory. From Linux's /proc.

CPU: the scheduler's clock of each living process (nanoseconds, all its threads, ended ones too) and the time of children that
ended and were waited for (ticks of 10 ms). Memory: PSS counts a page that n processes share as 1/n in each, so the sum is what
the tree occupies; RSS counts it n times. Both count the pages of mapped files.
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
SAMPLES_PER_SECOND = 10


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes."""

    pss: int
    rss: int


def process_tree(pid: int) -> Iterator[int]:
    """Yield `pid` and every process below it. One that ends meanwhile may be missing."""
    yield pid
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from process_tree(int(child))


def cpu_seconds(pid: int) -> float:
    """User and system time until now of the tree below `pid`; it may have ended if nobody has waited for it yet."""
    return sum(cpu_seconds_of_one(member) for member in process_tree(pid))


def cpu_seconds_of_one(pid: int) -> float:
    """User and system time of a process and of its children that ended; 0 when it is gone: then its parent has it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        user, system, ended_user, ended_system = map(int, fields[11:15])
        own = (user + system) * TICK_SECONDS
        with contextlib.suppress(OSError):              # a process that ended has no clock
            own = max(own, time.clock_gettime(~pid << 3 | 2))   # CPUCLOCK_SCHED of that process: see clock_getcpuclockid(3)
        return own + (ended_user + ended_system) * TICK_SECONDS
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def machine_busy_seconds() -> float:
    """CPU time that all cores together spent on anything at all, since the machine started."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) * TICK_SECONDS


def memory(pid: int) -> Memory:
    """What the tree occupies now."""
    pss = rss = 0
    for member in process_tree(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
                match line.split():
                    case ["Pss:", kibibytes, "kB"]: pss += int(kibibytes) << 10
                    case ["Rss:", kibibytes, "kB"]: rss += int(kibibytes) << 10
    return Memory(pss, rss)


class PeakMemory:
    """Samples the memory of a tree from `with` to its end; `peak` has the largest of each sum.

    Reading the PSS of a mapped gigabyte holds the process up for some milliseconds: not while something is timed.
    """

    def __init__(self, pid: int) -> None:
        self.peak = Memory(0, 0)
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(1 / SAMPLES_PER_SECOND):
            now = memory(self._pid)
            self.peak = Memory(max(self.peak.pss, now.pss), max(self.peak.rss, now.rss))
