"""ResumeRecords: database, .torrent copies and settings file of one client, as one thing to read from at the start and to write facts to.

Everything here blocks; ResumeStore calls it in a native thread, one call at a time. The order of writes makes each moment a good one to be
killed at: a torrent's copy is durable before its row is there, and gone before its row goes. So a copy without a row is one that was just
being added (or whose database was lost) and is taken up; a row without a copy is one that was just being removed.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from actors import messages as m
from actors.resume_data import ResumeData
from actors.resume_database import DamagedDatabase, ResumeDatabase, TorrentRow, printable
from actors.settings_file import SettingsFile
from actors.torrent_copies import TorrentCopies
from protocol.bitfield import Bitfield
from protocol.daemon_messages import FileState
from protocol.errors import EvenswarmError, StorageError
from protocol.limits import MAX_REMEMBERED_PEERS
from protocol.metainfo import Metainfo
from protocol.metainfo_copy import Wishes, metainfo_copy
from protocol.peer_address import PeerAddress
from scheduler.file_selection import FileSelection

DATABASE = "resume.sqlite3"
COPIES = "torrents"


class ResumeRecords:
    """Of the data folder `folder`. `default_folder`: where downloads are looked for of which nothing but a foreign .torrent is left."""

    def __init__(self, folder: Path, default_folder: str, settings_file: SettingsFile | None = None) -> None:
        self._folder = folder
        self._default_folder = default_folder
        self._settings_file = settings_file
        self._database = ResumeDatabase(folder / DATABASE)
        self._copies = TorrentCopies(folder / COPIES)
        self._notices: list[str] = []

    def notices(self) -> tuple[str, ...]:
        """What the user should know, each sentence once."""
        notices, self._notices = tuple(self._notices), []
        return notices

    def close(self) -> None:
        """The end."""
        self._database.close()

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def load(self) -> Iterator[m.AddTorrent]:
        """Open all, and yield the torrents, those that were added first first. What cannot be used is put aside. Raises StorageError."""
        notice = self._database.open()
        copies = set(self._copies.info_hashes())
        try:
            rows = list(self._database.torrents())
        except DamagedDatabase as error:
            notice, rows = self._database.put_aside(str(error)), []
            self._database.open()
        if not notice and not rows and copies:
            notice = f"the database {self._database.path} was empty"
        if notice:
            self._notices.append(f"{notice}; {len(copies)} torrents are read from {self._copies.folder} and checked")
        for row, files in rows:
            copies.discard(row.info_hash)
            if order := self._order_of_row(row, files):
                yield order
        for info_hash in sorted(copies):
            if order := self._order_of_copy(info_hash):
                yield order

    def _order_of_row(self, row: TorrentRow, files: list[FileState]) -> m.AddTorrent | None:
        info_hash = row.info_hash
        try:
            if not self._copies.file(info_hash).exists():
                self._database.write([m.ForgetTorrent(info_hash)])
                self._notices.append(f"{row.source} is forgotten: {self._copies.file(info_hash)} is not there")
                return None
            metainfo, _ = self._copies.read(info_hash)
        except StorageError as error:
            self._notices.append(f"{row.source} cannot be loaded: {error}; put its .torrent there, or remove it")
            return None
        priority = row.priority if row.priority in m.PRIORITY_WEIGHTS else "normal"
        return m.AddTorrent(
            metainfo, os.fsdecode(row.folder), row.source, priority=priority, start=row.start, selection=selection_of(metainfo, row),
            resume=self._resume(metainfo, row, files),
        )

    def _resume(self, metainfo: Metainfo, row: TorrentRow, files: list[FileState]) -> ResumeData:
        """A row with values that cannot be leads to a check, not to an error."""
        layout, verified, recorded_at = metainfo.info.layout, row.verified, row.recorded_at
        try:
            Bitfield.from_bytes(verified, layout.num_pieces)
        except EvenswarmError:
            verified, recorded_at, files = b"", 0, []
        num_files = len(metainfo.info.files)
        return ResumeData(
            verified if recorded_at else b"", recorded_at, row.is_settled, tuple(state for state in files if 0 <= state.file_index < num_files),
            row.downloaded, row.uploaded, row.wasted, peers_of(row.peers),
        )

    def _order_of_copy(self, info_hash: bytes) -> m.AddTorrent | None:
        try:
            metainfo, wishes = self._copies.read(info_hash)
            wishes = wishes or Wishes(os.fsencode(self._default_folder), metainfo.info.name, "normal", start=True)
            priority = wishes.priority if wishes.priority in m.PRIORITY_WEIGHTS else "normal"
            order = m.AddTorrent(metainfo, os.fsdecode(wishes.folder), wishes.source, priority=priority, start=wishes.start,
                                 selection=selection_of(metainfo, wishes), resume=ResumeData())
            self._database.write([m.RememberTorrent(order)])
        except StorageError as error:
            self._notices.append(f"a torrent cannot be loaded: {error}")
            return None
        return order

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def write(self, facts: list[Any]) -> None:
        """Raises StorageError; then all facts have to be given again."""
        added = False
        for fact in facts:
            if isinstance(fact, m.ForgetTorrent):
                self._copies.remove(fact.info_hash)
            elif isinstance(fact, m.RememberTorrent):
                order = fact.order
                chosen = order.selection
                wishes = Wishes(os.fsencode(order.folder), printable(order.source), order.priority, order.start,
                                chosen.priorities, chosen.sequential, chosen.first_last_first)
                self._copies.write(order.metainfo.info.info_hash, metainfo_copy(order.metainfo, wishes))
                added = True
            elif isinstance(fact, m.RememberSettings) and self._settings_file is not None:
                self._settings_file.change(dict(fact.values))
        if added:
            self._copies.sync()
        facts = [fact for fact in facts if not isinstance(fact, m.RememberSettings)]
        if facts:
            self._database.write(facts)


def selection_of(metainfo: Metainfo, wanted: TorrentRow | Wishes) -> FileSelection:
    """Which files are wanted; all of them, if what is remembered of that cannot be."""
    try:
        selection = FileSelection(wanted.file_priorities, wanted.sequential, wanted.first_last_first)
    except ValueError:
        return FileSelection()
    return selection if selection.fits(len(metainfo.info.files)) else FileSelection()


def peers_of(text: str) -> tuple[PeerAddress, ...]:
    """'["ip:port"]' → addresses; what is none is left out."""
    peers = []
    try:
        for item in msgspec.json.decode(text, type=list[str])[:MAX_REMEMBERED_PEERS]:
            peers.append(PeerAddress.parse(item))
    except (EvenswarmError, ValueError):
        return tuple(peers)
    return tuple(peers)
