"""The receive loop on real sockets: whatever comes in whatever portions, blocks land in their places and messages are handed on."""

import itertools
import struct
from types import SimpleNamespace

import pytest
from gevent.monkey import get_original
from hypothesis import given
from hypothesis import strategies as st

from daemon.arriving_piece import ArrivingPiece
from daemon.piece_buffers import PieceBuffer
from daemon.receive_loop import FORECAST_BLOCKS, Inflow, ReceiveLoop
from daemon.request_window import RequestWindow
from protocol.limits import BLOCK_BYTES, MAX_WIRE_MESSAGE_BYTES
from protocol.peer_messages import build_bitfield, build_have, build_request, expected_piece_headers, piece_header
from protocol.piece_layout import PieceLayout

LAYOUT = PieceLayout(4 * BLOCK_BYTES, 14 * BLOCK_BYTES + 100)   # pieces of 4, 4, 4 and 3 blocks, the last one of 100 bytes
ODD_LAYOUT = PieceLayout(2 * BLOCK_BYTES + 7, 5 * (2 * BLOCK_BYTES + 7) - 1)    # each piece ends with a block of 7 bytes, the last of 6
LOOP = ReceiveLoop()
SOCKETPAIR = get_original("socket", "socketpair")
KEEP_ALIVE = bytes(4)


class Connection:
    """What ReceiveLoop needs of a connection, and a peer's end to write into. Remembers all that it was told."""

    def __init__(self, layout: PieceLayout = LAYOUT) -> None:
        self.socket, self.theirs = SOCKETPAIR()
        self.socket.setblocking(False)
        self.layout = layout
        self.torrent = SimpleNamespace(layout=layout)
        self.inflow, self.window = Inflow(), RequestWindow()
        self.bytes_in, self.is_closed, self.reason = 0, False, ""
        self.pieces = {index: ArrivingPiece(layout, index, PieceBuffer(layout.piece_length)) for index in range(layout.num_pieces)}
        self.blocks: list[tuple[int, int]] = []
        self.said: list[object] = []

    def request(self, piece_index: int, first: int, count: int, in_place: bool = True) -> None:
        headers = expected_piece_headers(self.layout, piece_index, first, count)
        self.window.append(self.pieces[piece_index], first, count, headers, in_place)

    def hear(self, data: bytes) -> None:
        """These bytes come in one portion, as far as the socket takes them."""
        self.theirs.setblocking(False)
        while data and not self.is_closed:
            data = data[self.theirs.send(data):]
            while not self.is_closed and self.bytes_waiting():
                LOOP.receive(self)

    def bytes_waiting(self) -> bool:
        try:
            return bool(self.socket.recv(1, get_original("socket", "MSG_PEEK")))
        except BlockingIOError:
            return False

    def blocks_received(self, received) -> None:
        self.blocks += [(piece.index, first + number) for piece, first, count in received for number in range(count)]

    def copy_received(self, piece_index, block_index, data) -> None:
        self.said.append(("copy", piece_index, block_index, bytes(data)))

    def unrequested_received(self, piece_index, begin, size) -> None:
        self.said.append(("unrequested", piece_index, begin, size))

    def discarded(self, size) -> None:
        self.said.append(("discarded", size))

    def request_received(self, piece_index, begin, length) -> None:
        self.said.append(("request", piece_index, begin, length))

    def requests_received(self, piece_index, first_block, num_blocks) -> None:
        self.said.append(("requests", piece_index, first_block, num_blocks))

    def have_received(self, piece_index) -> None:
        self.said.append(("have", piece_index))

    def message_received(self, message) -> None:
        self.said.append(message)

    def after_receive(self) -> None:
        pass

    def fail(self, error) -> None:
        self.close(str(error))

    def close(self, reason) -> None:
        self.is_closed, self.reason = True, reason

    def end(self) -> None:
        self.socket.close()
        self.theirs.close()


@pytest.fixture
def connection():
    connection = Connection()
    yield connection
    connection.end()


def content(piece_index: int, block: int, layout: PieceLayout = LAYOUT) -> bytes:
    """Bytes that are different in each block."""
    return struct.pack(">II", piece_index, block) * 2048 if layout.block_size(piece_index, block) == BLOCK_BYTES else b"\x07" * layout.block_size(piece_index, block)


def block_message(piece_index: int, block: int, layout: PieceLayout = LAYOUT) -> bytes:
    data = content(piece_index, block, layout)
    return piece_header(piece_index, block * BLOCK_BYTES, len(data)) + data


SMALL = {build_have(3): ("have", 3), build_request(1, 5, 6): ("request", 1, 5, 6), KEEP_ALIVE: None}


