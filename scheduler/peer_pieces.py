"""Who has which pieces: PeerPieces of one connection, PieceHolders of all connections of a torrent.

A peer's pieces are kept twice: as bytes, where one piece is found and added at once, and as a set (availability.py) for
choosing among all; the set is made anew when it is needed and news has come since. A seed needs neither.
"""

from protocol.bitfield import Bitfield
from scheduler.availability import Availability


class PeerPieces:
    """What one peer has. `bits` is None for a seed."""

    __slots__ = ("_set", "bits", "count")

    def __init__(self, bitfield: Bitfield) -> None:
        self.count = bitfield.count
        self.bits: bytearray | None = None if bitfield.is_complete else bytearray(bitfield.to_bytes())
        self._set: int | None = None

    def __contains__(self, piece_index: int) -> bool:
        return self.bits is None or bool(self.bits[piece_index >> 3] & 0x80 >> (piece_index & 7))

    def common_with(self, pieces: int) -> int:
        """Return those of `pieces` that the peer has."""
        return pieces if self.bits is None else pieces & self.as_set()

    def as_set(self) -> int:
        """Return the pieces of a peer that is no seed."""
        if self._set is None:
            self._set = int.from_bytes(self.bits, "big")
        return self._set

    def add(self, piece_index: int) -> bool:
        """It got a piece; False if it had it."""
        if piece_index in self:
            return False
        self.bits[piece_index >> 3] |= 0x80 >> (piece_index & 7)
        self.count += 1
        self._set = None
        return True


class PieceHolders:
    """How many have what: `availability` counts leeches, `num_seeds` the others. Tells nothing about who they are."""

    __slots__ = ("_num_pieces", "availability", "num_seeds")

    def __init__(self, num_pieces: int) -> None:
        self._num_pieces = num_pieces
        self.availability = Availability(num_pieces)
        self.num_seeds = 0

    def joined(self, pieces: PeerPieces) -> None:
        """A peer with these pieces is here."""
        if pieces.bits is None:
            self.num_seeds += 1
        else:
            self.availability.add_set(pieces.as_set())

    def left(self, pieces: PeerPieces) -> None:
        """A peer with these pieces is gone."""
        if pieces.bits is None:
            self.num_seeds -= 1
        else:
            self.availability.remove_set(pieces.as_set())

    def got(self, pieces: PeerPieces, piece_index: int) -> bool:
        """The peer with these pieces got one more; False if it had it."""
        if not pieces.add(piece_index):
            return False
        self.availability.add_piece(piece_index)
        if pieces.count == self._num_pieces:
            self.left(pieces)
            pieces.bits = None
            self.joined(pieces)
        return True

    def has_any(self, piece_index: int) -> bool:
        """Somebody has the piece."""
        return self.num_seeds > 0 or self.availability.count(piece_index) > 0

    def has_any_of(self, pieces: int) -> bool:
        """Somebody has one of `pieces`."""
        return pieces != 0 and (self.num_seeds > 0 or self.availability.without_leech(pieces) != pieces)
