"""Signals at any moment: a clean end, or a look inside."""

import signal
import socket
import subprocess
import sys

import gevent
import pytest

from tests.processes.evenswarm_process import ROOT, EvenswarmProcess, EventDidNotCome
from tests.processes.torrent_files import bencode, make_torrent

LONG_CHECK_BYTES = 32 << 30
PIECE_BYTES = 4 << 20


def download(tmp_path, path) -> EvenswarmProcess:
    return EvenswarmProcess(tmp_path, "download", str(path), "--dir", str(tmp_path), "--listen", "127.0.0.1:0", "--offline")


def until(condition, what: str) -> None:
    with gevent.Timeout(20, EventDidNotCome(what)):
        while not condition():
            gevent.sleep(0.02)


def test_ctrl_c_again_and_again_is_one_clean_end_though_the_tracker_is_silent(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        torrent = make_torrent(tmp_path, 100_000, announce=f"http://127.0.0.1:{silent.getsockname()[1]}/announce")
        with download(tmp_path, torrent.path) as client:
            client.wait_for("torrent_started")
            for _ in range(20):
                client.process.send_signal(signal.SIGINT)
                gevent.sleep(0.02)                      # signals that come together are one
            assert client.wait(10) == 130
            assert "Traceback" not in client.said()
            assert client.named("torrent_stopped")


def test_ctrl_c_ends_a_check_that_has_long_to_go(tmp_path):
    with open(tmp_path / "sparse.bin", "wb") as stream:
        stream.truncate(LONG_CHECK_BYTES)
    info = {"name": "sparse.bin", "length": LONG_CHECK_BYTES, "piece length": PIECE_BYTES, "pieces": bytes(20 * LONG_CHECK_BYTES // PIECE_BYTES)}
    (tmp_path / "sparse.torrent").write_bytes(bencode({"info": info}))
    with download(tmp_path, tmp_path / "sparse.torrent") as client:
        until(lambda: "checking" in client.said(), "the check did not begin")
        client.process.send_signal(signal.SIGINT)
        assert client.wait(10) == 130
        assert not client.named("torrent_checked")
        assert "Traceback" not in client.said()


def test_ctrl_c_while_python_still_loads_is_no_traceback(tmp_path):
    (tmp_path / "gevent").mkdir()
    (tmp_path / "gevent" / "__init__.py").write_text("raise KeyboardInterrupt\n")   # what the signal does when it comes in an import
    done = subprocess.run([sys.executable, "-c", f"import sys; sys.path[0:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; import run; sys.exit(run.main())"],
                          capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize("who", ["engine", "daemon"])
def test_sigusr1_shows_the_stacks_of_a_running_client_which_goes_on(tmp_path, who):
    torrent = make_torrent(tmp_path, 100_000)
    with download(tmp_path, torrent.path) as client:
        client.wait_for("torrent_started")
        pid = client.process.pid if who == "engine" else client.wait_for("daemon_started")["pid"]
        waiting_in = {"engine": "actors/daemon_link.py", "daemon": "daemon/engine_link.py"}[who]
        subprocess.run(["kill", "-USR1", str(pid)], check=True)
        until(lambda: "* Greenlets" in client.said() and waiting_in in client.said(), "no stacks")
        client.process.send_signal(signal.SIGINT)
        assert client.wait(10) == 130
        assert not client.named("daemon_ended")
