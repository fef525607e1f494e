"""Names of files in a .torrent: bytes from strangers → components of a path that can lie only below the download folder.

Refused: empty, '.', '..', a slash or NUL inside, names longer than file systems take, two files with one path, a file that is also a
folder. A backslash is a letter here, as it is for the file system. Bytes that are not UTF-8 become `%XX`, so that what is shown can be
typed; names that would fall together by that are refused like any other pair of equal paths.
"""

import re
from collections.abc import Iterable
from typing import Final

from protocol.errors import MetainfoError
from protocol.limits import MAX_COMPONENT_BYTES, MAX_PATH_BYTES

_SHOWN_CHARS: Final = 80                                # of a path, in an error
_SURROGATE: Final = re.compile("[\udc80-\udcff]")


def component_text(raw: bytes) -> str:
    """Bytes → text; each byte that is not UTF-8 becomes %XX."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return _SURROGATE.sub(lambda match: f"%{ord(match[0]) - 0xDC00:02X}", raw.decode("utf-8", "surrogateescape"))


def check_name(name: str, source: str) -> None:
    """Raises MetainfoError for a torrent's name that names no file or folder."""
    if fault := _component_fault(name):
        raise MetainfoError(f"{source}: info.name {name[:_SHOWN_CHARS]!r} {fault}")


def check_paths(name: str, paths: Iterable[tuple[tuple[str, ...], bool]], source: str) -> None:
    """Check the paths of the files below the folder `name`, each with "is padding". Raises MetainfoError naming the path.

    Padding files (BEP 47) are never written, and clients give many of them one path; their names must be possible all the same.
    """
    files: set[tuple[str, ...]] = set()
    folders: set[tuple[str, ...]] = set()
    for path, is_padding in paths:
        for part in path:
            if fault := _component_fault(part):
                raise _path_error(path, fault, source)
        if len("/".join((name, *path)).encode()) > MAX_PATH_BYTES:
            raise _path_error(path, f"is too long, at most {MAX_PATH_BYTES} bytes", source)
        if is_padding:
            continue
        if path in files:
            raise _path_error(path, "is there twice", source)
        files.add(path)
        folder = path[:-1]
        while folder and folder not in folders:         # else those around it are there too
            folders.add(folder)
            folder = folder[:-1]
    if both := files & folders:
        raise _path_error(min(both), "is a file and a folder", source)


def _component_fault(part: str) -> str:
    if part in ("", ".", ".."):
        return f"has the part {part!r}, which names no file"
    if "/" in part or "\0" in part:
        return "has a slash or a NUL in one part"
    num_bytes = len(part.encode())
    if num_bytes > MAX_COMPONENT_BYTES:
        return f"has a part that is too long: {num_bytes} bytes, at most {MAX_COMPONENT_BYTES}"
    return ""


def _path_error(path: tuple[str, ...], fault: str, source: str) -> MetainfoError:
    return MetainfoError(f"{source}: path {'/'.join(path)[:_SHOWN_CHARS]!r} {fault}")
