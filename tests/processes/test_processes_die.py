"""SIGKILL of a daemon or of the engine at a bad moment."""

import os
import signal

import gevent
import pytest

from tests.processes.evenswarm_process import EvenswarmProcess, EventDidNotCome
from tests.processes.fake_peer import FakePeer, stop_all
from tests.processes.torrent_files import make_torrent


@pytest.fixture
def torrent(tmp_path):
    return make_torrent(tmp_path, 16 << 20)


@pytest.fixture
def seeds(torrent):
    """Two that serve a part, and the rest when they are let go: whatever happens in between happens in the middle of the download."""
    peers = [FakePeer(torrent.info_hash, torrent.data, torrent.piece_length, ip=f"127.0.4.{number}", holds_after=100).start() for number in (1, 2)]
    yield peers
    stop_all(peers)


def download(tmp_path, torrent, seeds, *options):
    peers = [argument for peer in seeds for argument in ("--peer", peer.address)]
    return EvenswarmProcess(tmp_path, "download", str(torrent.path), "--dir", str(tmp_path / "d"), "--listen", "127.0.0.1:0", "--offline", *options, *peers)


def let_go(seeds):
    for seed in seeds:
        seed.let_go.set()


def test_a_daemon_killed_while_downloading_is_started_again_and_the_download_completes(tmp_path, torrent, seeds):
    with download(tmp_path, torrent, seeds) as client:
        client.wait_for("piece_verified")
        first = client.wait_for("daemon_started")
        os.kill(first["pid"], signal.SIGKILL)
        let_go(seeds)
        ended = client.wait_for("daemon_ended")
        assert ended["exit_status"] == -signal.SIGKILL
        client.wait_for("daemon_started", after=client.events.index(ended))
        assert client.wait(90) == 0, client.said()
    assert (tmp_path / "d" / torrent.name).read_bytes() == torrent.data


def test_no_peer_is_blamed_for_the_death_of_a_daemon(tmp_path, torrent, seeds):
    with download(tmp_path, torrent, seeds) as client:
        client.wait_for("piece_verified")
        os.kill(client.wait_for("daemon_started")["pid"], signal.SIGKILL)
        let_go(seeds)
        assert client.wait(90) == 0, client.said()
        assert all(event["outcome"] == "cancelled" for event in client.named("connect_failed"))


def test_no_process_is_left_two_seconds_after_the_engine_was_killed(tmp_path, torrent, seeds):
    with download(tmp_path, torrent, seeds, "--set", "daemons=2") as client:
        client.wait_for("piece_verified")
        daemons = client.daemon_pids()
        assert len(daemons) == 2
        handles = [os.pidfd_open(pid) for pid in daemons]
        client.process.kill()
        client.process.wait()
        with gevent.Timeout(2, EventDidNotCome("the daemons did not end within 2 s")):
            for handle in handles:
                gevent.get_hub().wait(gevent.get_hub().loop.io(handle, 1))
                os.close(handle)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_download_cleanly_with_130_and_nothing_is_left(tmp_path, torrent, seeds, number):
    with download(tmp_path, torrent, seeds, "--seed") as client:
        client.wait_for("piece_verified")
        daemons = client.daemon_pids()
        client.process.send_signal(number)
        exit_code = client.wait(10)
        assert exit_code in (0, 130), client.said()
        assert not any(os.path.exists(f"/proc/{pid}") for pid in daemons)
        assert "Traceback" not in client.said()
