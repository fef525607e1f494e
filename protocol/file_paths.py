"""Names of files in a .torrent: bytes from strangers → components of a path that can lie only below the download folder.

Refused: empty, '.', '..', a slash or NUL inside, names longer than file systems take, two files with one path, a file that is also a
folder. A backslash is a letter here, as it is for the file system. Bytes that are not UTF-8 become `%XX`, so that what is shown can be
typed; names that would fall together by that are refused like any other pair of equal paths.
"""

import re
from collections.abc import Iterable
from typing import Final

from protocol.errors import MetainfoError

MAX_COMPONENT_BYTES: Final = 255                        # what the file systems of the field take
MAX_PATH_BYTES: Final = 3_500                           # below PATH_MAX (4,096), with room for the download folder
_SURROGATE: Final = re.compile("[\udc80-\udcff]")


def component_text(raw: bytes) -> str:
    """Bytes → text; each byte that is not UTF-8 becomes %XX."""
    return _SURROGATE.sub(lambda match: f"%{ord(match[0]) - 0xDC00:02X}", raw.decode("utf-8", "surrogateescape"))


def check_paths(name: str, paths: Iterable[tuple[str, ...]], source: str) -> None:
    """Raises MetainfoError for a torrent's name or a file's path that cannot be used."""
    _check_component(name, f"{source}: info.name {name[:80]!r}")
    files: set[tuple[str, ...]] = set()
    folders: set[tuple[str, ...]] = set()
    for path in paths:
        shown = f"{source}: path {'/'.join(path)[:80]!r}"
        for part in path:
            _check_component(part, shown)
        if len("/".join((name, *path)).encode()) > MAX_PATH_BYTES:
            raise MetainfoError(f"{shown} is too long, at most {MAX_PATH_BYTES} bytes")
        if path in files:
            raise MetainfoError(f"{shown} is there twice")
        files.add(path)
        folders.update(path[:length] for length in range(1, len(path)))
    both = files & folders
    if both:
        raise MetainfoError(f"{source}: path {'/'.join(min(both))[:80]!r} is a file and a folder")


def _check_component(part: str, shown: str) -> None:
    if part in ("", ".", ".."):
        raise MetainfoError(f"{shown} has the part {part!r}, which names no file")
    if "/" in part or "\0" in part:
        raise MetainfoError(f"{shown} has a slash or a NUL in one part")
    if len(part.encode()) > MAX_COMPONENT_BYTES:
        raise MetainfoError(f"{shown} has a part that is too long: {len(part.encode())} bytes, at most {MAX_COMPONENT_BYTES}")
