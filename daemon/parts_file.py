"""PartsFile: the pieces that wanted files share with skipped ones, whole, in one hidden file in the download folder.

A skipped file is neither made nor written to. A piece that reaches into one is kept here as a whole, beside what of it lies in the
wanted files: so it can be hashed, served, and copied into a file that becomes wanted, whatever else was chosen since.

    byte 0            magic, version, piece length, number of pieces, info hash, CRC-32 of all that; zeros up to byte 64
    byte 64           for each piece 4 bytes, big-endian: 0 = not here, n = it is in slot n - 1
    DATA_ALIGNMENT …  slots of one piece length each

After a crash at any moment an entry of the table is right: it is written when the slot's bytes are durable, and a slot is used again
when the end of its entry is durable. A piece that is let go is read elsewhere from then on, and leaves the file with the
next `sync`. The file shrinks from its end, and is removed when nothing is left in it.
"""

import os
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from gevent.monkey import get_original

from daemon.file_bytes import Buffer, make_durable, read_all, write_all
from daemon.open_files import OpenFiles
from daemon.safe_path import open_below, remove_below, storage_error, sync_folder
from protocol.errors import StorageError
from protocol.metainfo import Info
from protocol.piece_layout import PieceIndex

MAGIC: Final = b"EVSWPART"
VERSION: Final = 1
TABLE_START: Final = 64
DATA_ALIGNMENT: Final = 4_096
ENTRY_BYTES: Final = 4
_HEAD: Final = struct.Struct(">8sIII20s")
_CHECKSUM: Final = struct.Struct(">I")


