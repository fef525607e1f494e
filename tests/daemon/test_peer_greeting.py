"""What is said first, as the BEPs have it."""

import pytest

from daemon.peer_greeting import allowed_fast_pieces, greeting, late_greeting
from protocol.bitfield import Bitfield
from protocol.extensions import parse_extension_handshake
from protocol.limits import MAX_PEER_REQUESTS
from protocol.peer_messages import BitfieldReceived, Extended, Have, HaveAll, HaveNone, parse_message


class Torrent:
    client_version = "Evenswarm 1"
    listen_port = 6881

    class info:
        raw = b"x" * 123
        private = False

    def __init__(self, have: Bitfield) -> None:
        self.verified = have


def some(num_pieces: int, *pieces: int) -> Bitfield:
    bitfield = Bitfield(num_pieces)
    for piece_index in pieces:
        bitfield.add(piece_index)
    return bitfield


def messages(data: bytes) -> list[object]:
    found = []
    while data:
        length = int.from_bytes(data[:4], "big")
        found.append(parse_message(memoryview(data[4:4 + length])))
        data = data[4 + length:]
    return found


@pytest.mark.parametrize(("have", "fast", "first"), [
    (Bitfield.full(9), True, [HaveAll()]), (Bitfield(9), True, [HaveNone()]), (some(9, 8), True, [BitfieldReceived(b"\x00\x80")]),
    (Bitfield.full(9), False, [BitfieldReceived(b"\xff\x80")]), (Bitfield(9), False, []), (some(9, 0), False, [BitfieldReceived(b"\x80\x00")]),
])
def test_what_we_have_comes_first_in_the_form_that_the_peer_understands(have, fast, first):
    assert messages(greeting(Torrent(have), fast, extended=False, ip="1.2.3.4")) == first


def test_the_extension_handshake_names_client_port_queue_and_size():
    *_, said = messages(greeting(Torrent(Bitfield(9)), True, extended=True, ip="1.2.3.4"))
    assert isinstance(said, Extended)
    handshake = parse_extension_handshake(said.payload)
    assert (handshake.client_name, handshake.listen_port, handshake.request_queue) == ("Evenswarm 1", 6881, MAX_PEER_REQUESTS)
    assert (handshake.metadata_size, handshake.message_ids) == (123, {"ut_metadata": 3})
    assert b"6:yourip4:\x01\x02\x03\x04" in said.payload


def test_the_allowed_fast_set_is_that_of_bep_6():
    info_hash = b"\xaa" * 20
    assert allowed_fast_pieces(info_hash, 1313, "80.4.4.200", 7) == [1059, 431, 808, 1217, 287, 376, 1188]
    assert allowed_fast_pieces(info_hash, 1313, "80.4.4.200", 9) == [1059, 431, 808, 1217, 287, 376, 1188, 353, 508]


@pytest.mark.parametrize("ip", ["80.4.4.200", "2001:db8::1"])
def test_the_allowed_fast_set_of_a_small_torrent_is_all_of_it(ip):
    assert sorted(allowed_fast_pieces(bytes(20), 3, ip)) == [0, 1, 2]


def test_neighbours_have_the_same_allowed_fast_set():
    assert allowed_fast_pieces(bytes(20), 999, "10.0.0.1") == allowed_fast_pieces(bytes(20), 999, "10.0.0.77")
    assert allowed_fast_pieces(bytes(20), 999, "2001:db8::1") == allowed_fast_pieces(bytes(20), 999, "2001:db8::2")
    assert allowed_fast_pieces(bytes(20), 999, "10.0.0.1") != allowed_fast_pieces(bytes(20), 999, "10.0.1.1")


def test_the_metadata_of_a_private_torrent_is_not_offered():
    torrent = Torrent(Bitfield(9))
    torrent.info = type("Info", (), {"raw": b"x" * 123, "private": True})
    *_, said = messages(greeting(torrent, True, extended=True, ip="1.2.3.4"))
    handshake = parse_extension_handshake(said.payload)
    assert (handshake.metadata_size, dict(handshake.message_ids)) == (0, {})


def test_a_peer_that_came_before_the_metadata_hears_of_each_piece_by_itself():
    said = messages(late_greeting(Torrent(some(9, 2, 8)), extended=True, ip="1.2.3.4"))
    assert said[:-1] == [Have(2), Have(8)]
    assert parse_extension_handshake(said[-1].payload).metadata_size == 123
