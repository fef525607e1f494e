"""PiecePicker: which blocks to request from which peer. One for each torrent being downloaded.

Considerations:
- The rarest piece first, so that none dies out when a peer leaves and we always have what others want; among equally
  rare ones chance decides, so that not all downloaders want the same piece of the same seed. See availability.py.
- The first RANDOM_FIRST_PIECES pieces are random ones: a rare piece comes from few peers, hence slowly, and before we
  own whole pieces we have nothing to give.
- Begun pieces before new ones: a piece counts only when it is whole, and until then it holds a buffer.
- A fast peer gets pieces of its own: long runs of requests, one sender to blame. Slow peers share theirs, so that few
  buffers wait for slow blocks; fast ones stay out of those, or they would soon have a slow block in every piece. A fast
  one that can get no new piece (no buffer, or none left) helps with any, from its other end; a slow one does so only
  when no new ones are left at all.
- Blocks are picked as runs that lie together, so that all that follows (requests, receiving, bookkeeping) can be done
  by runs.
- Endgame: only when each block that anybody could send is requested, a peer with (nearly) nothing to do is asked for
  blocks that others were asked for: the last ones, since the first to be asked sends the first ones next; few at a
  time, and no block of more than ENDGAME_PEERS peers. Who comes second is cancelled.
- A piece that failed with several senders is not shared next time, as long as its peer is there: then the sender is
  known. (A bad peer that helps out with it each time would never be found, and the piece never finished.)
- Blocks that a choke, a reject, a timeout or a closed connection gives back keep their place in a begun piece: no
  progress is lost.
- Padding files (BEP 47) are requested as any other bytes: peers serve zeros for them.
- Only wanted pieces are begun, the most urgent level first (file_selection.py), in each level the rarest, or, where the
  user wants that, one after the other. What is begun goes on before, because it holds a buffer. A begun piece that is
  not wanted any more is finished if half of it is here, and otherwise dropped.

What a block costs does not depend on how many pieces and peers there are; beginning a piece takes a few set operations, each
of which treats 30 pieces at a time (benchmarks/picker.py).
"""

from collections.abc import Callable, Iterable
from typing import Final

from protocol.bitfield import Bitfield
from protocol.limits import BLOCK_BYTES
from protocol.piece_layout import PieceIndex, PieceLayout
from scheduler.file_selection import PieceWishes
from scheduler.missing_pieces import UNTOUCHED, VERIFIED, MissingPieces
from scheduler.open_piece import OpenPiece, PeerKey, run_of
from scheduler.peer_pieces import PeerPieces, PieceHolders
from scheduler.picking import NO_PIECE, BlockRun, PickerPeer, Picking
from scheduler.pieces_under_way import IdlePiece, PiecesUnderWay
from scheduler.random_source import RandomSource

RANDOM_FIRST_PIECES: Final = 4
OWN_PIECE_PIPELINES: Final = 10                         # a pipeline is about two seconds; who needs more must share
ENDGAME_PEERS: Final = 3                                # that one block is requested from at once
ENDGAME_DEPTH: Final = 4                                # a peer with more blocks outstanding gets none of others

CanOpen = Callable[[PieceIndex], bool]


