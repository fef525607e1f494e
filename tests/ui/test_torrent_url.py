"""A .torrent from the web: what can go wrong is one line that names the URL, what happened and what to do."""

import re
import socket
import ssl
from pathlib import Path

import gevent
import pytest
from gevent.server import StreamServer

from protocol.errors import MetainfoError
from protocol.limits import MAX_METAINFO_BYTES
from tests.processes.torrent_files import make_torrent
from ui.commands.sources import read_metainfo
from ui.fetching import torrent_url

CERTIFICATE = Path(__file__).resolve().parent.parent / "actors" / "data" / "untrusted_tracker.pem"


def ok(body: bytes, *headers: bytes, length: int | None = None) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Length: %d" % (len(body) if length is None else length), *headers, b"", body])


def status(line: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 " + line, b"Content-Length: 0", *headers, b"", b""])


@pytest.fixture
def serve():
    """serve(answer, …): answer each request of a path with these bytes ({path: bytes}, or the same for all) and return the URL."""
    servers = []

    def start(answers, **tls):
        def handle(connection, _address):
            try:
                request = connection.recv(1 << 16)
                connection.sendall(answers[request.split()[1].decode()] if isinstance(answers, dict) else answers)
            except OSError:                             # the client had enough
                pass
            finally:
                connection.close()

        server = StreamServer(("127.0.0.1", 0), handle, **tls)
        server.start()
        servers.append(server)
        return f"http{'s' * bool(tls)}://127.0.0.1:{server.server_port}/x"

    yield start
    for server in servers:
        server.stop(timeout=0)


def refusal(url: str) -> str:
    """What the user is told, without the URL that comes first."""
    with pytest.raises(MetainfoError) as refused:
        read_metainfo(url)
    text = str(refused.value)
    assert text.startswith(f"{url}: ")
    assert "\n" not in text
    assert not re.search(r"urllib3|HTTPConnection|Errno|Error\(|object at", text), text
    return text.removeprefix(f"{url}: ")


def test_a_url_of_a_torrent_is_fetched_through_redirects(tmp_path, serve):
    torrent = make_torrent(tmp_path, 1000)
    url = serve({"/x": status(b"302 Found", b"Location: /y"), "/y": ok(torrent.path.read_bytes())})
    assert read_metainfo(url).info.info_hash == torrent.info_hash
    assert read_metainfo(url.replace("http://", "HTTP://me:secret@")).info.info_hash == torrent.info_hash


@pytest.mark.parametrize(("answer", "happened", "to_do"), [
    (status(b"404 Not Found"), "no such file", "check the URL"),
    (status(b"403 Forbidden"), "refuses", "browser"),
    (status(b"429 Slow down"), "too often", "later"),
    (status(b"503 \x1b[31mOops"), "failed", "later"),
    (status(b"204 No Content"), "no file", "check the URL"),
    (ok(b"\n<!DOCTYPE html><html>not here</html>"), "web page", "open it in a browser"),
    (ok(b"hello"), "unexpected", ""),
    (ok(b"", length=10**12), "larger than", "payload"),
    (ok(b"d4:info", length=100), "ended in the middle", "try again"),
    (ok(b"no gzip", b"Content-Encoding: gzip"), "cannot be unpacked", "later"),
    (b"SSH-2.0-dropbear\r\n", "does not speak HTTP", "port"),
    (b"", "without an answer", "later"),
    (status(b"302 Found", b"Location: /x"), "redirects more than 5 times", "browser"),
    (status(b"302 Found", b"Location: magnet:?xt=urn:btih:" + b"a" * 40), "magnet link", "give a .torrent"),
    (status(b"302 Found", b"Location: file:///etc/passwd"), "no web address", "give a .torrent"),
    (status(b"302 Found", b"Location: http://[::1"), "no URL", ""),
], ids=lambda value: value[:20].decode(errors="replace") if isinstance(value, bytes) else "")
def test_an_answer_that_is_no_torrent_is_told_in_plain_words_with_what_to_do(serve, answer, happened, to_do):
    told = refusal(serve(answer))
    assert happened in told
    assert to_do in told
    assert told.isprintable()


def test_an_answer_without_an_end_is_refused_by_its_size(serve):
    assert "larger than" in refusal(serve(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(MAX_METAINFO_BYTES + 2)))


def test_a_server_that_speaks_no_tls_is_told_from_one_that_is_not_trusted(serve):
    assert "http:// instead of https://" in refusal(serve(ok(b"")).replace("http:", "https:"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    assert "certificate is not trusted" in refusal(serve(ok(b""), ssl_context=context))


def test_nobody_there_is_told_with_what_to_do():
    with socket.socket() as unheard:                    # bound, so that nobody else listens there; it does not
        unheard.bind(("127.0.0.1", 0))
        told = refusal(f"http://127.0.0.1:{unheard.getsockname()[1]}/x")
    assert "refused" in told
    assert "check host and port" in told


def test_a_host_without_an_address_is_told_with_what_to_do():
    assert "name of its host cannot be resolved" in refusal("http://no-such-host.invalid/x.torrent")     # RFC 2606: there never is one


@pytest.mark.parametrize("url", ["http://", "http:///x", "http://[::1/x", "http://127.0.0.1:99999/x", "http://a b/x", "https://" + "a" * 300])
def test_a_url_that_is_none_is_told_how_one_looks(url):
    assert "http://HOST/PATH" in refusal(url)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x.torrent", "udp://127.0.0.1:1/announce", "file:///x.torrent"])
def test_a_url_of_another_kind_is_told_which_kinds_can_be_fetched(url):
    assert "only http:// and https://" in refusal(url)


def test_a_password_in_a_url_is_not_repeated(serve):
    url = serve(status(b"404 Not Found"))
    with pytest.raises(MetainfoError) as refused:
        read_metainfo(url.replace("http://", "http://me:secret@"))
    assert str(refused.value).startswith(f"{url}: ")


def test_a_server_that_never_ends_its_answer_is_given_up_after_a_deadline(monkeypatch):
    monkeypatch.setattr(torrent_url, "DEADLINE_SECONDS", 0.3)
    enough = gevent.event.Event()

    def drip(connection, _address):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nd")
        enough.wait(20)
        connection.close()

    server = StreamServer(("127.0.0.1", 0), drip)
    server.start()
    told = refusal(f"http://127.0.0.1:{server.server_port}/x")
    enough.set()
    server.stop(timeout=1)
    assert "did not come within 0.3 s; try again later" in told
