"""A torrent's life in the daemon, the end of the process, and this machine's faults: told clearly, and nobody else touched."""

import os
import signal
import subprocess
import sys

import gevent
import pytest

from protocol import daemon_messages as dm
from tests.processes.daemon_process import ROOT, DaemonProcess, MessageDidNotCome
from tests.processes.fake_peer import CHOKE, REQUEST, FakePeer, frame
from tests.processes.test_daemon_transfers import num_pieces, raw_info, seeding_folder, wait_for_all
from tests.processes.torrent_files import make_torrent
from tests.processes.wire_peer import HAVE_ALL, WirePeer, listen

PIECE_LENGTH = 1 << 15


@pytest.fixture
def torrent(tmp_path):
    return make_torrent(tmp_path, 2_000_000, piece_length=PIECE_LENGTH)


@pytest.fixture
def daemon():
    with DaemonProcess() as daemon:
        yield daemon


def peer_of(torrent, **changes) -> FakePeer:
    return FakePeer(torrent.info_hash, torrent.data, torrent.piece_length, **changes).start()


def begin(daemon: DaemonProcess, torrent, folder, *peers: FakePeer) -> None:
    daemon.add(torrent.info_hash, raw_info(torrent), folder)
    daemon.start(torrent.info_hash)
    for peer in peers:
        daemon.dial(torrent.info_hash, peer.ip, peer.port)


def test_a_stop_closes_everything_and_what_was_verified_is_durable_before_it_is_answered(daemon, torrent, tmp_path):
    peer = peer_of(torrent, leaves_after=40)
    begin(daemon, torrent, tmp_path / "d", peer)
    daemon.wait_for(dm.PiecesVerified)
    daemon.send(dm.StopTorrent(torrent.info_hash))
    daemon.wait_for(dm.TorrentStopped)
    verified = {index for message in daemon.all_of(dm.PiecesVerified) for index in message.piece_indices}
    durable = {index for message in daemon.all_of(dm.PiecesDurable) for index in message.piece_indices}
    assert verified == durable
    assert daemon.messages.index(daemon.all_of(dm.TorrentStopped)[0]) > daemon.messages.index(daemon.all_of(dm.PiecesDurable)[-1])
    assert len(daemon.all_of(dm.PeerDisconnected)) == 1
    written = (tmp_path / "d" / torrent.name).read_bytes()
    for index in durable:
        assert written[index * PIECE_LENGTH:][:PIECE_LENGTH] == torrent.data[index * PIECE_LENGTH:][:PIECE_LENGTH]


def test_a_stopped_torrent_goes_on_where_it_was(daemon, torrent, tmp_path):
    begin(daemon, torrent, tmp_path / "d", peer_of(torrent, leaves_after=60))
    daemon.wait_for(dm.PeerDisconnected)
    daemon.send(dm.StopTorrent(torrent.info_hash))
    daemon.wait_for(dm.TorrentStopped)
    daemon.start(torrent.info_hash)
    good = peer_of(torrent)
    daemon.dial(torrent.info_hash, good.ip, good.port)
    wait_for_all(daemon, torrent)
    assert (tmp_path / "d" / torrent.name).read_bytes() == torrent.data
    kept = 60 // 2                                      # pieces of two blocks; one may have been begun only
    assert good.blocks_served <= (num_pieces(torrent) - kept + 4) * 2


def test_a_removed_torrent_can_be_added_again_and_its_data_is_found(daemon, torrent, tmp_path):
    begin(daemon, torrent, tmp_path / "d", peer_of(torrent))
    daemon.wait_for(dm.PiecesVerified)
    before = len(daemon.messages)
    daemon.send(
        dm.RemoveTorrent(torrent.info_hash), dm.MetadataPart(torrent.info_hash, len(raw_info(torrent)), 0, raw_info(torrent)),
        dm.AddTorrent(torrent.info_hash, "again.torrent", str(tmp_path / "d"), b""),
    )
    daemon.wait_for(dm.TorrentStopped, after=before)
    checked = daemon.wait_for(dm.TorrentChecked, after=before)
    verified = {index for message in daemon.all_of(dm.PiecesVerified) for index in message.piece_indices}
    assert int.from_bytes(checked.verified, "big").bit_count() >= len(verified)


def test_stop_and_remove_of_an_unknown_torrent_are_answered(daemon, torrent):
    daemon.send(dm.StopTorrent(torrent.info_hash))
    daemon.wait_for(dm.TorrentStopped)
    before = len(daemon.messages)
    daemon.send(dm.RemoveTorrent(torrent.info_hash))
    daemon.wait_for(dm.TorrentStopped, after=before)


