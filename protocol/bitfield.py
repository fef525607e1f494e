"""Bitfield: a set of pieces, in the form of BEP 3 (the high bit of the first byte is piece 0).

A bytearray holds the bits, so that one change costs the same however many pieces there are; the count is kept.
"""

from collections.abc import Iterator

from protocol.errors import RemoteProtocolError


class Bitfield:
    """A mutable set of piece indices below `num_pieces`."""

    __slots__ = ("_bits", "count", "num_pieces")

    def __init__(self, num_pieces: int) -> None:
        self.num_pieces = num_pieces
        self.count = 0
        self._bits = bytearray(-(-num_pieces // 8))

    @classmethod
    def from_bytes(cls, data: bytes, num_pieces: int) -> "Bitfield":
        """Raises RemoteProtocolError for a wrong length or a spare bit that is set."""
        bitfield = cls(num_pieces)
        if len(data) != len(bitfield._bits):
            raise RemoteProtocolError(f"bitfield of {len(data)} bytes, must be {len(bitfield._bits)} for {num_pieces} pieces")
        if num_pieces % 8 and data[-1] & (0xFF >> num_pieces % 8):
            raise RemoteProtocolError("bitfield has spare bits set")
        bitfield._bits[:] = data
        bitfield.count = int.from_bytes(data, "big").bit_count()
        return bitfield

    @classmethod
    def full(cls, num_pieces: int) -> "Bitfield":
        """All pieces."""
        bitfield = cls(num_pieces)
        bitfield._bits[:] = b"\xff" * len(bitfield._bits)
        if num_pieces % 8:
            bitfield._bits[-1] = 0xFF00 >> num_pieces % 8 & 0xFF
        bitfield.count = num_pieces
        return bitfield

    def to_bytes(self) -> bytes:
        """As it goes over the wire."""
        return bytes(self._bits)

    def copy(self) -> "Bitfield":
        """An independent set of the same pieces."""
        copy = Bitfield(self.num_pieces)
        copy._bits[:] = self._bits
        copy.count = self.count
        return copy

    @property
    def is_complete(self) -> bool:
        """It has all pieces."""
        return self.count == self.num_pieces

    def __contains__(self, piece_index: int) -> bool:
        return bool(self._bits[piece_index >> 3] & 0x80 >> (piece_index & 7))

    def __len__(self) -> int:
        return self.count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bitfield) and self.num_pieces == other.num_pieces and self._bits == other._bits

    __hash__ = None

    def add(self, piece_index: int) -> bool:
        """Add a piece; False when it was there already."""
        mask = 0x80 >> (piece_index & 7)
        if self._bits[piece_index >> 3] & mask:
            return False
        if not 0 <= piece_index < self.num_pieces:
            raise IndexError(f"piece {piece_index} of {self.num_pieces}")
        self._bits[piece_index >> 3] |= mask
        self.count += 1
        return True

    def discard(self, piece_index: int) -> None:
        """Take a piece out, if it is there."""
        mask = 0x80 >> (piece_index & 7)
        if self._bits[piece_index >> 3] & mask:
            self._bits[piece_index >> 3] ^= mask
            self.count -= 1

    def __iter__(self) -> Iterator[int]:
        return self._indices(int.from_bytes(self._bits, "big"))

    def missing(self) -> Iterator[int]:
        """The pieces that it has not, in order."""
        return self._indices(int.from_bytes(Bitfield.full(self.num_pieces)._bits, "big") & ~int.from_bytes(self._bits, "big"))

    def has_any_not_in(self, other: "Bitfield") -> bool:
        """It has a piece that `other` lacks."""
        return bool(int.from_bytes(self._bits, "big") & ~int.from_bytes(other._bits, "big"))

    def _indices(self, bits: int) -> Iterator[int]:
        data = bits.to_bytes(len(self._bits), "big")
        for byte_index, byte in enumerate(data):
            if byte:
                for bit in range(8):
                    if byte & 0x80 >> bit:
                        yield byte_index * 8 + bit
