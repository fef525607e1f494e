"""The commands for the running client, each a process of its own, as people and scripts call them."""

import json
import subprocess
import sys

import pytest

from tests.processes.torrent_files import make_torrent
from tests.web.client_process import ROOT, ClientProcess


def command(client: ClientProcess, name: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(ROOT / "run.py"), name, "--data", str(client.data), *arguments], capture_output=True, text=True, timeout=60, check=False,
    )


@pytest.fixture(scope="module")
def torrent(client, tmp_path_factory):
    made = make_torrent(tmp_path_factory.mktemp("torrents"), 200_000)
    ended = command(client, "add", "--priority", "high", str(made.path))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{made.info_hash.hex()} payload.bin\n", "")
    return made


def test_list_names_what_was_added(client, torrent):
    ended = command(client, "list")
    assert ended.returncode == 0 and torrent.info_hash.hex()[:10] in ended.stdout and "payload.bin" in ended.stdout


def test_list_for_scripts_is_json(client, torrent):
    rows = json.loads(command(client, "list", "--json").stdout)
    assert [(row["info_hash"], row["total_bytes"]) for row in rows] == [(torrent.info_hash.hex(), 200_000)]


def test_a_torrent_is_named_by_the_beginning_of_its_hash_or_by_its_name(client, torrent):
    assert command(client, "stop", torrent.info_hash.hex()[:8]).stdout == "stopped payload.bin\n"
    assert command(client, "start", "payload.bin").stdout == "started payload.bin\n"
    assert command(client, "stop", "--all").stdout == "stopped payload.bin\n"


@pytest.mark.parametrize(("arguments", "complaint"), [
    (("stop", "nothing"), "there is no torrent 'nothing'"),
    (("start",), "name torrents"),
    (("add", "there-is-no-such.torrent"), "there-is-no-such.torrent: No such file"),
    (("add", "--dir", "/", __file__), "is not below"),
    (("add", __file__), "test_commands.py"),
    (("add", "magnet:?xt=urn:btih:nonsense"), "40 hex digits"),
    (("add", "http://127.0.0.1:1/x.torrent"), "is this machine itself"),
])
def test_what_cannot_be_done_is_one_line_and_exit_code_1(client, torrent, arguments, complaint):
    ended = command(client, *arguments)
    assert ended.returncode == 1 and ended.stdout == ""
    assert complaint in ended.stderr and ended.stderr.startswith("evenswarm: ") and ended.stderr.count("\n") == 1


def test_top_shows_torrents_and_queue_once_where_there_is_no_terminal(client, torrent):
    ended = command(client, "top")
    assert ended.returncode == 0, ended.stderr
    assert "payload.bin" in ended.stdout and "half-open" in ended.stdout and "Address" in ended.stdout


def test_remove_takes_a_torrent_off_the_list(tmp_path):
    with ClientProcess(tmp_path) as client:
        made = make_torrent(tmp_path, 200_000)
        client.downloads.joinpath("payload.bin").write_bytes(made.data)
        assert command(client, "add", str(made.path)).returncode == 0
        assert command(client, "remove", "payload.bin").stdout == "removed payload.bin\n"
        assert json.loads(command(client, "list", "--json").stdout) == []
        assert client.downloads.joinpath("payload.bin").read_bytes() == made.data


def test_without_a_client_every_command_says_so(tmp_path):
    for name in ("list", "top", "stop"):
        ended = subprocess.run([sys.executable, str(ROOT / "run.py"), name, "--data", str(tmp_path)], capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 1 and "no client runs on the data folder" in ended.stderr


def test_a_second_client_on_the_same_data_folder_is_told_of_the_first(client):
    ended = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), "--data", str(client.data), "--dir", str(client.downloads), "--web", "127.0.0.1:0"],
        capture_output=True, text=True, timeout=60, check=False,
    )
    assert ended.returncode == 1 and "a client runs already on the data folder" in ended.stderr
    assert client.call("GET", "/api/torrents").status == 200
