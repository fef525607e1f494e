"""What peers and processes send us: a value, or the one error that the parser promises. Anything else becomes a row of TRAPS."""

import contextlib

import pytest

from protocol import daemon_messages as dm
from protocol import peer_messages as wire
from protocol.daemon_frames import FrameReader, encode_frames
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.extensions import build_extension_handshake, parse_extension_handshake
from protocol.handshake import build_handshake, check_beginning, parse_handshake
from protocol.peer_wire import NEED_DATA, PeerWire
from tests.fuzz.mutations import mutated

HASH = bytes(range(20))
STREAM = b"".join([
    wire.build_bitfield(b"\xff\x80"), wire.UNCHOKE_BYTES, wire.build_have(3), wire.KEEP_ALIVE_BYTES, wire.build_request(1, 16_384, 16_384),
    wire.piece_header(1, 0, 9) + b"some data", wire.build_cancel(1, 0, 16_384), wire.build_reject(1, 0, 16_384), wire.build_allowed_fast(1),
    wire.HAVE_NONE_BYTES, wire.build(wire.PORT, b"\x1a\xe1"), wire.build_extended(0, b"d1:md6:ut_pexi1eee"), wire.build(99, b"unknown"),
])
EXTENSION_HANDSHAKES = [
    build_extension_handshake("Evenswarm 0.1", 6881, 500, 100, {"ut_metadata": 3}, bytes(4)), b"de", b"d1:pi6881e1:v4:some4:reqqi250ee",
    b"d1:md6:ut_pexi-1e11:ut_metadatai256e0:i1ee4:reqqi-9e1:v4:\x1b[2J6:yourip3:abc13:metadata_sizei99999999999ee",
]
FRAMES = [
    encode_frames([dm.Listening("::1", 1), dm.PiecesVerified(HASH, [1, 70_000])]),
    encode_frames([dm.TorrentStats(HASH, 1, 2, 3, 4, 5, [dm.PeerStats(1, 2, 3, 4, 5, 6, "DuO", 7)]), dm.DialFailed(HASH, 1 << 40, "refused", "é", 0.5)]),
]


def read_handshake(data):
    check_beginning(data)
    parse_handshake(data)


def read_stream(data):
    peer_wire = PeerWire()
    peer_wire.receive_data(data)
    while peer_wire.next_event() is not NEED_DATA:
        pass


def read_frames(data):
    reader = FrameReader(dm.TO_ENGINE)
    reader.receive_data(data)
    list(reader.messages())


TARGETS = {
    "handshake": (read_handshake, RemoteProtocolError, [build_handshake(HASH, HASH)]),
    "messages": (read_stream, RemoteProtocolError, [STREAM, *(bytes(4 - n) + STREAM for n in range(1, 4))]),
    "extension-handshake": (parse_extension_handshake, RemoteProtocolError, EXTENSION_HANDSHAKES),
    "frames": (read_frames, LocalProtocolError, FRAMES),
}
TRAPS = [                                               # what hangs or misleads a careless parser; a crash that is found becomes a row
    ("extension-handshake", b"d1:ai1e-6:"),             # bencode.py alone never returns
    ("frames", b"\0\0\0\0\0"),                          # a frame without even an array
    ("frames", b"\0\0\0\x06\xdd\xff\xff\xff\xff\x90"),  # an array that says it has 2^32 messages
]


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_is_read_or_refused_by_the_error_that_is_promised(name):
    read, promised, seeds = TARGETS[name]
    for data in mutated(seeds):
        with contextlib.suppress(promised):
            read(data)


@pytest.mark.parametrize(("name", "data"), TRAPS)
def test_what_hangs_or_misleads_a_careless_parser_is_refused(name, data):
    read, promised, _ = TARGETS[name]
    with pytest.raises(promised):
        read(data)
