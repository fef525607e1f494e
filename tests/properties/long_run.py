"""Random events for the connection queue, as many as you like: python -m tests.properties.long_run EVENTS [SEED]

Prints the seed, the number of events and the digest of all decisions every 100,000 events. A broken invariant ends it with the seed
and the event that broke it; the same seed leads there again. 10^8 events take about an hour and a half.
"""

import random
import sys
from collections.abc import Iterator

from tests.properties.queue_world import QueueWorld

EVENTS_OF_A_WORLD = 5_000                               # then another one, with other settings
REPORT_EVERY = 100_000


def worlds(num_events: int, seed: int) -> Iterator[QueueWorld]:
    """Yield worlds after their random events, until `num_events` have happened in all."""
    rng = random.Random(seed)
    while num_events > 0:
        world = QueueWorld.random(rng)
        limit = min(EVENTS_OF_A_WORLD, num_events)
        try:
            while world.num_events < limit:
                world.random_event(rng)
        except Exception as error:
            error.add_note(f"seed {seed}, {num_events} events before the end, event {world.num_events} of its world")
            raise
        num_events -= world.num_events
        yield world


def main(arguments: list[str]) -> None:
    num_events = int(arguments[0])
    seed = int(arguments[1]) if len(arguments) > 1 else random.SystemRandom().randrange(10**9)
    done = granted = 0
    for world in worlds(num_events, seed):
        reported = done // REPORT_EVERY
        done, granted = done + world.num_events, granted + world.num_granted
        if done // REPORT_EVERY > reported or done >= num_events:
            print(f"seed {seed}: {done:,} events, {granted:,} grants, digest {world.trace.hexdigest()}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
