"""PiecePicker: which blocks to request from which peer. One for each torrent being downloaded.

Considerations:
- The rarest piece first, so that none dies out when a peer leaves and we always have what others want; among equally rare ones
  chance decides, so that not all downloaders want the same piece of the same seed. See availability.py.
- The first RANDOM_FIRST_PIECES pieces are random ones: a rare piece comes from few peers, hence slowly, and before we own whole
  pieces we have nothing to give.
- Begun pieces before new ones: a piece counts only when it is whole, and until then it holds a buffer.
- A fast peer gets pieces of its own: long runs of requests, one sender to blame. A piece that a slow peer began is open to all, and
  a peer that can get no new piece (no buffer, or none left) joins any, at its other end.
- Blocks are picked as runs that lie together, so that all that follows (requests, receiving, bookkeeping) can be done by runs.
- Endgame: only when each block that anybody could send is requested, a peer with (nearly) nothing to do is asked for blocks that
  others were asked for: the last ones, since the first to be asked sends the first ones next; few at a time, and no block of more
  than ENDGAME_PEERS peers. Who comes second is cancelled.
- A piece that failed with several senders is not shared next time, as long as its peer is there: then the sender is known.
- Blocks that a choke, a reject, a timeout or a closed connection gives back keep their place in a begun piece: no progress is lost.
- Padding files (BEP 47) are requested as any other bytes: peers serve zeros for them.

Costs do not grow with the number of pieces or peers but by the 1/30 operation a piece of one set intersection for each new piece.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from protocol.bitfield import Bitfield
from protocol.piece_layout import PieceIndex, PieceLayout
from scheduler.availability import Availability
from scheduler.open_piece import OpenPiece, PeerKey, run_of
from scheduler.random_source import RandomSource

RANDOM_FIRST_PIECES: Final = 4
OWN_PIECE_PIPELINES: Final = 20                         # a pipeline is about a second: who needs longer for a piece must share it
ENDGAME_PEERS: Final = 3                                # that one block is requested from at once
ENDGAME_DEPTH: Final = 4                                # blocks outstanding to a peer, above which it gets none that others have

UNTOUCHED, OPEN, VERIFIED = range(3)                    # states of a piece
NO_PIECE: Final = -1

CanOpen = Callable[[PieceIndex], bool]


class BlockRun(NamedTuple):
    """Blocks that lie together, to be requested. `shared`: (some of them) are outstanding to another peer, too."""

    piece_index: PieceIndex
    first_block: int
    num_blocks: int
    shared: bool


class _Peer:
    """What is known of one connection. A seed has no `bits`."""

    __slots__ = ("bits", "count", "current", "found_nothing_at", "open_pieces", "outstanding", "pieces", "witness")

    def __init__(self) -> None:
        self.bits: bytearray | None = bytearray()
        self.count = 0
        self.pieces: int | None = 0                     # the set that `bits` holds; None: to be made anew
        self.open_pieces: dict[int, OpenPiece] = {}     # with requests outstanding to it
        self.outstanding = 0                            # blocks
        self.current: OpenPiece | None = None           # where it goes on
        self.witness = NO_PIECE                         # a piece that it has and we lack
        self.found_nothing_at = -1                      # `_changes` when there was nothing for it


class _Picking:
    """One call of `pick` under way."""

    __slots__ = ("left", "peer", "peer_key", "runs")

    def __init__(self, peer_key: PeerKey, peer: _Peer, count: int) -> None:
        self.peer_key = peer_key
        self.peer = peer
        self.left = count                               # blocks still to be picked
        self.runs: list[BlockRun] = []


class IdlePiece(NamedTuple):
    """A begun piece of which nothing is requested. `is_available`: somebody connected has it."""

    piece_index: PieceIndex
    num_received: int
    is_available: bool


class PiecePicker:
    """All that is asked of peers of one torrent. `verified` is copied; tell `piece_verified` what comes later.

    Piece indices must have been checked against `layout`; unknown peers are an error of the caller (KeyError).
    """

    def __init__(self, layout: PieceLayout, verified: Bitfield, rng: RandomSource) -> None:
        self._layout = layout
        self._rng = rng
        self._availability = Availability(layout.num_pieces)
        self._top = self._availability.top              # piece i is bit `_top - i` of a set of pieces
        every = int.from_bytes(Bitfield.full(layout.num_pieces).to_bytes(), "big")
        self._missing = every & ~int.from_bytes(verified.to_bytes(), "big")     # not verified
        self._untouched = self._missing                 # … and not begun
        self._num_verified = verified.count
        self._states = bytearray(layout.num_pieces)
        for piece_index in verified:
            self._states[piece_index] = VERIFIED
        self._open: dict[int, OpenPiece] = {}           # in the order they were begun
        self._joinable: dict[int, OpenPiece] = {}       # begun, with free blocks, for everybody
        self._owned: dict[int, OpenPiece] = {}          # begun, with free blocks, that one peer has for itself
        self._sole: set[int] = set()                    # failed with several senders
        self._peers: dict[PeerKey, _Peer] = {}
        self._num_seeds = 0
        self._changes = 0                               # counts what may give a peer something to do that found nothing before

    # ── What peers have ──────────────────────────────────────────────────────────────────────────────────────────────────

    def peer_joined(self, peer_key: PeerKey, bitfield: Bitfield) -> None:
        """A connection, and what its peer has (which replaces what was known of it)."""
        if bitfield.is_complete:
            self.peer_has_all(peer_key)
            return
        peer = self._renewed_peer(peer_key)
        peer.bits = bytearray(bitfield.to_bytes())
        peer.count = bitfield.count
        peer.pieces = int.from_bytes(peer.bits, "big")
        self._availability.add_set(peer.pieces)
        self._find_witness(peer)

    def peer_has_none(self, peer_key: PeerKey) -> None:
        """A connection whose peer has nothing yet, or has not said so."""
        self.peer_joined(peer_key, Bitfield(self._layout.num_pieces))

    def peer_has_all(self, peer_key: PeerKey) -> None:
        """A connection to a seed."""
        peer = self._renewed_peer(peer_key)
        peer.bits = peer.pieces = None
        peer.count = self._layout.num_pieces
        self._num_seeds += 1

    def peer_has(self, peer_key: PeerKey, piece_index: PieceIndex) -> None:
        """The peer got one more piece."""
        peer = self._peers[peer_key]
        if peer.bits is None:
            return
        mask = 0x80 >> (piece_index & 7)
        if peer.bits[piece_index >> 3] & mask:
            return
        peer.bits[piece_index >> 3] |= mask
        peer.count += 1
        peer.pieces = None
        peer.found_nothing_at = -1
        self._availability.add_piece(piece_index)
        if peer.count == self._layout.num_pieces:
            self._availability.remove_set(self._pieces_of(peer))
            peer.bits = None
            self._num_seeds += 1
        elif peer.witness == NO_PIECE and self._states[piece_index] != VERIFIED:
            peer.witness = piece_index

    def peer_left(self, peer_key: PeerKey) -> None:
        """The connection is closed: its requests are free again, what it sent stays."""
        self.release_all(peer_key)
        self._forget_pieces(self._peers.pop(peer_key))

    def is_interesting(self, peer_key: PeerKey) -> bool:
        """The peer has a piece that we lack."""
        peer = self._peers[peer_key]
        if peer.bits is None:
            return bool(self._missing)
        if peer.witness != NO_PIECE and self._states[peer.witness] == VERIFIED:
            self._find_witness(peer)
        return peer.witness != NO_PIECE

    def num_pieces_of(self, peer_key: PeerKey) -> int:
        """Return how many pieces the peer has."""
        return self._peers[peer_key].count

    def is_seed(self, peer_key: PeerKey) -> bool:
        """The peer has all pieces."""
        return self._peers[peer_key].bits is None

    def peer_has_piece(self, peer_key: PeerKey, piece_index: int) -> bool:
        """The peer has this piece."""
        return self._has(self._peers[peer_key], piece_index)

    # ── Picking ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def pick(self, peer_key: PeerKey, count: int, can_open: CanOpen) -> list[BlockRun]:
        """Return up to `count` blocks to request from this peer, in the order to request them; they count as requested.

        `can_open(piece_index)` is asked before a piece is begun: True means that there is a buffer for it, and the piece is begun;
        False ends the search for new pieces. It may call drop_piece.
        """
        peer = self._peers[peer_key]
        if peer.found_nothing_at == self._changes or count < 1:
            return []
        picking = _Picking(peer_key, peer, count)
        if peer.current is not None and peer.current.free:
            self._take_first(picking, peer.current)
        if picking.left and self._joinable:
            for piece in [piece for piece in self._joinable.values() if self._has(peer, piece.piece_index)]:
                if not picking.left:
                    break
                self._take_first(picking, piece)
        has_room = not picking.left or self._take_new(picking, can_open)
        if picking.left and self._owned:
            self._join_owned(picking)
        if has_room and not picking.runs and peer.outstanding < ENDGAME_DEPTH and self._is_endgame():
            self._take_busy(picking)
            if not picking.runs and not peer.outstanding:
                peer.found_nothing_at = self._changes
        return picking.runs

    def pick_among(self, peer_key: PeerKey, count: int, can_open: CanOpen, piece_indices: Iterable[int]) -> list[BlockRun]:
        """As `pick`, but only of these pieces: those that a peer sends though it chokes us (BEP 6, allowed fast)."""
        peer = self._peers[peer_key]
        picking = _Picking(peer_key, peer, count)
        for piece_index in piece_indices:
            if not picking.left:
                break
            if not self._has(peer, piece_index):
                continue
            if self._states[piece_index] == UNTOUCHED and can_open(PieceIndex(piece_index)):
                self._begin(picking, piece_index)
            elif piece_index in self._joinable:
                self._take_first(picking, self._joinable[piece_index])
        return picking.runs

    def _take_first(self, picking: _Picking, piece: OpenPiece) -> None:
        """Request what is free in `piece`, from the front, as far as it goes."""
        if piece.sole:
            piece.owner = picking.peer_key
        while picking.left and piece.free:
            self._requested(picking, piece, piece.take_first_run(picking.peer_key, picking.left), shared=False)
        self._place(piece)
        picking.peer.current = piece if piece.free else None

    def _take_new(self, picking: _Picking, can_open: CanOpen) -> bool:
        """Begin new pieces; False if there are some, but no room for them.

        One random place a call, and from there on to lower bits: where pieces are small, neighbours are also neighbours on disk.
        """
        peer, at_random = picking.peer, self._num_verified < RANDOM_FIRST_PIECES
        place = (1 << self._rng.randrange(self._top + 1)) - 1
        while picking.left:
            pieces = self._untouched if peer.bits is None else self._untouched & self._pieces_of(peer)
            if not pieces:
                return True
            if not at_random:
                pieces = self._availability.rarest(pieces)
            below = pieces & place
            while picking.left and pieces:
                below = below or pieces
                piece_bit = below.bit_length() - 1
                if not can_open(PieceIndex(self._top - piece_bit)):
                    return False
                self._begin(picking, self._top - piece_bit)
                below ^= 1 << piece_bit
                pieces &= self._untouched
        return True

    def _begin(self, picking: _Picking, piece_index: int) -> None:
        num_blocks = self._layout.num_blocks(piece_index)
        is_fast = (picking.peer.outstanding + picking.left) * OWN_PIECE_PIPELINES >= num_blocks
        sole = piece_index in self._sole
        piece = OpenPiece(piece_index, num_blocks, picking.peer_key if is_fast or sole else None, sole)
        self._open[piece_index] = piece
        self._states[piece_index] = OPEN
        self._untouched ^= 1 << self._top - piece_index
        self._take_first(picking, piece)

    def _join_owned(self, picking: _Picking) -> None:
        """Help others with their own pieces: there is no new one to be had."""
        for piece in list(self._owned.values()):
            if piece.owner == picking.peer_key or piece.sole or not self._has(picking.peer, piece.piece_index):
                continue
            while picking.left and piece.free:
                self._requested(picking, piece, piece.take_last_run(picking.peer_key, picking.left), shared=False)
            self._place(piece)
            if not picking.left:
                return

    def _take_busy(self, picking: _Picking) -> None:
        """Endgame: request a few blocks that others were asked for, of the pieces that were begun last."""
        picking.left = min(picking.left, ENDGAME_DEPTH - picking.peer.outstanding)
        for piece in reversed(self._open.values()):
            if piece.requested and self._has(picking.peer, piece.piece_index):
                run = piece.take_busy_run(picking.peer_key, picking.left, ENDGAME_PEERS)
                while run[1]:
                    self._requested(picking, piece, run, shared=True)
                    run = piece.take_busy_run(picking.peer_key, picking.left, ENDGAME_PEERS) if picking.left else (0, 0)
                if not picking.left:
                    return

    def _is_endgame(self) -> bool:
        """Each block that somebody connected has is received or requested."""
        if self._num_seeds:
            return not (self._untouched or self._joinable or self._owned)
        if self._availability.without_leech(self._untouched) != self._untouched:
            return False
        return not any(self._availability.count(piece_index) for pieces in (self._joinable, self._owned) for piece_index in pieces)

    def _requested(self, picking: _Picking, piece: OpenPiece, run: tuple[int, int], shared: bool) -> None:
        first, number = run
        picking.left -= number
        picking.runs.append(BlockRun(PieceIndex(piece.piece_index), first, number, shared))
        picking.peer.outstanding += number
        picking.peer.open_pieces[piece.piece_index] = piece

    # ── What became of it ────────────────────────────────────────────────────────────────────────────────────────────────

    def received(self, peer_key: PeerKey, piece_index: int, block_index: int) -> bool:
        """A block came from this peer: keep it? False: it is there already or not wanted; its bytes are wasted, do not store them."""
        return bool(self.received_run(peer_key, piece_index, block_index, 1))

    def received_run(self, peer_key: PeerKey, piece_index: int, first_block: int, num_blocks: int) -> int:
        """Blocks came from this peer, asked for or not; return how many of them are new.

        To be asked before they are stored, unless `is_exclusive` said that they are: then all of them are new.
        """
        piece = self._open.get(piece_index)
        if piece is None:
            return 0
        new, answered = piece.receive(peer_key, run_of(first_block, num_blocks))
        if answered:
            self._no_longer_outstanding(peer_key, piece, answered)
        if new != answered:
            self._place(piece)                          # a block that was free
        return new.bit_count()

    def is_exclusive(self, peer_key: PeerKey, piece_index: int, first_block: int, num_blocks: int) -> bool:
        """These blocks are outstanding to this peer and to nobody else, and not here: bytes may be received straight into their place."""
        piece = self._open.get(piece_index)
        return piece is not None and piece.is_exclusive(peer_key, run_of(first_block, num_blocks))

    def endgame_rivals(self, piece_index: int, block_index: int) -> list[PeerKey]:
        """Return the peers to which a block, just received, is still outstanding: cancel it there, then tell `released`."""
        piece = self._open.get(piece_index)
        if piece is None or not piece.doubled:
            return []
        return [peer_key for peer_key, blocks in piece.requested.items() if blocks >> block_index & 1]

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
            self._disown(peer_key, peer.current)
        peer.current = None

    def piece_complete(self, piece_index: int) -> bool:
        """All blocks of this begun piece are here: it can be verified."""
        piece = self._open.get(piece_index)
        return piece is not None and piece.received == piece.full

    def contributors(self, piece_index: int) -> list[PeerKey]:
        """Return the peers that sent blocks of this begun piece."""
        return list(self._open[piece_index].senders)

    def senders(self, piece_index: int) -> list[PeerKey | None]:
        """Return who sent each block of this begun piece; None: nobody yet."""
        piece = self._open[piece_index]
        senders: list[PeerKey | None] = [None] * piece.num_blocks
        for peer_key, blocks in piece.senders.items():
            while blocks:
                last = blocks.bit_length() - 1
                senders[last] = peer_key
                blocks ^= 1 << last
        return senders

    def piece_verified(self, piece_index: int) -> None:
        """We have it. What is still outstanding of it is forgotten."""
        if self._states[piece_index] == VERIFIED:
            return
        bit = 1 << self._top - piece_index
        if piece_index in self._open:
            self._close(piece_index)
        else:
            self._untouched ^= bit
        self._states[piece_index] = VERIFIED
        self._missing ^= bit
        self._num_verified += 1
        self._sole.discard(piece_index)

    def piece_failed(self, piece_index: int) -> None:
        """Its hash was wrong: all of it is missing again. Ask `senders` before."""
        if len(self._open[piece_index].senders) > 1:
            self._sole.add(piece_index)
        self._reopen(piece_index)

    def idle_pieces(self) -> list[IdlePiece]:
        """Return the begun pieces of which nothing is requested, those that nobody can finish and those with least progress first.

        When buffers are short, these are the ones to drop.
        """
        idle = [
            IdlePiece(PieceIndex(piece.piece_index), piece.received.bit_count(), self._is_available(piece.piece_index))
            for piece in self._open.values() if not piece.requested and piece.received != piece.full
        ]
        return sorted(idle, key=lambda piece: (piece.is_available, piece.num_received))

    def drop_piece(self, piece_index: int) -> int:
        """Forget what is there of a begun piece, and its requests; return how many blocks are wasted."""
        wasted = self._open[piece_index].received.bit_count()
        self._reopen(piece_index)
        return wasted

    # ── Keeping it together ──────────────────────────────────────────────────────────────────────────────────────────────

    def _renewed_peer(self, peer_key: PeerKey) -> _Peer:
        """A peer, new or known, of which no piece is known."""
        peer = self._peers.get(peer_key)
        if peer is None:
            peer = self._peers[peer_key] = _Peer()
        else:
            self._forget_pieces(peer)
        peer.found_nothing_at = -1
        return peer

    def _forget_pieces(self, peer: _Peer) -> None:
        if peer.bits is None:
            self._num_seeds -= 1
        else:
            self._availability.remove_set(self._pieces_of(peer))

    def _pieces_of(self, peer: _Peer) -> int:
        if peer.pieces is None:
            peer.pieces = int.from_bytes(peer.bits, "big")
        return peer.pieces

    def _has(self, peer: _Peer, piece_index: int) -> bool:
        return peer.bits is None or bool(peer.bits[piece_index >> 3] & 0x80 >> (piece_index & 7))

    def _is_available(self, piece_index: int) -> bool:
        return bool(self._num_seeds or self._availability.count(piece_index))

    def _find_witness(self, peer: _Peer) -> None:
        lacking = self._pieces_of(peer) & self._missing
        peer.witness = self._top - (lacking.bit_length() - 1) if lacking else NO_PIECE

    def _place(self, piece: OpenPiece) -> None:
        """Put a begun piece where pick looks for it."""
        if not piece.free:
            self._joinable.pop(piece.piece_index, None)
            self._owned.pop(piece.piece_index, None)
        elif piece.owner is None:
            self._owned.pop(piece.piece_index, None)
            self._joinable[piece.piece_index] = piece
        else:
            self._joinable.pop(piece.piece_index, None)
            self._owned[piece.piece_index] = piece

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
            self._disown(peer_key, piece)
        self._place(piece)

    def _disown(self, peer_key: PeerKey, piece: OpenPiece) -> None:
        if piece.owner == peer_key and self._open.get(piece.piece_index) is piece:
            piece.owner = None
            self._place(piece)

    def _close(self, piece_index: int) -> None:
        piece = self._open.pop(piece_index)
        for peer_key, blocks in piece.requested.items():
            peer = self._peers[peer_key]
            peer.outstanding -= blocks.bit_count()
            del peer.open_pieces[piece_index]
        piece.free = 0                                  # for whom it was `current`
        self._place(piece)

    def _reopen(self, piece_index: int) -> None:
        self._close(piece_index)
        self._states[piece_index] = UNTOUCHED
        self._untouched |= 1 << self._top - piece_index
        self._changes += 1

    def check_invariants(self) -> None:
        """Raises AssertionError where two places that must agree do not. For tests: it walks over everything."""
        outstanding = dict.fromkeys(self._peers, 0)
        for piece_index in range(self._layout.num_pieces):
            bit = 1 << self._top - piece_index
            state = self._states[piece_index]
            assert bool(self._missing & bit) == (state != VERIFIED), piece_index
            assert bool(self._untouched & bit) == (state == UNTOUCHED), piece_index
            assert (piece_index in self._open) == (state == OPEN), piece_index
            have = sum(peer.bits is not None and self._has(peer, piece_index) for peer in self._peers.values())
            assert self._availability.count(piece_index) == have, piece_index
        assert self._num_verified == self._states.count(VERIFIED)
        assert self._num_seeds == sum(peer.bits is None for peer in self._peers.values())
        for piece_index, piece in self._open.items():
            piece.check_invariants(ENDGAME_PEERS)
            assert (piece_index in self._joinable) == (bool(piece.free) and piece.owner is None), piece_index
            assert (piece_index in self._owned) == (bool(piece.free) and piece.owner is not None), piece_index
            for peer_key, blocks in piece.requested.items():
                outstanding[peer_key] += blocks.bit_count()
                assert self._peers[peer_key].open_pieces[piece_index] is piece
        for peer_key, peer in self._peers.items():
            assert peer.outstanding == outstanding[peer_key], peer_key
            assert all(peer_key in piece.requested for piece in peer.open_pieces.values()), peer_key
            assert peer.count == (self._layout.num_pieces if peer.bits is None else int.from_bytes(peer.bits, "big").bit_count())
            lacks = any(self._has(peer, piece_index) and self._states[piece_index] != VERIFIED for piece_index in range(self._layout.num_pieces))
            assert self.is_interesting(peer_key) == lacks, peer_key
