"""ResumeDatabase: what is remembered of torrents, in one SQLite file (WAL). Everything here blocks; one thread at a time.

A commit survives the death of this process at any moment; of those of the last moments before a power cut some may be missing, but never
a part of one (synchronous=NORMAL). That is the safe side: data is durable before it is recorded.

A file that is no database of ours, is damaged or was written by a newer version is put aside under another name and a new one is begun.
A disk that is full or may not be written is no damage: that is an error, and nothing is thrown away for it.
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from actors import messages as m
from protocol.daemon_messages import FileState
from protocol.errors import StorageError

VERSION: Final = 1
APPLICATION_ID: Final = 0x45575352                      # "EWSR"
BUSY_SECONDS: Final = 2.0                               # somebody looks into it with another program
DAMAGED: Final = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_MISMATCH))

SCHEMA: Final = """
CREATE TABLE torrent (
    id INTEGER PRIMARY KEY,
    info_hash BLOB NOT NULL UNIQUE,
    source TEXT NOT NULL,
    folder BLOB NOT NULL,               -- as the file system has it
    priority TEXT NOT NULL,
    start INTEGER NOT NULL,             -- the user wants it to run
    file_priorities BLOB NOT NULL,      -- one byte a file, empty: all alike
    sequential INTEGER NOT NULL,
    first_last_first INTEGER NOT NULL,
    added_at INTEGER NOT NULL,          -- seconds since 1970
    verified BLOB NOT NULL DEFAULT x'', -- bitfield of durable pieces
    recorded_at INTEGER NOT NULL DEFAULT 0,
    is_settled INTEGER NOT NULL DEFAULT 0,
    downloaded INTEGER NOT NULL DEFAULT 0,
    uploaded INTEGER NOT NULL DEFAULT 0,
    wasted INTEGER NOT NULL DEFAULT 0,
    peers TEXT NOT NULL DEFAULT '[]'    -- JSON: ["ip:port", …]
);
CREATE TABLE file (
    torrent INTEGER NOT NULL REFERENCES torrent (id) ON DELETE CASCADE,
    file_index INTEGER NOT NULL,
    size INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,        -- mtime, nanoseconds since 1970
    PRIMARY KEY (torrent, file_index)
) WITHOUT ROWID;
CREATE TABLE statistic (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
REMEMBER_TORRENT: Final = """
INSERT INTO torrent (info_hash, source, folder, priority, start, file_priorities, sequential, first_last_first, added_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (info_hash) DO UPDATE SET source = excluded.source, folder = excluded.folder, priority = excluded.priority, start = excluded.start,
    file_priorities = excluded.file_priorities, sequential = excluded.sequential, first_last_first = excluded.first_last_first
"""


class TorrentRow(msgspec.Struct, frozen=True):
    """A row of the table."""

    id: int
    info_hash: bytes
    source: str
    folder: bytes
    priority: str
    start: bool
    file_priorities: bytes
    sequential: bool
    first_last_first: bool
    added_at: int
    verified: bytes
    recorded_at: int
    is_settled: bool
    downloaded: int
    uploaded: int
    wasted: int
    peers: str


READ_TORRENTS: Final = f"SELECT {', '.join(TorrentRow.__struct_fields__)} FROM torrent ORDER BY id"
READ_FILES: Final = "SELECT file_index, size, changed_at FROM file WHERE torrent = ?"
READ_STATISTICS: Final = "SELECT name, value FROM statistic"


class ResumeDatabase:
    """The file `path`. `open` it first. Every method raises StorageError, after which nothing of what it was to do is done."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    def open(self) -> str:
        """Return '' when all is well, or what became of a file that cannot be used: a sentence for the user."""
        with self._errors("open"):
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                self._connect()
                return ""
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                reason = str(error)
            notice = self.put_aside(reason)
            self._connect()
            return notice

    def _connect(self) -> None:
        self.close()
        self.path.touch(mode=0o600)                     # SQLite would let others read it
        self._connection = connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "trusted_schema = OFF", "cell_size_check = ON"):
            connection.execute(f"PRAGMA {pragma}")
        if connection.execute("PRAGMA schema_version").fetchone() == (0,):
            with self._transaction():
                for statement in SCHEMA.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {VERSION}")
            return
        ours, version = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
        if ours != APPLICATION_ID:
            raise Damaged("it is the database of another program")
        if version != VERSION:
            raise Damaged(f"it has format {version}, this version of the program knows {VERSION}")
        if (found := connection.execute("PRAGMA quick_check(1)").fetchone()) != ("ok",):
            raise Damaged(str(found[0]))
        try:
            for query in (f"{READ_TORRENTS} LIMIT 0", READ_FILES, READ_STATISTICS):
                connection.execute(query.replace("?", "0"))
        except sqlite3.OperationalError as error:       # no such table, no such column
            raise (Damaged(str(error)) if error.sqlite_errorcode == sqlite3.SQLITE_ERROR else error) from None

    def put_aside(self, reason: str) -> str:
        """Give the file another name, and begin anew with the next `open`; return the sentence for the user."""
        self.close()
        aside = self.path.with_name(f"{self.path.name}-damaged-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}")
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                self.path.with_name(self.path.name + suffix).rename(aside.with_name(aside.name + suffix))
        return f"the database {self.path} cannot be used ({reason}); it was put aside as {aside.name}"

    def close(self) -> None:
        """What was committed stays."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def torrents(self) -> Iterator[tuple[TorrentRow, list[FileState]]]:
        """Yield each torrent's row and the states of its files, in the order they were added."""
        with self._errors("read"):
            for values in self._connection.execute(READ_TORRENTS).fetchall():
                try:
                    row = msgspec.convert(dict(zip(TorrentRow.__struct_fields__, values, strict=True)), TorrentRow, strict=False)
                except msgspec.ValidationError as error:
                    raise Damaged(f"a torrent's row: {error}") from None
                files = self._connection.execute(READ_FILES, (row.id,))
                yield row, [FileState(*state) for state in files]

    def statistics(self) -> dict[str, int]:
        """What is kept of torrents that were removed: bytes `downloaded`, `uploaded`, `wasted`."""
        with self._errors("read"):
            return dict(self._connection.execute(READ_STATISTICS))

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def write(self, facts: Iterable[Any]) -> None:
        """All of them, or none. Facts about torrents that are not there are dropped: they were removed."""
        with self._errors("write"), self._transaction():
            for fact in facts:
                self._write(fact)

    def _write(self, fact: Any) -> None:
        execute = self._connection.execute
        match fact:
            case m.ForgetTorrent():
                execute("""INSERT INTO statistic SELECT name, value FROM (
                    SELECT 'downloaded' AS name, downloaded AS value, info_hash FROM torrent UNION ALL SELECT 'uploaded', uploaded, info_hash FROM torrent
                    UNION ALL SELECT 'wasted', wasted, info_hash FROM torrent) WHERE info_hash = ?
                    ON CONFLICT (name) DO UPDATE SET value = value + excluded.value""", (fact.info_hash,))
                execute("DELETE FROM torrent WHERE info_hash = ?", (fact.info_hash,))
            case m.RememberTorrent():
                order = fact.order
                execute(REMEMBER_TORRENT, (
                    order.metainfo.info.info_hash, printable(order.source), os.fsencode(order.folder), order.priority, order.start,
                    order.selection.priorities, order.selection.sequential, order.selection.first_last_first, int(time.time()),
                ))
            case m.RememberPieces():
                self._write_pieces(fact)
            case m.RememberTotals():
                execute("UPDATE torrent SET downloaded = ?, uploaded = ?, wasted = ? WHERE info_hash = ?", (
                    fact.downloaded, fact.uploaded, fact.wasted, fact.info_hash,
                ))
            case m.RememberPeers():
                peers = msgspec.json.encode([str(peer) for peer in fact.peers]).decode()
                execute("UPDATE torrent SET peers = ? WHERE info_hash = ?", (peers, fact.info_hash))
            case _:
                raise TypeError(f"no fact of the database: {fact!r}")

    def _write_pieces(self, fact: m.RememberPieces) -> None:
        execute = self._connection.execute
        found = execute(
            "UPDATE torrent SET verified = ?, recorded_at = ?, is_settled = ? WHERE info_hash = ? RETURNING id",
            (fact.verified, fact.recorded_at, fact.is_settled, fact.info_hash),
        ).fetchone()
        if found is None:
            return
        if fact.is_all:
            execute("DELETE FROM file WHERE torrent = ?", found)
        self._connection.executemany(
            "INSERT INTO file VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET size = excluded.size, changed_at = excluded.changed_at",
            ((*found, state.file_index, state.size, state.changed_at) for state in fact.files),
        )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            text = error.strerror if isinstance(error, OSError) else str(error)
            raise (DamagedDatabase if is_damage(error) else StorageError)(f"cannot {verb} the database {self.path}: {text}") from None


class Damaged(sqlite3.DatabaseError):
    """What SQLite itself does not find."""


class DamagedDatabase(StorageError):
    """The file must be put aside."""


def is_damage(error: Exception) -> bool:
    """Tell whether the file cannot be used, rather than the disk or the rights to it."""
    code = getattr(error, "sqlite_errorcode", None)
    is_short = code == sqlite3.SQLITE_IOERR_SHORT_READ
    return isinstance(error, Damaged) or is_short or (code is not None and code & 0xFF in DAMAGED)


def printable(text: str) -> str:
    """As the database takes it: without halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode()