class PiecePicker:
    """All that is asked of peers of one torrent. `verified` is copied; tell `piece_verified` what comes later.

    Piece indices must have been checked against `layout`; unknown peers are an error of the caller (KeyError).
    """

    def __init__(self, layout: PieceLayout, verified: Bitfield, rng: RandomSource, wishes: PieceWishes | None = None) -> None:
        self.layout = layout
        self._rng = rng
        self._holders = PieceHolders(layout.num_pieces)
        self._pieces = MissingPieces(verified)
        self._top = self._pieces.top                    # piece i is bit `_top - i` of a set of pieces
        self._under_way = PiecesUnderWay()
        self._open = self._under_way.begun              # the same dictionary, which is needed at every step
        self._sole: set[int] = set()                    # failed with several senders
        self._peers: dict[PeerKey, PickerPeer] = {}
        self._changes = 0                               # counts what may give work to a peer that found none
        if wishes is not None:
            self.wish(wishes)

    # ── What is wanted ───────────────────────────────────────────────────────────────────────────────────────────────────

    def wish(self, wishes: PieceWishes) -> list[PieceIndex]:
        """From now on these pieces are wanted. Return the begun ones to `drop_piece`, after their requests were cancelled."""
        self._pieces.wish(wishes, self._open.keys())
        self._changes += 1
        for peer in self._peers.values():
            self._find_witness(peer)
        unwanted = [self._open[piece_index] for piece_index in sorted(self._pieces.unwanted)]
        return [PieceIndex(piece.piece_index) for piece in unwanted if 2 * piece.received.bit_count() < piece.num_blocks]

    @property
    def is_finished(self) -> bool:
        """Nothing is wanted or under way any more."""
        return not self._pieces.missing

    # ── What peers have ──────────────────────────────────────────────────────────────────────────────────────────────────

    def peer_joined(self, peer_key: PeerKey, bitfield: Bitfield) -> None:
        """A connection, and what its peer has (which replaces what was known of it)."""
        peer = self._peers.setdefault(peer_key, PickerPeer())
        if peer.pieces is not None:
            self._holders.left(peer.pieces)
        peer.pieces = PeerPieces(bitfield)
        peer.found_nothing_at = -1
        self._holders.joined(peer.pieces)
        self._find_witness(peer)

    def peer_has(self, peer_key: PeerKey, piece_index: PieceIndex) -> None:
        """The peer got one more piece."""
        peer = self._peers[peer_key]
        if self._holders.got(peer.pieces, piece_index):
            peer.found_nothing_at = -1
            if peer.witness == NO_PIECE and self._pieces.is_missing(piece_index):
                peer.witness = piece_index

    def peer_left(self, peer_key: PeerKey) -> None:
        """The connection is closed: its requests are free again, what it sent stays."""
        self.release_all(peer_key)
        self._holders.left(self._peers.pop(peer_key).pieces)

    def is_interesting(self, peer_key: PeerKey) -> bool:
        """The peer has a piece that we want and lack."""
        peer = self._peers[peer_key]
        if peer.witness != NO_PIECE and self._pieces.states[peer.witness] >= VERIFIED:
            self._find_witness(peer)
        return peer.witness != NO_PIECE

    # ── Picking ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def pick(self, peer_key: PeerKey, count: int, can_open: CanOpen) -> list[BlockRun]:
        """Return up to `count` blocks to request from this peer, in the order to request them; they count as requested.

        `can_open(piece_index)` is asked before a piece is begun: True means that there is a buffer for it, and the piece
        is begun; False ends the search for new pieces. It may call drop_piece.
        """
        peer = self._peers[peer_key]
        if peer.found_nothing_at == self._changes or count < 1:
            return []
        picking = Picking(peer_key, peer, count)
        under_way, is_slow = self._under_way, self._is_slow(picking, self.layout.piece_length)
        if peer.current is not None and peer.current.free:
            self._take_first(picking, peer.current)
        if picking.left and under_way.abandoned:
            self._join(picking, under_way.abandoned)
        if picking.left and under_way.slow and is_slow:
            self._join(picking, under_way.slow)
        if picking.left:
            self._take_new(picking, can_open)
        if picking.left and under_way.slow:
            self._help(picking, under_way.slow)
        if picking.left and under_way.owned:
            self._help(picking, under_way.owned, only_own=is_slow and self._pieces.untouched != 0)
        if not picking.runs and peer.outstanding < ENDGAME_DEPTH and self._is_endgame():
            self._take_busy(picking)
            if not picking.runs and not peer.outstanding:
                peer.found_nothing_at = self._changes
        return picking.runs

    def pick_among(self, peer_key: PeerKey, count: int, can_open: CanOpen, piece_indices: Iterable[int]) -> list[BlockRun]:
        """As `pick`, but only of these pieces: those that a peer sends though it chokes us (BEP 6, allowed fast)."""
        peer = self._peers[peer_key]
        picking = Picking(peer_key, peer, count)
        for piece_index in piece_indices:
            if not picking.left:
                break
            if piece_index not in peer.pieces:
                continue
            if self._pieces.states[piece_index] == UNTOUCHED and can_open(PieceIndex(piece_index)):
                self._begin(picking, piece_index)
            elif piece_index in self._under_way.abandoned:
                self._take_first(picking, self._under_way.abandoned[piece_index])
        return picking.runs

    def _take_first(self, picking: Picking, piece: OpenPiece) -> None:
        """Request what is free in `piece`, from the front, as far as it goes."""
        if piece.sole:
            piece.owner = picking.peer_key
        picking.take_from_front(piece)
        self._under_way.place(piece)

    def _take_new(self, picking: Picking, can_open: CanOpen) -> None:
        """Begin new pieces, as long as there is room for them.

        One random place a call, and from there on to lower bits: where pieces are small, neighbours lie together on disk.
        """
        peer, missing = picking.peer, self._pieces
        rarest_first = missing.num_verified >= RANDOM_FIRST_PIECES and not missing.is_sequential
        place = -1 if missing.is_sequential else (1 << self._rng.randrange(self._top + 1)) - 1      # -1: from the first piece on
        while picking.left:
            pieces = missing.most_urgent(peer.pieces.common_with(missing.untouched))
            if not pieces:
                return
            if rarest_first:
                pieces = self._holders.availability.rarest(pieces)
            below = pieces & place
            while picking.left and pieces:
                below = below or pieces
                piece_bit = below.bit_length() - 1
                if not can_open(PieceIndex(self._top - piece_bit)):
                    return
                self._begin(picking, self._top - piece_bit)
                below ^= 1 << piece_bit
                pieces &= missing.untouched

    def _begin(self, picking: Picking, piece_index: int) -> None:
        sole = piece_index in self._sole
        is_slow = self._is_slow(picking, self.layout.piece_size(piece_index))
        owner = None if is_slow and not sole else picking.peer_key
        piece = OpenPiece(piece_index, self.layout.num_blocks(piece_index), owner, sole)
        self._open[piece_index] = piece
        self._pieces.begin(piece_index)
        self._take_first(picking, piece)

    def _is_slow(self, picking: Picking, piece_size: int) -> bool:
        """The peer needs too long for a piece of that size alone."""
        return (picking.peer.outstanding + picking.left) * OWN_PIECE_PIPELINES * BLOCK_BYTES < piece_size

    def _join(self, picking: Picking, pieces: dict[int, OpenPiece]) -> None:
        """Go on with one or some of `pieces`."""
        for piece in tuple(pieces.values()):
            if piece.piece_index in picking.peer.pieces:
                self._take_first(picking, piece)
                if not picking.left:
                    return

    def _help(self, picking: Picking, pieces: dict[int, OpenPiece], only_own: bool = False) -> None:
        """Take over something of `pieces`, on which others work: there is no new one to be had."""
        for piece in tuple(pieces.values()):
            if piece.owner == picking.peer_key:
                self._take_first(picking, piece)        # it gave blocks back while it was at another piece
            elif not only_own and not piece.sole and piece.piece_index in picking.peer.pieces:
                picking.take_from_end(piece)
                self._under_way.place(piece)
            if not picking.left:
                return

    def _take_busy(self, picking: Picking) -> None:
        """Endgame: request a few blocks that others were asked for, of the pieces that were begun last."""
        picking.left = min(picking.left, ENDGAME_DEPTH - picking.peer.outstanding)
        for piece in reversed(self._open.values()):
            if piece.requested and not piece.sole and piece.piece_index in picking.peer.pieces:
                picking.take_busy(piece, ENDGAME_PEERS)
                if not picking.left:
                    return

    def _is_endgame(self) -> bool:
        """Each block that somebody connected has is received or requested."""
        return not (self._holders.has_any_of(self._pieces.untouched) or self._under_way.have_free_blocks(self._holders))

    # ── What became of it ────────────────────────────────────────────────────────────────────────────────────────────────

    def received(self, peer_key: PeerKey, piece_index: int, block_index: int) -> bool:
        """A block came from this peer: keep it? False: it is here already or not wanted; its bytes must not be stored."""
        return bool(self.received_run(peer_key, piece_index, block_index, 1))

    def received_run(self, peer_key: PeerKey, piece_index: int, first_block: int, num_blocks: int) -> int:
        """Blocks came from this peer, asked for or not; return how many of them are new.

        Ask before they are stored: what is here already may be in the middle of being verified. Only where nobody else was
        asked for them, and nothing was taken back, all of them are sure to be new.
        """
        piece = self._open.get(piece_index)
        if piece is None:
            return 0
        new, answered = piece.receive(peer_key, run_of(first_block, num_blocks))
        if answered:
            self._no_longer_outstanding(peer_key, piece, answered)
        if new != answered:
            self._under_way.place(piece)                # a block that was free
        return new.bit_count()

    def endgame_rivals(self, piece_index: int, block_index: int) -> list[PeerKey]:
        """Return the peers to which a block, just received, is still outstanding: cancel it there, then tell `released`.

        There are some in the endgame, and when a block comes after it was released and requested from somebody else.
        """
        piece = self._open.get(piece_index)
        return [] if piece is None else piece.asked_for(block_index)

    def released(self, peer_key: PeerKey, piece_index: int, first_block: int, num_blocks: int) -> None:
        """Requests were rejected, cancelled, or take too long: the blocks may be requested elsewhere."""
        piece = self._open.get(piece_index)
        if piece is not None:
            self._release(peer_key, piece, run_of(first_block, num_blocks))

    def release_all(self, peer_key: PeerKey) -> None:
        """All requests of this peer are void: it choked us, or it is snubbed."""
        peer = self._peers[peer_key]
        for piece in list(peer.open_pieces.values()):
            self._release(peer_key, piece, piece.full)
        if peer.current is not None:
            self._under_way.gave_up(peer_key, peer.current)
        peer.current = None
        self._under_way.disown_all(peer_key)

    def piece_complete(self, piece_index: int) -> bool:
        """All blocks of this begun piece are here: it can be verified."""
        piece = self._open.get(piece_index)
        return piece is not None and piece.received == piece.full

    def senders(self, piece_index: int) -> list[PeerKey | None]:
        """Return who sent each block of this begun piece; None: nobody yet."""
        return self._open[piece_index].senders_in_order()

    def piece_verified(self, piece_index: int) -> None:
        """We have it. What is still outstanding of it is forgotten."""
        if self._pieces.states[piece_index] == VERIFIED:
            return
        if piece_index in self._open:
            self._close(piece_index)
        self._pieces.verify(piece_index)
        self._sole.discard(piece_index)

    def piece_failed(self, piece_index: int) -> None:
        """Its hash was wrong: all of it is missing again. Ask `senders` before."""
        if len(self._open[piece_index].senders) > 1:
            self._sole.add(piece_index)
        self._reopen(piece_index)

    def idle_pieces(self) -> list[IdlePiece]:
        """Return the begun pieces of which nothing is requested: when buffers are short, these are the ones to drop.

        Those that nobody connected can finish come first, then those with least progress.
        """
        return self._under_way.idle(self._holders)

    def drop_piece(self, piece_index: int) -> int:
        """Forget what is there of a begun piece, and its requests; return how many blocks are wasted."""
        wasted = self._open[piece_index].received.bit_count()
        self._reopen(piece_index)
        return wasted

    # ── Keeping it together ──────────────────────────────────────────────────────────────────────────────────────────────

    def _find_witness(self, peer: PickerPeer) -> None:
        lacking = peer.pieces.common_with(self._pieces.missing)
        peer.witness = self._top - (lacking.bit_length() - 1) if lacking else NO_PIECE

    def _no_longer_outstanding(self, peer_key: PeerKey, piece: OpenPiece, blocks: int) -> None:
        peer = self._peers[peer_key]
        peer.outstanding -= blocks.bit_count()
        if peer_key not in piece.requested:
            del peer.open_pieces[piece.piece_index]

    def _release(self, peer_key: PeerKey, piece: OpenPiece, blocks: int) -> None:
        released = piece.release(peer_key, blocks)
        if not released:
            return
        self._changes += 1
        self._no_longer_outstanding(peer_key, piece, released)
        if peer_key not in piece.requested:
            self._under_way.gave_up(peer_key, piece)
        else:
            self._under_way.place(piece)

    def _close(self, piece_index: int) -> None:
        for peer_key, blocks in self._under_way.close(piece_index).requested.items():
            peer = self._peers[peer_key]
            peer.outstanding -= blocks.bit_count()
            del peer.open_pieces[piece_index]

    def _reopen(self, piece_index: int) -> None:
        self._close(piece_index)
        self._pieces.reopen(piece_index)
        self._changes += 1

    def check_invariants(self) -> None:
        """Raises AssertionError where two places that must agree do not. For tests: it walks over everything."""
        peers = self._peers.values()
        self._pieces.check_invariants(self._open.keys())
        for piece_index in range(self.layout.num_pieces):
            num_holders = self._holders.availability.count(piece_index) + self._holders.num_seeds
            assert num_holders == sum(piece_index in peer.pieces for peer in peers), piece_index
        self._under_way.check_invariants(ENDGAME_PEERS)
        for piece_index, piece in self._open.items():
            assert all(self._peers[peer_key].open_pieces[piece_index] is piece for peer_key in piece.requested), piece_index
        for peer_key, peer in self._peers.items():
            requested = [piece.requested[peer_key] for piece in peer.open_pieces.values()]
            assert peer.outstanding == sum(blocks.bit_count() for blocks in requested), peer_key
            lacks = any(piece_index in peer.pieces and self._pieces.is_missing(piece_index) for piece_index in range(self.layout.num_pieces))
            assert self.is_interesting(peer_key) == lacks, peer_key
