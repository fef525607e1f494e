"""Existing data: which pieces of a torrent lie on the disk already, and are right.

Considerations:
- What cannot be there costs nothing: pieces that reach into a file that is missing or too short are passed over, a
  thousand new torrents are looked at in a moment.
- Holes of sparse files read as zeros, and a piece of zeros may be a right one: its hash is compared with that of so
  many zeros, computed once, and nothing is read.
- Pieces that are known to be right and durable are believed if their bytes are still there: the files are long enough
  and have no hole. If it is also known how the files looked when that was recorded (FileHistory), then only those that lie
  in files which nobody but us can have changed since; and of a torrent at rest nothing else is read in unchanged files.
- What is found right and was not known may lie in the kernel's memory only: it is synced before it is told.
- Fair: torrents take turns, STEP_BYTES each. One step at a time is in the thread; stopping a check takes no longer than
  a step.
- Pieces in the parts file (parts_file.py) come first. What of them belongs to wanted files and is not there is copied: this client
  may have died in the middle of that.
- A file that may not be read, or a link where a file should be, is an error: to download over it would be worse.
"""

import errno
import hashlib
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Final

from daemon.disk_pool import DiskThread
from daemon.file_history import FileHistory, state_of
from daemon.piece_store import PieceStore, make_durable
from protocol.bitfield import Bitfield
from protocol.daemon_messages import FileState, KnownFiles
from protocol.piece_layout import PieceIndex, file_spans

STEP_BYTES: Final = 8 << 20                             # read and hashed in one turn: about 10 ms
CHUNK_BYTES: Final = 1 << 20                            # of one read; memory is bounded by this, not by the length of pieces
COST_OF_A_LOOK: Final = 4 << 10                         # what is not read counts like so many bytes that are

ABSENT, HOLE, DATA = range(3)                           # what lies at a range of the torrent's bytes

Finished = Callable[[Bitfield | BaseException], None]


