"""ReceiveLoop: bytes of a connection into blocks and messages, with one receive for as much as is there.

What a peer sends next can nearly always be foretold: the blocks that it owes, in order, each behind a header of 13 bytes. So one
`recvmsg_into` lays headers side by side into a small buffer and blocks right where they belong in their pieces; one comparison of
all headers shows that it was so. Behind the last block that is owed follows the shared buffer, for whatever else may come. How far
ahead is foretold depends on how much came the last time: places for 64 blocks cost as much as receiving one.

If a header is another one (a `have` came between, a block was skipped), what came is gathered in the order in which it came and
parsed like any stream. What was overwritten by it are places of blocks that only this peer owes us, so nothing is lost. After such
a miss the next 2, 4, … 64 receives are linear, into the shared buffer: a miss costs two more copies, and a peer that mixes its
messages would miss each time.

The buffers belong to the process, not to a connection: nothing here may switch to another greenlet between the receive and the
end of the parse. What is left of a message waits in the connection's own Inflow: a few bytes, or a place that is filled so far.
"""

from struct import Struct
from typing import Any

from daemon.arriving_piece import ArrivingPiece
from daemon.request_window import HEADER_BYTES, Received
from protocol.errors import RemoteProtocolError
from protocol.limits import BLOCK_BYTES, MAX_WIRE_MESSAGE_BYTES
from protocol.peer_messages import HAVE, PIECE, REQUEST, REQUEST_BYTES, check_length, encode_requests, parse_message

FORECAST_BLOCKS = 64                                    # in one receive at most: 1 MiB
FIRST_FORECAST_BLOCKS = 8
SHARED_BYTES = 1 << 18                                  # of a linear receive: small enough to stay in the processor's cache
FIRST_BACKOFF, LAST_BACKOFF = 2, 64                     # linear receives after a miss
MOST_REQUESTS = 64                                      # compared at once
CALM_BLOCKS = 8                                         # foretold in one receive: then the next miss begins with the first backoff again
WIRE_BLOCK_BYTES = HEADER_BYTES + BLOCK_BYTES
UNKNOWN = -1                                            # the id has not come yet

_length = Struct(">I").unpack_from
_index_and_begin = Struct(">II").unpack_from
_request = Struct(">III").unpack_from


class Inflow:
    """What one connection has received of a message that is not whole yet: `tail`, or a block in `target`, or bytes to `skip`."""

    __slots__ = ("backoff", "block_index", "filled", "forecast_blocks", "in_place", "linear_receives", "piece", "skip", "tail", "target")

    def __init__(self) -> None:
        self.tail = b""                                 # of a message whose end is not here
        self.target: memoryview | None = None           # where the block belongs that is coming now
        self.filled = 0                                 # bytes of it that are here
        self.piece: ArrivingPiece | None = None             # of the block in `target`
        self.block_index = 0
        self.in_place = True
        self.skip = 0                                   # bytes of an unwanted block that are still to come
        self.linear_receives = 0                        # left to do before the next forecast
        self.backoff = FIRST_BACKOFF
        self.forecast_blocks = FIRST_FORECAST_BLOCKS    # of the next receive

    def holds(self, piece_index: int, block_index: int) -> bool:
        """This block is coming now."""
        return self.target is not None and self.piece.index == piece_index and self.block_index == block_index

    def give_up_block(self) -> int:
        """The block that is coming is not wanted any more; return its size."""
        size = len(self.target)
        self.skip = size - self.filled
        self.target = self.piece = None
        return size

    def move_out(self) -> None:
        """The block that is coming goes on elsewhere, because its place is somebody else's now."""
        aside = memoryview(bytearray(len(self.target)))
        aside[:self.filled] = self.target[:self.filled]
        self.target, self.in_place = aside, False


