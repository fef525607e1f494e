"""SOURCE of a command: a file or a URL of a .torrent."""

import gevent
import pytest
from gevent.pywsgi import WSGIServer

from protocol.errors import EvenswarmError, MagnetError, MetainfoError
from protocol.limits import MAX_METAINFO_BYTES
from tests.processes.torrent_files import make_torrent
from ui.commands import sources


@pytest.fixture
def server():
    """Answers each path with what a test puts into `pages`: (status, body as an iterable of bytes, headers)."""
    pages = {}

    def serve(environ, start_response):
        status, body, *headers = pages.get(environ["PATH_INFO"], ("404 Not Found", [b""]))
        start_response(status, list(headers))
        return body

    server = WSGIServer(("127.0.0.1", 0), serve, log=None, error_log=None)
    server.start()
    server.pages = pages
    server.url = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.stop(timeout=0)


def test_a_url_of_a_torrent_is_fetched_through_redirects(tmp_path, server):
    torrent = make_torrent(tmp_path, 1000)
    server.pages |= {"/x.torrent": ("200 OK", [torrent.path.read_bytes()]), "/old": ("302 Found", [b""], ("Location", "/x.torrent"))}
    assert sources.read_metainfo(f"{server.url}/old").info.info_hash == torrent.info_hash


@pytest.mark.parametrize(("page", "named"), [
    (("404 Not Found", [b""]), "404"), (("500 Oops", [b""]), "500"), (("200 OK", [b"<html>"]), "unexpected"),
    (("302 Found", [b""], ("Location", "/x")), "redirect"), (("200 OK", [bytes(1 << 20)] * 40), "larger than"),
], ids=["404", "500", "html", "redirect-loop", "endless"])
def test_a_url_that_gives_no_torrent_is_named_with_the_reason(server, page, named):
    server.pages["/x"] = page
    with pytest.raises(MetainfoError, match=named) as refused:
        sources.read_metainfo(f"{server.url}/x")
    assert f"{server.url}/x" in str(refused.value)


def test_a_server_that_never_ends_its_answer_is_given_up_after_a_deadline(server, monkeypatch):
    monkeypatch.setattr(sources, "URL_DEADLINE_SECONDS", 0.3)
    stopped = gevent.event.Event()

    def drip():
        yield b"d"
        stopped.wait(20)

    server.pages["/x"] = ("200 OK", drip())
    with pytest.raises(MetainfoError, match="did not come within"):
        sources.read_metainfo(f"{server.url}/x")
    stopped.set()


def test_nobody_there_is_a_clear_error(server):
    server.stop(timeout=0)
    with pytest.raises(EvenswarmError, match=r"127\.0\.0\.1"):
        sources.read_metainfo(f"{server.url}/x")


def test_a_magnet_link_says_that_it_comes_later():
    with pytest.raises(MagnetError, match="cannot be downloaded yet"):
        sources.read_metainfo("magnet:?xt=urn:btih:" + "a" * 40)


def test_a_file_that_is_too_large_is_not_read_whole(tmp_path):
    with open(tmp_path / "huge.torrent", "wb") as stream:
        stream.truncate(MAX_METAINFO_BYTES * 1000)
    with pytest.raises(MetainfoError, match="too large"):
        sources.read_metainfo(str(tmp_path / "huge.torrent"))
