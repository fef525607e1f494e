"""The calls of the API from outside: what they do, and what they say to what makes no sense."""

import base64
import http.client

import pytest

from tests.processes.torrent_files import bencode, make_torrent
from tests.web.client_process import ClientProcess

UNKNOWN = "0" * 40


@pytest.fixture(scope="module")
def torrent(client, tmp_path_factory):
    """A stopped torrent in the client."""
    made = make_torrent(tmp_path_factory.mktemp("torrents"), 300_000, announce="http://127.0.0.1:9/announce")
    answer = client.call("POST", "/api/torrents", {"torrent": base64.b64encode(made.path.read_bytes()).decode(), "start": False, "folder": "sub/folder"})
    assert answer.json == {"info_hash": made.info_hash.hex(), "name": "payload.bin"}
    return made


@pytest.fixture
def path(torrent):
    return f"/api/torrents/{torrent.info_hash.hex()}"


def test_a_torrent_shows_its_row_and_what_it_is(client, torrent, path):
    shown = client.call("GET", path).json
    assert shown["name"] == "payload.bin" and shown["total_bytes"] == 300_000 and shown["state"] == "stopped"
    assert shown["folder"] == str(client.downloads / "sub/folder") and shown["priority"] == "normal" and shown["num_files"] == 1


def test_its_files_and_trackers(client, path):
    assert client.call("GET", f"{path}/files").json["files"][0].items() >= {"index": 0, "path": "payload.bin", "length": 300_000}.items()
    assert client.call("GET", f"{path}/trackers").json["tiers"] == [["http://127.0.0.1:9/announce"]]


def test_the_same_torrent_again_is_a_conflict(client, torrent, path):
    answer = client.call("POST", "/api/torrents", torrent.path.read_bytes(), {"Content-Type": "application/x-bittorrent"})
    assert answer.status == 409 and "is there already" in answer.error


def test_a_torrent_can_come_as_a_form(tmp_path_factory, client):
    made = make_torrent(tmp_path_factory.mktemp("form"), 1_000, "of-a-form.bin", seed=5)
    body, content_type = form({"start": "false", "priority": "low"}, "torrent", "of-a-form.torrent", made.path.read_bytes())
    answer = client.call("POST", "/api/torrents", body, {"Content-Type": content_type})
    assert answer.json["name"] == "of-a-form.bin"
    assert client.call("GET", f"/api/torrents/{made.info_hash.hex()}").json["priority"] == "low"
    assert client.call("DELETE", f"/api/torrents/{made.info_hash.hex()}").status == 200


def form(fields: dict[str, str], name: str, filename: str, data: bytes) -> tuple[bytes, str]:
    boundary = "boundary-of-a-test"
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode() for key, value in fields.items()]
    parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n\r\n'.encode() + data + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def test_a_torrent_starts_and_stops(client, path):
    assert client.call("POST", f"{path}/start").json == {}
    with pytest.raises(StopIteration):
        next(row for row in client.call("GET", "/api/torrents").json["torrents"] if row["state"] == "error")
    assert client.call("POST", f"{path}/announce").status == 200
    assert client.call("POST", f"{path}/recheck").status == 200
    assert client.call("POST", f"{path}/stop").json == {}


def test_peers_by_hand_can_be_banned_and_unbanned(client, path):
    assert client.call("POST", f"{path}/peers", {"peers": ["192.0.2.7:6881"]}).status == 200
    assert client.call("POST", f"{path}/peers/ban", {"peer": "192.0.2.7:6881", "reason": "rude"}).status == 200
    rows = client.call("GET", f"{path}/peers").json["peers"]
    assert [(row["key"], row["state"], row["swarm_peer"]["ban_reason"]) for row in rows] == [("192.0.2.7:6881", "failed", "rude")]
    assert client.call("POST", f"{path}/peers/unban", {"peer": "192.0.2.7:6881"}).status == 200
    assert client.call("GET", f"{path}/peers").json["peers"] == []      # a candidate of a stopped torrent waits for nothing


def test_the_priority_of_a_torrent_changes(client, path):
    assert client.call("PATCH", path, {"priority": "high"}).json == {"priority": "high"}
    assert client.call("GET", path).json["priority"] == "high"


def test_settings_change_as_a_whole_or_not_at_all(client):
    before = client.call("GET", "/api/settings").json
    refused = client.call("PATCH", "/api/settings", {"half_open_limit": 7, "connection_rate": -1})
    assert refused.status == 400 and "connection_rate is -1" in refused.error
    assert client.call("GET", "/api/settings").json == before
    changed = client.call("PATCH", "/api/settings", {"half_open_limit": 7, "listen_port": 7000})
    assert changed.json["settings"]["half_open_limit"] == 7 and changed.json["needs_restart"] == ["listen_port"]
    assert client.call("GET", "/api/queue").json["half_open_limit"] == 7


