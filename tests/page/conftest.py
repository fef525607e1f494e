"""One client and one Chromium for a module of tests; everything on loopback."""

import gevent
import pytest

from tests.page.chromium import HOW_TO_INSTALL, PROGRAM, Chromium
from tests.page.loopback_peers import SilentPeer
from tests.page.small_torrents import small_torrent
from tests.web.client_process import ClientProcess

# What Chromium itself says of answers that tests ask for: a refusal (400), a client that is gone
EXPECTED = ("status of 400", "net::ERR_CONNECTION_REFUSED", "net::ERR_INCOMPLETE_CHUNKED_ENCODING", "net::ERR_CONNECTION_RESET", "net::ERR_EMPTY_RESPONSE")


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    if not PROGRAM:
        pytest.skip(HOW_TO_INSTALL)
    with ClientProcess(tmp_path_factory.mktemp("client"), "--set", "connect_timeout=3") as running:
        yield running
        assert "Traceback" not in running.complaints()


@pytest.fixture(scope="module")
def browser(client):
    with Chromium() as running:
        running.resize(1440, 900)
        running.open(f"http://127.0.0.1:{client.port}/?token={client.login_token}")
        running.wait_for("document.body.dataset.connection === 'live'")
        yield running
        unexpected = [text for text in running.complaints() if not any(known in text for known in EXPECTED)]
        assert unexpected == [], "errors of scripts, or violations of the content security policy"


@pytest.fixture
def page(client, browser):
    """The page as it is at first: no torrent, nothing remembered, nothing open."""
    for torrent in client.call("GET", "/api/torrents").json["torrents"]:
        assert client.call("DELETE", f"/api/torrents/{torrent['info_hash']}?data=true").status == 200
    client.call("POST", "/api/queue/resume", {})
    browser.value("localStorage.clear()")
    browser.open(f"http://127.0.0.1:{client.port}/")
    browser.wait_for("document.body.dataset.connection === 'live' && document.querySelectorAll('#torrents .grid-row:not([hidden])').length === 0")
    return browser


@pytest.fixture
def add(client):
    """Add a torrent by the API; its info hash."""
    def add_torrent(name="field-notes.bin", start=True, **more):
        answer = client.call("POST", f"/api/torrents?start={'true' if start else 'false'}", small_torrent(name, **more), {"Content-Type": "application/x-bittorrent"})
        assert answer.status == 200, answer.body
        return answer.json["info_hash"]
    return add_torrent


@pytest.fixture
def silent_peer():
    with SilentPeer() as peer:
        yield peer


@pytest.fixture(autouse=True)
def no_hang():
    with gevent.Timeout(120):
        yield
