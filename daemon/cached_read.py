"""Cached reads: bytes of a file that are in memory already are read at once, by whoever must not wait for a disk.

What is served has often been read, or written, a moment ago, so the kernel has it. Then a job for a thread costs more than the
copy: two wake-ups, a fight for the interpreter's lock, and bytes that lie in another core's cache when they are sent.
Linux says with RWF_NOWAIT whether it has them. File systems in memory know no such flag, and never wait.
"""

import errno
import os
from collections.abc import Sequence
from typing import Final

RWF_NOWAIT: Final = getattr(os, "RWF_NOWAIT", None)     # Linux 4.14
MOUNTS: Final = "/proc/self/mountinfo"
IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})
MOST_DEVICES: Final = 1_000                             # remembered; beginning anew costs one small read each

_is_in_memory: dict[int, bool] = {}                     # by device


def read_cached(fd: int, views: Sequence[memoryview], offset: int) -> bool:
    """Fill `views` from `offset` on if that needs no disk. False: some or all of it is not there; `views` may be filled in part.

    Raises OSError as a read would.
    """
    if RWF_NOWAIT is None:
        return False
    length = sum(map(len, views))
    try:
        return os.preadv(fd, views, offset, RWF_NOWAIT) == length
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        return is_in_memory(os.fstat(fd).st_dev) and os.preadv(fd, views, offset) == length


def is_in_memory(device: int) -> bool:
    """The file system of this device keeps its files in memory."""
    known = _is_in_memory.get(device)
    if known is None:
        if len(_is_in_memory) >= MOST_DEVICES:
            _is_in_memory.clear()
        known = _is_in_memory[device] = file_system_of(device) in IN_MEMORY
    return known


def file_system_of(device: int) -> str:
    """Return the type of the file system with this device number (proc(5), mountinfo), or "" if that is not to be found."""
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open(MOUNTS, encoding="utf-8", errors="replace") as mounts:
            for line in mounts:
                if line.split(maxsplit=3)[2] == number:
                    return line.partition(" - ")[2].split(maxsplit=1)[0]
    except (OSError, IndexError):
        return ""
    return ""