def test_connecting_pauses_and_goes_on(client):
    assert client.call("POST", "/api/queue/pause", {"reason": "a film"}).status == 200
    assert client.call("GET", "/api/queue").json["pauses"] == ["a film"]
    assert client.call("POST", "/api/queue/resume", {"reason": "a film"}).status == 200
    assert client.call("GET", "/api/queue").json["pauses"] == []


@pytest.mark.parametrize(("method", "path", "body", "status", "sentence"), [
    ("GET", f"/api/torrents/{UNKNOWN}", None, 404, "there is no torrent 000"),
    ("POST", f"/api/torrents/{UNKNOWN}/start", None, 404, "there is no torrent"),
    ("DELETE", f"/api/torrents/{UNKNOWN}", None, 404, "there is no torrent"),
    ("GET", f"/api/torrents/{UNKNOWN}/peers", None, 404, "there is no torrent"),
    ("GET", "/api/torrents/xyz", None, 404, "40 hex digits"),
    ("GET", "/api/nothing", None, 404, "docs/api.md"),
    ("PUT", "/api/torrents", {}, 405, "this path takes GET, POST"),
    ("POST", "/api/torrents", {}, 400, "give one of: torrent"),
    ("POST", "/api/torrents", [], 400, "Expected `object`"),
    ("POST", "/api/torrents", {"torrent": "*"}, 400, "base64"),
    ("POST", "/api/torrents", {"torrent": "ZGU="}, 400, "no info dictionary"),
    ("POST", "/api/torrents", {"torrent": "ZGU=", "url": "http://x/"}, 400, "give one of"),
    ("POST", "/api/torrents", {"magnet": "magnet:?xt=nothing"}, 400, "info hash"),
    ("POST", "/api/torrents", {"torrent": "ZGU=", "priority": "urgent"}, 400, "urgent"),
    ("POST", "/api/torrents", {"torrent": "ZGU=", "colour": "red"}, 400, "colour"),
    ("POST", "/api/torrents", {"torrent": "ZGU=", "peers": ["localhost:1"]}, 400, "'localhost:1' must be ip:port"),
    ("POST", "/api/torrents", {"torrent": "ZGU=", "peers": ["127.0.0.1:0"]}, 400, "cannot be dialled"),
    ("PATCH", "/api/settings", {"half_open_limit": "7"}, 400, "half_open_limit is '7', must be of type int"),
    ("PATCH", "/api/settings", {"half_open": 7}, 400, "'half_open' is not known"),
    ("PATCH", "/api/settings", {"profile": "hasty"}, 400, "must be one of conservative"),
    ("POST", "/api/queue/pause", {"reason": ""}, 400, "reason"),
    ("DELETE", f"/api/torrents/{UNKNOWN}?data=perhaps", None, 400, "must be true or false"),
])
def test_what_makes_no_sense_is_said_in_a_sentence(client, method, path, body, status, sentence):
    answer = client.call(method, path, body)
    assert answer.status == status, answer
    assert sentence in answer.error and set(answer.json) == {"error", "kind"}


def test_a_body_of_another_type_is_refused(client):
    assert client.call("PATCH", "/api/settings", b"{}", {"Content-Type": "text/plain"}).status == 415
    assert client.call("POST", "/api/torrents", b"{}", {"Content-Type": "text/plain"}).status == 415


def test_a_removed_torrent_takes_its_data_along_and_nothing_else(tmp_path):
    files = {("a", "one.bin"): b"1" * 1_000, ("a", "deep", "two.bin"): b"2" * 500, ("three.bin",): b"3" * 100}
    info = {"name": "many", "piece length": 1 << 14, "pieces": b"\0" * 20,
            "files": [{"length": len(data), "path": list(path)} for path, data in files.items()]}
    with ClientProcess(tmp_path) as client:
        folder = client.downloads / "many"
        for path, data in files.items():
            folder.joinpath(*path).parent.mkdir(parents=True, exist_ok=True)
            folder.joinpath(*path).write_bytes(data)
        (folder / "a" / "mine.txt").write_text("not of the torrent")
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "three.bin").write_text("elsewhere")
        (folder / "three.bin").unlink()
        (folder / "three.bin").symlink_to(outside / "three.bin")
        added = client.call("POST", "/api/torrents?start=false", bencode({"info": info}), {"Content-Type": "application/x-bittorrent"})
        answer = client.call("DELETE", f"/api/torrents/{added.json['info_hash']}?data=true")
        assert answer.status == 409 and "three.bin" in answer.error and "symbolic link" in answer.error
        assert (outside / "three.bin").read_text() == "elsewhere"
        assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == ["a", "a/mine.txt", "three.bin"]
        assert client.call("GET", "/api/torrents").json == {"torrents": []}


def test_one_connection_serves_many_requests(client):
    connection: http.client.HTTPConnection = client.connection()
    for _ in range(3):
        connection.request("GET", "/api/client", headers={"Authorization": f"Bearer {client.api_token}"})
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read()
    connection.close()
