"""Bad input on the command line: one clear line that names it, exit code 1, no traceback, everything else goes on."""

import os
import socket
import subprocess
import sys

import pytest

from tests.processes.evenswarm_process import ROOT, EvenswarmProcess
from tests.processes.fake_peer import FakePeer
from tests.processes.torrent_files import bencode, make_torrent

GOOD_INFO = {"name": "x", "length": 40_000, "piece length": 16_384, "pieces": bytes(60)}
TWICE = {"files": [{"length": 20_000, "path": ["a"]}, {"length": 20_000, "path": ["a"]}]}


def without_length(info: dict, **changes: object) -> dict:
    return {key: value for key, value in info.items() if key != "length"} | changes


BAD_TORRENTS = {
    "empty.torrent": (b"", ""),
    "truncated.torrent": (bencode({"info": GOOD_INFO})[:-20], ""),
    "text.torrent": (b"this is no torrent", ""),
    "deeply_nested.torrent": (b"l" * 1_000_000 + b"e" * 1_000_000, "deep"),
    "bencode_py_hangs_on_this.torrent": (b"d1:ai1e-6:", ""),
    "no_info.torrent": (bencode({"announce": "http://127.0.0.1/"}), "info"),
    "no_name.torrent": (bencode({"info": {key: value for key, value in GOOD_INFO.items() if key != "name"}}), "name"),
    "no_pieces.torrent": (bencode({"info": {key: value for key, value in GOOD_INFO.items() if key != "pieces"}}), "pieces"),
    "pieces_of_41_bytes.torrent": (bencode({"info": GOOD_INFO | {"pieces": bytes(41)}}), "41"),
    "length_does_not_match_pieces.torrent": (bencode({"info": GOOD_INFO | {"length": 400_000}}), "pieces"),
    "negative_length.torrent": (bencode({"info": GOOD_INFO | {"length": -1}}), "length"),
    "parent_in_path.torrent": (bencode({"info": without_length(GOOD_INFO, files=[{"length": 40_000, "path": ["..", "x"]}])}), ".."),
    "absolute_path.torrent": (bencode({"info": without_length(GOOD_INFO, files=[{"length": 40_000, "path": ["/etc/x"]}])}), "/etc/x"),
    "parent_as_name.torrent": (bencode({"info": GOOD_INFO | {"name": ".."}}), "name"),
    "same_file_twice.torrent": (bencode({"info": without_length(GOOD_INFO, **TWICE)}), "a"),
    "name_too_long.torrent": (bencode({"info": GOOD_INFO | {"name": "n" * 300}}), "long"),
    "v2_only.torrent": (bencode({"info": {"name": "x", "meta version": 2, "piece length": 16_384, "file tree": {}}}), "v2"),
}


def run_download(tmp_path, *arguments: str, timeout: float = 60.0) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "run.py"), "download", "--dir", str(tmp_path / "d"), "--offline", "--listen", "127.0.0.1:0", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)


def assert_one_clear_line(done: subprocess.CompletedProcess, *named: str) -> None:
    assert done.returncode == 1, done
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("evenswarm: ")
    for name in named:
        assert name in lines[0]


@pytest.mark.parametrize("name", BAD_TORRENTS)
def test_a_bad_torrent_is_refused_in_one_line_that_names_file_and_fault(tmp_path, name):
    data, named = BAD_TORRENTS[name]
    (tmp_path / name).write_bytes(data)
    assert_one_clear_line(run_download(tmp_path, str(tmp_path / name)), name, named)


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_reader_that_has_seen_enough_is_no_reason_for_a_traceback(tmp_path, unbuffered):
    torrent = make_torrent(tmp_path, 1000)
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, str(ROOT / "run.py"), "show", str(torrent.path)], stdout=writing, stderr=subprocess.PIPE, timeout=60,
                          env=os.environ | {"PYTHONUNBUFFERED": unbuffered})
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_torrent_of_more_than_32_mib_is_refused_before_it_is_parsed(tmp_path):
    with open(tmp_path / "huge.torrent", "wb") as stream:
        stream.truncate(100 << 30)
    assert_one_clear_line(run_download(tmp_path, str(tmp_path / "huge.torrent")), "huge.torrent", "large")


@pytest.mark.parametrize("source", ["missing.torrent", "magnet:?xt=nonsense", "magnet:", "."])
def test_a_source_that_is_none_is_named(tmp_path, source):
    assert_one_clear_line(run_download(tmp_path, source), source[:6])


@pytest.mark.parametrize(("option", "value"), [
    ("--peer", "127.0.0.1"), ("--peer", "nowhere:1"), ("--peer", "127.0.0.1:0"), ("--dir", ""), ("--set", "half_open_limit"), ("--set", "half_open_limit=many"), ("--set", "no_such=1"),
    ("--set", "connection_burst=0"), ("--profile", "reckless"), ("--listen", "127.0.0.1"),
])
def test_a_bad_option_is_named(tmp_path, option, value):
    torrent = make_torrent(tmp_path, 1000)
    assert_one_clear_line(run_download(tmp_path, str(torrent.path), option, value), value.partition("=")[0])


