import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.limits import MAX_URL_CHARS
from protocol.urls import TRACKER_SCHEMES, WEB_SEED_SCHEMES, usable_urls


@pytest.mark.parametrize("url", [
    "http://tracker.example/announce", "https://tracker.example:8443/a?passkey=1&x=%20", "udp://tracker.example:1337", "UDP://[2001:db8::1]:6969/announce",
    "http://user:word@tracker.example/", "http://bücher.example/a", "http://127.0.0.1:80",
])
def test_a_tracker_that_can_be_asked_is_kept_as_it_is_written(url):
    assert usable_urls([url, url.encode()], TRACKER_SCHEMES, 9) == (url,)


@pytest.mark.parametrize("candidate", [
    None, 3, [], {}, b"", "", "tracker.example", "http:", "http://", "http:///announce", "http://:80/", "udp://", "//tracker.example/a", "ftp://a/x", "wss://a/x", "file:///etc/passwd",
    "javascript:alert(1)", "http://[broken/x", "http://a:99999/", "http://a:0/", "http://a:x/", "http://a:-1/", "http://a/\x1b[2J", "http://a/\nx", "http://a/ x", "http://a/\u202ex", "http://a/\0",
    b"http://a/\xff", b"\xff", "http://a/" + "x" * MAX_URL_CHARS, "http://a\ud800/",
], ids=ascii)
def test_what_cannot_be_asked_is_left_out_and_the_others_stay(candidate):
    assert usable_urls([candidate, "http://good/"], TRACKER_SCHEMES, 9) == ("http://good/",)


def test_spaces_around_are_no_part_of_a_url():
    assert usable_urls([b" http://a/\r\n", "http://a/"], TRACKER_SCHEMES, 9) == ("http://a/",)


def test_a_web_seed_is_no_udp():
    assert usable_urls(["udp://a:1/", "http://a/"], WEB_SEED_SCHEMES, 9) == ("http://a/",)


def test_the_first_ones_are_taken_of_too_many():
    assert usable_urls((f"http://{number}/" for number in range(1_000)), TRACKER_SCHEMES, 2) == ("http://0/", "http://1/")
    assert usable_urls(["http://a/"], TRACKER_SCHEMES, 0) == ()


@given(st.text() | st.text().map("http://".__add__) | st.binary())
def test_whatever_is_kept_is_printable_and_bounded(candidate):
    assert all(url.isprintable() and " " not in url and len(url) <= MAX_URL_CHARS for url in usable_urls([candidate], TRACKER_SCHEMES, 1))
