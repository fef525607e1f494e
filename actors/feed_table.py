"""FeedTable: rows that viewers see, and a journal of what changed in the last versions.

The journal is one for all viewers: who has an older version gets the union of what changed since, and nothing is kept for each of them. A
viewer that stops reading costs nothing; when the journal does not reach back to what it has, it is given all rows anew. That is the case
when more changed since than there are rows, so the journal is bounded by them, and the difference would not be smaller.
"""

from collections import deque
from collections.abc import Hashable
from typing import Any, Final, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Parts = frozenset[str] | None                           # names of what changed in a row; None = all of it: it is new, or another one

MIN_JOURNAL: Final = 1_000                              # changes that are kept, however few rows there are: 40 KiB


class FeedTable(Generic[Key]):
    """`rows` is to be read; changed by `put` and `remove` alone."""

    def __init__(self, version: int = 0) -> None:
        self.rows: dict[Key, Any] = {}
        self._changes: dict[Key, Parts] = {}            # since the last commit; of a key that is in no row: it was removed
        self._journal: deque[tuple[int, dict[Key, Parts]]] = deque()    # the oldest first
        self._reaches_back_to = version
        self._num_journal = 0

    def put(self, key: Key, row: Any, parts: Parts = None) -> None:
        """This row is new, or these parts of it are."""
        self._note(key, parts if key in self.rows else None)
        self.rows[key] = row

    def remove(self, key: Key) -> None:
        """There is no such row any more; nothing if there was none."""
        if self.rows.pop(key, None) is not None:
            self._note(key, None)

    def _note(self, key: Key, parts: Parts) -> None:
        before = self._changes.get(key, parts)
        self._changes[key] = parts if before is parts else None if parts is None or before is None else before | parts

    @property
    def has_changed(self) -> bool:
        """Tell whether there is something to commit."""
        return bool(self._changes)

    def commit(self, version: int) -> None:
        """What changed since the last commit makes this version."""
        if not self._changes:
            return
        self._journal.append((version, self._changes))
        self._num_journal += len(self._changes)
        self._changes = {}
        while self._num_journal > max(MIN_JOURNAL, len(self.rows)) and len(self._journal) > 1:
            self._reaches_back_to, forgotten = self._journal.popleft()
            self._num_journal -= len(forgotten)

    def since(self, version: int) -> dict[Key, Parts] | None:
        """Return what changed after `version`, of committed changes; None when that is not known any more: all rows are needed."""
        if version < self._reaches_back_to:
            return None
        newer = []
        for entry in reversed(self._journal):
            if entry[0] <= version:
                break
            newer.append(entry[1])
        if len(newer) == 1:
            return newer[0]
        union: dict[Key, Parts] = {}
        for changes in reversed(newer):
            for key, parts in changes.items():
                before = union.get(key, parts)
                union[key] = None if parts is None or before is None else before | parts
        return union
