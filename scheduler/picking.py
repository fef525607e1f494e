"""Picking: one call of PiecePicker.pick under way, and the peer that it is for."""

from typing import NamedTuple

from protocol.piece_layout import PieceIndex
from scheduler.open_piece import OpenPiece, PeerKey
from scheduler.peer_pieces import PeerPieces

NO_PIECE = -1


class BlockRun(NamedTuple):
    """Blocks that lie together, to be requested. `shared`: (some of them) are outstanding to another peer, too."""

    piece_index: PieceIndex
    first_block: int
    num_blocks: int
    shared: bool


class PickerPeer:
    """One connection as the picker sees it."""

    __slots__ = ("current", "found_nothing_at", "open_pieces", "outstanding", "pieces", "witness")

    def __init__(self) -> None:
        self.pieces: PeerPieces | None = None
        self.open_pieces: dict[int, OpenPiece] = {}     # with requests outstanding to it
        self.outstanding = 0                            # blocks
        self.current: OpenPiece | None = None           # where it goes on
        self.witness = NO_PIECE                         # a piece that it has and we lack
        self.found_nothing_at = -1                      # the picker's count of changes when there was nothing for it


class Picking:
    """What was picked so far, and how many blocks are still wanted."""

    __slots__ = ("left", "peer", "peer_key", "runs")

    def __init__(self, peer_key: PeerKey, peer: PickerPeer, count: int) -> None:
        self.peer_key = peer_key
        self.peer = peer
        self.left = count
        self.runs: list[BlockRun] = []

    def take_from_front(self, piece: OpenPiece) -> None:
        """Request what is free in a piece, the first blocks first. The peer will go on there."""
        while self.left and piece.free:
            self._requested(piece, piece.take_first_run(self.peer_key, self.left), shared=False)
        self.peer.current = piece if piece.free else None

    def take_from_end(self, piece: OpenPiece) -> None:
        """Request what is free in a piece that others work on."""
        while self.left and piece.free:
            self._requested(piece, piece.take_last_run(self.peer_key, self.left), shared=False)

    def take_busy(self, piece: OpenPiece, most_peers: int) -> None:
        """Request what was requested from others, each block from at most `most_peers` peers."""
        while self.left:
            first, number = piece.take_busy_run(self.peer_key, self.left, most_peers)
            if not number:
                return
            self._requested(piece, (first, number), shared=True)

    def _requested(self, piece: OpenPiece, run: tuple[int, int], shared: bool) -> None:
        first, number = run
        self.left -= number
        self.runs.append(BlockRun(PieceIndex(piece.piece_index), first, number, shared))
        self.peer.outstanding += number
        self.peer.open_pieces[piece.piece_index] = piece
