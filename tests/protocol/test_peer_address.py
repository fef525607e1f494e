import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import RemoteProtocolError
from protocol.peer_address import PeerAddress, parse_compact_list, undiallable_reason

ADDRESSES = st.builds(PeerAddress, st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map(str), st.integers(0, 65_535))


@pytest.mark.parametrize(("text", "shown"), [
    ("127.0.0.1:6881", "127.0.0.1:6881"), ("[::1]:6881", "[::1]:6881"), ("[2001:DB8:0:0::7]:1", "[2001:db8::7]:1"), ("[::ffff:1.2.3.4]:5", "1.2.3.4:5"),
])
def test_an_address_has_one_canonical_text(text, shown):
    assert str(PeerAddress.parse(text)) == shown


@pytest.mark.parametrize("text", [
    "", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:٣", "::1:6881", "[::1]", "localhost:1", "127.1:80",
    "256.0.0.1:1", "[fe80::1%eth0]:1", "127.0.0.1:000080", " 127.0.0.1:1",
])
def test_what_is_no_address_and_port_is_refused(text):
    with pytest.raises(ValueError):
        PeerAddress.parse(text)


@given(ADDRESSES)
def test_compact_and_text_forms_come_back_as_they_were(address):
    assert PeerAddress.from_compact(address.compact()) == address
    assert PeerAddress.parse(str(address)) == address


@given(st.lists(ADDRESSES))
def test_a_compact_list_comes_back_as_it_was(addresses):
    for size in (6, 18):
        of_size = [address for address in addresses if len(address.compact()) == size]
        assert parse_compact_list(b"".join(address.compact() for address in of_size), size) == of_size


@pytest.mark.parametrize("size", [1, 5, 7, 17, 19])
def test_compact_peers_that_do_not_come_out_even_are_refused(size):
    with pytest.raises(RemoteProtocolError, match="compact"):
        PeerAddress.from_compact(bytes(size))
    with pytest.raises(RemoteProtocolError, match="multiple of 6"):
        parse_compact_list(bytes(size), 6)


@pytest.mark.parametrize(("text", "reason"), [
    ("1.2.3.4:0", "port 0"), ("0.0.0.0:1", "unspecified"), ("[::]:1", "unspecified"), ("224.0.0.1:1", "multicast"), ("[ff02::1]:1", "multicast"),
    ("255.255.255.255:1", "broadcast"), ("0.0.0.1:1", "reserved"), ("0.255.255.255:1", "reserved"), ("240.0.0.1:1", "reserved"), ("[fe80::1]:1", "link-local"),
])
def test_an_address_that_cannot_be_dialled_says_why(text, reason):
    assert reason in undiallable_reason(PeerAddress.parse(text))


@pytest.mark.parametrize("text", ["127.0.0.1:1", "192.168.0.1:1", "10.0.0.1:65535", "[::1]:1", "8.8.8.8:1", "169.254.1.1:1", "1.0.0.0:1", "223.255.255.255:1", "[fd00::1]:1"])
def test_loopback_and_private_networks_are_dialled_too(text):
    assert undiallable_reason(PeerAddress.parse(text)) is None
