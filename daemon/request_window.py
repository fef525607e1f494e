"""RequestWindow: the blocks that were requested from one peer and are not here yet, in the order of the requests.

Peers nearly always answer in order, so the next blocks can be foretold, and received right where they belong (receive_loop.py).
The window is kept as runs: contiguous blocks of one piece. A block that comes out of order splits its run, and the forecast goes
on behind it: what a peer skipped usually comes late, or never. Steps cost the same for a run of 1 block and of 64.

At most one peer may receive a block in place. Whoever is asked for it beside that one (endgame, or after the first one let it
wait too long) receives it elsewhere, and it is copied when it is complete: half a block of theirs must never lie in a whole one of ours.
"""

from collections.abc import Iterator
from typing import NamedTuple

from daemon.arriving_piece import ArrivingPiece
from protocol.limits import BLOCK_BYTES

HEADER_BYTES = 13                                       # of a `piece` message: length, id, piece index, begin


class Run:
    """Blocks `first` to `end` (exclusive) of a piece."""

    __slots__ = ("end", "first", "headers", "headers_first", "in_place", "piece", "skipped_at")

    def __init__(self, piece: ArrivingPiece, first: int, end: int, headers: bytes, headers_first: int, in_place: bool) -> None:
        self.piece = piece
        self.first = first
        self.end = end
        self.headers = headers                          # of the blocks from `headers_first` on, as the peer will send them
        self.headers_first = headers_first
        self.in_place = in_place
        self.skipped_at: float | None = None            # when it was noticed that the peer sends later blocks first

    def expected(self, count: int) -> bytes:
        """The headers of its next `count` blocks."""
        start = HEADER_BYTES * (self.first - self.headers_first)
        return self.headers[start:start + HEADER_BYTES * count]


class Received(NamedTuple):
    """Blocks that arrived in a row."""

    piece: ArrivingPiece
    first_block: int
    num_blocks: int


class RequestWindow:
    """What one peer owes us."""

    __slots__ = ("_cursor", "_runs", "num_blocks")

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._cursor = 0                                # the run whose first block is expected next; those before it were skipped
        self.num_blocks = 0

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    def append(self, piece: ArrivingPiece, first_block: int, num_blocks: int, headers: bytes, in_place: bool) -> None:
        """These blocks were requested just now; `headers` is what will stand before each of them."""
        self.num_blocks += num_blocks
        if self._runs:
            last = self._runs[-1]
            if last.end == first_block and last.piece is piece and last.in_place == in_place:
                last.headers = last.expected(last.end - last.first) + headers
                last.headers_first = last.first
                last.end += num_blocks
                return
        self._runs.append(Run(piece, first_block, first_block + num_blocks, headers, first_block, in_place))

    def owes_any(self, piece_index: int, first_block: int, num_blocks: int) -> bool:
        """One of these blocks was requested before, and has not come."""
        end = first_block + num_blocks
        return any(run.piece.index == piece_index and run.first < end and first_block < run.end for run in self._runs)

    def forecast(self, most: int) -> tuple[list[memoryview], bytes]:
        """Return where the next blocks (at most `most`) belong, and all their headers joined.

        Only the last one may be shorter than a block. Fewer than `most` if no more are outstanding, or the next one must not be
        received in place.
        """
        places: list[memoryview] = []
        headers = b""
        for run in self._runs[self._cursor:]:
            if not run.in_place or not run.piece.is_open or most == 0:
                break
            count = min(run.end - run.first, most)
            found = run.piece.blocks[run.first:run.first + count]
            places = places + found if places else found
            headers = headers + run.expected(count) if headers else run.expected(count)
            most -= count
            if len(found[-1]) < BLOCK_BYTES:
                break                                   # the last block of the torrent
        return places, headers

    def advance(self, count: int) -> list[Received]:
        """The next `count` blocks have come as foretold."""
        received = []
        runs, cursor = self._runs, self._cursor
        self.num_blocks -= count
        while count:
            run = runs[cursor]
            part = min(run.end - run.first, count)
            received.append(Received(run.piece, run.first, part))
            run.first += part
            count -= part
            if run.first == run.end:
                del runs[cursor]
        self._cursor = cursor if cursor < len(runs) else 0
        return received

    def take(self, piece_index: int, block_index: int) -> Run | None:
        """This block is coming now: take it out and expect the one requested after it. None if it was not asked for.

        Of the run only `piece` and `in_place` are meant.
        """
        position = self._find(piece_index, block_index)
        if position is None:
            return None
        run = self._runs[position]
        self._cursor = self._cut(position, block_index)
        if self._cursor >= len(self._runs):
            self._cursor = 0
        return run

    def discard(self, piece_index: int, block_index: int) -> bool:
        """This block will not come (rejected), or must not be received any more; False if it was not asked for."""
        position = self._find(piece_index, block_index)
        if position is None:
            return False
        runs_before = len(self._runs)
        self._cut(position, block_index)
        if position < self._cursor:
            self._cursor += len(self._runs) - runs_before
        if self._cursor >= len(self._runs):
            self._cursor = 0
        return True

    def skipped(self) -> list[Run]:
        """The runs that the peer passed over so far."""
        return self._runs[:self._cursor]

    def clear(self) -> list[Run]:
        """Expect nothing any more; return what was expected."""
        runs, self._runs, self._cursor, self.num_blocks = self._runs, [], 0, 0
        return runs

    def _find(self, piece_index: int, block_index: int) -> int | None:
        runs = self._runs
        for position in (*range(self._cursor, len(runs)), *range(self._cursor)):
            run = runs[position]
            if run.piece.index == piece_index and run.first <= block_index < run.end:
                return position
        return None

    def _cut(self, position: int, block_index: int) -> int:
        """Take a block out of the run there; return the position of what follows it."""
        runs = self._runs
        run = runs[position]
        self.num_blocks -= 1
        if block_index == run.first:
            run.first += 1
            if run.first == run.end:
                del runs[position]
            return position
        if block_index < run.end - 1:
            rest = Run(run.piece, block_index + 1, run.end, run.headers, run.headers_first, run.in_place)
            runs.insert(position + 1, rest)
        run.end = block_index
        return position + 1
