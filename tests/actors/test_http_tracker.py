"""Announces over real HTTP on loopback, with trackers that are slow, broken or hostile."""

import gzip
import socket
import ssl
import tracemalloc
from pathlib import Path

import gevent
import gevent.event
import pytest
from gevent.server import StreamServer

from actors.http_tracker import HttpTracker
from protocol.bencoding import encode
from protocol.errors import TrackerError
from protocol.limits import MAX_TRACKER_HTTP_BYTES, MAX_TRACKER_REDIRECTS, MAX_TRACKER_RESPONSE_BYTES
from protocol.peer_address import PeerAddress
from tests.actors.loopback_tracker import answer, dribble, endless, in_turn, loopback_tracker, raw, redirect, silence

DEADLINE = 20.0                                         # of announces that end sooner by themselves
CERTIFICATE = str(Path(__file__).parent / "data" / "untrusted_tracker.pem")
PEERS = b"\x7f\0\0\1\x1a\xe1"
BODY = encode({"interval": 1800, "peers": PEERS, "peers6": bytes(15) + b"\1\x1a\xe1"})
REFUSAL = encode({"failure reason": "unregistered torrent"})


def refusal(behaviour, certificate: str | None = None, deadline: float = DEADLINE) -> str:
    """Announce to a tracker that behaves so; return the error."""
    with loopback_tracker(behaviour, certificate) as tracker, pytest.raises(TrackerError) as refused:
        HttpTracker().announce(tracker.url, deadline)
    error = str(refused.value)
    assert error.isprintable() and len(error) < 400
    return error


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("behaviour", [
    answer(BODY),
    answer(gzip.compress(BODY), "Content-Encoding: gzip"),
    answer(BODY, "Content-Encoding: identity"),
    raw(b"HTTP/1.0 200 OK\r\n\r\n" + BODY),
    raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n" + BODY[:5] + b"\r\n%x\r\n" % len(BODY[5:]) + BODY[5:] + b"\r\n0\r\n\r\n"),
    raw(b"HTTP/1.1 200\r\nConnection: close\r\n\r\n" + BODY),
], ids=["whole", "gzip", "not packed and said so", "until the end of the connection", "chunked", "no reason phrase"])
def test_peers_of_both_families_come_however_the_answer_is_sent(behaviour):
    with loopback_tracker(behaviour) as tracker:
        response = HttpTracker().announce(tracker.url, DEADLINE)
    assert response.peers == (PeerAddress("127.0.0.1", 6881), PeerAddress("::1", 6881))


def test_the_request_is_what_was_asked_for_byte_by_byte():
    with loopback_tracker(answer(BODY)) as tracker:
        HttpTracker().announce(tracker.url + "?passkey=1&info_hash=%00%FFa%2Fb%7E&x=a+b", DEADLINE)
    request_line, *headers = tracker.requests[0].splitlines()
    assert request_line == "GET /announce?passkey=1&info_hash=%00%FFa%2Fb%7E&x=a+b HTTP/1.1"
    assert {"Accept-Encoding: gzip"} <= set(headers)
    assert any(header.startswith("User-Agent: Evenswarm/") for header in headers)


@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "403 Forbidden", "500 Internal Server Error"])
def test_a_refusal_counts_with_any_status(status):
    with loopback_tracker(answer(REFUSAL, status=status)) as tracker:
        assert HttpTracker().announce(tracker.url, DEADLINE).failure == "unregistered torrent"


def test_an_answer_that_takes_long_to_parse_is_read_too():
    peers = [{"ip": f"10.0.{number // 200}.{number % 200}", "port": 6881} for number in range(5_000)]
    with loopback_tracker(answer(encode({"interval": 1800, "peers": peers}))) as tracker:
        assert len(HttpTracker().announce(tracker.url, DEADLINE).peers) == 1_000


def test_redirects_are_followed_also_relative_ones():
    with loopback_tracker(in_turn(redirect("/two?x=1"), redirect("http:announce"), answer(BODY))) as tracker:
        assert HttpTracker().announce(tracker.url, DEADLINE).interval == 1800
    assert [head.split()[1] for head in tracker.requests] == ["/announce", "/two?x=1", "/announce"]


def test_a_connection_is_used_again():
    http = HttpTracker()
    with loopback_tracker(answer(BODY)) as tracker:
        for _ in range(3):
            http.announce(tracker.url, DEADLINE)
    assert (len(tracker.requests), tracker.num_connections) == (3, 1)


def test_a_kept_connection_that_the_tracker_closes_on_us_is_replaced():
    http = HttpTracker()
    with loopback_tracker(in_turn(answer(BODY), raw(b""), answer(BODY))) as tracker:
        http.announce(tracker.url, DEADLINE)
        assert http.announce(tracker.url, DEADLINE).interval == 1800
    assert tracker.num_connections == 2


