"""Announces over HTTP: the URL that is asked, and what trackers answer (BEP 3, 7, 23, 31)."""

import math
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.bencoding import encode
from protocol.errors import TrackerError
from protocol.limits import MAX_TRACKER_ID_BYTES, MAX_TRACKER_PEERS, MAX_TRACKER_RESPONSE_BYTES, MAX_TRACKER_TEXT_CHARS
from protocol.peer_address import PeerAddress
from protocol.tracker_messages import (
    AnnounceRequest,
    AnnounceResponse,
    announce_url,
    one_line,
    parse_announce_response,
    tracker_name,
)


def request(**fields) -> AnnounceRequest:
    return AnnounceRequest(**{
        "info_hash": b"h" * 20, "peer_id": b"-EW0100-123456789012", "port": 6881, "uploaded": 1, "downloaded": 2, "left": 3, **fields,
    })


def query_of(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query, encoding="latin-1", strict_parsing=True)


# ── the URL ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_url_names_all_that_bep_3_and_23_ask_for():
    url = announce_url("http://tracker.example/announce", request(event="started", key="0badcafe", numwant=50, tracker_id=b"t&1"))
    assert url.startswith("http://tracker.example/announce?")
    assert query_of(url) == {
        "info_hash": ["h" * 20], "peer_id": ["-EW0100-123456789012"], "port": ["6881"], "uploaded": ["1"], "downloaded": ["2"],
        "left": ["3"], "compact": ["1"], "event": ["started"], "key": ["0badcafe"], "numwant": ["50"], "trackerid": ["t&1"],
    }


def test_an_announce_between_events_says_no_event():
    assert not {"event", "key", "numwant", "trackerid"} & set(query_of(announce_url("http://t/a", request())))


def test_numwant_0_is_said():
    assert query_of(announce_url("http://t/a", request(numwant=0)))["numwant"] == ["0"]


@given(st.binary(min_size=20, max_size=20))
def test_any_hash_survives_the_url(info_hash):
    url = announce_url("http://t/a", request(info_hash=info_hash))
    assert url.isascii() and url.isprintable() and " " not in url
    assert query_of(url)["info_hash"] == [info_hash.decode("latin-1")]


@pytest.mark.parametrize(("base", "beginning"), [
    ("http://t/a", "http://t/a?info_hash="),
    ("http://t/a?passkey=1%26", "http://t/a?passkey=1%26&info_hash="),
    ("http://t/a?", "http://t/a?info_hash="),
    ("http://t/a?x=1&", "http://t/a?x=1&info_hash="),
    ("http://t/a#top", "http://t/a?info_hash="),
    ("http://t", "http://t?info_hash="),
])
def test_what_the_url_of_the_tracker_holds_is_kept(base, beginning):
    assert announce_url(base, request()).startswith(beginning)


def test_an_event_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="paused"):
        request(event="paused")


@pytest.mark.parametrize(("url", "name"), [
    ("https://tracker.example:8443/secret/announce?passkey=secret", "https://tracker.example:8443"),
    ("http://user:password@tracker.example/announce", "http://tracker.example"),
    ("http://[::1]:80/announce", "http://[::1]:80"),
    ("udp://tracker.example:1337", "udp://tracker.example:1337"),
    ("http://[broken/", "a tracker whose URL is none"),
])
def test_the_name_of_a_tracker_holds_no_passkey_and_no_password(url, name):
    assert tracker_name(url) == name


# ── the answer ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def answer(**fields) -> AnnounceResponse:
    return parse_announce_response(encode({name.replace("_", " "): value for name, value in {"interval": 1800, "peers": b"", **fields}.items()}))


def test_an_answer_is_read():
    response = answer(min_interval=60, tracker_id=b"\xff1", warning_message="soon gone", complete=3, incomplete=4, peers=b"\x7f\0\0\1\x1a\xe1")
    assert response == AnnounceResponse(
        interval=1800, min_interval=60, peers=(PeerAddress("127.0.0.1", 6881),), tracker_id=b"\xff1", warning="soon gone",
        complete=3, incomplete=4,
    )


