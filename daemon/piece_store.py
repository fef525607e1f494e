"""PieceStore: the files of one torrent, as pieces.

Files are made when the first byte of them is written, and grow as pieces come: nothing is allocated before, so they are
sparse. Padding files (BEP 47) are never made; their bytes read as zeros. A file that was there already and is longer
than the torrent says keeps what is beyond: it is not ours. Skipped files are neither made nor written to: pieces that
reach into them are kept as a whole in the parts file, too (parts_file.py), and read from there. What a skipped file has
already, it keeps. Everything here but `read_cached` blocks, and is called in the native threads of the disk pool only.
"""

import errno
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from gevent.monkey import get_original

from daemon.cached_read import read_cached
from daemon.file_bytes import Buffer, make_durable, read_all, split, write_all
from daemon.file_history import state_of
from daemon.open_files import OpenFiles
from daemon.parts_file import PartsFile
from daemon.safe_path import (
    folder_below_exists,
    longest_name,
    name_on_disk,
    open_below,
    path_parts,
    size_below,
    storage_error,
    sync_folder,
)
from protocol.daemon_messages import FileState
from protocol.errors import StorageError
from protocol.metainfo import Info
from protocol.piece_layout import FileSpan, PieceIndex, file_spans

COPY_BYTES: Final = 1 << 20                             # copied at once from the parts file to a real one