def test_a_new_connection_that_the_tracker_closes_is_not_replaced():
    with loopback_tracker(raw(b"")) as tracker, pytest.raises(TrackerError, match="closed connection without response"):
        HttpTracker().announce(tracker.url, DEADLINE)
    assert tracker.num_connections == 1


# ── HTTPS ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_certificate_that_nobody_vouches_for_is_refused_and_the_error_says_so():
    error = refusal(answer(BODY), CERTIFICATE)
    assert error == "no secure connection: its certificate is not trusted (self-signed certificate)"


def test_https_with_a_trusted_certificate_works():
    http = HttpTracker(lambda: ssl.create_default_context(cafile=CERTIFICATE))
    with loopback_tracker(answer(BODY), CERTIFICATE) as tracker:
        assert http.announce(tracker.url, DEADLINE).interval == 1800


def test_a_trusted_certificate_for_another_name_is_refused():
    http = HttpTracker(lambda: ssl.create_default_context(cafile=CERTIFICATE))
    with (
        loopback_tracker(answer(BODY), CERTIFICATE) as tracker,
        pytest.raises(TrackerError, match=r"certificate is not trusted .*localhost"),
    ):
        http.announce(tracker.url.replace("127.0.0.1", "localhost"), DEADLINE)


def test_a_tracker_that_does_not_speak_tls_is_named_as_that():
    server = StreamServer(("127.0.0.1", 0), lambda connection, _: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    server.start()
    try:
        with pytest.raises(TrackerError, match=r"^no secure connection: "):
            HttpTracker().announce(f"https://127.0.0.1:{server.server_port}/announce", DEADLINE)
    finally:
        server.stop(timeout=0)


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("behaviour", "error"), [
    (answer(b"<html>\n<h1>It works!</h1>"), "answered with HTML, not bencode: '<html> <h1>It works!</h1>'"),
    (answer(b"oops", status="500 Internal Server Error"), "answered with HTTP status 500 Internal Server Error"),
    (answer(b"", status="404 \x1b[2J" + "x" * 5_000), "answered with HTTP status 404 [2Jxxx"),
    (answer(BODY, status="503 Busy"), "answered with HTTP status 503 Busy"),
    (answer(b"", status="302 Found"), "answered with HTTP status 302 Found"),
    (answer(b"", status="204 No Content"), "answered with HTTP status 204 No Content"),
    (answer(b""), "answered with nothing"),
    (answer(b"d8:interval4:soone"), "interval is a string, must be a number"),
    (answer(b"x" * 50, "Content-Encoding: gzip"), "answered with something that cannot be unpacked"),
    (answer(gzip.compress(BODY)[:-9], "Content-Encoding: gzip"), "cannot be unpacked: its end is missing"),
    (answer(gzip.compress(BODY) * 2, "Content-Encoding: gzip"), "cannot be unpacked: more than one part"),
    (answer(BODY, "Content-Encoding: gzip, gzip"), "answered with the encoding 'gzip, gzip', which it was not asked for"),
    (answer(BODY, "Content-Encoding: " + "gzip, " * 50), "Too many content encodings"),
    (answer(BODY, "Content-Encoding: br"), "answered with the encoding 'br', which it was not asked for"),
    (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nd8:"), "broke the connection or HTTP: "),
    (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "broke the connection or HTTP: "),
    (raw(b"d8:intervali1800e5:peers0:e"), "broke the connection or HTTP: "),
    (raw(b"x" * 100_000), "broke the connection or HTTP: "),
    (raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1_000 + b"\r\n"), "broke the connection or HTTP: got more than 100 headers"),
    (raw(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"), "broke the connection or HTTP: "),
    (redirect("udp://127.0.0.1:80/announce"), "redirects to 'udp://127.0.0.1:80', which is not HTTP"),
    (redirect("file:///etc/passwd"), "redirects to 'file://', which is not HTTP"),
    (redirect("http://[broken/"), "redirects to 'http://[broken/', which is no URL"),
    (redirect("http://127.0.0.1:99999/"), "its URL is none"),
], ids=lambda value: value[:44] if isinstance(value, str) else "")
def test_what_is_no_answer_is_a_clear_error(behaviour, error):
    assert error in refusal(behaviour)


def test_a_redirect_that_goes_round_in_a_circle_ends():
    with loopback_tracker(redirect("/announce", status="307 Temporary Redirect")) as tracker:
        with pytest.raises(TrackerError, match=f"redirects more than {MAX_TRACKER_REDIRECTS} times"):
            HttpTracker().announce(tracker.url, DEADLINE)
        assert len(tracker.requests) == MAX_TRACKER_REDIRECTS + 1


def test_the_endless_body_of_a_redirect_is_not_read():
    hostile = endless(b"HTTP/1.1 302 Found\r\nLocation: /announce\r\nTransfer-Encoding: chunked\r\n\r\n", b"400\r\n" + b"x" * 1024 + b"\r\n")
    assert "redirects more than" in refusal(hostile)


TOO_LARGE = f"answered with more than {MAX_TRACKER_RESPONSE_BYTES} bytes"


@pytest.mark.parametrize("behaviour", [
    answer(bytes(MAX_TRACKER_RESPONSE_BYTES + 1)),
    endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65_536),
    endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"x" * 4096 + b"\r\n"),
    answer(gzip.compress(bytes(200 << 20), 9), "Content-Encoding: gzip"),
], ids=["declared", "until the end of the connection", "chunked", "gzip bomb"])
def test_a_response_that_is_too_large_before_or_after_unpacking_is_refused_in_bounded_memory(behaviour):
    import actors.bounded_http  # noqa: F401 - imported late, and none of the memory that is measured

    tracemalloc.start()
    try:
        assert refusal(behaviour) == TOO_LARGE
        assert tracemalloc.get_traced_memory()[1] < 8 * MAX_TRACKER_RESPONSE_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("behaviour", [
    endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 10_000),
    endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000),
], ids=["chunks of one byte", "continue for ever"])
def test_a_tracker_that_sends_without_a_pause_has_an_end_and_does_not_stop_the_event_loop(behaviour):
    others = []

    def other() -> None:
        while True:
            others.append(None)
            gevent.sleep(1e-6)

    running = gevent.spawn(other)
    try:
        assert refusal(behaviour) == f"sent more than {MAX_TRACKER_HTTP_BYTES} bytes, with head and framing"
        assert len(others) > 50
    finally:
        running.kill()


