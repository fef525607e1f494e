"""FileHistory: which of a torrent's files nobody but us can have changed since its verified pieces were recorded.

A record says how each file looked (size, mtime) when its pieces were synced, and when that was. Of a file that looks otherwise now:

- The torrent was at rest, or complete: we wrote nothing after the record, so somebody else did. None of its pieces is believed.
- It was downloading until this client was killed: then we wrote after the record, for at most as long as records take, and a file only
  grows by that. What fits this picture was us: its recorded pieces are believed, the others are read. Anything else was not us.

Pieces cross files, so what is asked is asked for a place among the torrent's bytes; files are judged in their order.
"""

import os
import time
from typing import Final

from protocol.daemon_messages import FilesSeen, FileState, KnownFiles

# How long we may have gone on writing after the last record: 5 s to the next sync, a slow disk's fdatasync, the store's second.
UNRECORDED_SECONDS: Final = 30
NANOSECONDS: Final = 1_000_000_000
_MOST: Final = (1 << 63) - 1                            # of an mtime in a record; some file systems reach further


class FileHistory:
    """`judge` files in order; a piece may be asked about once all files that begin before its end are judged."""

    def __init__(self, known: KnownFiles | None) -> None:
        self._known = known                             # None: nothing was recorded but the pieces themselves
        self._recorded = {} if known is None else {state.file_index: state for state in known.files}
        self._foreign_end = 0                           # where the last file ends that somebody else changed
        self._changed_end = 0                           # … that anybody changed

    def judge(self, file_index: int, end: int, state: FileState | None) -> None:
        """This file, which ends at byte `end` of the torrent, looks like this; None: it is not there."""
        if self._known is None or state == self._recorded.get(file_index):
            return
        self._changed_end = end
        if not self._can_be_ours(self._recorded.get(file_index), state):
            self._foreign_end = end

    def _can_be_ours(self, before: FileState | None, now: FileState | None) -> bool:
        if self._known.is_settled or now is None:
            return False
        if before is not None and (now.size < before.size or now.changed_at < before.changed_at):
            return False
        return now.changed_at <= self._known.recorded_at + UNRECORDED_SECONDS * NANOSECONDS

    def is_trusted(self, start: int) -> bool:
        """Tell whether nobody else changed a file from byte `start` of the torrent on, as far as they are judged."""
        return start >= self._foreign_end

    def is_unchanged(self, start: int) -> bool:
        """Tell whether what was not recorded as right cannot have become right from byte `start` on."""
        return self._known is not None and self._known.is_settled and start >= self._changed_end


def state_of(file_index: int, found: os.stat_result) -> FileState:
    """How it looks, as it is recorded."""
    return FileState(file_index, found.st_size, max(-_MOST, min(found.st_mtime_ns, _MOST)))


def files_seen(info_hash: bytes, files: list[FileState], is_all: bool) -> FilesSeen:
    """What is told to the engine, now."""
    return FilesSeen(info_hash, time.time_ns(), is_all, files)
