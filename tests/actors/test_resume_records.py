"""What a client remembers: written, read after a restart, and what becomes of it when the files are damaged."""

import shutil
import sqlite3
from dataclasses import replace

import pytest

from actors import messages as m
from actors.resume_data import ResumeData
from actors.resume_records import ResumeRecords
from protocol.daemon_messages import FileState
from protocol.errors import StorageError
from protocol.metainfo import build_metainfo, parse_metainfo
from protocol.peer_address import PeerAddress
from scheduler.file_selection import NORMAL, SKIP, FileSelection

PIECE = 1 << 14
PEERS = (PeerAddress("192.0.2.1", 6881), PeerAddress("2001:db8::1", 6882))
CHOSEN = FileSelection(bytes([SKIP, NORMAL]), sequential=True)
FILES = (FileState(0, 3 * PIECE, 5), FileState(1, 17, -6))


def order(number=0, **more):
    info = {b"name": b"t%d" % number, b"piece length": PIECE, b"pieces": bytes(20 * 10),
            b"files": [{b"path": [b"a"], b"length": 9 * PIECE}, {b"path": [b"b"], b"length": PIECE}]}
    metainfo = parse_metainfo(build_metainfo(info, (("http://t/",),), (), "", "", None), "x")
    return m.AddTorrent(metainfo, **{"folder": "/downloads", "source": f"t{number}.torrent", **more})


def hash_of(order):
    return order.metainfo.info.info_hash


def pieces(order, verified=b"\xe0\0", recorded_at=7, is_settled=True, files=FILES, is_all=True):
    return m.RememberPieces(hash_of(order), verified, recorded_at, is_settled, files, is_all)


@pytest.fixture
def records(tmp_path):
    return Started(tmp_path / "data")


class Started:
    """One client after the other on the same folder."""

    def __init__(self, folder):
        self.folder = folder
        self.database = folder / "resume.sqlite3"
        self.current = None
        self.notices = ()

    def load(self):
        """End the client as a kill would, start the next one, return what it knows: name → order."""
        self.current = ResumeRecords(self.folder, "/default")
        loaded = {order.metainfo.info.name: order for order in self.current.load()}
        self.notices = self.current.notices()
        return loaded

    def write(self, *facts):
        self.current.write(list(facts))

    def filled(self, number=3):
        """Load, and remember so many torrents."""
        self.load()
        orders = [order(index, priority="high", start=index % 2 == 0, folder=f"/d{index}", selection=CHOSEN) for index in range(number)]
        self.write(*map(m.RememberTorrent, orders), *map(pieces, orders))
        return orders

    def aside(self):
        return [file.name for file in self.folder.iterdir() if "-damaged-" in file.name and not file.name.endswith(("-wal", "-shm"))]


def test_a_new_folder_knows_nothing_and_says_nothing(records):
    assert records.load() == {} and records.notices == ()


def test_what_was_wanted_and_found_of_a_torrent_comes_back(records):
    records.load()
    given = order(priority="low", start=False, folder="/d/\udcff", source="x\udc80.torrent", selection=CHOSEN)
    records.write(
        m.RememberTorrent(given), pieces(given), m.RememberTotals(hash_of(given), 1 << 62, 2, 3), m.RememberPeers(hash_of(given), PEERS),
    )
    resume = ResumeData(b"\xe0\0", 7, True, FILES, 1 << 62, 2, 3, PEERS)
    assert records.load() == {"t0": replace(given, source="x?.torrent", resume=resume)}


def test_torrents_come_back_in_the_order_in_which_they_were_added(records):
    records.load()
    records.write(*(m.RememberTorrent(order(number)) for number in (5, 1, 3)))
    assert list(records.load()) == ["t5", "t1", "t3"]


def test_news_replace_what_was_known_and_leave_the_rest(records):
    first, *_ = records.filled()
    records.write(m.RememberTorrent(replace(first, start=False, folder="/moved")))
    records.write(pieces(first, verified=b"\xf0\0", is_settled=False, files=(FileState(1, 18, 9),), is_all=False))
    loaded = records.load()["t0"]
    assert (loaded.start, loaded.folder, loaded.resume.verified, loaded.resume.is_settled) == (False, "/moved", b"\xf0\0", False)
    assert loaded.resume.files == (FILES[0], FileState(1, 18, 9))


