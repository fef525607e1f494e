"""Where the clients meet: a network namespace of its own with nothing but loopback, or this machine's loopback.

Transmission throws away peers in 127.0.0.0/8 that a tracker gives it, and it cannot be told otherwise. So the tests make
198.18.0.0/15, the range for benchmarks (RFC 2544), local in a namespace. Where the kernel allows none, clients that do not
mind meet on 127.0.0.1.

    python -m tests.interop.loopback_network    the process that holds the namespace: `unshare` starts it
"""

import contextlib
import fcntl
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
NAMESPACE_HOST, NAMESPACE_MASK = "198.18.0.1", "255.254.0.0"
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK = 0x8914, 0x8916, 0x891C      # linux/sockios.h
IFF_UP_AND_RUNNING = 0x41
FIRST_PORT = 20_000                                     # of a namespace, where all are free


@dataclass(slots=True)
class LoopbackNetwork:
    """`under` is what a command is started with to be in it, `host` the address that everybody there has."""

    host: str
    under: tuple[str, ...] = ()
    next_port: int = FIRST_PORT

    @property
    def is_namespace(self) -> bool:
        """Whether other addresses than 127.0.0.0/8 are there."""
        return bool(self.under)

    def free_port(self) -> int:
        """A TCP port for a client that cannot say which one it got."""
        if self.is_namespace:
            self.next_port += 1
            return self.next_port
        with socket.create_server((self.host, 0)) as server:
            return server.getsockname()[1]


@contextlib.contextmanager
def loopback_network() -> Iterator[LoopbackNetwork]:
    """Yield the best that this machine allows."""
    holder = None
    if shutil.which("unshare") and shutil.which("nsenter"):
        holder = subprocess.Popen(
            ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-m", "tests.interop.loopback_network"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
    try:
        if holder is not None and holder.stdout.readline() == b"ready\n":
            enter = ("nsenter", f"--target={holder.pid}", "--user", "--net", "--preserve-credentials")
            yield LoopbackNetwork(NAMESPACE_HOST, enter)
        else:
            yield LoopbackNetwork("127.0.0.1")
    finally:
        if holder is not None:
            holder.stdin.close()
            holder.wait()
            holder.stdout.close()


def set_up() -> None:
    """Bring up `lo` and give it the range; all its addresses are then local."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        def set_address(request: int, interface: bytes, address: str) -> None:
            fcntl.ioctl(control, request, struct.pack("16sHH4s8x", interface, socket.AF_INET, 0, socket.inet_aton(address)))

        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP_AND_RUNNING))
        set_address(SIOCSIFADDR, b"lo:1", NAMESPACE_HOST)
        set_address(SIOCSIFNETMASK, b"lo:1", NAMESPACE_MASK)


if __name__ == "__main__":
    set_up()
    print("ready", flush=True)
    sys.stdin.read()