class ReceiveLoop:
    """Shared by all connections of the process. A connection has `socket`, `inflow`, `window` and the methods called here."""

    def __init__(self) -> None:
        self._shared = memoryview(bytearray(SHARED_BYTES + MAX_WIRE_MESSAGE_BYTES))
        self._headers = bytearray(HEADER_BYTES * FORECAST_BLOCKS)
        view = memoryview(self._headers)
        self._header_views = [view[start:start + HEADER_BYTES] for start in range(0, len(view), HEADER_BYTES)]

    def receive(self, peer: Any) -> None:
        """The socket of `peer` is readable. Whatever goes wrong ends that connection and nothing else."""
        try:
            if self._receive(peer):
                peer.after_receive()
            else:
                peer.close("closed by the peer")
        except BlockingIOError:
            return
        except Exception as error:
            peer.fail(error)

    def _receive(self, peer: Any) -> bool:
        """Return False at the end of the stream."""
        flow = peer.inflow
        tail, target = flow.tail, flow.target
        places: list[memoryview] = []
        expected = b""
        if flow.linear_receives:
            flow.linear_receives -= 1
        elif not flow.skip:
            places, expected = peer.window.forecast(flow.forecast_blocks)
            if tail and not expected.startswith(tail):
                places = []
        count = len(places)
        buffers: list[Any] = [None] * (2 * count)
        if count:
            buffers[0::2] = self._header_views[:count]
            buffers[1::2] = places
            if tail:
                self._headers[:len(tail)] = tail
                buffers[0] = buffers[0][len(tail):]
            if count < flow.forecast_blocks:
                buffers.append(self._shared)
        elif tail:
            self._shared[:len(tail)] = tail
            buffers.append(self._shared[len(tail):])
        else:
            buffers.append(self._shared)
        if target is not None:
            buffers.insert(0, target[flow.filled:])

        received = peer.socket.recvmsg_into(buffers)[0]
        if not received:
            return False
        peer.bytes_in += received
        if target is not None:
            room = len(target) - flow.filled
            if received < room:
                flow.filled += received
                return True
            received -= room
            self._block_is_whole(peer)
        if count:
            self._check(peer, places, expected, received + len(tail))
        else:
            self._parse(peer, self._shared, received + len(tail))
        return True

    # ── as foretold ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _check(self, peer: Any, places: list[memoryview], expected: bytes, received: int) -> None:
        """`received` bytes, the tail included, lie in header, place, header, place … and the shared buffer."""
        flow = peer.inflow
        flow.tail = b""
        capacity = WIRE_BLOCK_BYTES * (len(places) - 1) + HEADER_BYTES + len(places[-1])
        whole, part = (len(places), 0) if received >= capacity else divmod(received, WIRE_BLOCK_BYTES)
        checked = HEADER_BYTES * whole + min(part, HEADER_BYTES)
        if self._headers[:checked] != expected[:checked]:
            self._missed(peer, places, expected, received)
            return
        flow.forecast_blocks = min(2 * whole + 2, FORECAST_BLOCKS)
        if whole:
            peer.blocks_received(peer.window.advance(whole))
            if whole >= CALM_BLOCKS:
                flow.backoff = FIRST_BACKOFF
            if peer.is_closed:
                return
        if part >= HEADER_BYTES:
            self._begin_block(peer, memoryview(expected)[checked - HEADER_BYTES:], 0)
            flow.filled = part - HEADER_BYTES
        elif part:
            flow.tail = expected[checked - part:checked]
        elif received > capacity:
            self._parse(peer, self._shared, received - capacity)

    def _missed(self, peer: Any, places: list[memoryview], expected: bytes, received: int) -> None:
        """Keep what came before the first header that is another one; gather what came from there on, and parse it."""
        flow = peer.inflow
        flow.linear_receives = flow.backoff
        flow.backoff = min(flow.backoff * 2, LAST_BACKOFF)
        right = 0
        while self._headers[:HEADER_BYTES * (right + 1)] == expected[:HEADER_BYTES * (right + 1)]:
            right += 1
        buffers: list[memoryview] = []
        left = received - WIRE_BLOCK_BYTES * right
        for header, place in zip(self._header_views[right:], places[right:], strict=False):
            buffers += (header, place)
        buffers.append(self._shared)
        linear = bytearray()
        for buffer in buffers:
            linear += buffer[:left]
            left -= min(left, len(buffer))
            if not left:
                break
        if right:
            peer.blocks_received(peer.window.advance(right))
            if peer.is_closed:
                return
        self._parse(peer, memoryview(linear), len(linear))

    # ── like any stream ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _parse(self, peer: Any, data: memoryview, end: int) -> None:
        """Hand on all that is whole in data[:end]; keep the rest in the peer's Inflow."""
        flow = peer.inflow
        at = min(flow.skip, end)
        flow.skip -= at
        in_a_row: list[Received] = []                   # blocks that were handed on together are cheaper
        while end - at > 4:
            length = _length(data, at)[0]
            kind = data[at + 4]
            if length == 0:                             # keep-alive
                at += 4
                continue
            if kind == PIECE:
                check_length(kind, length)
                if end - at < HEADER_BYTES:
                    break
                at += HEADER_BYTES
                self._begin_block(peer, data, at - HEADER_BYTES)
                part = min(length - 9, end - at)
                if flow.target is None:
                    flow.skip -= part
                else:
                    flow.target[:part] = data[at:at + part]
                    flow.filled = part
                    if part == len(flow.target):
                        self._block_is_whole(peer, in_a_row)
                at += part
                continue
            if kind == REQUEST and length == 13:
                if end - at < REQUEST_BYTES:
                    break
                at += REQUEST_BYTES * self._requests(peer, data, at, (end - at) // REQUEST_BYTES)
            elif kind == HAVE and length == 5:
                if end - at < 9:
                    break
                peer.have_received(_length(data, at + 5)[0])
                at += 9
            else:
                check_length(kind, length)
                if end - at < 4 + length:
                    break
                if in_a_row:                            # what follows may be about them
                    peer.blocks_received(in_a_row)
                    in_a_row = []
                    if peer.is_closed:
                        return
                peer.message_received(parse_message(data[at + 4:at + 4 + length]))
                at += 4 + length
            if peer.is_closed:
                return
        if in_a_row:
            peer.blocks_received(in_a_row)
        if end - at == 4:
            if any(data[at:end]):
                check_length(UNKNOWN, _length(data, at)[0])
            else:                                       # a keep-alive is the only message of four bytes
                at = end
        flow.tail = bytes(data[at:end])

    def _requests(self, peer: Any, data: memoryview, at: int, most: int) -> int:
        """A request lies at data[at:], with at most `most` - 1 behind it: hand it on, together with those that ask for the blocks
        that follow; return how many. Clients ask for long runs, and to compare a whole one costs as much as to read one request.
        """
        piece_index, begin, length = _request(data, at + 5)
        block_index, odd = divmod(begin, BLOCK_BYTES)
        layout = peer.torrent.layout
        if most > 1 and not odd and piece_index < layout.num_pieces:
            count = min(most, layout.num_blocks(piece_index) - block_index, MOST_REQUESTS)
            if count > 1 and _index_and_begin(data, at + REQUEST_BYTES + 5) == (piece_index, begin + BLOCK_BYTES):
                expected = encode_requests(layout, piece_index, block_index, count)
                while count > 1 and bytes(data[at:at + REQUEST_BYTES * count]) != expected[:REQUEST_BYTES * count]:
                    count -= count // 2
                if count > 1:
                    peer.requests_received(piece_index, block_index, count)
                    return count
        peer.request_received(piece_index, begin, length)
        return 1

    def _begin_block(self, peer: Any, data: memoryview, at: int) -> None:
        """The header of a block lies at data[at:]: find its place, or skip it."""
        flow = peer.inflow
        size = _length(data, at)[0] - 9
        piece_index, begin = _index_and_begin(data, at + 5)
        block_index, odd = divmod(begin, BLOCK_BYTES)
        run = None if odd else peer.window.take(piece_index, block_index)
        flow.filled = 0
        if run is None:
            peer.unrequested_received(piece_index, begin, size)
            flow.skip = size
        elif not run.piece.is_open:
            peer.discarded(size)
            flow.skip = size
        elif size != len(run.piece.blocks[block_index]):
            asked = len(run.piece.blocks[block_index])
            raise RemoteProtocolError(f"block of {size} bytes at byte {begin} of piece {piece_index}, asked for {asked}")
        else:
            place = run.piece.blocks[block_index]
            flow.piece, flow.block_index, flow.in_place = run.piece, block_index, run.in_place
            flow.target = place if run.in_place else memoryview(bytearray(size))

    def _block_is_whole(self, peer: Any, in_a_row: list[Received] | None = None) -> None:
        """The block in `target` is complete. With `in_a_row` it is added there if it is where it belongs."""
        flow = peer.inflow
        piece, block_index, target = flow.piece, flow.block_index, flow.target
        flow.target = flow.piece = None
        if not flow.in_place:
            peer.copy_received(piece.index, block_index, target)
        elif in_a_row is None:
            peer.blocks_received([Received(piece, block_index, 1)])
        elif in_a_row and in_a_row[-1].piece is piece and in_a_row[-1].first_block + in_a_row[-1].num_blocks == block_index:
            in_a_row[-1] = Received(piece, in_a_row[-1].first_block, in_a_row[-1].num_blocks + 1)
        else:
            in_a_row.append(Received(piece, block_index, 1))
