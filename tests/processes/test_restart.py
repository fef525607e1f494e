"""A client that was stopped and is started again: what it reads of its files, and what it says of a database that it cannot use."""

import json
import os
import shutil
from pathlib import Path

import gevent
import pytest

from tests.processes.torrent_files import make_torrent
from tests.web.client_process import ClientProcess

DEADLINE_SECONDS = 30.0


class ItDidNotCome(AssertionError):
    """What a test waited for."""


@pytest.fixture
def torrent(tmp_path):
    """Complete on the disk, and in the client's folder of .torrents."""
    torrent = make_torrent(tmp_path / "made", 10 << 16)
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / torrent.name).write_bytes(torrent.data)
    copies = tmp_path / "data" / "torrents"
    copies.mkdir(parents=True)
    shutil.copy(torrent.path, copies / f"{torrent.info_hash.hex()}.torrent")
    return torrent


def pieces_found(folder: Path) -> tuple[int, str]:
    """Run a client until its torrent takes part, and stop it; return how many pieces it found right, and what it complained of."""
    log = folder / "log"
    log.unlink(missing_ok=True)
    with ClientProcess(folder, "--log", str(log)) as client, gevent.Timeout(DEADLINE_SECONDS, ItDidNotCome):
        while True:
            lines = log.read_text().splitlines(keepends=True) if log.exists() else []
            events = [json.loads(line) for line in lines if line.endswith("\n")]
            if any(event["event"] == "torrent_started" for event in events):
                break
            gevent.sleep(0.02)
        complaints = client.complaints()
    return next(event["num_verified"] for event in events if event["event"] == "torrent_checked"), complaints


def spoil(file: Path) -> None:
    """Change a byte, and leave size and time as they were."""
    before = file.stat()
    data = bytearray(file.read_bytes())
    data[0] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_after_a_restart_files_are_read_only_if_their_size_or_time_changed(tmp_path, torrent):
    file = tmp_path / "downloads" / torrent.name
    assert pieces_found(tmp_path)[0] == 10
    spoil(file)
    assert pieces_found(tmp_path) == (10, "")           # so nothing was read
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    assert pieces_found(tmp_path)[0] == 9               # now it was


def test_a_damaged_database_is_put_aside_with_a_message_and_everything_is_checked(tmp_path, torrent):
    assert pieces_found(tmp_path)[0] == 10
    spoil(tmp_path / "downloads" / torrent.name)
    (tmp_path / "data" / "resume.sqlite3").write_bytes(b"garbage" * 1_000)
    found, complaints = pieces_found(tmp_path)
    assert found == 9
    assert "resume.sqlite3 cannot be used (file is not a database); it was put aside as resume.sqlite3-damaged-" in complaints
    assert "1 torrents are read from" in complaints
