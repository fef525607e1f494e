"""EarlyPieces: what a peer said of its pieces before anybody here knew how many there are.

Peers send their bitfield first (BEP 3), and `have` whenever they get a piece; of a magnet link nobody can judge them until the metadata
is here. What is kept is at most two bitfields of the largest torrent, however much the peer says; it is judged in `resolve`.
"""

from protocol.bitfield import Bitfield
from protocol.errors import RemoteProtocolError
from protocol.limits import MAX_PIECES


class EarlyPieces:
    """Of one peer."""

    __slots__ = ("_bits", "_has_all", "_haves")

    def __init__(self) -> None:
        self._has_all = False
        self._bits: bytes | None = None                 # of the last bitfield; None: none came
        self._haves: bytearray | None = None            # bits of the pieces named since; None: it said nothing at all

    def bitfield(self, bits: bytes) -> None:
        """It has these. The newest word counts."""
        self._has_all, self._bits, self._haves = False, bits, bytearray()

    def have_all(self) -> None:
        """It is a seed (BEP 6)."""
        self._has_all, self._bits, self._haves = True, None, bytearray()

    def have_none(self) -> None:
        """It has nothing (BEP 6)."""
        self._has_all, self._bits, self._haves = False, None, bytearray()

    def have(self, piece_index: int) -> None:
        """It got one more. Raises RemoteProtocolError for an index that no torrent has."""
        if piece_index >= MAX_PIECES:
            raise RemoteProtocolError(f"piece {piece_index}, no torrent has more than {MAX_PIECES}")
        if self._haves is None:
            self._haves = bytearray()
        at = piece_index >> 3
        if at >= len(self._haves):
            self._haves.extend(bytes(at + 1 - len(self._haves)))
        self._haves[at] |= 0x80 >> (piece_index & 7)

    def resolve(self, num_pieces: int) -> Bitfield | None:
        """Return what it has, None if it never said. Raises RemoteProtocolError when that is none of a torrent of so many pieces."""
        if self._haves is None:
            return None
        if self._has_all:
            bitfield = Bitfield.full(num_pieces)
        else:
            bitfield = Bitfield(num_pieces) if self._bits is None else Bitfield.from_bytes(self._bits, num_pieces)
        for at, byte in enumerate(self._haves):
            for bit in range(8):
                if byte & 0x80 >> bit:
                    piece_index = 8 * at + bit
                    if piece_index >= num_pieces:
                        raise RemoteProtocolError(f"piece {piece_index}, the torrent has {num_pieces}")
                    bitfield.add(piece_index)
        return bitfield
