"""SpanCache: what is being served, laid out as it goes over the wire: header, block, header, block … of one piece.

A thread reads up to 64 blocks with one `preadv` between headers that lie there already; then any consecutive requests that fall
into the span are answered with one send of one slice. Spans come in three sizes: a slow peer must not pin a megabyte for minutes.
The least recently used one goes first, and its memory is used again: fresh memory costs more than reading into touched one.

Only the smallest spans may exceed the limit, so whoever is unchoked is always served, if slowly.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from daemon.request_window import HEADER_BYTES
from protocol.limits import BLOCK_BYTES
from protocol.peer_messages import piece_header

SPAN_BLOCKS: Final = (64, 16, 4)                        # sizes; each begins at a multiple of its size
WIRE_BLOCK_BYTES: Final = HEADER_BYTES + BLOCK_BYTES


class Span:
    """Blocks `first_block` on of a piece. `wire` is None until it is read; `error` says why it could not be."""

    __slots__ = ("buffer", "error", "first_block", "key", "num_blocks", "odd", "unit", "users", "waiting", "wire")

    def __init__(self, key: tuple | None, first_block: int, num_blocks: int, buffer: bytearray, unit: int = WIRE_BLOCK_BYTES) -> None:
        self.key = key
        self.first_block = first_block
        self.num_blocks = num_blocks
        self.buffer: bytearray | None = buffer          # None when its memory was given back
        self.unit = unit                                # bytes of one message in `wire`
        self.odd: tuple[int, int, int] | None = None    # (piece index, begin, length) of a range that is no block
        self.wire: memoryview | None = None
        self.error: BaseException | None = None
        self.users = 0                                  # whoever sends from it, or will
        self.waiting: list[Callable[[], None]] = []     # told when it is read, or failed

    def slice(self, first_block: int, num_blocks: int) -> memoryview:
        """The messages for these blocks, which lie in the span."""
        start = (first_block - self.first_block) * self.unit
        return self.wire[start:start + num_blocks * self.unit]


class SpanCache:
    """`torrent` has `info_hash`, `layout` and `store`. `submit_read(job, done)` runs a job in the reading thread."""

    def __init__(self, limit_bytes: int, submit_read: Callable[[Callable[[], Any], Callable[[Any], None]], None]) -> None:
        self._limit_bytes = limit_bytes
        self._submit_read = submit_read
        self._spans: OrderedDict[tuple, Span] = OrderedDict()   # the one used longest ago first
        self.used_bytes = 0

    def get(self, torrent: Any, piece_index: int, block_index: int, most_blocks: int) -> Span:
        """Return the span of `most_blocks` or less that holds this block, being read or there already. The caller is a user from now on."""
        for size in SPAN_BLOCKS:
            key = (torrent.info_hash, piece_index, block_index // size, size)
            span = self._spans.get(key)
            if span is not None:
                self._spans.move_to_end(key)
                span.users += 1
                return span
        for size in SPAN_BLOCKS:
            if size <= most_blocks and (self._make_room(size) or size == SPAN_BLOCKS[-1]):
                return self._read_span(torrent, piece_index, block_index, size)
        raise ValueError(f"no span has {most_blocks} blocks or less")

    def read_odd(self, torrent: Any, piece_index: int, begin: int, length: int) -> Span:
        """Return a span of one message for a range that is not a block. It is not kept."""
        span = Span(None, 0, 1, bytearray(HEADER_BYTES + length), HEADER_BYTES + length)
        span.odd = (piece_index, begin, length)
        span.users = 1
        self.used_bytes += len(span.buffer)
        wire = memoryview(span.buffer)
        wire[:HEADER_BYTES] = piece_header(piece_index, begin, length)
        self._read(torrent, span, piece_index, begin, [wire[HEADER_BYTES:]], len(wire))
        return span

    def release(self, span: Span) -> None:
        """One user less."""
        span.users -= 1
        self._free_if_useless(span)

    def forget(self, info_hash: bytes) -> None:
        """Drop what is not in use of this torrent."""
        for span in [span for span in self._spans.values() if span.key[0] == info_hash and not span.users and span.wire is not None]:
            self._free(span)

    def _read_span(self, torrent: Any, piece_index: int, block_index: int, size: int) -> Span:
        layout = torrent.layout
        number = block_index // size
        first_block = number * size
        num_blocks = min(size, layout.num_blocks(piece_index) - first_block)
        buffer = self._buffer(num_blocks * WIRE_BLOCK_BYTES)
        span = Span((torrent.info_hash, piece_index, number, size), first_block, num_blocks, buffer)
        span.users = 1
        self._spans[span.key] = span
        wire = memoryview(buffer)
        places, end = [], 0
        for block in range(first_block, first_block + num_blocks):
            length = layout.block_size(piece_index, block)
            wire[end:end + HEADER_BYTES] = piece_header(piece_index, block * BLOCK_BYTES, length)
            places.append(wire[end + HEADER_BYTES:end + HEADER_BYTES + length])
            end += HEADER_BYTES + length
        self._read(torrent, span, piece_index, first_block * BLOCK_BYTES, places, end)
        return span

    def _read(self, torrent: Any, span: Span, piece_index: int, begin: int, places: list[memoryview], end: int) -> None:
        store = torrent.store

        def job() -> None:
            store.read_into(piece_index, begin, places)

        def done(result: Any) -> None:
            if isinstance(result, BaseException):
                span.error = result
                self._spans.pop(span.key, None)
            else:
                span.wire = memoryview(span.buffer)[:end]
            self._free_if_useless(span)
            waiting, span.waiting = span.waiting, []
            for tell in waiting:
                tell()

        self._submit_read(job, done)

    def _make_room(self, size: int) -> bool:
        """Drop unused spans until one of `size` blocks fits; False if it does not."""
        needed = size * WIRE_BLOCK_BYTES
        if self.used_bytes + needed <= self._limit_bytes:
            return True
        unused = sum(len(span.buffer) for span in self._spans.values() if not span.users and span.wire is not None)
        return self.used_bytes - unused + needed <= self._limit_bytes

    def _buffer(self, num_bytes: int) -> bytearray:
        """Memory for a span: that of the oldest unused ones if there is no room for more."""
        while self.used_bytes + num_bytes > self._limit_bytes:
            oldest = next((span for span in self._spans.values() if not span.users and span.wire is not None), None)
            if oldest is None:
                break
            buffer = self._free(oldest)
            if len(buffer) == num_bytes:
                self.used_bytes += num_bytes
                return buffer
        self.used_bytes += num_bytes
        return bytearray(num_bytes)

    def _free_if_useless(self, span: Span) -> None:
        """A span that is not kept ends with its last user."""
        is_read = span.wire is not None or span.error is not None
        if is_read and not span.users and span.key not in self._spans:
            self._free(span)

    def _free(self, span: Span) -> bytearray:
        """Give its memory back."""
        self._spans.pop(span.key, None)
        buffer, span.buffer = span.buffer, None
        self.used_bytes -= len(buffer)
        return buffer