@pytest.mark.parametrize(("fields", "peers"), [
    ({"peers": b"\1\2\3\4\0\x50\5\6\7\x08\xff\xff"}, ["1.2.3.4:80", "5.6.7.8:65535"]),
    ({"peers": [{"ip": "1.2.3.4", "port": 80, "peer id": b"x" * 20}, {"ip": "2001:db8::1", "port": 81}]}, ["1.2.3.4:80", "[2001:db8::1]:81"]),
    ({"peers6": bytes.fromhex("20010db8000000000000000000000001") + b"\0\x50"}, ["[2001:db8::1]:80"]),
    ({"peers": b"\1\2\3\4\0\x50", "peers6": bytes(15) + b"\1\0\x50"}, ["1.2.3.4:80", "[::1]:80"]),
    ({"peers": b"\1\2\3\4\0\x50" * 3}, ["1.2.3.4:80"]),
    ({"peers": b"\1\2\3\4\0\x50", "peers6": bytes(10) + b"\xff\xff\1\2\3\4\0\x50"}, ["1.2.3.4:80"]),
    ({"peers": []}, []),
], ids=["compact", "dictionaries", "compact IPv6", "both families", "repeated", "mapped into IPv6", "none"])
def test_peers_come_in_all_forms_and_each_once(fields, peers):
    assert [str(peer) for peer in answer(**fields).peers] == peers


@pytest.mark.parametrize("entry", [
    {"ip": "tracker.example", "port": 80}, {"ip": "1.2.3.4"}, {"port": 80}, {"ip": "1.2.3.4", "port": "80"}, {"ip": 16909060, "port": 80},
    {"ip": "1.2.3.4", "port": 65536}, {"ip": "1.2.3.4", "port": -1}, {"ip": b"\xff", "port": 80}, {"ip": "fe80::1%eth0", "port": 80}, 5, [],
], ids=str)
def test_a_peer_without_a_usable_address_is_left_out_and_the_others_stay(entry):
    assert [str(peer) for peer in answer(peers=[entry, {"ip": "1.2.3.4", "port": 80}]).peers] == ["1.2.3.4:80"]


def test_more_peers_than_are_useful_are_cut_and_no_family_pushes_the_other_out():
    def compact(count: int, prefix: bytes) -> bytes:
        return b"".join(prefix + index.to_bytes(4, "big") + b"\1\1" for index in range(count))

    both = answer(peers=compact(2000, b""), peers6=compact(2000, bytes(12))).peers
    assert len(both) == MAX_TRACKER_PEERS
    assert sum(":" in peer.ip for peer in both) == MAX_TRACKER_PEERS // 2
    assert len(answer(peers=compact(2000, b"")).peers) == MAX_TRACKER_PEERS
    assert len(answer(peers6=compact(2000, bytes(12))).peers) == MAX_TRACKER_PEERS


def test_keys_may_come_in_any_order():
    assert parse_announce_response(b"d5:peers0:8:intervali60ee").interval == 60


@pytest.mark.parametrize(("fields", "name"), [
    ({"min_interval": "60"}, "min_interval"), ({"min_interval": -1}, "min_interval"), ({"complete": []}, "complete"),
    ({"incomplete": -5}, "incomplete"), ({"interval": -1}, "interval"),
])
def test_a_number_that_makes_no_sense_counts_as_absent(fields, name):
    assert getattr(answer(**fields), name) is None


def test_an_answer_without_interval_and_peers_is_one():
    assert parse_announce_response(b"de") == AnnounceResponse()


def test_a_tracker_id_that_would_make_our_urls_too_long_is_not_taken():
    assert answer(tracker_id=b"x" * MAX_TRACKER_ID_BYTES).tracker_id
    assert answer(tracker_id=b"x" * (MAX_TRACKER_ID_BYTES + 1)).tracker_id == b""
    assert answer(tracker_id=7).tracker_id == b""


