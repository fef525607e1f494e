import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.client_name import client_name


@pytest.mark.parametrize(("peer_id", "name"), [
    (b"-qB5020-", "qBittorrent 5.0.2"), (b"-LT20B0-", "libtorrent 2.0.11"), (b"-TR3000-", "Transmission 3.00"), (b"-TR4060-", "Transmission 4.0.6"), (b"-DE2110-", "Deluge 2.1.1"),
    (b"-UT3550-", "µTorrent 3.5.5"), (b"-AZ5770-", "Azureus 5.7.7"), (b"-EW0100-", "Evenswarm 0.1"), (b"A2-1-36-0-", "aria2 1.36.0"), (b"M7-10-5--", "BitTorrent 7.10.5"),
    (b"T03I--", "BitTornado 0.3.18"), (b"-ZZ1234-", "?"), (b"", "?"), (b"-qB50", "?"), (b"\xff\xfe\xfd", "?"),
])
def test_a_peer_id_names_its_client(peer_id, name):
    assert client_name(peer_id.ljust(20, b"x")) == name


@given(st.binary(min_size=20, max_size=20) | st.from_regex(rb"-[A-Za-z]{2}[0-9A-Za-z]{4}-[a-z]{12}", fullmatch=True) | st.from_regex(rb"[AOQRSTU][0-9A-Za-z.]{5}-{3}[a-z]{11}", fullmatch=True))
def test_any_peer_id_has_a_printable_name(peer_id):
    assert client_name(peer_id).isprintable()
