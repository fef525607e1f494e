"""The I/O daemon as a whole process downloads from and seeds to others; the test is its engine."""

import hashlib
import time
from pathlib import Path

import gevent
import libtorrent
import pytest

from protocol import daemon_messages as dm
from protocol.bitfield import Bitfield
from protocol.metainfo import parse_metainfo
from tests.processes.daemon_process import DaemonProcess
from tests.processes.torrent_files import TestTorrent, make_torrent

OFFLINE = {"enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False}
ONLY_TCP = {"enable_outgoing_utp": False, "enable_incoming_utp": False}


def raw_info(torrent: TestTorrent) -> bytes:
    return parse_metainfo(torrent.path.read_bytes(), torrent.path.name).info.raw


def num_pieces(torrent: TestTorrent) -> int:
    return -(-len(torrent.data) // torrent.piece_length)


def seeding_folder(folder: Path, torrent: TestTorrent) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / torrent.name).write_bytes(torrent.data)
    return folder


def wait_for_all(daemon: DaemonProcess, torrent: TestTorrent, timeout: float = 30.0) -> None:
    """Until each piece is durable."""
    durable: set[int] = set()

    def adds_up(message: dm.PiecesDurable | dm.TorrentChecked) -> bool:
        if message.info_hash == torrent.info_hash:
            durable.update(Bitfield.from_bytes(message.verified, num_pieces(torrent)) if isinstance(message, dm.TorrentChecked) else message.piece_indices)
        return len(durable) == num_pieces(torrent)

    daemon.wait_for(dm.PiecesDurable | dm.TorrentChecked, adds_up, timeout=timeout)


def libtorrent_session() -> libtorrent.session:
    return libtorrent.session({"listen_interfaces": "127.0.0.1:0", **OFFLINE, **ONLY_TCP})


def libtorrent_add(session: libtorrent.session, torrent: TestTorrent, folder: Path) -> libtorrent.torrent_handle:
    parameters = libtorrent.load_torrent_file(str(torrent.path))
    parameters.save_path = str(folder)
    parameters.flags &= ~(libtorrent.torrent_flags.auto_managed | libtorrent.torrent_flags.paused)
    return session.add_torrent(parameters)


def wait_until_seeding(session: libtorrent.session, handle: libtorrent.torrent_handle, timeout: float = 30.0) -> None:
    ends_at = time.monotonic() + timeout
    while not handle.status().is_seeding:
        assert time.monotonic() < ends_at, handle.status()
        gevent.get_hub().threadpool.apply(session.wait_for_alert, (100,))   # or the test's engine would be deaf meanwhile
        session.pop_alerts()


@pytest.mark.parametrize(("size", "piece_length"), [
    (1, 1 << 14), (3_000_001, 1 << 14), (3_000_000, 1 << 18), (9 << 20, 1 << 22), ((1 << 21) + 1, 1 << 20),
])
def test_download_from_libtorrent_then_seed_to_libtorrent(tmp_path, size, piece_length):
    torrent = make_torrent(tmp_path, size, piece_length=piece_length)
    seeding, leeching = libtorrent_session(), libtorrent_session()
    seed = libtorrent_add(seeding, torrent, seeding_folder(tmp_path / "seed", torrent))
    wait_until_seeding(seeding, seed)
    with DaemonProcess() as daemon:
        assert not any(daemon.add(torrent.info_hash, raw_info(torrent), tmp_path / "ours").verified)
        daemon.start(torrent.info_hash)
        daemon.dial(torrent.info_hash, "127.0.0.1", seeding.listen_port())
        wait_for_all(daemon, torrent)
        assert (tmp_path / "ours" / torrent.name).read_bytes() == torrent.data
        assert daemon.wait_for(dm.PeerNamed).client_name.startswith("libtorrent/2.")

        daemon.accept_everybody()
        leech = libtorrent_add(leeching, torrent, tmp_path / "theirs")
        leech.connect_peer(("127.0.0.1", daemon.port))
        wait_until_seeding(leeching, leech)
        ended = daemon.wait_for(dm.PeerDisconnected, lambda message: message.uploaded)
        assert ended.uploaded == size
        stats = daemon.wait_for(dm.TorrentStats, lambda message: message.uploaded == size)
        assert (stats.downloaded, stats.wasted) == (size, 0)
    leeching.remove_torrent(leech)
    del leeching
    assert (tmp_path / "theirs" / torrent.name).read_bytes() == torrent.data


def test_daemons_trade_pieces_among_themselves(tmp_path):
    """One seed serves one peer at a time; the others get what they lack from each other."""
    torrent = make_torrent(tmp_path, 6_000_000, piece_length=1 << 16)
    daemons = [DaemonProcess(peer_id=b"-EW0100-peer0000000" + str(number).encode(), upload_slots=4) for number in range(4)]
    try:
        for number, daemon in enumerate(daemons):
            daemon.__enter__()
            daemon.accept_everybody()
            folder = tmp_path / str(number)
            if number == 0:
                seeding_folder(folder, torrent)
            daemon.add(torrent.info_hash, raw_info(torrent), folder)
            daemon.start(torrent.info_hash)
        for daemon in daemons[1:]:
            for other in daemons:
                if other is not daemon:
                    daemon.dial(torrent.info_hash, "127.0.0.1", other.port)
        for number, daemon in enumerate(daemons[1:], 1):
            wait_for_all(daemon, torrent)
            assert (tmp_path / str(number) / torrent.name).read_bytes() == torrent.data
        for daemon in daemons[1:]:
            assert not daemon.all_of(dm.PieceFailed)
            assert not daemon.all_of(dm.PeerBanned)
    finally:
        for daemon in daemons:
            daemon.__exit__()


def test_what_is_on_disk_is_not_downloaded_again(tmp_path):
    torrent = make_torrent(tmp_path, 1_000_000, piece_length=1 << 16)
    folder = seeding_folder(tmp_path / "seed", torrent)
    half = torrent.data[:500_000] + bytes(500_000)
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / torrent.name).write_bytes(half)
    with DaemonProcess() as seed, DaemonProcess(peer_id=b"-EW0100-leech0000000") as daemon:
        seed.accept_everybody()
        seed.add(torrent.info_hash, raw_info(torrent), folder)
        seed.start(torrent.info_hash)
        checked = daemon.add(torrent.info_hash, raw_info(torrent), tmp_path / "ours")
        right = int.from_bytes(checked.verified, "big").bit_count()
        assert right == 500_000 // (1 << 16)
        daemon.start(torrent.info_hash)
        daemon.dial(torrent.info_hash, "127.0.0.1", seed.port)
        daemon.wait_for(dm.PeerDisconnected, lambda message: message.reason == dm.BOTH_SEEDS)
        stats = daemon.wait_for(dm.TorrentStats, lambda message: not message.peers and message.downloaded)
        assert stats.downloaded == len(torrent.data) - right * (1 << 16)
    assert hashlib.sha1((tmp_path / "ours" / torrent.name).read_bytes()).digest() == hashlib.sha1(torrent.data).digest()
