"""What no client can avoid on this machine: `python -m benchmarks.floor [--write]`. CPU seconds for 1 GiB, in pieces of 1 MiB.

Each part is the system call or the library function itself, over memory as large as that of a client: SHA-1; writing a new
file on a RAM disk (first touch of its pages); reading it again; sending and receiving over loopback, both ends in one figure
each. Every client that verifies pays hash + write + receive to download, and read + send to seed: the parts say how much of
its CPU is left to argue about. Five rounds, the median counts.
"""

import argparse
import hashlib
import os
import resource
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from benchmarks import report
from benchmarks.contestants import ROOT
from benchmarks.ram_disk import ram_disk_folder

PIECE_BYTES = 1 << 20
PIECES = 1_024
BUFFERS = 32                                            # used in turn: what a client has under way
ROUNDS = 5
DOCUMENT = ROOT / "docs" / "performance.md"


def thread_seconds() -> float:
    """User and system time of this thread until now."""
    usage = resource.getrusage(resource.RUSAGE_THREAD)
    return usage.ru_utime + usage.ru_stime


def cost_of(work: Callable[[memoryview, int], object], buffers: list[memoryview]) -> float:
    """CPU seconds of this thread for `work(buffer, piece index)`, done once for each piece."""
    before = thread_seconds()
    for index in range(PIECES):
        work(buffers[index % BUFFERS], index)
    return thread_seconds() - before


def hashing(buffers: list[memoryview], _folder: Path) -> dict[str, float]:
    """SHA-1 of each piece."""
    return {"SHA-1": cost_of(lambda buffer, _: hashlib.sha1(buffer, usedforsecurity=False).digest(), buffers)}


def file_access(buffers: list[memoryview], folder: Path) -> dict[str, float]:
    """A new file, written piece by piece and read again."""
    fd = os.open(folder / "file", os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        return {
            "write a new file": cost_of(lambda buffer, index: os.pwrite(fd, buffer, index * PIECE_BYTES), buffers),
            "read it": cost_of(lambda buffer, index: os.preadv(fd, [buffer], index * PIECE_BYTES), buffers),
        }
    finally:
        os.close(fd)
        (folder / "file").unlink()


def transfer(buffers: list[memoryview], _folder: Path) -> dict[str, float]:
    """Loopback TCP, a thread at each end; what the kernel does for one of them is booked on whoever it interrupts."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = socket.create_connection(server.getsockname())
        receiver, _ = server.accept()
    found: dict[str, float] = {}

    def send() -> None:
        found["send"] = cost_of(lambda buffer, _: sender.sendall(buffer), [memoryview(bytearray(PIECE_BYTES))] * BUFFERS)

    with sender, receiver:
        thread = threading.Thread(target=send)
        thread.start()
        found["receive"] = cost_of(lambda buffer, _: receiver.recv_into(buffer, PIECE_BYTES, socket.MSG_WAITALL), buffers)
        thread.join()
    return found


def measure(folder: Path) -> dict[str, list[float]]:
    """Return the figures of all rounds by part."""
    buffers = [memoryview(bytearray(os.urandom(PIECE_BYTES))) for _ in range(BUFFERS)]
    found: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for part in (hashing, file_access, transfer):
            for name, seconds in part(buffers, folder).items():
                found.setdefault(name, []).append(seconds)
    return found


def report_of(found: dict[str, list[float]]) -> str:
    """The table, and the two sums."""
    middle = {name: sorted(figures)[ROUNDS // 2] for name, figures in found.items()}
    rows = [[name, report.spread(figures, 2)] for name, figures in found.items()]
    rows.append(["to download: SHA-1 + write + receive", f"{middle['SHA-1'] + middle['write a new file'] + middle['receive']:.2f}"])
    rows.append(["to seed: read + send", f"{middle['read it'] + middle['send']:.2f}"])
    return f"{report.machine()}.\n\n" + report.table(["part", "CPU s/GiB"], rows)


def main() -> None:
    """Print the table; with --write put it into the document, too."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ram-dir", type=Path, default=Path("/dev/shm"), metavar="DIR", help="on a tmpfs (default /dev/shm)")
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOCUMENT.relative_to(ROOT)}")
    arguments = parser.parse_args()
    with ram_disk_folder(arguments.ram_dir, 2 * PIECES * PIECE_BYTES) as folder:
        text = report_of(measure(folder))
    print(text)
    if arguments.write:
        report.write_section(DOCUMENT, "floor", text)


if __name__ == "__main__":
    main()