class PartsFile:
    """Of one torrent. Thread-safe; blocks, for native threads only, but for `holds`. Raises StorageError that names the file."""

    def __init__(self, folder: str, info: Info, open_files: OpenFiles) -> None:
        layout = info.layout
        self.name = f".{info.info_hash.hex()}.evenswarm-parts"
        self._folder = folder
        self._open_files = open_files
        self._piece_length = layout.piece_length
        self._num_pieces = layout.num_pieces
        head = _HEAD.pack(MAGIC, VERSION, layout.piece_length, layout.num_pieces, info.info_hash)
        self._head = head + _CHECKSUM.pack(zlib.crc32(head))
        self._data_start = -(-(TABLE_START + ENTRY_BYTES * layout.num_pieces) // DATA_ALIGNMENT) * DATA_ALIGNMENT
        self._lock = get_original("_thread", "allocate_lock")()
        self._slots: dict[int, int] = {}                # by piece
        self._free: set[int] = set()                    # slots before the end of the file that nothing refers to
        self._new: set[int] = set()                     # pieces whose entry is not written yet
        self._let_go: set[int] = set()                  # pieces whose entry is not cleared yet
        self._has_head = False

    def holds(self, piece_index: int) -> bool:
        """The piece can be read here."""
        return piece_index in self._slots and piece_index not in self._let_go

    @property
    def pieces(self) -> list[PieceIndex]:
        """Those that it holds, in order."""
        with self._lock:
            return [PieceIndex(piece_index) for piece_index in sorted(self._slots.keys() - self._let_go)]

    @property
    def needs_sync(self) -> bool:
        """Something is not durable yet."""
        return bool(self._new or self._let_go)

    @property
    def is_empty(self) -> bool:
        """There is no file."""
        return not self._slots and not self._has_head

    def load(self) -> None:
        """Find out what the file on the disk holds."""
        with self._lock:
            for state in (self._slots, self._free, self._new, self._let_go):
                state.clear()
            self._has_head = False
            try:
                self._do("read", self._load)
            except FileNotFoundError:
                return
            if not self._slots:                         # we died before something came into it, or before it was removed
                self._make_room(set())

    def write(self, piece_index: PieceIndex, piece: Buffer) -> None:
        """Keep a whole piece."""
        with self._lock:
            slot = self._slots.get(piece_index)
            if slot is None:
                slot = min(self._free, default=len(self._slots) + len(self._free))

            def write(fd: int) -> None:
                if not self._has_head:
                    os.ftruncate(fd, self._data_start)
                    write_all(fd, memoryview(self._head), 0)
                    self._has_head = True
                write_all(fd, memoryview(piece), self._offset_of(slot))

            self._do("write", write, create=True)
            self._free.discard(slot)
            self._slots[piece_index] = slot
            self._let_go.discard(piece_index)
            self._new.add(piece_index)

    def read(self, piece_index: PieceIndex, offset: int, views: Sequence[Buffer]) -> bool:
        """Fill `views` with the bytes from `offset` of the piece on; False if it is not here."""
        with self._lock:
            if not self.holds(piece_index):
                return False
            start = self._offset_of(self._slots[piece_index]) + offset
            try:
                return self._do("read", lambda fd: read_all(fd, [memoryview(view) for view in views], start))
            except FileNotFoundError:                   # somebody removed it
                return False

    def let_go(self, pieces: Iterable[int]) -> None:
        """These are not needed here any more; or they are not right."""
        with self._lock:
            self._let_go.update(self._slots.keys() & set(pieces))

    def to_let_go(self) -> set[int]:
        """What was let go until now: for `sync`, once their other copies are durable."""
        with self._lock:
            return set(self._let_go)

    def sync(self, gone: set[int]) -> None:
        """Make durable what was written before, and make room where the pieces in `gone` lay, if they are still let go."""
        with self._lock:
            new, gone = self._new - self._let_go, gone & self._let_go
        if not new and not gone:
            return
        try:
            self._do("write", make_durable)             # bytes before entries
            with self._lock:
                gone &= self._let_go
                self._do("write", lambda fd: self._write_entries(fd, new, gone))
            self._do("write", make_durable)             # the end of entries before their slots are used again
        except FileNotFoundError:
            name = self.name
            raise StorageError(f"cannot write {name}: it is gone (in {self._folder}; another program removed it: check the torrent again)") from None
        with self._lock:
            self._new -= new
            self._make_room(gone)
        try:
            sync_folder(self._folder, ())
        except OSError as error:
            raise storage_error("write", (self.name,), self._folder, error) from None

    def remove(self) -> None:
        """Take the file from the disk, with all that is in it."""
        with self._lock:
            self._slots.clear()
            self._let_go.clear()
            self._make_room(set())

    def close(self) -> None:
        """Close the file. It is opened again when it is needed again."""
        self._open_files.close_all_of(self)

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _offset_of(self, slot: int) -> int:
        return self._data_start + slot * self._piece_length

    def _load(self, fd: int) -> None:
        head = os.pread(fd, len(self._head), 0)
        if head != self._head:
            if self._head.startswith(head.rstrip(b"\0")):        # it was made, and nothing came of it
                return
            raise StorageError(f"cannot read {self.name}: it holds no parts of this torrent, or is damaged (in {self._folder}; move it away)")
        self._has_head = True
        table = os.pread(fd, ENTRY_BYTES * self._num_pieces, TABLE_START)
        table = table[:len(table) // ENTRY_BYTES * ENTRY_BYTES]
        most_slots = -(-max(os.fstat(fd).st_size - self._data_start, 0) // self._piece_length)
        taken: set[int] = set()
        damaged: set[int] = set()
        for piece_index, (entry,) in enumerate(struct.iter_unpack(">I", table)):
            if entry > most_slots or entry in taken:
                damaged.add(piece_index)
            elif entry:
                self._slots[piece_index] = entry - 1
                taken.add(entry)
        self._free = {slot for slot in range(max(taken, default=0)) if slot + 1 not in taken}
        if damaged:                                     # or they would come to mean a slot that is used later
            self._write_entries(fd, set(), damaged)
            make_durable(fd)

    def _write_entries(self, fd: int, present: set[int], absent: set[int]) -> None:
        for piece_index in sorted(present | absent):
            entry = 0 if piece_index in absent else self._slots[piece_index] + 1
            write_all(fd, memoryview(entry.to_bytes(ENTRY_BYTES, "big")), TABLE_START + ENTRY_BYTES * piece_index)

    def _make_room(self, gone: set[int]) -> None:
        for piece_index in gone:
            self._let_go.discard(piece_index)
            self._new.discard(piece_index)
            self._free.add(self._slots.pop(piece_index))
        if not self._slots:
            self._open_files.close_all_of(self)
            self._free.clear()
            self._new.clear()
            self._has_head = False
            try:
                remove_below(self._folder, (self.name,))
            except FileNotFoundError:
                return
            except OSError as error:
                raise storage_error("remove", (self.name,), self._folder, error) from None
            return
        end = max(self._slots.values()) + 1
        if any(slot >= end for slot in self._free):
            self._free = {slot for slot in self._free if slot < end}
            self._do("write", lambda fd: os.ftruncate(fd, self._offset_of(end)))

    def _do(self, verb: str, job: Callable[[int], Any], create: bool = False) -> Any:
        """Return `job(descriptor)`. Raises FileNotFoundError if there is no such file, which `create` makes."""
        try:
            with self._opened(create) as fd:
                return job(fd)
        except OSError as error:
            if isinstance(error, (FileNotFoundError, NotADirectoryError)) and not create:
                raise FileNotFoundError(self.name) from error   # where a file lies in place of the folder, what we write will say so
            raise storage_error(verb, (self.name,), self._folder, error) from None

    def _opened(self, create: bool) -> AbstractContextManager[int]:
        return self._open_files.borrow(self, "parts", lambda: open_below(self._folder, (self.name,), os.O_RDWR, create)[0])
