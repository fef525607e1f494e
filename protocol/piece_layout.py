"""PieceLayout: how the bytes of a torrent fall into pieces, blocks and files. Every index from outside is checked here."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NewType, Protocol

from protocol.errors import RemoteProtocolError
from protocol.limits import BLOCK_BYTES, MAX_REQUEST_BYTES

PieceIndex = NewType("PieceIndex", int)                 # checked against a layout


@dataclass(frozen=True, slots=True)
class PieceLayout:
    """Pieces of `piece_length` bytes, the last one may be shorter; blocks of BLOCK_BYTES, the last of a piece may be shorter."""

    piece_length: int
    total_length: int
    num_pieces: int = field(init=False)
    last_piece_size: int = field(init=False)

    def __post_init__(self) -> None:
        num_pieces = -(-self.total_length // self.piece_length)
        object.__setattr__(self, "num_pieces", num_pieces)
        object.__setattr__(self, "last_piece_size", self.total_length - (num_pieces - 1) * self.piece_length if num_pieces else 0)

    def piece_size(self, piece_index: int) -> int:
        """Bytes of a piece."""
        return self.piece_length if piece_index < self.num_pieces - 1 else self.last_piece_size

    def num_blocks(self, piece_index: int) -> int:
        """Blocks of a piece."""
        return -(-self.piece_size(piece_index) // BLOCK_BYTES)

    def block_size(self, piece_index: int, block_index: int) -> int:
        """Bytes of a block."""
        return min(BLOCK_BYTES, self.piece_size(piece_index) - block_index * BLOCK_BYTES)

    def check_piece(self, piece_index: int) -> PieceIndex:
        """Raises RemoteProtocolError for a piece that the torrent has not."""
        if not 0 <= piece_index < self.num_pieces:
            raise RemoteProtocolError(f"piece {piece_index}, the torrent has {self.num_pieces}")
        return PieceIndex(piece_index)

    def check_request(self, piece_index: int, begin: int, length: int) -> PieceIndex:
        """Raises RemoteProtocolError for a range that does not lie in the piece, is empty, or larger than clients serve."""
        checked = self.check_piece(piece_index)
        if not 0 < length <= MAX_REQUEST_BYTES:
            raise RemoteProtocolError(f"request of {length} bytes, must be from 1 to {MAX_REQUEST_BYTES}")
        if begin < 0 or begin + length > self.piece_size(piece_index):
            raise RemoteProtocolError(f"request of bytes {begin} to {begin + length} of piece {piece_index}, which has {self.piece_size(piece_index)}")
        return checked


class PlacedFile(Protocol):
    """What file_spans needs of a file."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class FileSpan:
    """A range of one file."""

    file_index: int
    offset_in_file: int
    length: int


def file_spans(files: Sequence[PlacedFile], start: int, length: int) -> Iterator[FileSpan]:
    """Yield the ranges of `files` (in order of offset, without gaps) that hold the torrent's bytes from `start` on."""
    file_index = bisect_right(files, start, key=lambda file: file.offset) - 1
    while length > 0 and file_index < len(files):
        file = files[file_index]
        part = min(file.offset + file.length - start, length)
        if part > 0:
            yield FileSpan(file_index, start - file.offset, part)
            start += part
            length -= part
        file_index += 1
