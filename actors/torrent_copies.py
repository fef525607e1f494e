"""TorrentCopies: our own .torrent of each torrent, as files `torrents/<info hash>.torrent`: what is left when the database is not.

Everything here blocks. A file is written whole (temporary file, fsync, rename), so what has its name can be read.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gevent.monkey import get_original

from protocol.errors import MetainfoError, StorageError
from protocol.limits import MAX_METAINFO_BYTES
from protocol.metainfo import Metainfo, parse_metainfo
from protocol.metainfo_copy import Wishes, wishes_of

close_now = get_original("os", "close")                 # gevent's may switch, and this is for native threads
_NAME: Final = re.compile(r"([0-9a-f]{40})\.torrent")


class TorrentCopies:
    """The files of one folder, which is made when the first one is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, info_hash: bytes) -> Path:
        """Where the copy of this torrent lies."""
        return self.folder / f"{info_hash.hex()}.torrent"

    def write(self, info_hash: bytes, data: bytes) -> None:
        """Durable when it returns, but for its name: `sync`. Raises StorageError."""
        write_whole(self.file(info_hash), data)

    def sync(self) -> None:
        """Make the names durable. Raises StorageError."""
        sync_folder(self.folder)

    def remove(self, info_hash: bytes) -> None:
        """Nothing is left of it. Raises StorageError."""
        try:
            self.file(info_hash).unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"cannot remove {self.file(info_hash)}: {error.strerror}") from None

    def info_hashes(self) -> Iterator[bytes]:
        """Of all copies there are, in no order."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                if match := _NAME.fullmatch(entry.name):
                    yield bytes.fromhex(match[1])

    def read(self, info_hash: bytes) -> tuple[Metainfo, Wishes | None]:
        """Raises StorageError for a file that is not there, cannot be read, or is not what its name says."""
        file = self.file(info_hash)
        try:
            with open(file, "rb") as stream:
                data = stream.read(2 * MAX_METAINFO_BYTES)      # of a torrent that was just within the bound we wrote a little more
            metainfo = parse_metainfo(data, str(file))
        except OSError as error:
            raise StorageError(f"cannot read {file}: {error.strerror}") from None
        except MetainfoError as error:
            raise StorageError(f"is damaged: {error}") from None
        if metainfo.info.info_hash != info_hash:
            raise StorageError(f"{file} is damaged: its info hash is {metainfo.info.info_hash.hex()}")
        return metainfo, wishes_of(data)


def write_whole(file: Path, data: bytes) -> None:
    """Replace `file` by `data`, or leave it as it is; readable for the owner alone. Raises StorageError naming it."""
    new = file.with_name(file.name + ".new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        raise StorageError(f"cannot write {file}: {error.strerror}") from None


def sync_folder(folder: Path) -> None:
    """Make durable which names are in it. Raises StorageError."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            close_now(fd)
    except FileNotFoundError:
        return                                          # nothing was ever written into it
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error.strerror}") from None
