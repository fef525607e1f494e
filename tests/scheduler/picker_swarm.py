"""Builders for tests of the piece picker: a picker, who joins it, what is picked and received."""

import random

from protocol.bitfield import Bitfield
from protocol.limits import BLOCK_BYTES
from protocol.piece_layout import PieceLayout
from scheduler.piece_picker import OWN_PIECE_PIPELINES, RANDOM_FIRST_PIECES, PiecePicker

BLOCKS = 64                                             # a piece, unless a test says otherwise
SLOW = 2                                                # pipelines: a slow peer does not fill a piece soon, a fast one does
FAST = BLOCKS
assert SLOW * OWN_PIECE_PIPELINES < BLOCKS


def bitfield(num_pieces, *piece_indices):
    pieces = Bitfield(num_pieces)
    for piece_index in piece_indices:
        pieces.add(piece_index)
    return pieces


def a_picker(num_pieces, verified=(), blocks=BLOCKS, seed=1):
    layout = PieceLayout(blocks * BLOCK_BYTES, num_pieces * blocks * BLOCK_BYTES)
    return PiecePicker(layout, bitfield(num_pieces, *verified), random.Random(seed))


def has_begun(num_pieces=20, blocks=BLOCKS, **others):
    """A picker beyond its random first pieces: 0 to 3 are verified."""
    return a_picker(num_pieces, range(RANDOM_FIRST_PIECES), blocks, **others)


def seed_joins(picker, key):
    picker.peer_joined(key, Bitfield.full(picker.layout.num_pieces))


def leech_joins(picker, key, *piece_indices):
    picker.peer_joined(key, bitfield(picker.layout.num_pieces, *piece_indices))


def pick(picker, key, count, room=True):
    return picker.pick(key, count, lambda _: room)


def receive(picker, key, runs):
    for run in runs:
        assert picker.received_run(key, run.piece_index, run.first_block, run.num_blocks) == run.num_blocks


def pieces_of(runs):
    return [run.piece_index for run in runs]
