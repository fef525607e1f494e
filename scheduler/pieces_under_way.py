"""PiecesUnderWay: the begun pieces of one torrent, and where a pick finds those that still have free blocks.

`abandoned` were given up by those who worked on them: everybody goes on with them first. `slow` are shared by slow
peers. `owned` have a peer that works on them alone. Pieces of other kinds than their own are looked at by peers when
there is no new piece to be had. All are in the order in which pieces got there, so a piece does not wait for ever;
`begun` is in the order of beginning.
"""

from typing import NamedTuple

from protocol.piece_layout import PieceIndex
from scheduler.open_piece import OpenPiece, PeerKey
from scheduler.peer_pieces import PieceHolders


class IdlePiece(NamedTuple):
    """A begun piece of which nothing is requested. `is_available`: somebody connected has it."""

    piece_index: PieceIndex
    num_received: int
    is_available: bool


class PiecesUnderWay:
    """Begun pieces by index."""

    __slots__ = ("abandoned", "begun", "owned", "slow")

    def __init__(self) -> None:
        self.begun: dict[int, OpenPiece] = {}
        self.abandoned: dict[int, OpenPiece] = {}
        self.slow: dict[int, OpenPiece] = {}
        self.owned: dict[int, OpenPiece] = {}

    def place(self, piece: OpenPiece) -> None:
        """Put a piece, whose free blocks or owner may have changed, where it belongs."""
        index = piece.piece_index
        where = None
        if piece.free:
            where = self.owned if piece.owner is not None else self.slow if piece.slow else self.abandoned
        for pieces in (self.abandoned, self.slow, self.owned):
            if pieces is not where:
                pieces.pop(index, None)
        if where is not None:
            where[index] = piece

    def gave_up(self, peer_key: PeerKey, piece: OpenPiece) -> None:
        """This peer does not work on the piece any more, at least for now."""
        if self.begun.get(piece.piece_index) is not piece:
            return
        if piece.owner == peer_key:
            piece.owner = None
        elif not piece.requested:
            piece.slow = False
        self.place(piece)

    def disown_all(self, peer_key: PeerKey) -> None:
        """This peer works on nothing any more. It may own pieces in which nothing is free now, and will be when others give up."""
        for piece in self.begun.values():
            if piece.owner == peer_key:
                self.gave_up(peer_key, piece)

    def close(self, piece_index: int) -> OpenPiece:
        """Take a piece out. Whoever still refers to it finds nothing free in it."""
        piece = self.begun.pop(piece_index)
        piece.free = 0
        self.place(piece)
        return piece

    def idle(self, holders: PieceHolders) -> list[IdlePiece]:
        """Return those of which nothing is requested, what nobody can finish first, then what has least progress."""
        idle = [
            IdlePiece(PieceIndex(index), piece.received.bit_count(), holders.has_any(index))
            for pieces in (self.abandoned, self.slow, self.owned) for index, piece in pieces.items() if not piece.requested
        ]
        return sorted(idle, key=lambda piece: (piece.is_available, piece.num_received))

    def have_free_blocks(self, holders: PieceHolders) -> bool:
        """Somebody could be asked for a block of which nobody was."""
        return any(holders.has_any(index) for pieces in (self.abandoned, self.slow, self.owned) for index in pieces)

    def check_invariants(self, most_peers: int) -> None:
        """Raises AssertionError where two places that must agree do not."""
        for index, piece in self.begun.items():
            piece.check_invariants(most_peers)
            assert (index in self.owned) == (bool(piece.free) and piece.owner is not None), index
            assert (index in self.slow) == (bool(piece.free) and piece.owner is None and piece.slow), index
            assert (index in self.abandoned) == (bool(piece.free) and piece.owner is None and not piece.slow), index
        assert self.begun.keys() >= self.abandoned.keys() | self.slow.keys() | self.owned.keys()