def test_a_file_that_is_not_there_any_more_is_forgotten(records):
    first, *_ = records.filled()
    records.write(pieces(first, files=FILES[1:], is_all=True))
    assert records.load()["t0"].resume.files == FILES[1:]


def test_a_removed_torrent_does_not_come_back_whatever_is_said_of_it_later_but_its_bytes_count(records):
    first, *_ = records.filled()
    records.write(m.RememberTotals(hash_of(first), 10, 20, 30))
    records.write(m.ForgetTorrent(hash_of(first)))
    records.write(pieces(first), m.RememberTotals(hash_of(first), 1, 1, 1), m.RememberPeers(hash_of(first), PEERS))
    assert list(records.load()) == ["t1", "t2"]
    assert not (records.folder / "torrents" / f"{hash_of(first).hex()}.torrent").exists()
    assert records.current._database.statistics() == {"downloaded": 10, "uploaded": 20, "wasted": 30}


def test_a_torrent_that_is_added_again_begins_anew(records):
    first, *_ = records.filled()
    records.write(m.ForgetTorrent(hash_of(first)), m.RememberTorrent(first))
    assert records.load()["t0"].resume == ResumeData()


# ── damage ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def overwrite(start, data):
    def damage(file):
        with open(file, "r+b") as stream:
            stream.seek(start)
            stream.write(data)
    return damage


def sql(*statements):
    def damage(file):
        with sqlite3.connect(file) as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()
    return damage


def cut(num_bytes):
    def damage(file):
        with open(file, "r+b") as stream:
            stream.truncate(num_bytes)
    return damage


@pytest.mark.parametrize("damage", [
    pytest.param(lambda file: file.write_bytes(b"garbage" * 5_000), id="garbage"),
    pytest.param(lambda file: file.write_bytes(b"\0" * 20_000), id="zeros"),
    pytest.param(cut(5_000), id="truncated"),
    pytest.param(cut(100), id="truncated to its header"),
    pytest.param(overwrite(4_096, b"\xff" * 4_096), id="a page overwritten"),
    pytest.param(overwrite(0, b"\0" * 100), id="the header overwritten"),
    pytest.param(sql("PRAGMA user_version = 2"), id="a newer version"),
    pytest.param(sql("PRAGMA application_id = 5"), id="another program's"),
    pytest.param(sql("DROP TABLE file"), id="a table missing"),
    pytest.param(sql("ALTER TABLE torrent RENAME COLUMN folder TO place"), id="a column missing"),
    pytest.param(sql("UPDATE torrent SET downloaded = 'many'"), id="a number that is none"),
])
def test_a_damaged_database_is_put_aside_and_rebuilt_from_the_copies_with_what_was_wanted(records, damage):
    orders = records.filled()
    records.current.close()
    damage(records.database)
    loaded = records.load()
    assert {name: replace(order, resume=None) for name, order in loaded.items()} == {order.metainfo.info.name: order for order in orders}
    assert all(order.resume == ResumeData() for order in loaded.values())       # so everything is checked
    assert len(records.aside()) == 1
    (notice,) = records.notices
    assert records.aside()[0] in notice and "3 torrents are read from" in notice
    records.write(pieces(orders[0]))
    assert records.load()["t0"].resume.verified == b"\xe0\0" and records.notices == ()


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(b"")], ids=["gone", "empty"])
def test_without_a_database_the_copies_are_taken_up_and_the_user_hears_of_it(records, damage):
    records.filled()
    records.current.close()
    damage(records.database)
    assert len(records.load()) == 3
    assert "was empty; 3 torrents are read from" in records.notices[0]


@pytest.mark.parametrize("statement", [
    "UPDATE torrent SET verified = x'e0'", "UPDATE torrent SET verified = x'e001'", "UPDATE torrent SET verified = x''", "UPDATE torrent SET recorded_at = 0",
    "UPDATE torrent SET verified = 'text'",
])
def test_pieces_that_cannot_be_lead_to_a_check_of_that_torrent(records, statement):
    records.filled(1)
    records.current.close()
    sql(statement)(records.database)
    resume = records.load()["t0"].resume
    assert resume.verified == b"" and not records.aside()


