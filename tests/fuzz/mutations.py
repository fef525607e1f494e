"""What fuzz targets are fed with: seeds, changed a little and then a little more.

`EVENSWARM_FUZZ_ROUNDS=1000000 python3 run.py test tests/fuzz` looks longer, with other inputs in each round; a round's inputs follow
from its number, so a failure comes back.
"""

import os
from collections.abc import Iterator
from random import Random

ROUNDS = int(os.environ.get("EVENSWARM_FUZZ_ROUNDS", "5000"))
TELLING_BYTES = b"\x00\x01\x04\x05\x07\x14\x7f\x80\x90\xc0\xc1\xdc\xdd\xff0123456789dlei:-"     # lengths, ids, and what formats begin with


def mutated(seeds: list[bytes], rounds: int = ROUNDS) -> Iterator[bytes]:
    """Yield the seeds, then `rounds` inputs made of them."""
    yield from seeds
    for number in range(rounds):
        rng = Random(number)
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 6)):
            at = rng.randint(0, len(data))
            match rng.randint(0, 5):
                case 0: data[at:at + 1] = bytes((rng.choice(TELLING_BYTES),))
                case 1: data[at:at + 1] = bytes((rng.randint(0, 255),))
                case 2: data[at:at] = rng.choice(seeds)[:rng.randint(0, 40)]
                case 3: del data[at:at + rng.randint(1, 8)]
                case 4: data[at:at] = data[at:at + rng.randint(1, 16)] * rng.randint(1, 4)
                case 5: del data[at:]
        yield bytes(data)