def test_a_bad_source_among_good_ones_fails_alone(tmp_path):
    torrent = make_torrent(tmp_path, 200_000)
    (tmp_path / "bad.torrent").write_bytes(b"bad")
    peer = FakePeer(torrent.info_hash, torrent.data, torrent.piece_length).start()
    with EvenswarmProcess(tmp_path, "download", str(tmp_path / "bad.torrent"), str(torrent.path), "--dir", str(tmp_path / "d"), "--offline",
                          "--listen", "127.0.0.1:0", "--peer", peer.address) as client:
        assert client.wait() == 1
    peer.stop()
    assert (tmp_path / "d" / torrent.name).read_bytes() == torrent.data
    assert "bad.torrent" in client.said()


def test_a_folder_that_is_a_file_is_named(tmp_path):
    torrent = make_torrent(tmp_path, 1000)
    (tmp_path / "d").write_text("not a folder")
    assert_one_clear_line(run_download(tmp_path, str(torrent.path)), str(tmp_path / "d"))


def test_a_file_that_cannot_be_written_ends_that_torrent_with_its_name_and_the_others_go_on(tmp_path):
    torrents = [make_torrent(tmp_path, 200_000, name=name, seed=seed) for seed, name in enumerate(("blocked.bin", "free.bin"))]
    (tmp_path / "d" / "blocked.bin").mkdir(parents=True)                            # a folder where the file should be: even root cannot write it
    peers = [FakePeer(torrent.info_hash, torrent.data, torrent.piece_length, ip=f"127.0.5.{number + 1}").start() for number, torrent in enumerate(torrents)]
    options = [argument for peer in peers for argument in ("--peer", peer.address)]
    with EvenswarmProcess(tmp_path, "download", *(str(torrent.path) for torrent in torrents), "--dir", str(tmp_path / "d"), "--offline",
                          "--listen", "127.0.0.1:0", *options) as client:
        assert client.wait() == 1
    for peer in peers:
        peer.stop()
    assert (tmp_path / "d" / "free.bin").read_bytes() == torrents[1].data
    assert "blocked.bin" in client.said() and "Traceback" not in client.said()


def test_a_port_that_is_taken_is_named_by_seed(tmp_path):
    torrent = make_torrent(tmp_path, 1000)
    (tmp_path / torrent.name).write_bytes(torrent.data)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run([sys.executable, str(ROOT / "run.py"), "seed", str(torrent.path), "--dir", str(tmp_path), "--listen", address, "--offline"],
                              capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert_one_clear_line(done, address)


def test_a_symlink_out_of_the_download_folder_is_not_followed(tmp_path):
    torrent = make_torrent(tmp_path, 200_000)
    outside = tmp_path / "outside.bin"
    outside.write_bytes(b"precious")
    (tmp_path / "d").mkdir()
    os.symlink(outside, tmp_path / "d" / torrent.name)
    peer = FakePeer(torrent.info_hash, torrent.data, torrent.piece_length).start()
    with EvenswarmProcess(tmp_path, "download", str(torrent.path), "--dir", str(tmp_path / "d"), "--offline", "--listen", "127.0.0.1:0", "--peer", peer.address) as client:
        assert client.wait() == 1
    peer.stop()
    assert outside.read_bytes() == b"precious"


def test_a_disk_that_takes_no_more_ends_the_torrent_with_the_file_named_and_keeps_what_was_verified(tmp_path):
    torrent = make_torrent(tmp_path, 4 << 20)
    peer = FakePeer(torrent.info_hash, torrent.data, torrent.piece_length).start()
    limit = "prlimit", f"--fsize={2 << 20}"                                         # writes beyond 2 MiB fail with EFBIG, as on a full disk
    with EvenswarmProcess(tmp_path, "download", str(torrent.path), "--dir", str(tmp_path / "d"), "--offline", "--listen", "127.0.0.1:0",
                          "--peer", peer.address, under=limit) as client:
        assert client.wait() == 1
        assert torrent.name in client.said() and "Traceback" not in client.said()
        verified = {piece_index for event in client.named("piece_verified") for piece_index in event["piece_indices"]}
    with EvenswarmProcess(tmp_path, "download", str(torrent.path), "--dir", str(tmp_path / "d"), "--offline", "--listen", "127.0.0.1:0",
                          "--peer", peer.address) as again:
        assert again.wait_for("torrent_checked")["num_verified"] >= len(verified)
        assert again.wait() == 0
    peer.stop()
    assert (tmp_path / "d" / torrent.name).read_bytes() == torrent.data
