import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import MagnetError
from protocol.limits import MAX_FILES, MAX_MAGNET_PEERS, MAX_TRACKERS
from protocol.magnet import Magnet, build_magnet, parse_magnet
from protocol.peer_address import PeerAddress

HEX = "0123456789abcdef0123456789abcdef01234567"
HASH = bytes.fromhex(HEX)
BASE32 = "AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH"
LINK = f"magnet:?xt=urn:btih:{HEX}"


@pytest.mark.parametrize("digits", [HEX, HEX.upper(), BASE32, BASE32.lower()])
def test_the_info_hash_is_hex_or_base32_in_either_case(digits):
    assert parse_magnet(f"magnet:?xt=urn:btih:{digits}").info_hash == HASH


@pytest.mark.parametrize("text", [f"MAGNET:?XT=URN:BTIH:{HEX}", f"Magnet:?dn=a&xt.1=urn:btih:{HEX}", f"magnet:?xt=urn%3Abtih%3A{HEX}", f"{LINK}&xt=urn:btih:{BASE32}"])
def test_a_link_may_be_written_in_many_ways(text):
    assert parse_magnet(text).info_hash == HASH


def test_name_trackers_peers_web_seeds_and_files_are_read():
    magnet = parse_magnet(f"{LINK}&dn=a%20b%26&tr=http%3A%2F%2Fa%2Fx%3Fkey%3D1&tr.1=udp://b:1&tr=ftp://c&x.pe=1.2.3.4:5&x.pe=[::1]:6&ws=http://w/&so=0,2,4-6")
    assert (magnet.name, magnet.trackers, magnet.peers, magnet.web_seeds, magnet.selected_files) == (
        "a b&", ("http://a/x?key=1", "udp://b:1"), ("1.2.3.4:5", "[::1]:6"), ("http://w/",), (0, 2, 4, 5, 6))


def test_of_a_hybrid_link_the_v1_hash_is_taken():
    assert parse_magnet(f"magnet:?xt=urn:btmh:1220{'0' * 64}&xt=urn:btih:{HEX}").info_hash == HASH


def test_what_a_link_may_name_is_bounded():
    magnet = parse_magnet(LINK + "".join(f"&tr=udp://{number}:1&x.pe=1.2.3.4:{number}&ws=http://{number}/" for number in range(1, 1000)))
    assert (len(magnet.trackers), len(magnet.peers), len(magnet.web_seeds)) == (MAX_TRACKERS, MAX_MAGNET_PEERS, MAX_TRACKERS)


def test_many_wide_ranges_of_files_cost_no_more_than_one():
    assert len(parse_magnet(LINK + "&so=" + ",".join([f"0-{MAX_FILES - 1}"] * 4000)).selected_files) == MAX_FILES


@pytest.mark.parametrize(("text", "named"), [
    ("", "no magnet link"), ("http://a/", "no magnet link"), ("magnet:", "no magnet link"), (" " + LINK, "no magnet link"),
    ("magnet:?", "no info hash"), ("magnet:?dn=x", "no info hash"), ("magnet:?xt=", "no info hash"), ("magnet:?xt=urn:sha1:x", "no info hash"),
    ("magnet:?xt=urn:btih:", "40 hex digits"), (f"magnet:?xt=urn:btih:{HEX[:-1]}", "40 hex digits"), (f"magnet:?xt=urn:btih:{HEX}0", "40 hex digits"),
    (f"magnet:?xt=urn:btih:{'z' * 40}", "40 hex digits"), (f"magnet:?xt=urn:btih:{'٣' * 40}", "40 hex digits"), (f"magnet:?xt=urn:btih:{'1' * 32}", "40 hex digits"),
    (f"magnet:?xt=urn:btih:{'A' * 26}======", "40 hex digits"), (f"{LINK}%0A", "40 hex digits"), (f"magnet:?xt=urn:btmh:1220{'0' * 64}", "v2-only"),
    (f"{LINK}&xt=urn:btih:{'0' * 40}", "names 2 torrents"),
    (f"{LINK}&so=x", "selected files"), (f"{LINK}&so=1-99999999", "selected files"), (f"{LINK}&so={MAX_FILES}", "selected files"), (f"{LINK}&so=5-3", "selected files"),
    (f"{LINK}&so=1,,2", "selected files"), (f"{LINK}&so=-1", "selected files"), (f"{LINK}&dn={'x' * 70_000}", "characters"),
])
def test_a_text_that_is_no_magnet_link_is_refused_with_the_reason(text, named):
    with pytest.raises(MagnetError, match=named) as refused:
        parse_magnet(text)
    assert len(str(refused.value)) < 300


@given(st.text(max_size=100) | st.lists(st.sampled_from(["xt=", "urn:btih:", "urn:btmh:", HEX, BASE32, "&", "so=", "tr=", "0", "-", ",", "http://", "%", "[", "=", "\ud800"]), max_size=12).map("".join))
def test_any_text_behind_the_scheme_is_read_or_refused(text):
    for beginning in ("magnet:?", f"{LINK}&", ""):
        try:
            magnet = parse_magnet(beginning + text)
        except MagnetError:
            continue
        assert len(magnet.info_hash) == 20


def test_a_peer_of_a_link_is_an_address_and_a_port_and_what_is_none_is_left_out():
    magnet = parse_magnet(f"{LINK}&x.pe=1.2.3.4:5&x.pe=[::1]:6&x.pe=%5B%3A%3A1%5D%3A6&x.pe=host.example:7&x.pe=1.2.3.4:0&x.pe=1.2.3.4&x.pe=::1:7&x.pe=1.2.3.4:99999")
    assert magnet.peer_addresses == (PeerAddress("1.2.3.4", 5), PeerAddress("::1", 6))


def test_a_link_is_made_of_what_a_torrent_names():
    magnet = Magnet(HASH, "a b&c=ü", ("http://a/x?key=1&z", "udp://b:1"), ("1.2.3.4:5", "[::1]:6"), ("http://w/",), (0, 2, 4, 5, 6))
    link = build_magnet(magnet)
    assert link == (f"{LINK}&dn=a%20b%26c%3D%C3%BC&so=0,2,4-6&x.pe=1.2.3.4:5&x.pe=[::1]:6"
                    "&tr=http%3A%2F%2Fa%2Fx%3Fkey%3D1%26z&tr=udp%3A%2F%2Fb%3A1&ws=http%3A%2F%2Fw%2F")
    assert parse_magnet(link) == magnet


def test_a_link_with_more_trackers_than_fit_is_still_one():
    trackers = tuple(f"http://tracker{number}.example/{'%20' * 200}" for number in range(MAX_TRACKERS))
    assert 0 < len(parse_magnet(build_magnet(Magnet(HASH, "x", trackers, (), (), ()))).trackers) < MAX_TRACKERS


@given(st.binary(min_size=20, max_size=20), st.text(max_size=40), st.sets(st.integers(0, MAX_FILES - 1), max_size=20))
def test_a_link_that_was_made_is_read_as_the_same(info_hash, name, files):
    magnet = Magnet(info_hash, name.encode(errors="replace").decode(), ("udp://a:1",), ("1.2.3.4:5",), (), tuple(sorted(files)))
    assert parse_magnet(build_magnet(magnet)) == magnet
