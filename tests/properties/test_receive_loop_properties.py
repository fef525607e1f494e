"""The daemon's hot path (daemon/receive_loop.py) sees in a stream what PeerWire sees, however the kernel cuts it.

PeerWire is simple enough to be right. The receive loop guesses what comes next, scatters it, and repairs wrong guesses.
"""

from random import Random
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.arriving_piece import ArrivingPiece
from daemon.piece_buffers import PieceBuffer
from daemon.receive_loop import Inflow, ReceiveLoop
from daemon.request_window import RequestWindow
from protocol import peer_messages as wire
from protocol.errors import RemoteProtocolError
from protocol.limits import BLOCK_BYTES
from protocol.peer_wire import NEED_DATA, PeerWire
from protocol.piece_layout import PieceLayout
from tests.properties.wire_streams import bytes_of, other_messages, stream_of

LAYOUT = PieceLayout(3 * BLOCK_BYTES, 3 * 3 * BLOCK_BYTES - 5_000)      # three pieces; the last block of the last one is short
BLOCKS = [(piece_index, block_index) for piece_index in range(LAYOUT.num_pieces) for block_index in range(LAYOUT.num_blocks(piece_index))]
RECEIVED_AT_ONCE = st.sampled_from([1, 3, 4, 5, 12, 13, 14, 17, 100, 5_000, BLOCK_BYTES, BLOCK_BYTES + 13, 3 * BLOCK_BYTES, 1 << 20])
CLOSED = "closed by the peer"


class ScriptedSocket:
    """Gives `data` in portions of `sizes`, in turn, then the end of the stream."""

    def __init__(self, data, sizes):
        self._data, self._sizes, self._at, self._turn = data, sizes, 0, 0

    def recvmsg_into(self, buffers):
        end = min(len(self._data), self._at + self._sizes[self._turn % len(self._sizes)])
        self._turn += 1
        start = self._at
        for buffer in buffers:
            part = min(len(buffer), end - self._at)
            buffer[:part] = self._data[self._at:self._at + part]
            self._at += part
        return self._at - start, [], 0, None


class RecordingPeer:
    """A connection that writes down what it is told. Blocks that come in one receive may be told in another order."""

    def __init__(self, data, sizes, pieces, requests):
        self.socket, self.inflow, self.window = ScriptedSocket(data, sizes), Inflow(), RequestWindow()
        self.bytes_in, self.closed_because = 0, None
        self.blocks, self.unrequested, self.others, self.requests_and_haves = [], [], [], []
        self._pieces = pieces
        self.torrent = SimpleNamespace(layout=LAYOUT)
        for piece_index, first_block, num_blocks, in_place in requests:
            headers = wire.expected_piece_headers(LAYOUT, piece_index, first_block, num_blocks)
            self.window.append(pieces[piece_index], first_block, num_blocks, headers, in_place)

    @property
    def is_closed(self):
        return self.closed_because is not None

    def close(self, reason):
        self.closed_because = reason

    def fail(self, error):
        assert isinstance(error, RemoteProtocolError), "only what the peer sent may end it"
        self.close(str(error))

    def after_receive(self):
        pass

    def blocks_received(self, received):
        for piece, first_block, num_blocks in received:
            for block_index in range(first_block, first_block + num_blocks):
                self.blocks.append((piece.index, block_index, bytes(piece.blocks[block_index])))

    def copy_received(self, piece_index, block_index, data):
        self.blocks.append((piece_index, block_index, bytes(data)))

    def unrequested_received(self, piece_index, begin, size):
        self.unrequested.append((piece_index, begin, size))

    def request_received(self, piece_index, begin, length):
        self.requests_and_haves.append(wire.Request(piece_index, begin, length))

    def requests_received(self, piece_index, first_block, num_blocks):
        for block_index in range(first_block, first_block + num_blocks):
            self.request_received(piece_index, block_index * BLOCK_BYTES, LAYOUT.block_size(piece_index, block_index))

    def have_received(self, piece_index):
        self.requests_and_haves.append(wire.Have(piece_index))

    def message_received(self, message):
        self.others.append((len(self.blocks), message))     # what it says may be about the blocks before it


