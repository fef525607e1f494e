import pytest

from protocol import peer_messages as wire
from protocol.errors import RemoteProtocolError
from protocol.limits import BLOCK_BYTES, MAX_WIRE_MESSAGE_BYTES
from protocol.piece_layout import PieceLayout

# As BEP 3, 5, 6 and 10 write them: length, id, payload
MESSAGES = [
    ("00000000", wire.KeepAlive(), wire.KEEP_ALIVE_BYTES),
    ("00000001 00", wire.Choke(), wire.CHOKE_BYTES),
    ("00000001 01", wire.Unchoke(), wire.UNCHOKE_BYTES),
    ("00000001 02", wire.Interested(), wire.INTERESTED_BYTES),
    ("00000001 03", wire.NotInterested(), wire.NOT_INTERESTED_BYTES),
    ("00000005 04 00000102", wire.Have(0x102), wire.build_have(0x102)),
    ("00000003 05 80c0", wire.BitfieldReceived(b"\x80\xc0"), wire.build_bitfield(b"\x80\xc0")),
    ("0000000d 06 00000001 00004000 00004000", wire.Request(1, 16384, 16384), wire.build_request(1, 16384, 16384)),
    ("0000000b 07 00000001 00004000 6869", wire.Piece(1, 16384, memoryview(b"hi")), wire.piece_header(1, 16384, 2) + b"hi"),
    ("0000000d 08 00000001 00004000 00004000", wire.Cancel(1, 16384, 16384), wire.build_cancel(1, 16384, 16384)),
    ("00000003 09 1ae1", wire.Port(6881), None),
    ("00000005 0d 00000007", wire.SuggestPiece(7), None),
    ("00000001 0e", wire.HaveAll(), wire.HAVE_ALL_BYTES),
    ("00000001 0f", wire.HaveNone(), wire.HAVE_NONE_BYTES),
    ("0000000d 10 00000001 00004000 00004000", wire.RejectRequest(1, 16384, 16384), wire.build_reject(1, 16384, 16384)),
    ("00000005 11 ffffffff", wire.AllowedFast(0xFFFFFFFF), wire.build_allowed_fast(0xFFFFFFFF)),
    ("00000004 14 00 6465", wire.Extended(0, b"de"), wire.build_extended(0, b"de")),
    ("00000003 64 0102", wire.UnknownMessage(100), None),
]
ids = [type(message).__name__ for _, message, _ in MESSAGES]


@pytest.mark.parametrize(("data", "message", "_built"), MESSAGES, ids=ids)
def test_a_message_is_read_as_its_bep_writes_it(data, message, _built):
    assert wire.parse_message(memoryview(bytes.fromhex(data))[4:]) == message


@pytest.mark.parametrize(("data", "_message", "built"), MESSAGES, ids=ids)
def test_a_message_is_built_as_its_bep_writes_it(data, _message, built):
    assert built is None or built == bytes.fromhex(data)


@pytest.mark.parametrize(("data", "_message", "_built"), MESSAGES, ids=ids)
def test_the_length_of_a_right_message_is_allowed(data, _message, _built):
    message = bytes.fromhex(data)
    if len(message) > 4:
        wire.check_length(message[4], len(message) - 4)


EXACT = {
    wire.CHOKE: 1, wire.UNCHOKE: 1, wire.INTERESTED: 1, wire.NOT_INTERESTED: 1, wire.HAVE: 5, wire.REQUEST: 13, wire.CANCEL: 13, wire.PORT: 3,
    wire.SUGGEST: 5, wire.HAVE_ALL: 1, wire.HAVE_NONE: 1, wire.REJECT: 13, wire.ALLOWED_FAST: 5,
}


@pytest.mark.parametrize("difference", [-1, 1, 100])
@pytest.mark.parametrize("message_id", EXACT)
def test_a_message_with_a_byte_less_or_a_tail_is_refused_by_its_length_and_by_its_parser(message_id, difference):
    length = EXACT[message_id] + difference
    with pytest.raises(RemoteProtocolError, match=f"of {length} bytes, must be {EXACT[message_id]}$"):
        wire.check_length(message_id, length)
    if length >= 1:
        with pytest.raises(RemoteProtocolError):
            wire.parse_message(memoryview(bytes((message_id,)) + bytes(length - 1)))


