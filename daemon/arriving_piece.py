"""A piece that is being received: its buffer, cut into blocks."""

from daemon.piece_buffers import PieceBuffer
from protocol.piece_layout import PieceLayout


class ArrivingPiece:
    """`blocks[i]` is where block i of the piece belongs. The buffer goes back to the pool when the piece is written or given up;
    `blocks` is empty from then on, so that nobody can write into what others use.
    """

    __slots__ = ("blocks", "buffer", "data", "index", "is_shared")

    def __init__(self, layout: PieceLayout, index: int, buffer: PieceBuffer) -> None:
        size = layout.piece_size(index)
        self.index = index
        self.buffer = buffer                            # as it came from the pool, to give back
        self.data = memoryview(buffer)[:size]
        self.is_shared = False                          # a block of it was requested from two peers at once
        self.blocks = buffer.blocks_of(size)

    @property
    def is_open(self) -> bool:
        """The buffer is this piece's."""
        return bool(self.blocks)

    def take_buffer(self) -> PieceBuffer:
        """Give up the buffer."""
        buffer, self.buffer, self.data, self.blocks = self.buffer, None, None, []
        return buffer
