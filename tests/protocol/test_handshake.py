import pytest

from protocol.errors import RemoteProtocolError
from protocol.handshake import HANDSHAKE_BYTES, Handshake, build_handshake, check_beginning, parse_handshake

HASH, PEER_ID = bytes(range(20)), b"-XX0001-abcdefghijkl"
BEGINNING = b"\x13BitTorrent protocol"


def handshake(reserved=bytes(8), beginning=BEGINNING):
    return beginning + reserved + HASH + PEER_ID


def test_a_handshake_is_the_protocol_8_reserved_bytes_the_info_hash_and_the_peer_id():
    assert build_handshake(HASH, PEER_ID) == BEGINNING + bytes.fromhex("0000000000100004") + HASH + PEER_ID
    assert len(build_handshake(HASH, PEER_ID)) == HANDSHAKE_BYTES == 68


@pytest.mark.parametrize(("reserved", "said"), [
    ("0000000000000000", {}),
    ("0000000000000004", {"fast": True}),
    ("0000000000100000", {"extended": True}),
    ("0000000000000001", {"dht": True}),
    ("0000000000100005", {"fast": True, "extended": True, "dht": True}),
    ("ffffffffffeffffa", {}),                           # bits that mean nothing to us are how other extensions begin
])
def test_the_reserved_bits_say_what_a_peer_can_do(reserved, said):
    expected = Handshake(HASH, PEER_ID, **{"fast": False, "extended": False, "dht": False, **said})
    assert parse_handshake(handshake(bytes.fromhex(reserved))) == expected


@pytest.mark.parametrize("dht", [False, True])
def test_our_own_handshake_says_fast_extensions_and_dht_only_if_there_is_one(dht):
    assert parse_handshake(build_handshake(HASH, PEER_ID, dht)) == Handshake(HASH, PEER_ID, fast=True, extended=True, dht=dht)


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_a_handshake_is_read_from_any_buffer_and_does_not_point_into_it(kind):
    read = parse_handshake(kind(handshake()))
    assert (read.info_hash, read.peer_id) == (HASH, PEER_ID)
    assert type(read.info_hash) is type(read.peer_id) is bytes


@pytest.mark.parametrize("data", [b"", handshake()[:-1], handshake() + b"\0"], ids=["nothing", "one-byte-short", "one-byte-more"])
def test_a_handshake_of_another_length_is_refused(data):
    with pytest.raises(RemoteProtocolError, match=f"handshake of {len(data)} bytes, must be 68"):
        parse_handshake(data)


@pytest.mark.parametrize("length", range(len(BEGINNING) + 3))
def test_each_beginning_of_a_handshake_is_waited_on(length):
    check_beginning(handshake()[:length])


@pytest.mark.parametrize("beginning", [
    b"\x12", b"\x14", b"G", b"GET / HTTP/1.1\r\n", b"\x13B", b"\x13bittorrent protocol", b"\x13BitTorrent protoco1", bytes(20), b"\x16\x03\x01",
])
def test_garbage_is_refused_by_its_first_wrong_byte(beginning):
    wrong_at = next((at for at, byte in enumerate(beginning) if byte != BEGINNING[at]), None)
    if wrong_at is None:                                # so far it is right
        check_beginning(beginning)
        return
    check_beginning(beginning[:wrong_at])
    with pytest.raises(RemoteProtocolError, match="no BitTorrent handshake"):
        check_beginning(beginning[:wrong_at + 1])
    with pytest.raises(RemoteProtocolError):
        parse_handshake(beginning[:wrong_at + 1].ljust(68, b"\0"))
