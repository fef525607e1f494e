"""Safe paths: from the path of a file in a .torrent to a file in the download folder, or an error.

The metainfo parser has refused `..`, absolute paths and their like already; what it cannot know is what lies on the
disk. A symbolic link inside the download folder, left there by another program or by another torrent's user, could lead
anywhere. So no link below the download folder is followed: each folder on the way is opened relative to the one before,
with O_NOFOLLOW, and so is the file. The download folder itself, and what leads to it, is the user's choice and may be a
link.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Final

from gevent.monkey import get_original

from protocol.errors import StorageError
from protocol.metainfo import FileEntry, Info

# gevent's os.close puts off the closing of folders until its loop runs, and may switch.
close_now = get_original("os", "close")
O_PATH: Final = getattr(os, "O_PATH", os.O_RDONLY)     # Linux: to walk through a folder without the right to list it
FOLDER_FLAGS: Final = O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE_FLAGS: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY   # or opening a FIFO would take for ever

_ADVICE: Final = {
    errno.ENOSPC: "make room there, then start the torrent again",
    errno.EDQUOT: "make room there, then start the torrent again",
    errno.EFBIG: "the file system, or a limit of this process, allows no file of that size",
    errno.EACCES: "give the user who runs this the right to use it",
    errno.EPERM: "give the user who runs this the right to use it",
    errno.EROFS: "choose another download folder",
    errno.ENAMETOOLONG: "this file system allows no such long name; choose a download folder on another one",
    errno.ELOOP: "no symbolic link is followed inside the download folder",
    errno.EEXIST: "a file lies where a folder should be; move it away",
    errno.ENOTDIR: "a file lies where a folder should be; move it away",
    errno.EISDIR: "a folder lies where the file should be; move it away",
    errno.EIO: "the disk may be failing",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "this machine has too many files open",
}


def path_parts(info: Info, file: FileEntry) -> tuple[str, ...]:
    """Return the path of a file relative to the download folder. Raises StorageError for what must never reach the disk."""
    parts = file.path if info.is_single_file else (info.name, *file.path)
    for part in parts:
        if part in ("", ".", "..") or "/" in part or "\0" in part:
            raise StorageError(f"cannot use {'/'.join(parts)!r}: {part!r} is no name for a file or a folder")
        try:
            name_on_disk(part)
        except UnicodeEncodeError:
            raise StorageError(f"cannot use {'/'.join(parts)!r}: {part!r} is no text that a file can be named by") from None
    return parts


def storage_error(verb: str, parts: Sequence[str], folder: str, error: OSError) -> StorageError:
    """Return the line that tells what is wrong: "cannot write a/b: no space left on device (in FOLDER; make room …)"."""
    advice = _ADVICE.get(error.errno)
    text = (error.strerror or str(error)).lower()
    return StorageError(f"cannot {verb} {'/'.join(parts)}: {text} (in {folder}{'; ' + advice if advice else ''})")


def name_on_disk(part: str) -> bytes:
    """As it is on the disk: UTF-8, whatever the locale says, like all clients do."""
    return part.encode("utf-8", "surrogateescape")


def open_below(folder: str, parts: Sequence[str], flags: int, create: bool) -> tuple[int, bool]:
    """Open the regular file `parts` below the download folder: (descriptor, it was made just now).

    With `create`, it and the folders that lead to it are made if there is nothing. Raises OSError: ELOOP for a symbolic
    link, EISDIR or EINVAL for what is no regular file.
    """
    try:
        return _open_file(folder, parts, flags, create=False), False
    except FileNotFoundError:
        if not create:
            raise
    return _open_file(folder, parts, flags, create=True), True


def size_below(folder: str, parts: Sequence[str]) -> int | None:
    """Return the size of the regular file `parts`, None if nothing is there. Raises OSError as open_below."""
    try:
        with _walked(folder, parts[:-1], create=False) as at:
            found = os.stat(name_on_disk(parts[-1]), dir_fd=at, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(found.st_mode):
        raise _link_error()
    _check_regular(found.st_mode)
    return found.st_size


def folder_below_exists(folder: str, parts: Sequence[str]) -> bool:
    """There is such a folder. Raises OSError as open_below."""
    try:
        with _walked(folder, parts, create=False):
            return True
    except FileNotFoundError:
        return False


def longest_name(folder: str) -> int:
    """Return how many bytes a name may have on the file system where `folder` lies, or will be made."""
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    return os.pathconf(folder, "PC_NAME_MAX")


def remove_below(folder: str, parts: Sequence[str]) -> None:
    """Remove the file `parts`, or the link that lies in its place. Raises OSError as open_below."""
    with _walked(folder, parts[:-1], create=False) as at:
        os.unlink(name_on_disk(parts[-1]), dir_fd=at)


def sync_folder(folder: str, parts: Sequence[str]) -> None:
    """Make the names in a folder durable. Raises OSError as open_below."""
    with _walked(folder, parts, create=False) as at:
        fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=at)
        try:
            os.fsync(fd)
        finally:
            close_now(fd)


def walked_below(folder: str, parts: Sequence[str]) -> AbstractContextManager[int]:
    """Give a descriptor of the folder `parts` below the download folder, through no link. Raises OSError as open_below."""
    return _walked(folder, parts, create=False)


def remove_file_in(at: int, name: str) -> None:
    """Delete a regular file of the folder `at`. Raises OSError as open_below for anything else."""
    found = os.stat(name_on_disk(name), dir_fd=at, follow_symlinks=False)
    if stat.S_ISLNK(found.st_mode):
        raise _link_error()
    _check_regular(found.st_mode)
    os.unlink(name_on_disk(name), dir_fd=at)


def remove_folder_below(folder: str, parts: Sequence[str]) -> None:
    """Delete the folder `parts` if it is empty. Raises OSError: ENOTEMPTY, ENOTDIR for a link, and as open_below."""
    with _walked(folder, parts[:-1], create=False) as at:
        os.rmdir(name_on_disk(parts[-1]), dir_fd=at)


def _open_file(folder: str, parts: Sequence[str], flags: int, create: bool) -> int:
    with _walked(folder, parts[:-1], create) as at:
        try:
            fd = os.open(name_on_disk(parts[-1]), flags | FILE_FLAGS | (os.O_CREAT if create else 0), 0o666, dir_fd=at)
        except OSError as error:
            if error.errno == errno.ENXIO:              # a FIFO or a socket
                raise OSError(errno.EINVAL, "it is no regular file") from None
            if error.errno == errno.ELOOP:
                raise _link_error() from None
            raise
    try:
        _check_regular(os.fstat(fd).st_mode)
    except BaseException:
        close_now(fd)
        raise
    return fd


def _link_error() -> OSError:
    return OSError(errno.ELOOP, "it, or a folder above it, is a symbolic link")


def _check_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise OSError(errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL, "it is no regular file")


@contextmanager
def _walked(folder: str, parts: Sequence[str], create: bool) -> Iterator[int]:
    """Give a descriptor of the folder `parts` below the download folder; the caller's block may use it."""
    if create:
        os.makedirs(folder, exist_ok=True)
    at = os.open(folder, O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            name = name_on_disk(part)
            if create:
                with suppress(FileExistsError):
                    os.mkdir(name, dir_fd=at)
            below = _open_folder(name, at)
            close_now(at)
            at = below
        yield at
    finally:
        close_now(at)


def _open_folder(name: bytes, at: int) -> int:
    try:
        return os.open(name, FOLDER_FLAGS, dir_fd=at)
    except NotADirectoryError:                          # what the kernel says of a link, too
        if stat.S_ISLNK(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
            raise _link_error() from None
        raise
