"""FileSelection: which files of a torrent the user wants, and how urgently; from that, which pieces to download in which order.

A piece has the priority of the most urgent file in it. Pieces that lie in skipped files only are not wanted; a piece that a skipped
file shares with a wanted one is. Padding files (BEP 47) go with the file before them. Files without bytes have no pieces.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from protocol.bitfield import Bitfield
from protocol.piece_layout import PieceLayout, PlacedFile

SKIP, LOW, NORMAL, HIGH = range(4)                      # of a file
FIRST_OR_LAST: Final = HIGH                             # added to the level of the pieces that a file begins and ends with

_ONE_OF: Final = [bytes(48 + (level == wanted) for level in range(256)) for wanted in range(FIRST_OR_LAST + HIGH + 1)]
_NONZERO: Final = bytes(48 + bool(level) for level in range(256))


class SelectableFile(PlacedFile, Protocol):
    """What is asked of a file."""

    padding: bool


@dataclass(frozen=True, slots=True)
class FileSelection:
    """What the user wants of one torrent. `priorities`: one byte a file (SKIP to HIGH) in its order, padding files included; empty:
    all files, all NORMAL.

    `sequential`: pieces from the first to the last instead of rarest first. `first_last_first`: the first and the last piece of
    each wanted file before all others, which lets programs look into files early. Priorities come first in both.
    Raises ValueError for a priority that there is not.
    """

    priorities: bytes = b""
    sequential: bool = False
    first_last_first: bool = False

    def __post_init__(self) -> None:
        if self.priorities and max(self.priorities) > HIGH:
            index = next(index for index, priority in enumerate(self.priorities) if priority > HIGH)
            raise ValueError(f"the priority of file {index} is {self.priorities[index]}, must be from {SKIP} (skip) to {HIGH} (high)")

    def fits(self, num_files: int) -> bool:
        """It can be one of a torrent with so many files."""
        return not self.priorities or len(self.priorities) == num_files

    def check(self, num_files: int) -> None:
        """Raises ValueError when it is not one of a torrent with so many files."""
        if not self.fits(num_files):
            raise ValueError(f"{len(self.priorities)} file priorities, the torrent has {num_files} files")

    def skipped(self, files: Sequence[SelectableFile]) -> frozenset[int]:
        """Return the indices of the files that are not to be on the disk. Padding files never are, and are not among them."""
        return frozenset(index for index, priority in enumerate(self.priorities) if priority == SKIP and not files[index].padding)


EVERYTHING: Final = FileSelection()


@dataclass(frozen=True, slots=True)
class PieceWishes:
    """`levels`: one byte a piece, 0 = not wanted, those with the greatest level first; empty: all wanted, all alike."""

    num_pieces: int
    levels: bytes = b""
    is_sequential: bool = False

    @property
    def is_ordinary(self) -> bool:
        """All pieces are wanted, and alike."""
        return not self.levels and not self.is_sequential

    def wanted(self) -> Bitfield:
        """Return the pieces to be downloaded."""
        if not self.levels:
            return Bitfield.full(self.num_pieces)
        num_bytes = -(-self.num_pieces // 8)
        return Bitfield.from_bytes(self.set_of(_NONZERO).to_bytes(num_bytes, "big"), self.num_pieces)

    def sets_by_level(self) -> tuple[int, ...]:
        """Return the wanted pieces as sets (scheduler/availability.py), the most urgent first. () when all are alike."""
        if not self.levels:
            return ()
        return tuple(self.set_of(_ONE_OF[level]) for level in sorted(set(self.levels), reverse=True) if level)

    def set_of(self, digit_of_level: bytes) -> int:
        """Return the set of the pieces whose level becomes an ASCII 1 by this table."""
        return int(self.levels.translate(digit_of_level), 2) << -self.num_pieces % 8


def piece_wishes(layout: PieceLayout, files: Sequence[SelectableFile], selection: FileSelection) -> PieceWishes:
    """From files to pieces. Costs a few steps for each file."""
    num_pieces = layout.num_pieces
    priorities = selection.priorities
    if not num_pieces or (not selection.first_last_first and (not priorities or min(priorities) == max(priorities) != SKIP)):
        return PieceWishes(num_pieces, b"", selection.sequential)
    levels, priority = bytearray(num_pieces), NORMAL
    for index, file in enumerate(files):
        if priorities and not (file.padding and index):
            priority = priorities[index]
        if not file.length or priority == SKIP:
            continue
        first, last = file.offset // layout.piece_length, (file.offset + file.length - 1) // layout.piece_length
        levels[first + 1:last] = bytes([priority]) * max(last - first - 1, 0)      # nobody else's
        bonus = FIRST_OR_LAST if selection.first_last_first and not file.padding else 0
        for piece_index in (first, last):
            levels[piece_index] = max(levels[piece_index], priority + bonus)
    return PieceWishes(num_pieces, bytes(levels), selection.sequential)