@given(st.data())
def test_blocks_and_messages_in_any_order_and_any_portions(data):
    layout = data.draw(st.sampled_from([LAYOUT, ODD_LAYOUT]))
    connection = Connection(layout)
    all_blocks = [(index, block) for index in range(layout.num_pieces) for block in range(layout.num_blocks(index))]
    asked = data.draw(st.lists(st.sampled_from(range(layout.num_pieces)), unique=True))
    in_place = {index: data.draw(st.booleans()) for index in asked}
    for index in asked:
        connection.request(index, 0, layout.num_blocks(index), in_place[index])
    owed = [block for index in asked for block in all_blocks if block[0] == index]
    # mostly in order, with some disorder, other messages and blocks that nobody asked for in between
    for _ in range(data.draw(st.integers(0, 3))):
        if owed:
            owed.insert(data.draw(st.integers(0, len(owed))), owed.pop(data.draw(st.integers(0, len(owed) - 1))))
    stream, told = b"", []
    for block in owed:
        for message in data.draw(st.lists(st.sampled_from(list(SMALL)), max_size=1)):
            stream += message
            told += [SMALL[message]] if SMALL[message] else []
        if data.draw(st.integers(0, 9)) == 9:
            other = data.draw(st.sampled_from([other for other in all_blocks if other not in owed] or [(0, 1)]))
            if other not in owed:
                stream += block_message(*other, layout)
                told.append(("unrequested", other[0], other[1] * BLOCK_BYTES, layout.block_size(*other)))
        stream += block_message(*block, layout)
        if not in_place[block[0]]:
            told.append(("copy", *block, content(*block, layout)))
    cuts = sorted({0, len(stream), *data.draw(st.lists(st.integers(0, len(stream)), max_size=8))})
    for start, end in itertools.pairwise(cuts):
        connection.hear(stream[start:end])
    assert connection.reason == ""
    assert connection.blocks == [block for block in owed if in_place[block[0]]]
    assert connection.said == told
    for index, block in connection.blocks:
        assert connection.pieces[index].blocks[block] == content(index, block, layout)
    assert connection.window.num_blocks == 0
    assert connection.bytes_in == len(stream)
    connection.end()


@pytest.mark.parametrize("portion", [1, 2, 7, 12, 13, 14])
def test_a_block_and_what_follows_it_in_tiny_portions(connection, portion):
    connection.request(3, 2, 1)
    stream = block_message(3, 2) + build_have(2) + KEEP_ALIVE
    for start in range(0, len(stream), portion):
        connection.hear(stream[start:start + portion])
    assert connection.blocks == [(3, 2)]
    assert connection.pieces[3].blocks[2] == content(3, 2)
    assert connection.said == [("have", 2)]
    assert connection.inflow.tail == b""


def test_more_blocks_than_one_receive_foretells():
    layout = PieceLayout(2 * FORECAST_BLOCKS * BLOCK_BYTES, 2 * FORECAST_BLOCKS * BLOCK_BYTES)
    connection = Connection(layout)
    connection.request(0, 0, 2 * FORECAST_BLOCKS)
    for block in range(2 * FORECAST_BLOCKS):
        connection.hear(block_message(0, block, layout))
    assert connection.blocks == [(0, block) for block in range(2 * FORECAST_BLOCKS)]
    connection.end()


def test_a_miss_is_followed_by_linear_receives_and_then_by_another_forecast(connection):
    connection.request(0, 0, 4)
    connection.request(1, 0, 4)
    connection.hear(build_have(1) + block_message(0, 0))
    assert connection.inflow.linear_receives > 0
    for block in range(1, 4):
        connection.hear(block_message(0, block))
    assert connection.inflow.linear_receives == 0
    connection.hear(block_message(1, 0))
    assert connection.blocks == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0)]


def test_a_block_that_was_given_up_in_the_middle_is_skipped_to_its_end(connection):
    connection.request(0, 0, 2)
    message = block_message(0, 0)
    connection.hear(message[:5000])
    assert connection.inflow.holds(0, 0)
    assert connection.inflow.give_up_block() == BLOCK_BYTES
    before = bytes(connection.pieces[0].blocks[0])
    connection.hear(message[5000:9000])
    connection.hear(message[9000:] + block_message(0, 1))
    assert connection.blocks == [(0, 1)]
    assert bytes(connection.pieces[0].blocks[0]) == before


def test_a_block_that_loses_its_place_in_the_middle_goes_on_elsewhere(connection):
    connection.request(0, 0, 1)
    message = block_message(0, 0)
    connection.hear(message[:5000])
    connection.inflow.move_out()
    connection.pieces[0].blocks[0][:] = b"\xee" * BLOCK_BYTES
    connection.hear(message[5000:])
    assert connection.said == [("copy", 0, 0, content(0, 0))]
    assert connection.pieces[0].blocks[0] == b"\xee" * BLOCK_BYTES


