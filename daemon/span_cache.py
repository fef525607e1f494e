"""SpanCache: what is being served, laid out as it goes over the wire: header, block, header, block … of one piece.

Up to 64 blocks are read with one `preadv` between headers that lie there already; then any consecutive requests that fall
into the span are answered with one send of one slice. What the kernel has in memory is read at once, for the rest there is a
thread. Spans come in three sizes: a slow peer must not pin a megabyte for minutes.
The least recently used one goes first, and its memory is used again: fresh memory costs more than reading into touched one.

Only the smallest spans may exceed the limit, so whoever is unchoked is always served, if slowly.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from daemon.request_window import HEADER_BYTES
from daemon.span_buffer import WIRE_BLOCK_BYTES, SpanBuffer
from protocol.limits import BLOCK_BYTES
from protocol.peer_messages import piece_header

SPAN_BLOCKS: Final = (64, 16, 4)                        # sizes; each begins at a multiple of its size


class Span:
    """Blocks `first_block` on of a piece. `wire` is None until it is read; `error` says why it could not be."""

    __slots__ = ("buffer", "error", "first_block", "key", "num_blocks", "num_bytes", "odd", "unit", "users", "waiting", "wire")

    def __init__(self, key: tuple | None, first_block: int, num_blocks: int, num_bytes: int, unit: int = WIRE_BLOCK_BYTES) -> None:
        self.key = key
        self.first_block = first_block
        self.num_blocks = num_blocks
        self.num_bytes = num_bytes                      # of memory
        self.unit = unit                                # bytes of one message in `wire`
        self.buffer: SpanBuffer | None = None           # None of an odd range, and when it was given back
        self.odd: tuple[int, int, int] | None = None    # (piece index, begin, length) of a range that is no block
        self.wire: memoryview | None = None
        self.error: BaseException | None = None
        self.users = 1                                  # whoever sends from it, or will
        self.waiting: list[Callable[[], None]] = []     # told when it is read, or failed

    def slice(self, first_block: int, num_blocks: int) -> memoryview:
        """The messages for these blocks, which lie in the span."""
        start = (first_block - self.first_block) * self.unit
        return self.wire[start:start + num_blocks * self.unit]


class SpanCache:
    """`torrent` has `info_hash`, `layout` and `store`. `submit_read(job, done)` runs a job in the reading thread.

    `reads_ahead`: reading takes time, so it is worth while to ask for a span before it is needed.
    """

    def __init__(self, limit_bytes: int, submit_read: Callable[[Callable[[], Any], Callable[[Any], None]], None]) -> None:
        self._limit_bytes = limit_bytes
        self._submit_read = submit_read
        self._spans: dict[tuple, Span] = {}             # being read, or there
        self._idle: OrderedDict[tuple, Span] = OrderedDict()    # of these, there and without users; the one used longest ago first
        self._idle_bytes = 0
        self.used_bytes = 0
        self.reads_ahead = True

    def get(self, torrent: Any, piece_index: int, block_index: int, most_blocks: int) -> Span:
        """Return the span of `most_blocks` or less that holds this block, being read or there already. The caller is a user from now on."""
        for size in SPAN_BLOCKS:
            span = self._spans.get((torrent.info_hash, piece_index, block_index // size, size))
            if span is not None:
                if self._idle.pop(span.key, None) is not None:
                    self._idle_bytes -= span.num_bytes
                span.users += 1
                return span
        for size in SPAN_BLOCKS:
            if size <= most_blocks and (self._has_room(size) or size == SPAN_BLOCKS[-1]):
                return self._read_span(torrent, piece_index, block_index, size)
        raise ValueError(f"no span has {most_blocks} blocks or less")

    def read_odd(self, torrent: Any, piece_index: int, begin: int, length: int) -> Span:
        """Return a span of one message for a range that is not a block. It is not kept."""
        wire = memoryview(bytearray(HEADER_BYTES + length))
        span = Span(None, 0, 1, len(wire), len(wire))
        span.odd = (piece_index, begin, length)
        self.used_bytes += span.num_bytes
        wire[:HEADER_BYTES] = piece_header(piece_index, begin, length)
        self._read(torrent, span, piece_index, begin, [wire[HEADER_BYTES:]], wire)
        return span

    def release(self, span: Span) -> None:
        """One user less."""
        span.users -= 1
        self._settle(span)

    def forget(self, info_hash: bytes) -> None:
        """Drop what is not in use of this torrent."""
        for span in [span for span in self._idle.values() if span.key[0] == info_hash]:
            self._free(span)

    def _read_span(self, torrent: Any, piece_index: int, block_index: int, size: int) -> Span:
        number = block_index // size
        first_block = number * size
        num_blocks = min(size, torrent.layout.num_blocks(piece_index) - first_block)
        buffer = self._buffer(num_blocks)
        span = Span((torrent.info_hash, piece_index, number, size), first_block, num_blocks, buffer.num_bytes)
        span.buffer = buffer
        self._spans[span.key] = span
        wire, places = buffer.lay_out(torrent.layout, piece_index, first_block)
        begin = first_block * BLOCK_BYTES
        self.reads_ahead = not torrent.store.read_cached(piece_index, begin, places)
        if self.reads_ahead:
            self._read(torrent, span, piece_index, begin, places, wire)
        else:
            span.wire = wire
        return span

    def _read(self, torrent: Any, span: Span, piece_index: int, begin: int, places: list[memoryview], wire: memoryview) -> None:
        store = torrent.store

        def job() -> None:
            store.read_into(piece_index, begin, places)

        def done(result: Any) -> None:
            if isinstance(result, BaseException):
                span.error = result
                self._spans.pop(span.key, None)
            else:
                span.wire = wire
            waiting, span.waiting = span.waiting, []
            self._settle(span)
            for tell in waiting:
                tell()

        self._submit_read(job, done)

    def _has_room(self, size: int) -> bool:
        """A span of `size` blocks fits, if need be in place of idle ones."""
        return self.used_bytes - self._idle_bytes + size * WIRE_BLOCK_BYTES <= self._limit_bytes

    def _buffer(self, num_blocks: int) -> SpanBuffer:
        """Memory for a span: that of the oldest idle ones if there is no room for more."""
        num_bytes = num_blocks * WIRE_BLOCK_BYTES
        while self._idle and self.used_bytes + num_bytes > self._limit_bytes:
            buffer = self._free(next(iter(self._idle.values())))
            if buffer.num_blocks == num_blocks:
                self.used_bytes += num_bytes
                return buffer
        self.used_bytes += num_bytes
        return SpanBuffer(num_blocks)

    def _settle(self, span: Span) -> None:
        """Without users a span that is there is idle, and one that is not kept ends."""
        if span.users or (span.wire is None and span.error is None):
            return
        if self._spans.get(span.key) is span:
            self._idle[span.key] = span
            self._idle_bytes += span.num_bytes
        else:
            self._free(span)

    def _free(self, span: Span) -> SpanBuffer | None:
        """Give its memory back."""
        self._spans.pop(span.key, None)
        if self._idle.pop(span.key, None) is not None:
            self._idle_bytes -= span.num_bytes
        self.used_bytes -= span.num_bytes
        buffer, span.buffer = span.buffer, None
        return buffer
