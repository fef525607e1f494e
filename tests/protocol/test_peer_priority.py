"""Canonical peer priority: the vectors of BEP 40, its masks for each common prefix, and what both ends must agree on."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.peer_address import PeerAddress
from protocol.peer_priority import MIDDLE_PRIORITY, crc32c, peer_priority

ADDRESSES = st.builds(PeerAddress, st.ip_addresses().map(str).filter(lambda ip: "%" not in ip), st.integers(0, 65_535))


def priority(own: str, peer: str) -> int:
    return peer_priority(PeerAddress.parse(own), PeerAddress.parse(peer))


@pytest.mark.parametrize(("data", "expected"), [(b"", 0), (b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43)])
def test_the_check_sum_is_crc_32c(data, expected):
    assert crc32c(data) == expected                     # RFC 3720, B.4


@pytest.mark.parametrize(("own", "peer", "expected"), [
    ("123.213.32.10:0", "98.76.54.32:0", 0xEC2D7224),
    ("123.213.32.10:0", "123.213.32.234:0", 0x99568189),
])
def test_the_vectors_of_bep_40(own, peer, expected):
    assert (priority(own, peer), priority(peer, own)) == (expected, expected)


@pytest.mark.parametrize(("own", "peer", "masked"), [
    ("230.120.23.1:1234", "230.12.123.3:300", "e60c5101 e6781501"),         # nothing in common: ff.ff.55.55
    ("230.12.23.1:1234", "230.12.123.3:300", "e60c1701 e60c7b01"),          # the same /16: ff.ff.ff.55
    ("230.12.123.1:1234", "230.12.123.3:300", "e60c7b01 e60c7b03"),         # the same /24: all of it
    ("230.12.123.3:1234", "230.12.123.3:300", "012c 04d2"),                 # the same address: the ports
    ("[2001:db8::1]:1234", "[2001:db8::1]:300", "012c 04d2"),
    ("[2001:db8:1:ffff::3]:1", "[2001:db8:2:ffff::3]:2", "20010db800015555 0000000000000001 20010db800025555 0000000000000001"),
    ("[2001:db8:1:aabb::ff]:1", "[2001:db8:1:ccdd::ff]:2", "20010db80001aa11 0000000000000055 20010db80001cc55 0000000000000055"),  # the same /48
    ("[2001:db8:1:aabb::ff]:1", "[2001:db8:1:aadd::ff]:2", "20010db80001aabb 0000000000000055 20010db80001aadd 0000000000000055"),  # the same /56
    ("[2001:db8:1:1::fe]:1", "[2001:db8:1:1::ff]:2", "20010db800010001 00000000000000fe 20010db800010001 00000000000000ff"),        # the same /120
])
def test_the_mask_follows_from_what_the_addresses_share(own, peer, masked):
    assert priority(own, peer) == crc32c(bytes.fromhex(masked))


def test_an_ipv6_pair_has_the_number_that_others_compute():
    assert priority("[2015:7693:6cd9:a56a:e47f:7101:483e:800a]:0", "[b1fa:9ff2:fbdc:23b9:3618:332c:216c:5b4a]:0") == 0xFBD26E29


def test_an_ipv4_address_inside_ipv6_is_an_ipv4_address():
    assert priority("[::ffff:123.213.32.10]:0", "98.76.54.32:0") == 0xEC2D7224


def test_two_families_have_the_middle():
    assert priority("1.2.3.4:1", "[2001:db8::1]:1") == MIDDLE_PRIORITY


@given(ADDRESSES, ADDRESSES)
def test_both_ends_compute_the_same_number_of_32_bits(own, peer):
    assert 0 <= peer_priority(own, peer) == peer_priority(peer, own) < 1 << 32


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), st.integers(0, 255))
def test_who_moves_within_his_network_seldom_gets_another_number(own, peer, last_byte):
    """Of the 256 addresses of a foreign /24 only 16 are different."""
    moved = ipaddress.IPv4Address(peer.packed[:3] + bytes([peer.packed[3] & 0x55 | last_byte & 0xAA]))
    if own.packed[:2] != peer.packed[:2]:
        assert priority(f"{own}:1", f"{peer}:1") == priority(f"{own}:1", f"{moved}:1")