class PieceStore:
    """Reads and writes pieces of one torrent below `folder`. Thread-safe.

    Raises StorageError, which names the file and what to do.
    """

    def __init__(self, folder: str, info: Info, open_files: OpenFiles, skipped: frozenset[int] = frozenset()) -> None:
        self.folder = folder
        self.info = info
        self._files = info.files
        self._open_files = open_files
        self._lock = get_original("_thread", "allocate_lock")()
        self._unsynced: set[int] = set()                # files written to since the last sync
        self._new_folders: set[tuple[str, ...]] = set() # folders with names in them that were not there at the last sync
        self._skipped = skipped                         # files
        self._parts: PartsFile | None = None            # None: nothing is skipped, and nothing is left of an earlier choice
        if skipped:
            self._parts = PartsFile(folder, info, open_files)

    def write_piece(self, piece_index: PieceIndex, buffer: Buffer) -> None:
        """Write a piece, which `buffer` begins with."""
        layout = self.info.layout
        size, view, at = layout.piece_size(piece_index), memoryview(buffer), 0
        if self._parts is not None:
            if self._is_partly_skipped(piece_index):
                self._parts.write(piece_index, view[:size])
            else:
                self._parts.let_go((piece_index,))      # it was wrong there, or it would not come again
        for span in self._spans(piece_index * layout.piece_length, size):
            part = view[at:at + span.length]
            at += span.length
            if self._files[span.file_index].padding or span.file_index in self._skipped:
                continue
            with self._errors("write", span.file_index), self._writable(span.file_index) as fd:
                write_all(fd, part, span.offset_in_file)
            with self._lock:
                self._unsynced.add(span.file_index)

    def read_into(self, piece_index: PieceIndex, offset: int, views: Sequence[Buffer]) -> None:
        """Fill `views` with the torrent's bytes from `offset` of this piece on. A file that lacks some of them is an error."""
        short = self._read(piece_index, offset, views)
        if short is not None:
            where = f"in {self.folder}; another program changed it: check the torrent again"
            raise StorageError(f"cannot read {self.name_of(short)}: it has become too short ({where})")

    def read_cached(self, piece_index: PieceIndex, offset: int, views: Sequence[memoryview]) -> bool:
        """Do as read_into if that needs no waiting: the bytes are in memory, of one file, which is open. For the hub's thread.

        False: it was not done; what is wrong, if anything is, read_into will say.
        """
        spans = list(self._spans(piece_index * self.info.layout.piece_length + offset, sum(map(len, views))))
        if len(spans) != 1 or self._files[spans[0].file_index].padding:
            return False
        if self._parts is not None and self._parts.holds(piece_index):
            return False
        file_index, offset_in_file = spans[0].file_index, spans[0].offset_in_file

        def read(fd: int) -> bool:
            return read_cached(fd, views, offset_in_file)

        try:
            return any(self._open_files.use_open(self, (file_index, mode), read) for mode in ("r", "rw"))
        except OSError:
            return False

    def read_if_there(self, piece_index: PieceIndex, offset: int, views: Sequence[Buffer]) -> bool:
        """As read_into; False if files are missing or too short."""
        try:
            return self._read(piece_index, offset, views) is None
        except StorageError as error:
            if isinstance(error.__context__, FileNotFoundError):
                return False
            raise

    def verify(self, piece_index: PieceIndex, buffer: Buffer) -> bool:
        """The piece that `buffer` begins with has the right hash."""
        piece = memoryview(buffer)[:self.info.layout.piece_size(piece_index)]
        return hashlib.sha1(piece, usedforsecurity=False).digest() == self.info.piece_hash(piece_index)

    def create_empty_files(self) -> None:
        """Make the files that have no bytes, which no piece would."""
        for file_index, file in enumerate(self._files):
            if not file.length and not file.padding and file_index not in self._skipped:
                with self._errors("write", file_index), self._writable(file_index):
                    pass

    def sync(self) -> list[FileState]:
        """Make durable what was written before this call, and return how these files look now.

        What could not be made so is tried again by the next one.
        """
        states = []
        with self._lock:
            files, self._unsynced = self._unsynced, set()
            folders, self._new_folders = self._new_folders, set()
        gone = self._parts.to_let_go() if self._parts is not None else set()
        try:
            for file_index in sorted(files):
                with self._errors("write", file_index), self._readable(file_index) as fd:
                    make_durable(fd)
                    states.append(state_of(file_index, os.fstat(fd)))
            for parts in sorted(folders):
                try:
                    sync_folder(self.folder, parts)
                except OSError as error:
                    raise storage_error("write", parts, self.folder, error) from None
            if self._parts is not None:
                self._parts.sync(gone)
        except StorageError:
            with self._lock:
                self._unsynced |= files
                self._new_folders |= folders
            raise
        return states

    def close(self) -> None:
        """Close the files. They are opened again when they are needed again."""
        self._open_files.close_all_of(self)
        if self._parts is not None:
            self._parts.close()

    # ── skipped files ────────────────────────────────────────────────────────────────────────────────────────────────────

    def is_skipped(self, file_index: int) -> bool:
        """The user does not want this file."""
        return file_index in self._skipped

    @property
    def needs_sync(self) -> bool:
        """The parts file is not as it should be on the disk; no piece waits for that."""
        return self._parts is not None and self._parts.needs_sync

    def skip(self, skipped: frozenset[int]) -> None:
        """From now on these files are skipped. What the parts file has of others goes into them. In the thread that writes pieces."""
        wanted_again = self._skipped - skipped
        if skipped and self._parts is None:
            self._parts = PartsFile(self.folder, self.info, self._open_files)
        self._skipped = skipped
        self.check_names()
        if wanted_again:
            for piece_index in self._parts.pieces:
                for _ in self.copy_from_parts(piece_index):
                    pass
        self.create_empty_files()

    def load_parts(self) -> list[PieceIndex]:
        """Look into the parts file, if there is one; return the pieces in it."""
        parts = self._parts or PartsFile(self.folder, self.info, self._open_files)
        parts.load()
        self._parts = parts if self._skipped or not parts.is_empty else None
        return parts.pieces

    def copy_from_parts(self, piece_index: PieceIndex) -> Iterator[int]:
        """Write what the parts file has of a piece to the wanted files that lack it, and let go what no skipped file needs.

        Yields the number of bytes for each bit of work.
        """
        start, size = piece_index * self.info.layout.piece_length, self.info.layout.piece_size(piece_index)
        spans = [span for span in self._spans(start, size) if not self._files[span.file_index].padding and not self.is_skipped(span.file_index)]
        for span in spans:
            in_piece = self._files[span.file_index].offset + span.offset_in_file - start
            for offset in range(0, span.length, COPY_BYTES):
                part = memoryview(bytearray(min(COPY_BYTES, span.length - offset)))
                if not self._parts.read(piece_index, in_piece + offset, [part]):
                    return                              # the file was cut off: what is missing will come from peers
                self._write_if_other(span.file_index, span.offset_in_file + offset, part)
                yield len(part)
        if not self._is_partly_skipped(piece_index):
            self._parts.let_go((piece_index,))

    def let_go_parts(self, piece_index: PieceIndex) -> None:
        """What the parts file has of this piece is wrong."""
        self._parts.let_go((piece_index,))

    def _write_if_other(self, file_index: int, offset: int, part: memoryview) -> None:
        there = memoryview(bytearray(len(part)))
        with self._errors("write", file_index), self._writable(file_index) as fd:
            if read_all(fd, [there], offset) and there == part:
                return
            write_all(fd, part, offset)
        with self._lock:
            self._unsynced.add(file_index)

    def remove_parts(self) -> None:
        """The user does not want the torrent any more: nor what is kept of skipped files."""
        if self._parts is not None:
            self._parts.remove()

    def _is_partly_skipped(self, piece_index: PieceIndex) -> bool:
        layout = self.info.layout
        spans = self._spans(piece_index * layout.piece_length, layout.piece_size(piece_index))
        return any(span.file_index in self._skipped for span in spans)

    # ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def name_of(self, file_index: int) -> str:
        """Return the path of a file as people know it: below the download folder."""
        return "/".join(path_parts(self.info, self._files[file_index]))

    def check_names(self) -> None:
        """Raises StorageError for the first name that the file system of the download folder cannot hold."""
        longest = longest_name(self.folder)
        for file_index, file in enumerate(self._files):
            parts = path_parts(self.info, file)
            if not file.padding and file_index not in self._skipped and max(len(name_on_disk(part)) for part in parts) > longest:
                raise storage_error("write", parts, self.folder, OSError(errno.ENAMETOOLONG, "file name too long"))

    def folder_exists(self, file_index: int) -> bool:
        """The folder in which a file lies, or would lie, is there."""
        with self._errors("read", file_index):
            return folder_below_exists(self.folder, path_parts(self.info, self._files[file_index])[:-1])

    def size_on_disk(self, file_index: int) -> int | None:
        """Return the size of a file as it lies on the disk; None: there is none. What lies in the way of a skipped file is no fault."""
        try:
            with self._errors("read", file_index):
                return size_below(self.folder, path_parts(self.info, self._files[file_index]))
        except StorageError:
            if file_index in self._skipped:
                return None
            raise

    @contextmanager
    def reading(self, file_index: int) -> Iterator[int]:
        """Give a descriptor of a file to read from; the caller's OSError becomes a StorageError, too."""
        with self._errors("read", file_index), self._readable(file_index) as fd:
            yield fd

    def _spans(self, start: int, length: int) -> Iterator[FileSpan]:
        if not length:
            return
        if len(self._files) == 1:
            yield FileSpan(0, start, length)
        else:
            yield from file_spans(self._files, start, length)

    def _read(self, piece_index: PieceIndex, offset: int, views: Sequence[Buffer]) -> int | None:
        """Fill `views`; return the index of the first file that is too short for that, or None."""
        views = [memoryview(view) for view in views]
        length = sum(len(view) for view in views)
        if self._parts is not None and self._parts.read(piece_index, offset, views):
            return None
        for span in self._spans(piece_index * self.info.layout.piece_length + offset, length):
            part, views = (views, []) if span.length == length else split(views, span.length)
            if self._files[span.file_index].padding:
                for view in part:
                    view[:] = bytes(len(view))
                continue
            with self.reading(span.file_index) as fd:
                if not read_all(fd, part, span.offset_in_file):
                    return span.file_index
        return None

    def _readable(self, file_index: int) -> AbstractContextManager[int]:
        if self._open_files.is_open(self, (file_index, "rw")):
            return self._open_files.borrow(self, (file_index, "rw"), self._opener(file_index, os.O_RDWR, create=False))
        return self._open_files.borrow(self, (file_index, "r"), self._opener(file_index, os.O_RDONLY, create=False))

    def _writable(self, file_index: int) -> AbstractContextManager[int]:
        return self._open_files.borrow(self, (file_index, "rw"), self._opener(file_index, os.O_RDWR, create=True))

    def _opener(self, file_index: int, flags: int, create: bool) -> Callable[[], int]:
        def open_file() -> int:
            parts = path_parts(self.info, self._files[file_index])
            fd, is_new = open_below(self.folder, parts, flags, create)
            if is_new:
                with self._lock:
                    self._new_folders.update(parts[:depth] for depth in range(len(parts)))
            return fd
        return open_file

    @contextmanager
    def _errors(self, verb: str, file_index: int) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise storage_error(verb, path_parts(self.info, self._files[file_index]), self.folder, error) from None