def test_a_check_can_be_asked_for_while_stopped(daemon, torrent, tmp_path):
    folder = seeding_folder(tmp_path / "d", torrent)
    daemon.add(torrent.info_hash, raw_info(torrent), folder)
    (folder / torrent.name).write_bytes(torrent.data[:1_000_000])
    before = len(daemon.messages)
    daemon.send(dm.CheckTorrent(torrent.info_hash))
    checked = daemon.wait_for(dm.TorrentChecked, after=before)
    assert int.from_bytes(checked.verified, "big").bit_count() == 1_000_000 // PIECE_LENGTH


def test_known_pieces_are_believed(daemon, torrent, tmp_path):
    folder = seeding_folder(tmp_path / "d", torrent)
    (folder / torrent.name).write_bytes(bytes(len(torrent.data)))
    known = b"\xc0" + bytes(7)
    assert daemon.add(torrent.info_hash, raw_info(torrent), folder, verified=known).verified == known


def test_metadata_that_does_not_fit_its_hash_fails_that_torrent_only(daemon, torrent, tmp_path):
    daemon.send(
        dm.MetadataPart(b"x" * 20, len(raw_info(torrent)), 0, raw_info(torrent)), dm.AddTorrent(b"x" * 20, "lying.torrent", str(tmp_path), b""),
    )
    failed = daemon.wait_for(dm.TorrentFailed)
    assert failed.error.startswith("lying.torrent: the metadata does not have the hash")
    daemon.add(torrent.info_hash, raw_info(torrent), tmp_path / "d")


