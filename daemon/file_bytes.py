"""Bytes of an open file: all of them, or an error. Positions are given, so threads may share a descriptor."""

import os
from typing import Final

MOST_VECTORS: Final = os.sysconf("SC_IOV_MAX")          # buffers of one preadv
make_durable = getattr(os, "fdatasync", os.fsync)       # all that is needed to read it again; macOS has no fdatasync
Buffer = bytes | bytearray | memoryview


def write_all(fd: int, view: memoryview, offset: int) -> None:
    """Write it all. Raises OSError."""
    while view:
        written = os.pwrite(fd, view, offset)
        view = view[written:]
        offset += written


def read_all(fd: int, views: list[memoryview], offset: int) -> bool:
    """Fill `views`; False if the file ends before."""
    while views:
        received = os.preadv(fd, views[:MOST_VECTORS], offset)
        if not received:
            return False
        offset += received
        views = split(views, received)[1]
    return True


def split(views: list[memoryview], length: int) -> tuple[list[memoryview], list[memoryview]]:
    """Split a row of buffers after `length` bytes."""
    for index, view in enumerate(views):
        if length < len(view):
            return ([*views[:index], view[:length]] if length else views[:index]), [view[length:], *views[index + 1:]]
        length -= len(view)
    return views, []