def test_a_block_of_a_piece_that_was_given_up_is_skipped(connection):
    connection.request(0, 0, 2)
    connection.request(1, 0, 1)
    connection.pieces[0].take_buffer()
    connection.hear(block_message(0, 0) + block_message(0, 1) + block_message(1, 0))
    assert connection.said == [("discarded", BLOCK_BYTES)] * 2
    assert connection.blocks == [(1, 0)]


@pytest.mark.parametrize(("data", "reason"), [
    (b"\xff\xff\xff\xff", f"message of 4294967295 bytes, at most {MAX_WIRE_MESSAGE_BYTES}"),
    (b"\xff\xff\xff\xff\x07", f"message of 4294967295 bytes, at most {MAX_WIRE_MESSAGE_BYTES}"),
    (struct.pack(">IB", MAX_WIRE_MESSAGE_BYTES + 1, 5), f"message of {MAX_WIRE_MESSAGE_BYTES + 1} bytes, at most {MAX_WIRE_MESSAGE_BYTES}"),
    (b"\0\0\0\x02\x00\x00", "message 0 of 2 bytes, must be 1"),
    (b"\0\0\0\x04\x04\0\0\0", "message 4 of 4 bytes, must be 5"),
    (b"\0\0\0\x09\x07" + bytes(8), "message 7 of 9 bytes"),
    (piece_header(0, 0, 5) + b"12345", "block of 5 bytes at byte 0 of piece 0, asked for 16384"),
], ids=lambda value: value[:5].hex() if isinstance(value, bytes) else None)
def test_what_no_peer_may_send_ends_the_connection_and_says_why(connection, data, reason):
    connection.request(0, 0, 4)
    connection.hear(data)
    assert connection.is_closed
    assert reason in connection.reason


def test_the_end_of_the_stream_closes(connection):
    connection.theirs.close()
    LOOP.receive(connection)
    assert connection.reason == "closed by the peer"


def request(piece_index: int, block: int) -> bytes:
    return build_request(piece_index, block * BLOCK_BYTES, LAYOUT.block_size(piece_index, block))


@pytest.mark.parametrize(("stream", "said"), [
    ([(0, 0), (0, 1), (0, 2), (0, 3), (1, 0)], [("requests", 0, 0, 4), ("request", 1, 0, BLOCK_BYTES)]),
    ([(3, 0), (3, 1), (3, 2)], [("requests", 3, 0, 3)]),
    ([(0, 1), (0, 2), (1, 3)], [("requests", 0, 1, 2), ("request", 1, 3 * BLOCK_BYTES, BLOCK_BYTES)]),
    ([(0, 3), (0, 2), (0, 3)], [("request", 0, 3 * BLOCK_BYTES, BLOCK_BYTES), ("requests", 0, 2, 2)]),
    ([(0, 0), (0, 1), (0, 3)], [("requests", 0, 0, 2), ("request", 0, 3 * BLOCK_BYTES, BLOCK_BYTES)]),
], ids=str)
def test_requests_in_a_row_are_handed_on_together(connection, stream, said):
    connection.hear(b"".join(request(*block) for block in stream))
    assert connection.said == said


@pytest.mark.parametrize("second", [
    build_request(0, BLOCK_BYTES, 5), build_request(0, BLOCK_BYTES, BLOCK_BYTES + 1), build_have(1) + build_have(2), build_request(9, BLOCK_BYTES, BLOCK_BYTES),
])
def test_what_only_looks_like_the_next_request_is_read_for_itself(connection, second):
    connection.hear(build_request(0, 0, BLOCK_BYTES) + second)
    assert connection.said[0] == ("request", 0, 0, BLOCK_BYTES)
    assert len(connection.said) >= 2


def test_requests_of_pieces_that_there_are_not_are_handed_on_one_by_one(connection):
    connection.hear(build_request(7, 0, BLOCK_BYTES) + build_request(7, BLOCK_BYTES, BLOCK_BYTES))
    assert connection.said == [("request", 7, 0, BLOCK_BYTES), ("request", 7, BLOCK_BYTES, BLOCK_BYTES)]


def test_a_long_message_is_put_together_from_portions(connection):
    message = build_bitfield(bytes(range(256)) * 400)
    for start in range(0, len(message), 40_000):
        connection.hear(message[start:start + 40_000])
    assert connection.said[0].bits == bytes(range(256)) * 400


def test_nothing_is_handed_on_after_the_connection_was_closed(connection):
    connection.have_received = lambda piece_index: connection.close("enough")
    connection.hear(build_have(1) + build_have(2) + build_request(0, 0, 1))
    assert connection.reason == "enough"
    assert connection.said == []
