"""One seed, one trace, byte for byte; and the invariants hold whatever happens in whatever order."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.mixed_swarm import mixed_swarm

ROOT = Path(__file__).parents[2]


def test_the_same_seed_gives_the_same_trace_in_two_processes_with_different_hash_seeds():
    traces = []
    for hash_seed in ("1", "2"):
        ended = subprocess.run(
            [sys.executable, "-m", "tests.simulation.mixed_swarm", "5", "100"], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True, check=True, timeout=120,
        )
        traces.append(ended.stdout)
    assert traces[0] == traces[1] and traces[0].count(b"granted") > 100


def test_the_same_seed_gives_the_same_trace_twice_in_one_process():
    assert mixed_swarm(3, 50).digest == mixed_swarm(3, 50).digest


def test_another_seed_gives_another_trace():
    assert mixed_swarm(3, 50).digest != mixed_swarm(4, 50).digest


@pytest.mark.parametrize("seed", range(10))
def test_every_invariant_holds_whatever_users_peers_daemons_and_the_clock_do(seed):
    swarm = mixed_swarm(seed)
    assert len(swarm.trace) > 50