@pytest.mark.parametrize("behaviour", [
    silence, dribble(b"HTTP/1.1 200 OK\r\n" + b"X-Y: z\r\n" * 50), dribble(b"x"),
], ids=["silence", "slow headers", "slow first line"])
def test_the_deadline_lies_over_the_whole(behaviour):
    assert refusal(behaviour, deadline=0.3) == "did not answer within 0.3 s"


def test_nobody_there_is_said_in_words():
    with loopback_tracker(silence) as tracker:
        pass
    with pytest.raises(TrackerError, match=r"^cannot be connected to: Connection refused$"):
        HttpTracker().announce(tracker.url, DEADLINE)


def test_a_name_that_does_not_exist_is_said_in_words(monkeypatch):
    def no_such_name(*_) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_name)    # nobody outside this machine is asked
    with pytest.raises(TrackerError, match=r"^its name cannot be resolved$"):
        HttpTracker().announce("http://tracker.invalid/announce", DEADLINE)


@pytest.mark.parametrize("url", ["http://", "http://127.0.0.1:port/", "http://" + "x" * 300 + "/", "http://[::1/"])
def test_a_url_that_is_none_is_said_in_words(url):
    with pytest.raises(TrackerError, match=r"its URL is none|its name cannot be resolved"):
        HttpTracker().announce(url, DEADLINE)


# ── in a greenlet ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Ending:
    """Waits for the call of `on_end`."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, str]] = []
        self._came = gevent.event.Event()

    def __call__(self, response, error: str) -> None:
        self.calls.append((response, error))
        self._came.set()

    def wait(self) -> tuple[object, str]:
        assert self._came.wait(DEADLINE), "on_end was not called"
        assert len(self.calls) == 1
        return self.calls[0]


def test_whoever_waits_hears_of_an_answer_an_error_and_a_bug():
    with loopback_tracker(in_turn(answer(BODY), answer(b"<html>"))) as tracker:
        http = HttpTracker()
        for expected_interval, expected_error in [(1800, ""), (None, "answered with HTML, not bencode: '<html>'")]:
            ending = Ending()
            http.start(tracker.url, DEADLINE, ending)
            response, error = ending.wait()
            assert (response and response.interval, error) == (expected_interval, expected_error)
    ending = Ending()
    HttpTracker().start(None, DEADLINE, ending)
    assert ending.wait()[1].startswith("the announce failed: AttributeError")


def test_an_announce_that_is_killed_says_nothing_and_closes_its_connection():
    with loopback_tracker(silence) as tracker:
        ending = Ending()
        gone = gevent.event.Event()

        def until_gone(connection) -> None:
            connection.recv(1)
            gone.set()

        tracker.behaviour = until_gone
        announce = HttpTracker().start(tracker.url, DEADLINE, ending)
        with gevent.Timeout(DEADLINE):
            while not tracker.requests:
                gevent.sleep(0.001)
        announce.kill()
        assert gone.wait(DEADLINE), "the connection stayed open"
        assert ending.calls == []
