import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import MagnetError
from protocol.limits import MAX_FILES, MAX_MAGNET_PEERS, MAX_TRACKERS
from protocol.magnet import parse_magnet

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