def as_peer_wire_sees_it(data, requests):
    """The same records, and why the stream is refused."""
    outstanding = {(piece_index, block) for piece_index, first, num_blocks, _ in requests for block in range(first, first + num_blocks)}
    blocks, unrequested, others, requests_and_haves = [], [], [], []
    peer_wire = PeerWire()
    peer_wire.receive_data(data)
    try:
        while (message := peer_wire.next_event()) is not NEED_DATA:
            match message:
                case wire.KeepAlive():
                    pass
                case wire.Piece(piece_index, begin, block):
                    if begin % BLOCK_BYTES == 0 and (piece_index, begin // BLOCK_BYTES) in outstanding:
                        outstanding.remove((piece_index, begin // BLOCK_BYTES))
                        blocks.append((piece_index, begin // BLOCK_BYTES, bytes(block)))
                    else:
                        unrequested.append((piece_index, begin, len(block)))
                case wire.Request() | wire.Have():
                    requests_and_haves.append(message)
                case _:
                    others.append((len(blocks), message))
    except RemoteProtocolError as error:
        return blocks, unrequested, others, requests_and_haves, str(error)
    return blocks, unrequested, others, requests_and_haves, CLOSED


@st.composite
def runs(draw):
    """Blocks that are requested: each at most once, in runs within a piece, in any order."""
    found = []
    for piece_index in range(LAYOUT.num_pieces):
        first = 0
        while first < LAYOUT.num_blocks(piece_index):
            num_blocks = draw(st.integers(1, LAYOUT.num_blocks(piece_index) - first))
            if draw(st.integers(0, 5)):
                found.append((piece_index, first, num_blocks, draw(st.integers(0, 5)) > 0))
            first += num_blocks
    return draw(st.permutations(found))


@st.composite
def answers(draw, requests):
    """What an honest or a confused peer sends for them: mostly in order, with messages between, some left out, some sent twice."""
    data = Random(draw(st.integers(0, 3)))
    blocks = [(piece_index, block) for piece_index, first, num_blocks, _ in requests for block in range(first, first + num_blocks)]
    if draw(st.integers(0, 3)) == 0:
        blocks = draw(st.permutations(blocks + draw(st.lists(st.sampled_from(BLOCKS), max_size=3))))
    stream = []
    for piece_index, block_index in blocks:
        before = draw(st.integers(0, 9))
        if before == 0:
            continue
        if before < 3:
            stream += draw(st.lists(other_messages(), max_size=3))
        size = LAYOUT.block_size(piece_index, block_index)
        stream.append(wire.Piece(piece_index, block_index * BLOCK_BYTES, memoryview(data.randbytes(size))))
    return stream + draw(st.lists(other_messages(), max_size=2))


def check_agreement(data, sizes, requests):
    pieces = [ArrivingPiece(LAYOUT, piece_index, PieceBuffer(LAYOUT.piece_size(piece_index))) for piece_index in range(LAYOUT.num_pieces)]
    peer, loop = RecordingPeer(data, sizes, pieces, requests), ReceiveLoop()
    while not peer.is_closed:
        loop.receive(peer)
    blocks, unrequested, others, requests_and_haves, reason = as_peer_wire_sees_it(data, requests)
    assert peer.closed_because == reason
    if reason == CLOSED:
        assert sorted(peer.blocks) == sorted(blocks)
        assert peer.bytes_in == len(data)
    else:                                               # the blocks just before the fault may be lost: others are asked for them
        assert set(peer.blocks) <= set(blocks)
    assert (peer.others, peer.requests_and_haves) == (others, requests_and_haves)
    assert peer.unrequested[:len(unrequested)] == unrequested       # one may be on its way when the stream ends
    assert len(peer.unrequested) <= len(unrequested) + 1
    return pieces, blocks


@settings(max_examples=100)
@given(st.data(), runs(), st.lists(RECEIVED_AT_ONCE, min_size=1, max_size=6))
def test_the_receive_loop_sees_the_same_messages_and_blocks_however_the_kernel_cuts_the_stream(data, requests, sizes):
    stream = stream_of(data.draw(answers(requests)))
    pieces, blocks = check_agreement(stream, sizes, requests)
    in_place = {(piece_index, block) for piece_index, first, count, here in requests if here for block in range(first, first + count)}
    for piece_index, block_index, block in blocks:      # no wrong guess later on has overwritten it
        if (piece_index, block_index) in in_place:
            assert pieces[piece_index].blocks[block_index] == block


@settings(max_examples=60)
@given(st.data(), runs(), st.lists(RECEIVED_AT_ONCE, min_size=1, max_size=6))
def test_the_receive_loop_refuses_what_peer_wire_refuses(data, requests, sizes):
    messages = data.draw(answers(requests))
    wrong = data.draw(st.sampled_from([
        b"\xff\xff\xff\xff", b"\0\0\0\2\0\0", b"\0\0\0\4\4\0\0\0", b"\0\0\0\x0c\6", b"\0\0\0\x0e\6", b"\0\0\0\x09\7" + bytes(8), b"\0\0\x40\x0a\7", b"\0\0\0\1\x14",
    ]))
    at = data.draw(st.integers(0, len(messages)))
    stream = stream_of(messages[:at]) + wrong + b"".join(map(bytes_of, messages[at:]))
    check_agreement(stream, sizes, requests)