@pytest.mark.parametrize(("fields", "failure", "retry_in"), [
    ({"failure_reason": "unregistered torrent"}, "unregistered torrent", None),
    ({"failure_reason": "overloaded", "retry_in": 5}, "overloaded", 300.0),
    ({"failure_reason": "overloaded", "retry_in": "5"}, "overloaded", 300.0),
    ({"failure_reason": "gone", "retry_in": "never"}, "gone", math.inf),
    ({"failure_reason": "x", "retry_in": -1}, "x", None),
    ({"failure_reason": "x", "retry_in": "soon"}, "x", None),
    ({"failure_reason": ""}, "it refused and gave no reason", None),
    ({"failure_reason": 404}, "it refused and gave no reason", None),
    ({"failure_reason": b"caf\xc3\xa9 \xff"}, "café \ufffd", None),
])
def test_a_refusal_is_read_with_what_it_says_about_another_try(fields, failure, retry_in):
    assert answer(**fields) == AnnounceResponse(failure=failure, retry_in=retry_in)


def test_text_for_people_is_one_line_that_cannot_rewrite_a_screen_and_has_an_end():
    response = answer(warning_message=b"a\n\x1b[31mred\xe2\x80\xae txt" + b"y" * 10_000)
    assert response.warning.startswith("a [31mred txtyyy")
    assert len(response.warning) <= MAX_TRACKER_TEXT_CHARS + 1


@pytest.mark.parametrize(("data", "error"), [
    (b"", "answered with nothing"),
    (b"\r\n <!DOCTYPE html>\n<title>Moved</title>", "answered with HTML, not bencode: '<!DOCTYPE html> <title>Moved</title>'"),
    (b"<html>" + b"x" * 500, "answered with HTML, not bencode: '<html>" + "x" * 54 + "…'"),
    (b"database error", "answered with something that is not bencode (a dictionary's key that is no string at byte 1): 'database error'"),
    (b"d8:intervali60e", "at byte 15): 'd8:intervali60e'"),
    (b"d8:intervali60ee ", "1 bytes after the end of the value"),
    (b"d8:intervali60e8:intervali61ee", "is repeated"),
    (b"i5e", "answered with a number, not a dictionary"),
    (b"3:abc", "answered with a string, not a dictionary"),
    (b"le", "answered with a list, not a dictionary"),
    (b"d8:interval2:60e", "interval is a string, must be a number"),
    (b"d8:intervaldee", "interval is a dictionary, must be a number"),
    (b"d5:peers7:1234567e", "peers: compact peers of 7 bytes, must be a multiple of 6"),
    (b"d6:peers617:12345678901234567e", "peers6: compact peers of 17 bytes, must be a multiple of 18"),
    (b"d5:peersi5ee", "peers is a number, must be a string or a list"),
    (b"d5:peersdee", "peers is a dictionary, must be a string or a list"),
    (b"l" * 500 + b"e" * 500, "nested deeper"),
    (b"d1:x%d:" % MAX_TRACKER_RESPONSE_BYTES + bytes(MAX_TRACKER_RESPONSE_BYTES) + b"e", f"at most {MAX_TRACKER_RESPONSE_BYTES}"),
], ids=lambda value: value[:30] if isinstance(value, bytes) else "")
def test_what_is_no_answer_is_refused_and_shown(data, error):
    with pytest.raises(TrackerError) as refused:
        parse_announce_response(data)
    assert error in str(refused.value)
    assert str(refused.value).isprintable() and len(str(refused.value)) < 300


GOOD = encode({
    "complete": 3, "failure_reason": "", "interval": 1800, "min interval": 60, "peers": [{"ip": "1.2.3.4", "port": 80}], "peers6": bytes(18),
    "retry in": "never", "tracker id": "x", "warning message": "y",
})


@given(st.binary(max_size=200) | st.tuples(st.integers(0, len(GOOD)), st.integers(0, len(GOOD)), st.binary(max_size=8)).map(
    lambda cut: GOOD[:cut[0]] + cut[2] + GOOD[cut[1]:]))
def test_whatever_comes_is_an_answer_or_a_tracker_error(data):
    try:
        response = parse_announce_response(data)
    except TrackerError:
        return
    assert response.interval is None or response.interval >= 0
    assert len(response.peers) <= MAX_TRACKER_PEERS


@given(st.text(), st.integers(1, 20))
def test_one_line_is_printable_and_bounded(text, most):
    shown = one_line(text, most)
    assert shown.isprintable() and len(shown) <= most + 1
