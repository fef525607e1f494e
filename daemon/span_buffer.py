"""SpanBuffer: memory for consecutive blocks of a piece as they go over the wire, used again and again.

Laying out 64 headers and 64 places costs more in Python than the read itself, and is nearly the same each time: of whole blocks at
the same place in another piece only the piece index differs. So the places are made once and the headers stamped.
"""

from typing import Final

from daemon.request_window import HEADER_BYTES
from protocol.limits import BLOCK_BYTES
from protocol.peer_messages import piece_header
from protocol.piece_layout import PieceLayout

WIRE_BLOCK_BYTES: Final = HEADER_BYTES + BLOCK_BYTES
INDEX_AT: Final = 5                                     # of the four bytes of the piece index in a header


class SpanBuffer:
    """Room for `num_blocks` messages."""

    __slots__ = ("_laid_out", "_memory", "_places", "_wire", "num_blocks", "num_bytes")

    def __init__(self, num_blocks: int) -> None:
        self.num_blocks = num_blocks
        self.num_bytes = num_blocks * WIRE_BLOCK_BYTES
        self._memory = bytearray(self.num_bytes)
        self._wire = memoryview(self._memory)
        self._places = [self._wire[at + HEADER_BYTES:at + WIRE_BLOCK_BYTES] for at in range(0, self.num_bytes, WIRE_BLOCK_BYTES)]
        self._laid_out: int | None = None               # first block of the whole blocks whose headers lie here

    def lay_out(self, layout: PieceLayout, piece_index: int, first_block: int) -> tuple[memoryview, list[memoryview]]:
        """Write the headers of `num_blocks` blocks; return the whole messages, and the places between their headers."""
        if self._laid_out != first_block:
            self._laid_out = first_block
            for number in range(self.num_blocks):
                at = number * WIRE_BLOCK_BYTES
                self._memory[at:at + HEADER_BYTES] = piece_header(piece_index, (first_block + number) * BLOCK_BYTES, BLOCK_BYTES)
        else:
            memory, index = self._memory, piece_index.to_bytes(4, "big")
            for at in range(INDEX_AT, self.num_bytes, WIRE_BLOCK_BYTES):
                memory[at:at + 4] = index
        last_block = first_block + self.num_blocks - 1
        missing = BLOCK_BYTES - layout.block_size(piece_index, last_block)
        if not missing:
            return self._wire, self._places
        self._laid_out = None                           # the last header says another length
        at = self.num_bytes - WIRE_BLOCK_BYTES
        self._memory[at:at + HEADER_BYTES] = piece_header(piece_index, last_block * BLOCK_BYTES, BLOCK_BYTES - missing)
        return self._wire[:self.num_bytes - missing], [*self._places[:-1], self._places[-1][:BLOCK_BYTES - missing]]
