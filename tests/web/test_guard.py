"""The security paragraph, line by line, from outside: Host, Origin, Sec-Fetch-Site, headers of answers, limits of what is sent."""

import contextlib
import http.client
import re
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import gevent
import pytest

from tests.processes.torrent_files import make_torrent
from tests.web.client_process import ROOT, Answer, ClientProcess

DEADLINE_SECONDS = 60
CERTIFICATE = Path(__file__).resolve().parent.parent / "actors" / "data" / "untrusted_tracker.pem"


class ItDidNotEnd(AssertionError):
    """What should have been closed."""


def test_it_listens_on_loopback_only_unless_told_otherwise(client):
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    addresses = {fields[1].split(":")[0] for fields in listening if fields[3] == "0A" and int(fields[1].split(":")[1], 16) == client.port}
    assert addresses == {"0100007F"}


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example", "", "a b", "[::1", "x@127.0.0.1", "127.0.0.1/x"])
@pytest.mark.parametrize("path", ["/", "/api/torrents", "/login.css"])
def test_a_host_that_is_not_ours_is_answered_with_421(client, host, path):
    answer = client.call("GET", path, headers={"Host": host})
    assert answer.status == 421 and "--web-name" in answer.error


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "localhost:9000", "[::1]:8866", "LOCALHOST"])
def test_localhost_and_ip_addresses_are_ours_at_any_port_for_there_are_tunnels(client, host):
    assert client.call("GET", "/api/torrents", headers={"Host": host}).status == 200


STATE_CHANGES = [
    ("POST", "/api/torrents"), ("POST", "/api/queue/pause"), ("PATCH", "/api/settings"), ("DELETE", "/api/torrents/" + "0" * 40),
    ("POST", "/login"), ("POST", "/api/logout"), ("POST", "/api/nothing"), ("PUT", "/"),
]


@pytest.mark.parametrize(("method", "path"), STATE_CHANGES)
@pytest.mark.parametrize("headers", [
    {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1"}, {"Origin": "http://127.0.0.1:1"}, {"Origin": "file://"},
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "nonsense"},
    {"Origin": "http://evil.example", "Host": "evil2.example"},
])
def test_what_another_site_sends_is_refused_with_403_whoever_is_logged_in(client, method, path, headers):
    assert client.call(method, path, b"{}", headers).status == 403
    assert client.ask(method, path, b"{}", headers).status == 403


def test_403_comes_before_the_body_is_looked_at(client):
    connection = client.connection()
    connection.putrequest("POST", "/api/torrents")
    connection.putheader("Origin", "http://evil.example")
    connection.putheader("Content-Length", "1000000")
    connection.endheaders()
    with gevent.Timeout(DEADLINE_SECONDS, ItDidNotEnd):
        assert connection.getresponse().status == 403
    connection.close()


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {}])
def test_what_our_own_page_and_scripts_send_is_taken(client, headers):
    ours = {"Origin": f"http://127.0.0.1:{client.port}"} if headers else {}
    assert client.call("POST", "/api/queue/resume", headers=headers | ours).status == 200


