"""A swarm in which everything happens, by chance: python -m tests.simulation.mixed_swarm SEED [STEPS]

Prints every decision and every outcome, one a line. All invariants are checked on the way; the same seed leads to the same lines.
"""

if __name__ == "__main__":
    from gevent import monkey

    monkey.patch_all()

import random
import sys

from actors import messages as m
from tests.simulation.simulation import Simulation

TRACKERS = ("http://a.example/announce", "http://b.example/announce")


def mixed_swarm(seed: int, steps: int = 200) -> Simulation:
    """Return a simulation after so many random events of users, peers, daemons, limits and the clock."""
    rng = random.Random(seed)
    swarm = Simulation(
        rng.choice(("conservative", "moderate", "aggressive", "weak-router")), seed=seed, router=rng.choice((None, 256, 1_024)),
        daemons=rng.choice((1, 2)), shuffled=rng.random() < 0.5, global_connection_limit=rng.choice((30, 100, 200)),
        unanswered_limit=rng.choice((60, 300)), seeds_dial=rng.random() < 0.7,
    )
    for number in range(rng.randrange(2, 15)):
        swarm.add(
            priority=rng.choice(("high", "normal", "low")), trackers=TRACKERS[:rng.randrange(3)], started=rng.random() < 0.9,
            stays=rng.choice((10.0, 60.0, float("inf"))), alive=rng.randrange(10), dead=rng.randrange(60), refuses=rng.randrange(20),
            silent=rng.randrange(5), drops=rng.randrange(5), unreachable=number % 3,
        )
    for _ in range(steps):
        _happen(swarm, rng)
        swarm.run(rng.choice((0.0, 0.01, 0.1, 0.5, 0.5, 3.0)))
    return swarm


def _happen(swarm: Simulation, rng: random.Random) -> None:
    torrent, daemon, roll = rng.choice(list(swarm.torrents.values())), rng.choice(swarm.daemons), rng.random()
    if roll < 0.30:   torrent.find(alive=rng.randrange(3), dead=rng.randrange(10), refuses=rng.randrange(3))
    elif roll < 0.45: torrent.is_dialled_by(rng.randrange(1, 4))
    elif roll < 0.55: torrent.stop()
    elif roll < 0.70: torrent.start()
    elif roll < 0.73: torrent.recheck()
    elif roll < 0.75:
        torrent.crash()
        swarm.restart(torrent)
    elif roll < 0.78: torrent.freeze()
    elif roll < 0.84: torrent.thaw()
    elif roll < 0.86: torrent.complete()
    elif roll < 0.87: torrent.fail()
    elif roll < 0.88: daemon.die()
    elif roll < 0.90: daemon.dialer.says_busy = not daemon.dialer.says_busy
    elif roll < 0.92: swarm.network.is_up = not swarm.network.is_up
    elif roll < 0.94: swarm.tell_broker(m.SetConnectionLimits(half_open=rng.randrange(1, 40), unanswered=rng.randrange(20, 300)))
    elif roll < 0.95: swarm.tell_broker(m.SetConnectionRateLimit(rng.choice((0, 2, 10, 20))))
    elif roll < 0.96: swarm.tell_broker(m.PauseConnecting("the user wants it"))
    elif roll < 0.98: swarm.tell_broker(m.ResumeConnecting("the user wants it"))
    elif roll < 0.99: swarm.step_clock(rng.choice((-3_600.0, -1.0, 1.0, 3_600.0)))
    else:             swarm.suspend(rng.choice((1.0, 600.0)))


if __name__ == "__main__":
    simulated = mixed_swarm(*map(int, sys.argv[1:3]))
    print("\n".join(simulated.trace))
