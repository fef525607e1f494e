"""Some files of a torrent: nothing else is made, nothing wanted is missing, whatever is chosen when, and whoever is killed."""

import hashlib
import os
import random
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from protocol import daemon_messages as dm
from protocol.bitfield import Bitfield
from protocol.metainfo import parse_metainfo
from scheduler.file_selection import HIGH, LOW, NORMAL, SKIP, FileSelection, piece_wishes
from tests.processes.daemon_process import DaemonProcess
from tests.processes.test_daemon_transfers import libtorrent_add, libtorrent_session, wait_until_seeding
from tests.processes.torrent_files import bencode

PIECE = 1 << 15
SIZES = [100_000, 1, 250_000, 70_000, 0, 300_001, 40_000]


@dataclass(frozen=True)
class ManyFiles:
    """A torrent of several files."""

    info_hash: bytes
    path: Path
    files: dict[str, bytes]

    @property
    def info(self):
        return parse_metainfo(self.path.read_bytes(), "many").info

    @property
    def data(self) -> bytes:
        return b"".join(self.files.values())

    def write(self, folder: Path) -> Path:
        for name, data in self.files.items():
            (folder / "many" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "many" / name).write_bytes(data)
        return folder

    def wanted(self, selection: FileSelection) -> set[int]:
        return set(piece_wishes(self.info.layout, self.info.files, selection).wanted())

    def differences(self, folder: Path, selection: FileSelection) -> list[str]:
        """Wanted files that are not right, and others that are there; the parts file apart."""
        wanted = {name: data for index, (name, data) in enumerate(self.files.items()) if selection.priorities[index:index + 1] != b"\0"}
        found = {path.name: path.read_bytes() for path in (folder / "many").rglob("*") if path.is_file()}
        return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


@pytest.fixture
def torrent(tmp_path):
    rng = random.Random(1)
    files = {f"{number}.bin": rng.randbytes(size) for number, size in enumerate(SIZES)}
    data = b"".join(files.values())
    info = {
        "name": "many", "piece length": PIECE, "files": [{"length": len(data), "path": [name]} for name, data in files.items()],
        "pieces": b"".join(hashlib.sha1(data[start:start + PIECE]).digest() for start in range(0, len(data), PIECE)),
    }
    path = tmp_path / "many.torrent"
    path.write_bytes(bencode({"info": info}))
    return ManyFiles(hashlib.sha1(bencode(info)).digest(), path, files)


@pytest.fixture
def seed(torrent, tmp_path):
    session = libtorrent_session()
    wait_until_seeding(session, libtorrent_add(session, torrent, torrent.write(tmp_path / "seed")))
    return session


def of(*priorities: int, **others: bool) -> FileSelection:
    return FileSelection(bytes(priorities), **others)


def add(daemon, torrent, folder, selection, verified=b"") -> set[int]:
    """Give it to the daemon; return the pieces that were found."""
    start, raw = len(daemon.messages), torrent.info.raw
    daemon.send(
        dm.MetadataPart(torrent.info_hash, len(raw), 0, raw),
        dm.AddTorrent(torrent.info_hash, "many", str(folder), verified, selection.priorities, selection.sequential, selection.first_last_first),
    )
    return set(Bitfield.from_bytes(daemon.wait_for(dm.TorrentChecked, after=start).verified, torrent.info.layout.num_pieces))


def select(daemon, torrent, selection):
    daemon.send(dm.SetFilePriorities(torrent.info_hash, selection.priorities, selection.sequential, selection.first_last_first))


def durable(daemon) -> set[int]:
    return {index for message in daemon.all_of(dm.PiecesDurable) for index in message.piece_indices}


def wait_for_pieces(daemon, pieces, already=frozenset()):
    daemon.wait_for(dm.PiecesDurable, lambda _: pieces <= durable(daemon) | already)


def parts_files(folder: Path) -> list[Path]:
    return list(folder.glob(".*.evenswarm-parts"))


def test_only_wanted_files_are_made_and_skipped_ones_come_when_they_are_wanted(torrent, seed, tmp_path):
    folder, first = tmp_path / "ours", of(NORMAL, SKIP, SKIP, HIGH, SKIP, LOW, SKIP)
    with DaemonProcess() as daemon:
        assert add(daemon, torrent, folder, first) == set()
        daemon.start(torrent.info_hash)
        daemon.dial(torrent.info_hash, "127.0.0.1", seed.listen_port())
        wait_for_pieces(daemon, torrent.wanted(first))
        daemon.wait_for(dm.PeerDisconnected, lambda message: message.reason == dm.BOTH_SEEDS)
        assert durable(daemon) == torrent.wanted(first)
        assert torrent.differences(folder, first) == []
        assert len(parts_files(folder)) == 1
        assert daemon.wait_for(dm.TorrentStats, lambda message: not message.peers).downloaded < len(torrent.data) * 3 // 4

        second = of(NORMAL, NORMAL, SKIP, HIGH, NORMAL, LOW, NORMAL, sequential=True, first_last_first=True)
        select(daemon, torrent, second)
        daemon.dial(torrent.info_hash, "127.0.0.1", seed.listen_port())
        wait_for_pieces(daemon, torrent.wanted(second))
        select(daemon, torrent, FileSelection())
        daemon.dial(torrent.info_hash, "127.0.0.1", seed.listen_port())
        wait_for_pieces(daemon, set(range(torrent.info.layout.num_pieces)))
        daemon.send(dm.StopTorrent(torrent.info_hash))
        daemon.wait_for(dm.TorrentStopped)
        assert torrent.differences(folder, FileSelection()) == [] and parts_files(folder) == []
        assert daemon.wait_for(dm.TorrentStats, lambda message: message.downloaded == len(torrent.data)).wasted == 0


