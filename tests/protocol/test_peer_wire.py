import pytest

from protocol import peer_messages as wire
from protocol.errors import RemoteProtocolError
from protocol.limits import BLOCK_BYTES
from protocol.peer_wire import NEED_DATA, PeerWire

STREAM = wire.build_bitfield(b"\xf0") + wire.KEEP_ALIVE_BYTES + wire.UNCHOKE_BYTES + wire.piece_header(2, 0, 5) + b"block" + wire.build_have(3)
MESSAGES = [wire.BitfieldReceived(b"\xf0"), wire.KeepAlive(), wire.Unchoke(), wire.Piece(2, 0, memoryview(b"block")), wire.Have(3)]


def events(peer_wire):
    """All that is there now."""
    found = []
    while (event := peer_wire.next_event()) is not NEED_DATA:
        found.append(event)
    return found


@pytest.mark.parametrize("portion", [1, 2, 3, 4, 5, 17, len(STREAM)])
def test_messages_come_out_however_the_bytes_are_split(portion):
    peer_wire, found = PeerWire(), []
    for start in range(0, len(STREAM), portion):
        peer_wire.receive_data(STREAM[start:start + portion])
        found += events(peer_wire)
    assert found == MESSAGES


@pytest.mark.parametrize("tail", [b"", b"\0", b"\0\0\0", b"\0\0\0\x05\x04", b"\0\0\x40\x09\x07\0\0"])
def test_what_is_not_whole_yet_waits(tail):
    peer_wire = PeerWire()
    peer_wire.receive_data(STREAM + tail)
    assert events(peer_wire) == MESSAGES
    assert peer_wire.next_event() is NEED_DATA


def test_the_data_of_a_piece_stays_as_it_is_when_more_comes():
    peer_wire = PeerWire()
    peer_wire.receive_data(wire.piece_header(0, 0, 5) + b"first")
    piece = peer_wire.next_event()
    peer_wire.receive_data(wire.piece_header(0, 0, 5) + b"other")
    peer_wire.next_event()
    assert piece.data == b"first"


@pytest.mark.parametrize(("data", "named"), [
    (b"\0\2\0\2", "at most"),                           # its id is not there yet
    (b"\xff\xff\xff", "at most"),                        # not even its length is
    (b"\0\0\0\x02\x00", "must be 1"),                   # a choke with a payload: refused before that comes
    (b"\0\0\0\x04\x04", "must be 5"),
    (b"\0\0\0\x09\x07", "10 to"),
    ((10 + BLOCK_BYTES).to_bytes(4, "big") + b"\x07", "10 to"),
])
def test_a_wrong_length_is_refused_before_anything_is_awaited_for_it(data, named):
    peer_wire = PeerWire()
    peer_wire.receive_data(data[:-1])
    assert peer_wire.next_event() is NEED_DATA
    peer_wire.receive_data(data[-1:])
    with pytest.raises(RemoteProtocolError, match=named):
        peer_wire.next_event()


def test_after_an_error_everything_is_refused():
    peer_wire = PeerWire()
    peer_wire.receive_data(b"\0\0\0\x02\x00\x00")
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match="must be 1"):
            peer_wire.next_event()
        peer_wire.receive_data(STREAM)
