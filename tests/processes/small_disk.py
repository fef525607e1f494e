"""A real file system that gets full: a tmpfs of a few pages in a mount namespace of its own, which needs no rights on this machine."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

HOLDER = 'mount -t tmpfs -o "size=$2" tmpfs "$1" && echo ready && read -r end'


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """`folder` is on it for a process that is started with `under`, and for nobody else."""

    folder: Path
    under: tuple[str, ...]

    def run(self, *command: str) -> bytes:
        """Run a command there; return what it printed."""
        return subprocess.run([*self.under, *command], check=True, capture_output=True, timeout=30).stdout

    def resize(self, num_bytes: int) -> None:
        """Make room, or less of it."""
        self.run("mount", "-o", f"remount,size={num_bytes}", str(self.folder))

    def fill(self) -> None:
        """Leave no byte free."""
        self.run("sh", "-c", 'cat /dev/zero >"$0" 2>&-; sync', str(self.folder / "filler"))

    def read(self, name: str) -> bytes:
        """The file `name`, which nobody outside can see."""
        return self.run("cat", str(self.folder / name))


@contextlib.contextmanager
def small_disk(folder: Path, num_bytes: int) -> Iterator[SmallDisk]:
    """Mount one at `folder`, which is made. Skips the test where the kernel allows no namespace."""
    if not shutil.which("unshare") or not shutil.which("nsenter"):
        pytest.skip("needs unshare and nsenter: apt-get install util-linux")
    folder.mkdir(parents=True)
    holder = subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", HOLDER, "sh", str(folder), str(num_bytes)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    try:
        if holder.stdout.readline() != b"ready\n":
            pytest.skip(f"no mount namespace here: {holder.stderr.read().decode().strip()}")
        yield SmallDisk(folder, ("nsenter", f"--target={holder.pid}", "--user", "--mount", "--preserve-credentials"))
    finally:
        holder.communicate()                            # closes its stdin, and it ends