def test_the_choice_may_change_at_any_moment_of_a_download(torrent, seed, tmp_path):
    rng, folder = random.Random(3), tmp_path / "ours"
    with DaemonProcess() as daemon:
        add(daemon, torrent, folder, of(*[SKIP] * 7))
        daemon.start(torrent.info_hash)
        for _ in range(40):
            seen = len(daemon.messages)
            select(daemon, torrent, of(*(rng.choice((SKIP, SKIP, LOW, HIGH)) for _ in SIZES), sequential=rng.random() < 0.5))
            if not daemon.all_of(dm.PeerConnected) or rng.random() < 0.3:
                daemon.dial(torrent.info_hash, "127.0.0.1", seed.listen_port())
                daemon.wait_for(dm.PeerConnected | dm.DialFailed, after=seen)
        select(daemon, torrent, FileSelection())
        daemon.dial(torrent.info_hash, "127.0.0.1", seed.listen_port())
        wait_for_pieces(daemon, set(range(torrent.info.layout.num_pieces)))
        daemon.send(dm.StopTorrent(torrent.info_hash))
        daemon.wait_for(dm.TorrentStopped)
        assert not daemon.all_of(dm.PieceFailed) and not daemon.all_of(dm.TorrentFailed)
        assert torrent.differences(folder, FileSelection()) == [] and parts_files(folder) == []


def test_a_daemon_that_is_killed_loses_nothing_that_it_called_durable(torrent, seed, tmp_path):
    rng, folder, known = random.Random(5), tmp_path / "ours", set()
    for life in range(4):
        selection = of(*(rng.choice((SKIP, NORMAL)) for _ in SIZES))
        with DaemonProcess() as daemon:
            bitfield = Bitfield(torrent.info.layout.num_pieces)
            for piece_index in known:
                bitfield.add(piece_index)
            found = add(daemon, torrent, folder, selection, bitfield.to_bytes() if life % 2 else b"")
            assert known <= found
            daemon.start(torrent.info_hash)
            daemon.dial(torrent.info_hash, "127.0.0.1", seed.listen_port())
            wait_for_pieces(daemon, torrent.wanted(selection), found) if torrent.wanted(selection) - found else None
            select(daemon, torrent, of(*(rng.choice((SKIP, NORMAL)) for _ in SIZES)))
            os.kill(daemon.process.pid, signal.SIGKILL)
            daemon.process.wait()
            known = found | durable(daemon)
    with DaemonProcess() as daemon:
        found = add(daemon, torrent, folder, of(*[NORMAL] * 7))
        assert known <= found
        daemon.start(torrent.info_hash)
        daemon.dial(torrent.info_hash, "127.0.0.1", seed.listen_port())
        wait_for_pieces(daemon, set(range(torrent.info.layout.num_pieces)), found)
        daemon.send(dm.StopTorrent(torrent.info_hash))
        daemon.wait_for(dm.TorrentStopped)
    assert torrent.differences(folder, FileSelection()) == [] and parts_files(folder) == []


def test_pieces_in_the_parts_file_are_served(torrent, seed, tmp_path):
    folder, selection = tmp_path / "ours", of(NORMAL, SKIP, SKIP, NORMAL, SKIP, SKIP, NORMAL)
    with DaemonProcess() as daemon:
        daemon.accept_everybody()
        add(daemon, torrent, folder, selection)
        daemon.start(torrent.info_hash)
        daemon.dial(torrent.info_hash, "127.0.0.1", seed.listen_port())
        wait_for_pieces(daemon, torrent.wanted(selection))
        leeching = libtorrent_session()
        leech = libtorrent_add(leeching, torrent, tmp_path / "theirs")
        leech.connect_peer(("127.0.0.1", daemon.port))
        expected = sum(map(torrent.info.layout.piece_size, torrent.wanted(selection)))
        daemon.wait_for(dm.TorrentStats, lambda message: message.uploaded >= expected)
        daemon.wait_for(dm.PeerDisconnected | dm.TorrentStats, lambda message: leech.status().num_pieces == len(torrent.wanted(selection)))
        pieces = leech.status().pieces
        assert {index for index, is_there in enumerate(pieces) if is_there} == torrent.wanted(selection)


def test_who_removes_the_torrent_keeps_the_files_and_no_parts_file(torrent, seed, tmp_path):
    folder, selection = tmp_path / "ours", of(NORMAL, SKIP, SKIP, SKIP, SKIP, SKIP, NORMAL)
    with DaemonProcess() as daemon:
        add(daemon, torrent, folder, selection)
        daemon.start(torrent.info_hash)
        daemon.dial(torrent.info_hash, "127.0.0.1", seed.listen_port())
        wait_for_pieces(daemon, torrent.wanted(selection))
        assert len(parts_files(folder)) == 1
        daemon.send(dm.RemoveTorrent(torrent.info_hash, delete_parts=True))
        daemon.wait_for(dm.TorrentStopped)
        assert parts_files(folder) == [] and torrent.differences(folder, selection) == []