class ExistingDataCheck:
    """The check of one torrent, in steps. `verified` is what was found until now."""

    def __init__(self, store: PieceStore, known: Bitfield, known_files: KnownFiles | None = None) -> None:
        self.verified = Bitfield(store.info.layout.num_pieces)
        self.pieces_checked = 0
        self.files_seen: list[FileState] = []           # those that are there, as they were before they were read
        self._history = FileHistory(known_files)
        self._found_in: set[int] = set()                # files with pieces that were not known
        self._store = store
        self._layout = store.info.layout
        self._known = known
        self._zero_hashes: dict[int, bytes] = {}        # by size
        self._chunk = memoryview(b"")
        self._work = self._check_all()

    def step(self) -> bool:
        """In a native thread: go on for about STEP_BYTES; True when all is checked. Raises StorageError."""
        self._chunk = memoryview(bytearray(min(CHUNK_BYTES, self._layout.piece_length)))
        try:
            left = STEP_BYTES
            for cost in self._work:
                left -= cost
                if left <= 0:
                    return False
            return True
        finally:
            self._chunk = memoryview(b"")               # between its turns a check holds no memory

    def _check_all(self) -> Iterator[int]:
        """Yield the cost of each bit of work."""
        self._store.check_names()
        yield from self._check_parts()
        piece_index, has_data = 0, False
        piece_length, num_pieces = self._layout.piece_length, self._layout.num_pieces
        for kind, end in self._ranges():
            if kind == ABSENT:
                piece_index = max(piece_index, num_pieces if end == self._layout.total_length else -(-end // piece_length))
                has_data = False
            elif piece_index * piece_length < end:
                has_data |= kind == DATA
                while piece_index < num_pieces and piece_index * piece_length + self._layout.piece_size(piece_index) <= end:
                    yield from self._check_piece(PieceIndex(piece_index), has_data)
                    piece_index += 1
                    has_data = kind == DATA and piece_index * piece_length < end
            self.pieces_checked = piece_index
            yield COST_OF_A_LOOK
        self.pieces_checked = num_pieces
        for file_index in sorted(self._found_in):
            with self._store.reading(file_index) as fd:
                make_durable(fd)
            yield COST_OF_A_LOOK

    def _check_parts(self) -> Iterator[int]:
        for piece_index in self._store.load_parts():
            if piece_index in self._known or (yield from self._is_right(piece_index)):
                self.verified.add(piece_index)
                yield from self._store.copy_from_parts(piece_index)
            else:
                self._store.let_go_parts(piece_index)
            yield COST_OF_A_LOOK

    def _is_right(self, piece_index: PieceIndex) -> Generator[int, None, bool]:
        """Read and hash it; yield the cost, return the result."""
        hasher, size = hashlib.sha1(usedforsecurity=False), self._layout.piece_size(piece_index)
        for offset in range(0, size, len(self._chunk)):
            part = self._chunk[:size - offset]
            if not self._store.read_if_there(piece_index, offset, [part]):
                return False                            # it became shorter while we look
            hasher.update(part)
            yield len(part)
        return hasher.digest() == self._store.info.piece_hash(piece_index)

    def _check_piece(self, piece_index: PieceIndex, has_data: bool) -> Iterator[int]:
        self.pieces_checked = piece_index
        if piece_index in self.verified:                # from the parts file
            yield COST_OF_A_LOOK
            return
        size = self._layout.piece_size(piece_index)
        if not has_data:
            is_right = self._store.info.piece_hash(piece_index) == self._zero_hash(size)
            yield COST_OF_A_LOOK
        elif piece_index in self._known and self._history.is_trusted(piece_index * self._layout.piece_length):
            is_right = True
            yield COST_OF_A_LOOK
        elif self._history.is_unchanged(piece_index * self._layout.piece_length):
            is_right = False                            # as it was when that was recorded
            yield COST_OF_A_LOOK
        else:
            is_right = yield from self._is_right(piece_index)
            if is_right:
                files = self._store.info.files
                spans = file_spans(files, piece_index * self._layout.piece_length, size)
                self._found_in.update(span.file_index for span in spans if not files[span.file_index].padding)
        if is_right:
            self.verified.add(piece_index)

    def _ranges(self) -> Iterator[tuple[int, int]]:
        """Yield (ABSENT, HOLE or DATA, where it ends) for all of the torrent's bytes, in order."""
        missing_folders: set[tuple[str, ...]] = set()
        for file_index, file in enumerate(self._store.info.files):
            end = file.offset + file.length
            if file.padding:
                yield HOLE, end
                continue
            size = None
            if file.path[:-1] not in missing_folders:
                size = self._store.size_on_disk(file_index)
                if size is None and not self._store.is_skipped(file_index) and not self._store.folder_exists(file_index):
                    missing_folders.add(file.path[:-1])
            if file.length:
                self._look_at(file_index, end, is_there=size is not None)
            there = min(size or 0, file.length)
            yield from ((kind, file.offset + offset) for kind, offset in self._file_ranges(file_index, there))
            if there < file.length:
                yield ABSENT, end

    def _look_at(self, file_index: int, end: int, is_there: bool) -> None:
        """Judge a file before anything of it is read, so that what changes from now on is seen the next time."""
        state = None
        if is_there:
            with self._store.reading(file_index) as fd:
                state = state_of(file_index, os.fstat(fd))
            self.files_seen.append(state)
        self._history.judge(file_index, end, state)

    def _file_ranges(self, file_index: int, size: int) -> Iterator[tuple[int, int]]:
        """Yield (HOLE or DATA, where it ends) for the first `size` bytes of a file."""
        at = 0
        while at < size:
            with self._store.reading(file_index) as fd:
                data = _next(fd, at, os.SEEK_DATA, size)
                hole = _next(fd, data, os.SEEK_HOLE, size) if data < size else size
            if at < data:
                yield HOLE, data
            if data < hole:
                yield DATA, hole
            at = hole

    def _zero_hash(self, size: int) -> bytes:
        if size not in self._zero_hashes:
            hasher, zeros = hashlib.sha1(usedforsecurity=False), memoryview(bytes(min(size, CHUNK_BYTES)))
            for offset in range(0, size, CHUNK_BYTES):
                hasher.update(zeros[:size - offset])
            self._zero_hashes[size] = hasher.digest()
        return self._zero_hashes[size]


class DataChecker:
    """All checks of one daemon, in turns. Called in the hub."""

    def __init__(self, thread: DiskThread) -> None:
        self._thread = thread
        self._waiting: deque[CheckUnderWay] = deque()
        self._is_busy = False

    def check(self, store: PieceStore, known: Bitfield, finished: Finished, known_files: KnownFiles | None = None) -> "CheckUnderWay":
        """Check what is there; then `finished(the right pieces, or what went wrong)` is called in the hub: no switching."""
        under_way = CheckUnderWay(ExistingDataCheck(store, known, known_files), finished)
        self._waiting.append(under_way)
        self._go_on()
        return under_way

    def _go_on(self) -> None:
        while self._waiting and not self._is_busy:
            under_way = self._waiting.popleft()
            if not under_way.is_stopped:
                self._is_busy = self._thread.submit(under_way.check.step, partial(self._stepped, under_way))
                if not self._is_busy:
                    return                              # the pool is closing

    def _stepped(self, under_way: "CheckUnderWay", result: bool | BaseException) -> None:
        self._is_busy = False
        if result is False:
            self._waiting.append(under_way)
        try:
            if result is not False and not under_way.is_stopped:
                under_way.finished(result if isinstance(result, BaseException) else under_way.check.verified)
        finally:
            self._go_on()


class CheckUnderWay:
    """A check that was asked for."""

    def __init__(self, check: ExistingDataCheck, finished: Finished) -> None:
        self.check = check
        self.finished = finished
        self.is_stopped = False

    @property
    def pieces_checked(self) -> int:
        """How far it is."""
        return self.check.pieces_checked

    @property
    def files_seen(self) -> list[FileState]:
        """The files that are there."""
        return self.check.files_seen

    def stop(self) -> None:
        """`finished` will not be called."""
        self.is_stopped = True


def _next(fd: int, offset: int, what: int, size: int) -> int:
    """Return where the next data or hole begins, at most `size`. A file system that cannot tell has data everywhere."""
    try:
        return min(os.lseek(fd, offset, what), size)
    except OSError as error:
        if error.errno == errno.ENXIO:                  # nothing but a hole from there on, or the file became shorter
            return size
        if error.errno == errno.EINVAL:
            return offset if what == os.SEEK_DATA else size
        raise
