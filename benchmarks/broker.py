"""What a grant costs, with 10, 1,000 and 100,000 torrents that all ask: python -m benchmarks.broker [GRANTS]

The pure policy, without an actor. Every torrent always asks for more, all half-open slots are taken, and each dial that ends lets the
next torrent have its turn: the state in which a queue has most to decide. A grant is what `drain` costs for one slot; an event is one
of request, attempt_started and attempt_ended. Memory is what a registered torrent that asks adds to the queue.
"""

import collections
import gc
import statistics
import sys
import time
import tracemalloc

from protocol import daemon_messages as dm
from scheduler.connection_queue import ConnectionQueue
from scheduler.settings import settings_from

NUM_TORRENTS = (10, 1_000, 100_000)
NUM_RUNS = 5                                            # alternating; the median counts
PENDING = 1_000_000


def busy_queue(num_torrents: int) -> tuple[ConnectionQueue, collections.deque[int], list[bytes]]:
    """Return a queue in which so many torrents ask, the grants under way, and the info hashes."""
    queue = ConnectionQueue(settings_from({
        "connection_rate": 0, "half_open_limit": 30, "unanswered_limit": 1_000_000, "global_connection_limit": 1_000,
    }), now=0.0)
    names = [number.to_bytes(20, "big") for number in range(num_torrents)]
    for name in names:
        queue.register(name)
        queue.request(name, PENDING, 0.0)
    under_way = collections.deque(slot.grant_id for slot in queue.drain(1.0))
    for grant_id in under_way:
        queue.attempt_started(grant_id, 1.0)
    return queue, under_way, names


def measure(num_torrents: int, num_grants: int) -> tuple[float, float]:
    """Return microseconds for a grant and for an event."""
    queue, under_way, _ = busy_queue(num_torrents)
    clock, in_drain, now = time.process_time, 0.0, 1.0
    gc.collect()
    gc.disable()
    began = clock()
    for _ in range(num_grants):
        now += 0.001
        queue.attempt_ended(under_way.popleft(), dm.HANDSHAKE_FAILED, now)
        before = clock()
        (slot,) = queue.drain(now)
        in_drain += clock() - before
        queue.attempt_started(slot.grant_id, now)
        queue.request(slot.info_hash, PENDING, now)
        under_way.append(slot.grant_id)
    total = clock() - began
    gc.enable()
    return in_drain / num_grants * 1e6, (total - in_drain) / (3 * num_grants) * 1e6


def bytes_of_a_torrent(num_torrents: int) -> float:
    """Return the memory that a queue of so many torrents takes, per torrent."""
    gc.collect()
    tracemalloc.start()
    queue = busy_queue(num_torrents)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del queue
    return used / num_torrents


def microseconds_of_nothing() -> float:
    """Return what a drain costs that finds nobody waiting."""
    queue = ConnectionQueue(settings_from({}), now=0.0)
    began = time.process_time()
    for _ in range(100_000):
        queue.drain(1.0)
        queue.next_drain(1.0)
    return (time.process_time() - began) * 10


def main(arguments: list[str]) -> None:
    num_grants = int(arguments[0]) if arguments else 50_000
    runs: dict[int, list[tuple[float, float]]] = {number: [] for number in NUM_TORRENTS}
    for _ in range(NUM_RUNS):
        for number in NUM_TORRENTS:
            runs[number].append(measure(number, num_grants))
    print("| torrents | µs a grant | µs an event | bytes a torrent |")
    print("|---:|---:|---:|---:|")
    grants = {}
    for number, measured in runs.items():
        grants[number], event = (statistics.median(values) for values in zip(*measured, strict=True))
        print(f"| {number:,} | {grants[number]:.1f} | {event:.1f} | {bytes_of_a_torrent(number):,.0f} |")
    first, last = NUM_TORRENTS[0], NUM_TORRENTS[-1]
    print(f"\nA grant with {last:,} torrents costs {grants[last] / grants[first]:.2f} × one with {first:,}.")
    print(f"A drain that finds nobody waiting costs {microseconds_of_nothing():.1f} µs; nothing calls it while nobody waits.")


if __name__ == "__main__":
    main(sys.argv[1:])
