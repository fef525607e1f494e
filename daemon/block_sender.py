"""BlockSender: what one peer requested of us and has not got yet, and the next chunk to send to it.

Requests nearly always come for blocks in order, so the queue is kept as runs of blocks; a run that lies in one span (span_cache.py)
leaves with one send. Where reading takes time, the next span is read while a chunk is being sent.
"""

from collections import deque
from typing import Any

from daemon.outflow import Outflow
from daemon.span_cache import SPAN_BLOCKS, Span, SpanCache
from protocol.limits import BLOCK_BYTES, MAX_PEER_REQUESTS

SPAN_SECONDS = 0.5                                      # what a span should last, so that a slow peer pins little
FIRST_SPAN_BLOCKS = 16                                  # of a peer whose rate is not known


class Queued:
    """Blocks `first` to `end` (exclusive) of a piece; or an odd range, which is no block."""

    __slots__ = ("end", "first", "odd", "piece_index")

    def __init__(self, piece_index: int, first: int, odd: tuple[int, int] | None = None) -> None:
        self.piece_index = piece_index
        self.first = first
        self.end = first + 1
        self.odd = odd                                  # (begin, length)


class BlockSender:
    """`wake` is called when `provide` may have something to give again. `torrent` is what SpanCache needs of one."""

    __slots__ = ("_cache", "_outflow", "_queue", "_sending", "_spans", "_torrent", "_waits_for", "_wake", "num_queued", "span_blocks")

    def __init__(self, torrent: Any, cache: SpanCache, outflow: Outflow, wake: Any) -> None:
        self._torrent = torrent
        self._cache = cache
        self._outflow = outflow
        self._wake = wake
        self._queue: deque[Queued] = deque()
        self._spans: deque[Span] = deque()              # in use: the one of the chunk being sent, and the next
        self._waits_for: Span | None = None
        self._sending: Queued | None = None             # what the chunk in the outflow answers
        self.num_queued = 0
        self.span_blocks = FIRST_SPAN_BLOCKS

    def add(self, piece_index: int, begin: int, length: int) -> bool:
        """Queue a request, which was checked against the layout and what we have; False if too many are queued."""
        if self.num_queued >= MAX_PEER_REQUESTS:
            return False
        self.num_queued += 1
        block_index, odd = divmod(begin, BLOCK_BYTES)
        if odd or length != self._torrent.layout.block_size(piece_index, block_index):
            self._queue.append(Queued(piece_index, block_index, (begin, length)))
            return True
        if self._queue:
            last = self._queue[-1]
            if last.end == block_index and last.piece_index == piece_index and last.odd is None:
                last.end += 1
                return True
        self._queue.append(Queued(piece_index, block_index))
        return True

    def add_run(self, piece_index: int, first_block: int, num_blocks: int) -> bool:
        """Queue requests for some blocks in a row; False, and none is queued, if that would be too many."""
        if self.num_queued + num_blocks > MAX_PEER_REQUESTS:
            return False
        self.num_queued += num_blocks
        last = self._queue[-1] if self._queue else None
        if last is not None and last.end == first_block and last.piece_index == piece_index and last.odd is None:
            last.end += num_blocks
        else:
            run = Queued(piece_index, first_block)
            run.end = first_block + num_blocks
            self._queue.append(run)
        return True

    def cancel(self, piece_index: int, begin: int, length: int) -> bool:
        """The peer wants this no longer; False if it is not queued (any more)."""
        block_index = begin // BLOCK_BYTES
        for position, queued in enumerate(self._queue):
            if queued.piece_index != piece_index:
                continue
            if queued.odd is not None:
                if queued.odd != (begin, length):
                    continue
                del self._queue[position]
            elif begin % BLOCK_BYTES or not queued.first <= block_index < queued.end:
                continue
            else:
                self._cut(position, block_index)
            self.num_queued -= 1
            return True
        return False

    def clear(self) -> list[tuple[int, int, int]]:
        """Send the block under way to its end, and nothing more; return what was requested and will not be sent, as
        (piece index, begin, length).
        """
        unsent = self._outflow.cut_chunk()
        if unsent:
            self._sending.first = self._sending.end - unsent
            self._queue.appendleft(self._sending)
        block_size = self._torrent.layout.block_size
        requests = []
        for queued in self._queue:
            if queued.odd is not None:
                requests.append((queued.piece_index, *queued.odd))
                continue
            for block in range(queued.first, queued.end):
                requests.append((queued.piece_index, block * BLOCK_BYTES, block_size(queued.piece_index, block)))
        self._queue.clear()
        self.num_queued = 0
        return requests

    def close(self) -> None:
        """The connection is gone."""
        self._queue.clear()
        self.num_queued = 0
        self._waits_for = None
        while self._spans:
            self._cache.release(self._spans.popleft())

    def rate_is(self, bytes_per_second: float) -> None:
        """How fast this peer takes what it asked for: decides how much is read ahead for it."""
        wanted = bytes_per_second * SPAN_SECONDS / BLOCK_BYTES
        self.span_blocks = next((size for size in SPAN_BLOCKS if size <= wanted), SPAN_BLOCKS[-1])

    def provide(self) -> bool:
        """Give the outflow, which has no chunk, the next one; False if there is none (yet). Raises StorageError."""
        if not self._queue:
            self._release_all_but(0)
            return False
        head = self._queue[0]
        span = self._span_of(head)
        if span.error is not None:
            raise span.error
        if span.wire is None:
            if self._waits_for is not span:
                self._waits_for = span
                span.waiting.append(self._span_is_read)
            return False
        if head.odd is not None:
            self._sending = self._queue.popleft()
            self.num_queued -= 1
            self._outflow.set_chunk(span.wire, span.unit)
        else:
            end = min(head.end, span.first_block + span.num_blocks)
            self._outflow.set_chunk(span.slice(head.first, end - head.first))
            self.num_queued -= end - head.first
            self._sending = Queued(head.piece_index, head.first)
            self._sending.end = end
            head.first = end
            if head.first == head.end:
                self._queue.popleft()
        if self._queue and self._cache.reads_ahead:
            self._span_of(self._queue[0], ahead=True)
        return True

    def _span_of(self, queued: Queued, ahead: bool = False) -> Span:
        """Return the span for the first block of `queued`, in use. What is in use besides is released, unless it is read `ahead`."""
        for position, span in enumerate(self._spans):
            if self._fits(span, queued):
                if not ahead:
                    self._release_all_but(len(self._spans) - position)
                return span
        if not ahead:
            self._release_all_but(0)
        if queued.odd is not None:
            span = self._cache.read_odd(self._torrent, queued.piece_index, *queued.odd)
        else:
            span = self._cache.get(self._torrent, queued.piece_index, queued.first, self.span_blocks)
        self._spans.append(span)
        return span

    def _fits(self, span: Span, queued: Queued) -> bool:
        if queued.odd is not None or span.key is None:
            return queued.odd is not None and span.odd == (queued.piece_index, *queued.odd)
        return span.key[1] == queued.piece_index and span.first_block <= queued.first < span.first_block + span.num_blocks

    def _release_all_but(self, count: int) -> None:
        while len(self._spans) > count:
            self._cache.release(self._spans.popleft())

    def _span_is_read(self) -> None:
        if self._waits_for is not None:
            self._waits_for = None
            self._wake()

    def _cut(self, position: int, block_index: int) -> None:
        queued = self._queue[position]
        if block_index == queued.first:
            queued.first += 1
            if queued.first == queued.end:
                del self._queue[position]
            return
        if block_index < queued.end - 1:
            rest = Queued(queued.piece_index, block_index + 1)
            rest.end = queued.end
            self._queue.insert(position + 1, rest)
        queued.end = block_index
