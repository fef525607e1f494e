"""Availability: how many leeches have each piece, and which of a set of pieces are the rarest.

Sets of pieces are whole numbers with a bit for each piece, so that one operation of the processor treats 30 pieces. The
counters are bit-sliced: `_planes[k]` holds bit k of the counters of all pieces. Adding or taking away the bitfield of a
peer is one ripple of a carry through the planes, the rarest pieces of a set are found by one intersection for each
plane, and neither depends on how the pieces are spread. (Buckets of piece numbers need 50,000 moves when half a torrent
of 100,000 pieces joins, and a walk past all that a peer lacks for each pick.)

The planes hold the complement of the counters: the rarest are then those with the greatest value, and `set & plane`
finds them without a negation. Seeds are not counted: they have everything, and make no piece rarer than another.

News of single pieces is gathered, and folded into the planes when somebody asks.
"""

from typing import Final

SINGLY: Final = 6                                       # so many pieces are folded one by one; more of them through bytes


class Availability:
    """Counters for the pieces of one torrent. Piece i is bit `top - i` of a set, as in the bitfield of BEP 3."""

    __slots__ = ("_all", "_news", "_num_bytes", "_planes", "top")

    def __init__(self, num_pieces: int) -> None:
        self._num_bytes = -(-num_pieces // 8)
        self.top = self._num_bytes * 8 - 1
        self._all = (1 << self._num_bytes * 8) - 1
        self._planes: list[int] = []                    # of the complement, the lowest bit first
        self._news: dict[int, int] = {}                 # piece: how many leeches got it since the last fold

    def add_set(self, pieces: int) -> None:
        """A leech with these pieces is here."""
        self._count(pieces, 0)

    def remove_set(self, pieces: int) -> None:
        """A leech with these pieces, single ones that were added included, is gone or became a seed."""
        self._fold()
        carry = pieces
        for index, plane in enumerate(self._planes):
            if not carry:
                break
            self._planes[index] = plane ^ carry
            carry &= plane
        while self._planes and self._planes[-1] == self._all:
            self._planes.pop()

    def add_piece(self, piece_index: int) -> None:
        """One more leech has this piece."""
        self._news[piece_index] = self._news.get(piece_index, 0) + 1

    def rarest(self, pieces: int) -> int:
        """Return those of `pieces` that the fewest leeches have."""
        if self._news:
            self._fold()
        for plane in reversed(self._planes):
            pieces = pieces & plane or pieces
        return pieces

    def without_leech(self, pieces: int) -> int:
        """Return those of `pieces` that no leech has."""
        if self._news:
            self._fold()
        for plane in self._planes:
            pieces &= plane
        return pieces

    def count(self, piece_index: int) -> int:
        """Return how many leeches have the piece."""
        self._fold()
        return sum(1 << k for k, plane in enumerate(self._planes) if not plane >> self.top - piece_index & 1)

    def _count(self, pieces: int, weight: int) -> None:
        """Add 2 to the power of `weight` to the counters of `pieces`."""
        while len(self._planes) < weight:
            self._planes.append(self._all)
        for index in range(weight, len(self._planes)):
            if not pieces:
                return
            self._planes[index] ^= pieces
            pieces &= self._planes[index]               # where the complement fell below zero: borrow from the next
        if pieces:
            self._planes.append(self._all ^ pieces)

    def _fold(self) -> None:
        news, self._news = self._news, {}
        if len(news) <= SINGLY:
            for piece_index, count in news.items():
                for _ in range(count):
                    self._count(1 << self.top - piece_index, 0)
            return
        for weight in range(max(news.values()).bit_length()):
            pieces = bytearray(self._num_bytes)
            for piece_index, count in news.items():
                if count >> weight & 1:
                    pieces[piece_index >> 3] |= 0x80 >> (piece_index & 7)
            self._count(int.from_bytes(pieces, "big"), weight)
