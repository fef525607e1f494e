"""/api/events from outside: a snapshot, then differences; back after a break; the death of the web process."""

import base64
import os
import signal
import socket

import gevent
import pytest

from tests.processes.torrent_files import make_torrent
from tests.web.client_process import ClientProcess, events

DEADLINE_SECONDS = 60


class ItDidNotCome(AssertionError):
    """What a test waited for."""


@pytest.fixture
def own_client(tmp_path):
    with ClientProcess(tmp_path) as running:
        yield running


@pytest.fixture
def deadline():
    with gevent.Timeout(DEADLINE_SECONDS, ItDidNotCome):
        yield


def add(client: ClientProcess, folder, name: str = "payload.bin", seed: int = 1) -> str:
    torrent = make_torrent(folder, 100_000, name, seed=seed)
    answer = client.call("POST", "/api/torrents", {"torrent": base64.b64encode(torrent.path.read_bytes()).decode(), "start": False})
    assert answer.status == 200, answer
    return answer.json["info_hash"]


def test_a_viewer_gets_a_snapshot_and_then_what_changes(own_client, tmp_path, deadline):
    with events(own_client) as stream:
        first = next(stream)
        assert first["event"] == "snapshot" and first["data"]["torrents"] == [] and first["data"]["queue"]["half_open_limit"] == 30
        info_hash = add(own_client, tmp_path)
        event = next(event for event in stream if event["data"].get("torrents"))
        assert event["event"] == "difference"
        assert [row["info_hash"] for row in event["data"]["torrents"]] == [info_hash]
        assert own_client.call("DELETE", f"/api/torrents/{info_hash}").status == 200
        assert next(event for event in stream if event["data"].get("removed"))["data"]["removed"] == [info_hash]


def test_who_names_his_last_event_goes_on_from_there(own_client, tmp_path, deadline):
    with events(own_client) as stream:
        first = next(stream)
    info_hash = add(own_client, tmp_path)
    with events(own_client, headers={"Last-Event-ID": first["id"]}) as stream:
        event = next(event for event in stream if event["data"].get("torrents"))
        assert event["event"] == "difference" and event["data"]["torrents"][0]["info_hash"] == info_hash


@pytest.mark.parametrize("last", ["nonsense", "deadbeef-1", "x" * 5_000])
def test_who_names_an_event_that_nobody_remembers_gets_a_fresh_snapshot(own_client, last, deadline):
    with events(own_client, headers={"Last-Event-ID": last}) as stream:
        assert next(stream)["event"] == "snapshot"


def test_peers_come_only_of_the_torrents_that_are_asked_for(own_client, tmp_path, deadline):
    looked_at, other = add(own_client, tmp_path), add(own_client, tmp_path, "other.bin", seed=2)
    with events(own_client, f"/api/events?peers={looked_at}") as stream:
        for info_hash in (looked_at, other):
            assert own_client.call("POST", f"/api/torrents/{info_hash}/start").status == 200
            assert own_client.call("POST", f"/api/torrents/{info_hash}/peers", {"peers": ["127.0.0.1:1"]}).status == 200
        event = next(event for event in stream if any(peers["changed"] for peers in event["data"].get("peers", {}).values()))
        assert set(event["data"]["peers"]) == {looked_at}
        assert event["data"]["peers"][looked_at]["changed"][0]["key"] == "127.0.0.1:1"


@pytest.mark.parametrize("query", ["peers=x", "peers=" + "0" * 39, "peers=" + ",".join(["0" * 40] * 17)])
def test_a_wrong_list_of_torrents_is_refused(client, query):
    assert client.call("GET", f"/api/events?{query}").status == 400


def test_the_web_process_may_die_and_browsers_stay_logged_in_at_the_same_address(own_client, tmp_path, deadline):
    info_hash = add(own_client, tmp_path)
    cookie = {"Cookie": own_client.cookie()}
    before = own_client.web_pid()
    with events(own_client) as stream:
        next(stream)
        os.kill(before, signal.SIGKILL)
        assert list(stream) is not None                 # it ends
    while True:
        try:
            answer = own_client.ask("GET", "/api/torrents", headers=cookie)
            break
        except OSError:
            gevent.sleep(0.05)                          # the next one is not there yet
    assert [row["info_hash"] for row in answer.json["torrents"]] == [info_hash]
    assert own_client.web_pid() != before
    assert own_client.ask("GET", f"/?token={own_client.login_token}").status == 401      # used is used
    with events(own_client) as stream:
        assert next(stream)["event"] == "snapshot"


def test_a_viewer_that_does_not_read_holds_nobody_up(own_client, tmp_path, deadline):
    deaf = socket.create_connection(("127.0.0.1", own_client.port), timeout=30)
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.sendall(f"GET /api/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {own_client.api_token}\r\n\r\n".encode())
    info_hash = add(own_client, tmp_path)
    with events(own_client) as stream:
        event = next(event for event in stream if event["data"].get("torrents"))
        assert [row["info_hash"] for row in event["data"]["torrents"]] == [info_hash]
    deaf.close()


def test_sigterm_ends_all_processes_within_five_seconds(tmp_path, deadline):
    with ClientProcess(tmp_path) as client:
        add(client, tmp_path)
        children = client.children()
        assert len(children) == 2
        with events(client) as stream:
            next(stream)
            client.process.send_signal(signal.SIGTERM)
            assert client.process.wait(timeout=5) == 0
        for pid in children:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
        assert not (client.data / "running.json").exists()


def test_when_the_engine_is_killed_its_web_process_ends(tmp_path, deadline):
    with ClientProcess(tmp_path) as client:
        web = client.web_pid()
        client.process.kill()
        client.process.wait()
        with pytest.raises(ProcessLookupError):
            while True:
                os.kill(web, 0)
                gevent.sleep(0.02)
