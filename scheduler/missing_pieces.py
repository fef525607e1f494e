"""MissingPieces: the state of each piece of a torrent, and which of them are wanted, in what order.

    UNTOUCHED ──begin──▶ OPEN ──verify──▶ VERIFIED          UNTOUCHED ◀──wish──▶ UNWANTED
        ▲─────reopen──────┘ └─reopen, when it is not wanted any more──▶ UNWANTED

A begun piece that is not wanted any more stays OPEN, and missing, until it is verified or given up: it holds a buffer.
Sets of pieces are whole numbers, as in scheduler/availability.py.
"""

from collections.abc import Collection

from protocol.bitfield import Bitfield
from scheduler.file_selection import PieceWishes

UNTOUCHED, OPEN, VERIFIED, UNWANTED = range(4)          # the first two are missing


class MissingPieces:
    """`missing` = `untouched` and begun. Piece i is bit `top - i` of a set."""

    __slots__ = ("_levels", "is_sequential", "missing", "num_verified", "states", "top", "untouched", "unwanted")

    def __init__(self, verified: Bitfield) -> None:
        self.top = -(-verified.num_pieces // 8) * 8 - 1
        every = int.from_bytes(Bitfield.full(verified.num_pieces).to_bytes(), "big")
        self.missing = every & ~int.from_bytes(verified.to_bytes(), "big")
        self.untouched = self.missing
        self.num_verified = verified.count
        self.states = bytearray(verified.num_pieces)
        for piece_index in verified:
            self.states[piece_index] = VERIFIED
        self._levels: tuple[int, ...] = ()              # the wanted pieces, most urgent ones first; () = all are wanted, and alike
        self.is_sequential = False
        self.unwanted: set[int] = set()                 # begun, and not wanted any more

    def is_missing(self, piece_index: int) -> bool:
        """It is wanted or begun, and not verified."""
        return self.states[piece_index] < VERIFIED

    def wish(self, wishes: PieceWishes, begun: Collection[int]) -> None:
        """From now on these pieces are wanted. `begun`: all that are OPEN."""
        self._levels, self.is_sequential = wishes.sets_by_level(), wishes.is_sequential
        self.states = bytearray(map(_state_when, self.states, wishes.levels or b"\1" * len(self.states)))
        self.unwanted = {piece_index for piece_index in begun if wishes.levels and not wishes.levels[piece_index]}
        self.untouched = self._in_state(UNTOUCHED)
        self.missing = self.untouched | self._in_state(OPEN)

    def most_urgent(self, pieces: int) -> int:
        """Return those of `pieces`, some wanted ones, that come before the others."""
        for level in self._levels:
            if urgent := pieces & level:
                return urgent
        return pieces

    def begin(self, piece_index: int) -> None:
        """A buffer is there for it."""
        self.states[piece_index] = OPEN
        self.untouched ^= 1 << self.top - piece_index

    def reopen(self, piece_index: int) -> None:
        """Nothing is there of this begun piece any more."""
        bit = 1 << self.top - piece_index
        if piece_index in self.unwanted:
            self.unwanted.discard(piece_index)
            self.states[piece_index] = UNWANTED
            self.missing ^= bit
        else:
            self.states[piece_index] = UNTOUCHED
            self.untouched |= bit

    def verify(self, piece_index: int) -> None:
        """We have it, begun or not."""
        bit, state = 1 << self.top - piece_index, self.states[piece_index]
        if state == UNTOUCHED:
            self.untouched ^= bit
        if state != UNWANTED:
            self.missing ^= bit
        self.states[piece_index] = VERIFIED
        self.num_verified += 1
        self.unwanted.discard(piece_index)

    def _in_state(self, state: int) -> int:
        digits = self.states.translate(bytes(48 + (other == state) for other in range(256)))
        return int(digits or b"0", 2) << -len(digits) % 8

    def check_invariants(self, begun: Collection[int]) -> None:
        """Raises AssertionError where two places that must agree do not."""
        for piece_index, state in enumerate(self.states):
            bit = 1 << self.top - piece_index
            assert bool(self.missing & bit) == (state < VERIFIED), piece_index
            assert bool(self.untouched & bit) == (state == UNTOUCHED), piece_index
            assert (piece_index in begun) == (state == OPEN), piece_index
            if self._levels:
                is_wanted = any(level & bit for level in self._levels)
                assert is_wanted or state != UNTOUCHED, piece_index
                assert (not is_wanted and state == OPEN) == (piece_index in self.unwanted), piece_index
        assert self.num_verified == self.states.count(VERIFIED)


def _state_when(state: int, level: int) -> int:
    """Return the state of a piece whose level changed."""
    if state == UNTOUCHED and not level:
        return UNWANTED
    return UNTOUCHED if state == UNWANTED and level else state
