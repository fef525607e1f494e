"""WatchedPeers: the rows of peers of one torrent that somebody looks at, as its actor told them."""

from typing import Final

from actors.feed_table import FeedTable
from actors.peer_rows import as_of
from actors.snapshots import DisplayPeer, PeerDifference

FIGURES: Final = frozenset(("connection",))             # all that changed in a row


class WatchedPeers:
    """`looked_at` is the moment at which somebody looked last; `told_version` what to ask the torrent's actor from."""

    def __init__(self, looked_at: float, version: int) -> None:
        self.looked_at = looked_at
        self.told_version = 0
        self._table: FeedTable[str] = FeedTable(version)

    @property
    def has_changed(self) -> bool:
        """Tell whether there is something to commit."""
        return self._table.has_changed

    def take(self, difference: PeerDifference) -> None:
        """The torrent's actor told this. What does not fit to what is known is not taken, and all is asked for the next time."""
        table = self._table
        if difference.from_version == 0:
            for key in table.rows.keys() - {row.key for row in difference.changed}:
                table.remove(key)
        elif difference.from_version != self.told_version:
            self.told_version = 0
            return
        for row in difference.changed:
            table.put(row.key, row)
        for row in difference.moving:
            table.put(row.key, row, FIGURES)
        for key in difference.removed:
            table.remove(key)
        self.told_version = difference.to_version

    def commit(self, version: int) -> None:
        """These are the rows of that version of the feed."""
        self._table.commit(version)

    def all(self, now: float) -> tuple[DisplayPeer, ...]:
        """Return all rows, their seconds as of now."""
        return tuple(as_of(row, now) for row in self._table.rows.values())

    def since(self, version: int, to_version: int, now: float) -> PeerDifference | None:
        """Return what changed after `version` of the feed; None when nothing did."""
        changes, rows = self._table.since(version) if version else None, self._table.rows
        if changes is None:
            return PeerDifference(0, to_version, self.all(now))
        if not changes:
            return None
        return PeerDifference(
            version, to_version,
            tuple([rows[key] for key, parts in changes.items() if parts is None and key in rows]),
            tuple([rows[key] for key, parts in changes.items() if parts is not None and key in rows]),
            tuple([key for key in changes if key not in rows]),
        )