@pytest.mark.parametrize(("statement", "key", "value"), [
    ("UPDATE torrent SET priority = 'highest'", "priority", "normal"),
    ("UPDATE torrent SET file_priorities = x'01'", "selection", FileSelection()),
    ("UPDATE torrent SET file_priorities = x'0109'", "selection", FileSelection()),
    ("UPDATE torrent SET peers = '[1'", "peers", ()),
    ("UPDATE torrent SET peers = '[\"192.0.2.1:6881\", \"nonsense\"]'", "peers", PEERS[:1]),
])
def test_other_values_that_cannot_be_are_left_out(records, statement, key, value):
    records.filled(1)
    records.current.close()
    sql(statement)(records.database)
    loaded = records.load()["t0"]
    assert getattr(loaded.resume if key == "peers" else loaded, key) == value


def test_a_damaged_copy_is_named_and_costs_nobody_else_anything(records):
    first, second, _ = records.filled()
    file = records.folder / "torrents" / f"{hash_of(first).hex()}.torrent"
    good = file.read_bytes()
    file.write_bytes(good[:-10])
    assert list(records.load()) == ["t1", "t2"]
    assert str(file) in records.notices[0] and "t0.torrent cannot be loaded" in records.notices[0]
    file.write_bytes(good)                              # put back: nothing was forgotten
    assert records.load()["t0"].resume.verified == b"\xe0\0"
    shutil.copy(records.folder / "torrents" / f"{hash_of(second).hex()}.torrent", file)
    assert list(records.load()) == ["t1", "t2"] and "its info hash is" in records.notices[0]


def test_a_kill_while_a_torrent_is_added_or_removed_leaves_it_whole_or_gone(records):
    first, second, _ = records.filled()
    records.current._copies.remove(hash_of(first))      # killed after the first half of a removal
    assert list(records.load()) == ["t1", "t2"] and list(records.load()) == ["t1", "t2"]
    records.current._database.write([m.ForgetTorrent(hash_of(second))])     # as if killed after the first half of adding it
    assert sorted(records.load()) == ["t1", "t2"] and sorted(records.load()) == ["t1", "t2"]
    assert records.notices == ()


def test_a_foreign_torrent_among_the_copies_is_looked_for_in_the_default_folder(records):
    given = order()
    info = {b"name": b"t0", b"piece length": PIECE, b"pieces": bytes(20 * 10),
            b"files": [{b"path": [b"a"], b"length": 9 * PIECE}, {b"path": [b"b"], b"length": PIECE}]}
    copies = records.folder / "torrents"
    copies.mkdir(parents=True)
    (copies / f"{hash_of(given).hex()}.torrent").write_bytes(build_metainfo(info, (), (), "", "", None))
    (copies / "README").write_text("no torrent")
    assert records.load()["t0"].folder == "/default"


# ── a disk that does not take it ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_folder_that_cannot_be_used_is_an_error_and_nothing_is_put_aside(tmp_path):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(StorageError, match="data"):
        list(ResumeRecords(tmp_path / "data", "/default").load())


def test_a_database_that_another_program_holds_is_an_error_and_nothing_is_put_aside(records, monkeypatch):
    monkeypatch.setattr("actors.resume_database.BUSY_SECONDS", 0.0)
    records.filled()
    records.current.close()
    with sqlite3.connect(records.database) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError, match="locked"):
            records.load()
    other.close()
    assert not records.aside() and len(records.load()) == 3


def test_facts_that_could_not_be_written_can_be_given_again(records):
    first, *_ = records.filled()
    copies = records.folder / "torrents"
    new = order(7)
    blocked = copies / f"{hash_of(new).hex()}.torrent.new"
    blocked.mkdir()
    facts = (m.RememberTorrent(new), pieces(first, verified=b"\xff\0"))
    with pytest.raises(StorageError, match="cannot write"):
        records.write(*facts)
    blocked.rmdir()
    records.write(*facts)
    loaded = records.load()
    assert loaded["t0"].resume.verified == b"\xff\0" and "t7" in loaded
