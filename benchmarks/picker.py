"""What the piece picker costs: `python -m benchmarks.picker`. Prints microseconds of one core for each block, nothing
else.

A torrent is downloaded without network and disk: peers are picked for, their blocks are received at once, pieces are
verified. Leeches have half of the pieces each, and announce more while the download goes on. `bookkeeping` is all calls
of the picker together.
"""

import random
import time
from dataclasses import dataclass

from protocol.bitfield import Bitfield
from protocol.limits import BLOCK_BYTES
from protocol.piece_layout import PieceLayout
from scheduler.piece_picker import PiecePicker

DEPTH = 64                                              # blocks asked for at once
MOST_BLOCKS = 400_000                                   # of one run: enough for a steady state


@dataclass(frozen=True)
class Case:
    """A swarm."""

    name: str
    num_pieces: int
    blocks_a_piece: int
    num_seeds: int
    num_leeches: int
    haves_a_piece: float = 0                            # news of leeches for each piece that we get


CASES = (
    Case("1 seed", 1_024, 64, 1, 0),
    Case("1 seed", 100_000, 64, 1, 0),
    Case("50 seeds", 1_024, 64, 50, 0),
    Case("50 seeds", 100_000, 64, 50, 0),
    Case("50 leeches", 1_024, 64, 0, 50, 10),
    Case("50 leeches", 100_000, 64, 0, 50, 10),
    Case("50 leeches, 200 haves a piece", 100_000, 64, 0, 50, 200),
    Case("1 seed, pieces of one block", 100_000, 1, 1, 0),
    Case("50 leeches, pieces of one block", 100_000, 1, 0, 50, 1),
)


def run(case: Case, seed: int = 1) -> tuple[float, float]:
    """Return (microseconds a block, milliseconds for all peers to join)."""
    rng = random.Random(seed)
    layout = PieceLayout(case.blocks_a_piece * BLOCK_BYTES, case.num_pieces * case.blocks_a_piece * BLOCK_BYTES)
    bitfields = [Bitfield.full(case.num_pieces) for _ in range(case.num_seeds)]
    for _ in range(case.num_leeches):
        bits = bytearray(rng.randbytes(-(-case.num_pieces // 8)))
        bits[-1] &= 0xFF00 >> (case.num_pieces % 8 or 8) & 0xFF
        bitfields.append(Bitfield.from_bytes(bytes(bits), case.num_pieces))
    picker = PiecePicker(layout, Bitfield(case.num_pieces), rng)
    began = time.process_time()
    for key, bitfield in enumerate(bitfields):
        picker.peer_joined(key, bitfield)
    joining = time.process_time() - began
    news = [(rng.randrange(case.num_leeches), rng.randrange(case.num_pieces)) for _ in range(int(case.haves_a_piece * 20_000))]

    num_blocks = haves_due = 0
    keys = range(len(bitfields))
    began = time.process_time()
    while num_blocks < MOST_BLOCKS:
        blocks_before = num_blocks
        for key in keys:
            for piece_index, first, number, _shared in picker.pick(key, DEPTH, _always):
                picker.received_run(key, piece_index, first, number)
                num_blocks += number
                if picker.piece_complete(piece_index):
                    picker.piece_verified(piece_index)
                    for other in keys:
                        picker.is_interesting(other)
                    haves_due += case.haves_a_piece
                    while haves_due >= 1 and news:
                        picker.peer_has(*news.pop())
                        haves_due -= 1
        if num_blocks == blocks_before:
            break
    return (time.process_time() - began) / num_blocks * 1e6, joining * 1e3


def _always(_piece_index: int) -> bool:
    return True


def main() -> None:
    """Print the table."""
    print(f"{'swarm':34} {'pieces':>8} {'blocks a piece':>15} {'µs a block':>11} {'joining ms':>11}")
    for case in CASES:
        each_block, joining = min(run(case, seed) for seed in range(3))
        print(f"{case.name:34} {case.num_pieces:>8,} {case.blocks_a_piece:>15} {each_block:>11.3f} {joining:>11.2f}")


if __name__ == "__main__":
    main()
