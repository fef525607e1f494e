"""A folder on a RAM disk that is gone afterwards, whatever happens: disks differ more than clients do."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NotARamDisk(Exception):
    """Says which folder, why it will not do, and what to give instead."""


@contextmanager
def ram_disk_folder(parent: Path, needed_bytes: int) -> Iterator[Path]:
    """Yield a new folder in `parent`, which must be on a tmpfs with that much room. Raises NotARamDisk."""
    kind = file_system_of(parent)
    if kind != "tmpfs":
        raise NotARamDisk(f"{parent} is on {kind}, not on a tmpfs: give --ram-dir one, or mount one (mount -t tmpfs tmpfs DIR)")
    status = os.statvfs(parent)
    if (free := status.f_bavail * status.f_frsize) < needed_bytes:
        raise NotARamDisk(f"{parent} has {free >> 20} MiB left, {needed_bytes >> 20} MiB are needed: give --ram-dir a larger tmpfs")
    folder = Path(tempfile.mkdtemp(prefix="evenswarm-benchmark-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def file_system_of(path: Path) -> str:
    """Return the type of the file system that `path` is on, as /proc/mounts names it."""
    path = path.resolve(strict=True)
    found, found_at = "?", Path("/")
    for line in Path("/proc/mounts").read_text().splitlines():
        mounted_at, kind = line.split()[1:3]
        mount = Path(mounted_at.replace("\\040", " "))
        if path.is_relative_to(mount) and len(mount.parts) >= len(found_at.parts):
            found, found_at = kind, mount
    return found