@pytest.mark.parametrize(("message_id", "shortest", "longest"), [
    (wire.PIECE, 10, 9 + BLOCK_BYTES),                  # a block has at least a byte, and at most what we ask for
    (wire.EXTENDED, 2, MAX_WIRE_MESSAGE_BYTES),         # BEP 10: its own id
    (wire.BITFIELD, 1, MAX_WIRE_MESSAGE_BYTES),         # of how many pieces is known to the torrent only
    (100, 1, MAX_WIRE_MESSAGE_BYTES),
], ids=["piece", "extended", "bitfield", "unknown"])
def test_a_message_of_variable_length_has_bounds(message_id, shortest, longest):
    wire.check_length(message_id, shortest)
    wire.check_length(message_id, longest)
    for length in (shortest - 1, longest + 1):
        with pytest.raises(RemoteProtocolError, match=f"of {length} bytes"):
            wire.check_length(message_id, length)


def test_a_message_of_4_gib_is_refused_by_its_length_whatever_it_is():
    for message_id in range(256):
        with pytest.raises(RemoteProtocolError, match=f"message of 4294967295 bytes, at most {MAX_WIRE_MESSAGE_BYTES}"):
            wire.check_length(message_id, 0xFFFFFFFF)


def test_a_piece_without_data_and_an_extended_message_without_id_are_refused():
    for body in (b"\x07" + bytes(8), b"\x07" + bytes(3), b"\x14"):
        with pytest.raises(RemoteProtocolError):
            wire.parse_message(memoryview(body))


LAYOUTS = {
    "whole": PieceLayout(1 << 20, 5 << 20),
    "last-piece-of-a-byte": PieceLayout(1 << 15, 3 * (1 << 15) + 1),
    "last-block-of-each-piece-short": PieceLayout(3 * BLOCK_BYTES + 1_000, 4 * (3 * BLOCK_BYTES + 1_000) + 20_000),
    "smaller-than-a-block": PieceLayout(1 << 14, 100),
}


def runs(layout):
    """Each run of blocks in a few pieces."""
    for piece_index in sorted({0, layout.num_pieces // 2, layout.num_pieces - 1}):
        count = layout.num_blocks(piece_index)
        for first in {0, 1, count - 1} & set(range(count)):
            for num_blocks in {1, 2, count - first} & set(range(1, count - first + 1)):
                yield piece_index, first, num_blocks


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_requests_of_a_run_are_the_requests_of_its_blocks(layout):
    for piece_index, first, num_blocks in runs(layout):
        one_by_one = [
            wire.build_request(piece_index, block * BLOCK_BYTES, layout.block_size(piece_index, block)) for block in range(first, first + num_blocks)
        ]
        assert wire.encode_requests(layout, piece_index, first, num_blocks) == b"".join(one_by_one)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_the_headers_expected_for_a_run_are_those_of_its_blocks(layout):
    for piece_index, first, num_blocks in runs(layout):
        one_by_one = [
            wire.piece_header(piece_index, block * BLOCK_BYTES, layout.block_size(piece_index, block)) for block in range(first, first + num_blocks)
        ]
        assert wire.expected_piece_headers(layout, piece_index, first, num_blocks) == b"".join(one_by_one)


@pytest.mark.parametrize("piece_index", [0, 1, 255, 256, 65_536, (1 << 20) - 1])
def test_each_byte_of_a_piece_index_goes_where_it_belongs(piece_index):
    layout = PieceLayout(1 << 16, (1 << 20) * (1 << 16))
    data = wire.encode_requests(layout, piece_index, 1, 3)
    asked = [wire.parse_message(memoryview(data)[start + 4:start + 17]) for start in (0, 17, 34)]
    assert asked == [wire.Request(piece_index, block * BLOCK_BYTES, BLOCK_BYTES) for block in (1, 2, 3)]