def test_a_folder_that_cannot_be_made_fails_the_torrent_and_says_why(daemon, torrent, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(MessageDidNotCome, match=f"cannot read {torrent.name}: not a directory"):
        begin(daemon, torrent, tmp_path / "file" / "below")


def test_a_file_that_is_cut_while_it_is_served_fails_the_torrent(daemon, torrent, tmp_path):
    folder = seeding_folder(tmp_path / "d", torrent)
    daemon.accept_everybody()
    begin(daemon, torrent, folder)
    os.truncate(folder / torrent.name, 5)
    peer = WirePeer.dial(daemon.port, torrent.info_hash)
    peer.send(frame(2))
    peer.wait_for(1)
    peer.send(frame(REQUEST, bytes(8) + (1 << 14).to_bytes(4, "big")))
    assert daemon.wait_for(dm.TorrentFailed).error.startswith(f"cannot read {torrent.name}")
    peer.wait_for_the_end()


def test_a_disk_that_is_full_fails_that_torrent_and_the_others_go_on(torrent, tmp_path):
    """The limit for the size of files stands for the end of the disk."""
    small = make_torrent(tmp_path, 300_000, name="small.bin", piece_length=PIECE_LENGTH, seed=2)
    with DaemonProcess(under=("prlimit", "--fsize=1000000")) as daemon:
        begin(daemon, torrent, tmp_path / "d", peer_of(torrent))
        failed = daemon.wait_for(dm.TorrentFailed)
        assert failed.error.startswith(f"cannot write {torrent.name}: file too large")
        begin(daemon, small, tmp_path / "d", peer_of(small))
        wait_for_all(daemon, small)
        # the user made room: it is removed and added, as the engine does
        daemon.send(dm.RemoveTorrent(torrent.info_hash))
        daemon.wait_for(dm.TorrentStopped)
    with DaemonProcess() as daemon:
        begin(daemon, torrent, tmp_path / "d", peer_of(torrent))
        wait_for_all(daemon, torrent)
    assert (tmp_path / "d" / torrent.name).read_bytes() == torrent.data


def test_an_orderly_end_makes_everything_durable_and_says_so(torrent, tmp_path):
    with DaemonProcess() as daemon:
        begin(daemon, torrent, tmp_path / "d", peer_of(torrent, leaves_after=50))
        daemon.wait_for(dm.PiecesVerified)
        daemon.send(dm.Shutdown(2.0))
        assert daemon.process.wait(timeout=5) == 0
        daemon.has_ended.wait(5)
        verified = {index for message in daemon.all_of(dm.PiecesVerified) for index in message.piece_indices}
        durable = {index for message in daemon.all_of(dm.PiecesDurable) for index in message.piece_indices}
        assert verified == durable
        assert verified


def test_an_orderly_end_before_the_first_message_is_an_end(tmp_path):
    with DaemonProcess() as daemon:
        daemon.send(dm.Shutdown(1.0))
        assert daemon.process.wait(timeout=5) == 0


def test_when_the_engine_is_gone_the_daemon_ends_though_peers_do_not(torrent, tmp_path):
    daemon = DaemonProcess().__enter__()
    begin(daemon, torrent, tmp_path / "d", peer_of(torrent, mute=True))
    daemon.wait_for(dm.PeerConnected)
    daemon.__exit__()
    assert daemon.process.returncode == 0


def test_when_the_engine_is_killed_the_daemon_ends(tmp_path):
    """A real engine process, killed with SIGKILL: it prints the daemon's pid, then waits."""
    script = (
        "from gevent import monkey; monkey.patch_all()\n"
        "import signal\n"
        "from tests.processes.daemon_process import DaemonProcess\n"
        "daemon = DaemonProcess().__enter__()\n"
        "print(daemon.process.pid, flush=True)\n"
        "import gevent; gevent.sleep(600)\n"
    )
    engine = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    daemon_pid = int(engine.stdout.readline())
    watch = os.pidfd_open(daemon_pid)
    engine.send_signal(signal.SIGKILL)
    engine.wait()
    with gevent.Timeout(5):
        gevent.socket.wait_read(watch)                  # readable when the process has ended
    os.close(watch)


def test_a_message_out_of_order_ends_the_daemon_with_a_reason(tmp_path, capfd):
    daemon = DaemonProcess()
    with daemon:
        daemon.send(dm.AddTorrent(b"x" * 20, "twice.torrent", str(tmp_path), b""))
        daemon.wait_for(dm.TorrentFailed)
        daemon.send(dm.MetadataPart(b"x" * 20, 10, 5, b"later"))
        assert daemon.process.wait(timeout=5) == 1
    assert "metadata part at byte 5, 0 are here" in capfd.readouterr().err


def test_a_port_that_is_taken_is_told_and_dials_work_all_the_same(torrent, tmp_path):
    taken = listen()
    with DaemonProcess(listen_port=taken.getsockname()[1]) as daemon:
        failed = daemon.wait_for(dm.ListenFailed)
        assert failed.error == "Address already in use"
        begin(daemon, torrent, tmp_path / "d", peer_of(torrent))
        wait_for_all(daemon, torrent)


def test_a_choke_gives_requests_back_and_others_serve_them(daemon, torrent, tmp_path):
    listener = listen("127.0.0.2")

    def takes_requests_and_chokes():
        peer = WirePeer.answer(listener, torrent.info_hash, fast=False)
        bits = bytearray(-(-num_pieces(torrent) // 8))
        for index in range(num_pieces(torrent)):
            bits[index // 8] |= 0x80 >> index % 8
        peer.send(frame(5, bytes(bits)), frame(1))
        peer.wait_for(REQUEST)
        peer.send(frame(CHOKE))
        peer.wait_for_the_end()

    choking = gevent.spawn(takes_requests_and_chokes)
    begin(daemon, torrent, tmp_path / "d")
    daemon.dial(torrent.info_hash, *listener.getsockname())
    daemon.wait_for(dm.PeerConnected)
    good = peer_of(torrent)
    daemon.dial(torrent.info_hash, good.ip, good.port)
    wait_for_all(daemon, torrent)
    choking.get(timeout=5)


def test_pieces_are_announced_only_when_they_are_verified_and_written(daemon, torrent, tmp_path):
    """A watcher without any piece hears a `have` for each; by then the piece can be read from the file."""
    begin(daemon, torrent, tmp_path / "d")
    daemon.accept_everybody()
    watcher = WirePeer.dial(daemon.port, torrent.info_hash)
    watcher.send(frame(15))                             # have none
    seed = peer_of(torrent)
    daemon.dial(torrent.info_hash, seed.ip, seed.port)
    told = set()
    while len(told) < num_pieces(torrent):
        index = int.from_bytes(watcher.wait_for(4), "big")
        with open(tmp_path / "d" / torrent.name, "rb") as file:
            file.seek(index * PIECE_LENGTH)
            assert file.read(PIECE_LENGTH) == torrent.data[index * PIECE_LENGTH:][:PIECE_LENGTH]
        told.add(index)


def test_a_seed_that_meets_a_seed_parts(daemon, torrent, tmp_path):
    daemon.accept_everybody()
    begin(daemon, torrent, seeding_folder(tmp_path / "d", torrent))
    peer = WirePeer.dial(daemon.port, torrent.info_hash)
    peer.send(frame(HAVE_ALL))
    assert daemon.wait_for(dm.PeerDisconnected).reason == dm.BOTH_SEEDS
    peer.wait_for_the_end()