@pytest.mark.parametrize("path", ["/", "/login.css", "/api/torrents", "/api/nothing"])
@pytest.mark.parametrize("is_logged_in", [False, True])
def test_every_answer_forbids_inline_code_frames_sniffing_and_referrers(client, path, is_logged_in):
    headers = (client.call if is_logged_in else client.ask)("GET", path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy and "*" not in policy and "data:" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Frame-Options"] == "DENY" and headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in headers


def test_the_page_has_no_inline_code(client):
    for path in ("/", "/login.css"):
        text = client.call("GET", path).body.decode()
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", text)


def test_a_body_beyond_32_mib_is_refused_with_413(client):
    connection = client.connection()
    connection.putrequest("POST", "/api/torrents")
    for name, value in (("Authorization", f"Bearer {client.api_token}"), ("Content-Type", "application/x-bittorrent"), ("Content-Length", str((32 << 20) + 1))):
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413 and b"longer than" in answer.read()
    connection.close()


def test_a_body_without_a_length_is_counted_as_it_comes(client):
    def portions():
        for _ in range(40):
            yield b"x" * (1 << 15)

    connection = client.connection()
    connection.request("PATCH", "/api/settings", portions(), {"Authorization": f"Bearer {client.api_token}", "Content-Type": "application/json"}, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def raw(client: ClientProcess, data: bytes) -> Answer:
    """Send bytes as they are and read the answer."""
    with socket.create_connection(("127.0.0.1", client.port), timeout=30) as connection:
        connection.sendall(data)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return Answer(answer.status, answer.headers, answer.read())


@pytest.mark.parametrize(("request_bytes", "status"), [
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40_000 + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 5_000 + b"\r\n", 431),
    (b"GET /" + b"x" * 7_900 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 401),
    (b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400),
    (b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
    (b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
    (b"POST /login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
    (b"nonsense\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n\r\n", 421),
])
def test_what_is_no_proper_http_is_refused(client, request_bytes, status):
    assert raw(client, request_bytes).status == status


def test_a_request_that_never_ends_is_ended(client):
    with socket.create_connection(("127.0.0.1", client.port), timeout=DEADLINE_SECONDS) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        dribble = gevent.spawn(_dribble, connection)
        with gevent.Timeout(DEADLINE_SECONDS, ItDidNotEnd):
            assert b" 408 " in connection.recv(1 << 16)
        dribble.kill()


def _dribble(connection: socket.socket) -> None:
    """A byte now and then: an attack on servers that count only silence."""
    try:
        while True:
            connection.sendall(b"x")
            gevent.sleep(0.5)
    except OSError:
        return


def test_many_open_connections_do_not_keep_others_out_for_ever(client):
    idle = [socket.create_connection(("127.0.0.1", client.port), timeout=30) for _ in range(150)]     # more than are served at once
    try:
        with gevent.Timeout(DEADLINE_SECONDS, ItDidNotEnd):
            assert client.call("GET", "/api/torrents").status == 200
    finally:
        for connection in idle:
            connection.close()


@pytest.mark.parametrize("folder", ["/", "/etc", "..", "../x", "a/../../x", "out", "out/deeper", "", "a\0b", "x" * 5_000])
def test_downloads_go_only_below_the_folders_that_were_named(client, tmp_path, folder):
    client.downloads.mkdir(exist_ok=True)
    link = client.downloads / "out"
    if not link.is_symlink():
        link.symlink_to("/")
    torrent = make_torrent(tmp_path, 1_000)
    answer = client.call("POST", "/api/torrents?start=false", {"torrent": _base64(torrent.path), "folder": folder})
    assert answer.status == 400, answer
    assert client.call("GET", "/api/torrents").json == {"torrents": []}


def _base64(path: Path) -> str:
    import base64

    return base64.b64encode(path.read_bytes()).decode()


@pytest.mark.parametrize("url", [
    "http://127.0.0.1:{port}/x.torrent", "http://localhost:{port}/x.torrent", "http://[::1]:{port}/x.torrent", "http://127.1:{port}/",
    "http://2130706433:{port}/", "http://0x7f000001:{port}/", "http://0.0.0.0:{port}/", "http://10.0.0.1/", "http://192.168.1.1/", "http://169.254.169.254/latest/meta-data/",
    "http://[::ffff:127.0.0.1]:{port}/", "http://[64:ff9b::7f00:1]/", "http://[fe80::1]/", "http://[fd00::1]/", "https://127.0.0.1:{port}/",
])
def test_a_url_of_this_machine_or_of_a_private_network_is_not_fetched(client, url):
    with socket.create_server(("127.0.0.1", 0)) as trap:
        answer = client.call("POST", "/api/torrents", {"url": url.format(port=trap.getsockname()[1])})
        assert answer.status == 400 and "not on the public internet" in answer.error, answer
        trap.settimeout(0)
        with pytest.raises(BlockingIOError):
            trap.accept()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://localhost/x", "gopher://x", "//127.0.0.1/x", "http://", "http:///x", "x", "http://x\r\ny/"])
def test_what_is_no_url_of_the_web_is_refused(client, url):
    assert client.call("POST", "/api/torrents", {"url": url}).status == 400


def start(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(ROOT / "run.py"), "--data", str(tmp_path / "data"), "--dir", str(tmp_path / "downloads"), "--listen", "127.0.0.1:0", "--offline", *arguments],
        capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("web", ["0.0.0.0:0", "[::]:0", ":0"])
def test_where_others_can_reach_it_a_password_is_required(tmp_path, web):
    ended = start(tmp_path, "--web", web)
    assert ended.returncode == 1 and "needs a password" in ended.stderr


def test_a_short_password_is_refused(tmp_path):
    (tmp_path / "password").write_text("short\n")
    ended = start(tmp_path, "--web", "0.0.0.0:0", "--web-password-file", str(tmp_path / "password"))
    assert ended.returncode == 1 and "8" in ended.stderr


def test_with_a_password_and_without_tls_there_is_a_warning_and_a_login(tmp_path):
    (tmp_path / "password").write_text("correct horse\n")
    with ClientProcess(tmp_path, "--web-password-file", str(tmp_path / "password"), web="0.0.0.0:0") as client:
        assert "warning" in client.complaints() and "without TLS" in client.complaints()
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert client.ask("POST", "/login", b"password=wrong", form).status == 401
        assert client.ask("POST", "/login", b"password=correct+horse", form).status == 303


def test_with_a_certificate_it_speaks_tls_and_its_cookie_is_for_tls_alone(tmp_path):
    with ClientProcess(tmp_path, "--web-cert", str(CERTIFICATE)) as client:
        assert client.scheme == "https"
        answer = client.ask("GET", f"/?token={client.login_token}")
        assert answer.status == 303
        assert answer.headers["Set-Cookie"].startswith("__Host-") and "; Secure" in answer.headers["Set-Cookie"]
        with socket.create_connection(("127.0.0.1", client.port), timeout=30) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert b"HTTP/1.1" not in plain.recv(1 << 16)
        context = ssl.create_default_context()
        with pytest.raises(ssl.SSLError), socket.create_connection(("127.0.0.1", client.port), timeout=30) as connection:
            context.wrap_socket(connection, server_hostname="localhost")
        ended = subprocess.run([sys.executable, str(ROOT / "run.py"), "list", "--data", str(client.data)], capture_output=True, text=True, timeout=60, check=False)
        assert (ended.returncode, ended.stderr) == (0, "")
