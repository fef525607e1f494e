import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.client_name import client_name


@pytest.mark.parametrize(("peer_id", "name"), [
    (b"-qB5020-", "qBittorrent 5.0.2"), (b"-qB43A0-", "qBittorrent 4.3.10"), (b"-LT20B0-", "libtorrent 2.0.11"), (b"-lt0D80-", "libTorrent (rTorrent) 0.13.8"),
    (b"-DE2110-", "Deluge 2.1.1"), (b"-AZ5770-", "Azureus 5.7.7"), (b"-BI3400-", "BiglyBT 3.4"), (b"-EW0100-", "Evenswarm 0.1"), (b"-GT0003-", "anacrolix torrent 0.0.0.3"),
    (b"-FW6830-", "FrostWire 6.8.3"), (b"-BC0206-", "BitComet 2.06"), (b"-TX0289-", "Tixati 2.89"), (b"-BF0000-", "BitFlu"), (b"-S~2000-", "Shareaza 2.0"),
    (b"-TR0006-", "Transmission 0.6"), (b"-TR0072-", "Transmission 0.72"), (b"-TR111Z-", "Transmission 1.11+"), (b"-TR2940-", "Transmission 2.94"),
    (b"-TR3000-", "Transmission 3.00"), (b"-TR4060-", "Transmission 4.0.6"), (b"-TR410X-", "Transmission 4.1.0+"),
    (b"-UT3550-", "µTorrent 3.5.5"), (b"-UT355B-", "µTorrent 3.5.5 beta"), (b"-UT355W-", "µTorrent 3.5.5"), (b"-UM1870-", "µTorrent Mac 1.8.7"), (b"-UT36000", "µTorrent 3.6.0"),
    (b"A2-1-36-0-", "aria2 1.36.0"), (b"M7-10-5--", "BitTorrent 7.10.5"), (b"Q1-0-0--", "Queen Bee 1.0.0"), (b"-ML2.7.2-", "MLDonkey 2.7.2"), (b"XBT054d-", "XBT Client 0.5.4"),
    (b"TIX0304-", "Tixati 3.04"), (b"TIX1234-", "Tixati 12.34"), (b"OP7687", "Opera 7687"),
    (b"T03I----", "BitTornado 0.3.18"), (b"S587----", "Shadow 5.8.7"), (b"A310--001", "ABC 3.1.0"),
])
def test_a_peer_id_names_its_client(peer_id, name):
    assert client_name(peer_id.ljust(20, b"x")) == name


@pytest.mark.parametrize("peer_id", [b"-ZZ1234-xxxxxxxxxxxx", b"", b"-qB50", b"-qB50.2-xxxxxxxxxxxx", b"-qB5020\xff", b"\xff\xfe\xfd" + bytes(17), bytes(20), b"T03Ixxxxxxxxxxxxxxxx", b"M7-10", b"-QB5020-xxxxxxxxxxxx"])
def test_a_peer_id_that_says_nothing_names_nobody(peer_id):
    assert client_name(peer_id) == "?"


@given(st.binary(min_size=20, max_size=20) | st.from_regex(rb"-[A-Za-z0-9]{2}[0-9A-Za-z]{4}-[a-z]{12}", fullmatch=True)
       | st.from_regex(rb"-(TR|UT|BC|LT|BL|AX)[0-9A-Za-z]{4}-[a-z]{12}", fullmatch=True) | st.from_regex(rb"[AOQRSTU][0-9A-Za-z.]{5}-{3}[a-z]{11}", fullmatch=True))
def test_any_peer_id_has_a_printable_name(peer_id):
    assert client_name(peer_id).isprintable()
