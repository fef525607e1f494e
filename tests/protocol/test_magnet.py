import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import MagnetError
from protocol.magnet import parse_magnet

HEX = "0123456789abcdef0123456789abcdef01234567"
HASH = bytes.fromhex(HEX)
BASE32 = "AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH"


@pytest.mark.parametrize("digits", [HEX, HEX.upper(), BASE32, BASE32.lower()])
def test_the_info_hash_is_hex_or_base32_in_either_case(digits):
    assert parse_magnet(f"magnet:?xt=urn:btih:{digits}").info_hash == HASH


def test_name_trackers_peers_web_seeds_and_files_are_read():
    magnet = parse_magnet(f"magnet:?xt=urn:btih:{HEX}&dn=a%20b&tr=http%3A%2F%2Fa%2Fx&tr.1=udp://b:1&tr=ftp://c&x.pe=1.2.3.4:5&x.pe=[::1]:6&ws=http://w/&so=0,2,4-6")
    assert (magnet.name, magnet.trackers, magnet.peers, magnet.web_seeds, magnet.selected_files) == (
        "a b", ("http://a/x", "udp://b:1"), ("1.2.3.4:5", "[::1]:6"), ("http://w/",), (0, 2, 4, 5, 6))


def test_of_a_hybrid_link_the_v1_hash_is_taken():
    assert parse_magnet(f"magnet:?xt=urn:btmh:1220{'0' * 64}&xt=urn:btih:{HEX}").info_hash == HASH


@pytest.mark.parametrize(("text", "named"), [
    ("", "no magnet link"), ("http://a/", "no magnet link"), ("magnet:", "no magnet link"), ("magnet:?", "no info hash"), ("magnet:?dn=x", "no info hash"),
    ("magnet:?xt=urn:btih:", "40 hex digits"), (f"magnet:?xt=urn:btih:{HEX[:-1]}", "40 hex digits"), (f"magnet:?xt=urn:btih:{'z' * 40}", "40 hex digits"),
    (f"magnet:?xt=urn:btih:{'1' * 32}", "40 hex digits"), ("magnet:?xt=urn:sha1:x", "no info hash"), (f"magnet:?xt=urn:btmh:1220{'0' * 64}", "v2-only"),
    (f"magnet:?xt=urn:btih:{HEX}&so=x", "selected files"), (f"magnet:?xt=urn:btih:{HEX}&so=1-99999999", "selected files"), (f"magnet:?xt=urn:btih:{HEX}&dn={'x' * 70_000}", "characters"),
])
def test_a_text_that_is_no_magnet_link_is_refused_with_the_reason(text, named):
    with pytest.raises(MagnetError, match=named):
        parse_magnet(text)


@given(st.text(max_size=100))
def test_any_text_behind_the_scheme_is_read_or_refused(text):
    for beginning in ("magnet:?", f"magnet:?xt=urn:btih:{HEX}&"):
        try:
            magnet = parse_magnet(beginning + text)
        except MagnetError:
            continue
        assert len(magnet.info_hash) == 20
