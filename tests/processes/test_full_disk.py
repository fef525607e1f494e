"""A file system without room (ENOSPC), a real one: the file is named, nothing verified is lost, and with room made it goes on."""

import re

import pytest

from protocol import daemon_messages as dm
from tests.processes.daemon_process import DaemonProcess
from tests.processes.evenswarm_process import EvenswarmProcess
from tests.processes.fake_peer import FakePeer
from tests.processes.small_disk import small_disk
from tests.processes.test_daemon_transfers import raw_info, wait_for_all
from tests.processes.torrent_files import make_torrent

DISK_BYTES = 2 << 20


@pytest.fixture
def torrent(tmp_path):
    return make_torrent(tmp_path, 2 * DISK_BYTES)


@pytest.fixture
def seed(torrent):
    peer = FakePeer(torrent.info_hash, torrent.data, torrent.piece_length).start()
    yield peer
    peer.stop()


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "small", DISK_BYTES) as disk:
        yield disk


def download(tmp_path, torrent, seed, folder, *options: str, **process) -> EvenswarmProcess:
    return EvenswarmProcess(tmp_path, "download", str(torrent.path), "--dir", str(folder), "--offline", "--listen", "127.0.0.1:0",
                            "--peer", seed.address, *options, **process)


def test_a_full_disk_ends_the_torrent_with_what_to_do_and_after_room_is_made_it_goes_on_where_it_was(tmp_path, torrent, seed, disk):
    with download(tmp_path, torrent, seed, disk.folder, under=disk.under) as client:
        assert client.wait() == 1
        assert f"cannot write {torrent.name}: no space left on device (in {disk.folder}; make room there" in client.said()
        assert "Traceback" not in client.said()
        verified = {piece_index for event in client.named("piece_verified") for piece_index in event["piece_indices"]}
    assert verified
    served = seed.blocks_served
    disk.resize(3 * DISK_BYTES)
    with download(tmp_path, torrent, seed, disk.folder, under=disk.under) as again:
        assert again.wait() == 0, again.said()
        assert again.named("torrent_checked")[0]["num_verified"] >= len(verified)
    blocks_a_piece = torrent.piece_length >> 14
    assert seed.blocks_served - served <= 2 * DISK_BYTES // (1 << 14) - len(verified) * blocks_a_piece, "what was verified was not asked for again"
    assert disk.read(torrent.name) == torrent.data


def test_one_daemon_goes_on_with_other_torrents_and_with_the_same_one_after_room_is_made(tmp_path, torrent, seed, disk):
    other = make_torrent(tmp_path, 300_000, name="other.bin", seed=2)
    peer = FakePeer(other.info_hash, other.data, other.piece_length).start()
    with DaemonProcess(under=disk.under) as daemon:
        daemon.add(torrent.info_hash, raw_info(torrent), disk.folder)
        daemon.start(torrent.info_hash)
        daemon.dial(torrent.info_hash, seed.ip, seed.port)
        assert daemon.wait_for(dm.TorrentFailed).error.startswith(f"cannot write {torrent.name}: no space left on device")
        daemon.add(other.info_hash, raw_info(other), tmp_path / "elsewhere")
        daemon.start(other.info_hash)
        daemon.dial(other.info_hash, peer.ip, peer.port)
        wait_for_all(daemon, other)
        verified = {index for message in daemon.all_of(dm.PiecesVerified) if message.info_hash == torrent.info_hash for index in message.piece_indices}
        disk.resize(3 * DISK_BYTES)
        before = len(daemon.messages)
        daemon.send(dm.RemoveTorrent(torrent.info_hash))
        daemon.wait_for(dm.TorrentStopped, after=before)
        checked = daemon.add(torrent.info_hash, raw_info(torrent), disk.folder)
        assert all(checked.verified[index // 8] & 0x80 >> index % 8 for index in verified)
        daemon.start(torrent.info_hash)
        daemon.dial(torrent.info_hash, seed.ip, seed.port)
        wait_for_all(daemon, torrent)
    peer.stop()
    assert disk.read(torrent.name) == torrent.data


def test_a_log_whose_disk_is_full_stops_no_download_and_the_user_is_told_at_once_and_at_the_end(tmp_path, torrent, seed, disk):
    disk.fill()
    log = disk.folder / "events.log"
    with download(tmp_path, torrent, seed, tmp_path / "d", "--log", str(log), under=disk.under, with_log=False) as client:
        assert client.wait() == 0, client.said()
    assert (tmp_path / "d" / torrent.name).read_bytes() == torrent.data
    told = [line for line in client.said().splitlines() if "log" in line]
    assert told[0] == f"evenswarm: cannot write the log {log}: No space left on device; it lacks events from now on, everything else goes on: make room there"
    assert re.fullmatch(rf"evenswarm: the log {log} lacks [1-9]\d* events: No space left on device", told[1])
    assert len(told) == 2
