"""What must hold after every event, whatever happens in whatever order."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from protocol import daemon_messages as dm
from scheduler.settings import settings_from
from tests.properties.long_run import worlds
from tests.properties.queue_world import QueueWorld

ROOT = Path(__file__).resolve().parent.parent.parent
NUM_EVENTS = int(os.environ.get("EVENSWARM_PROPERTY_EVENTS", "1000000"))
NUM_RUNS = 10

which = st.integers(0, 4)
pick = st.integers(0, 99)
small = st.integers(1, 12)


class QueueMachine(RuleBasedStateMachine):
    """hypothesis plays QueueWorld, which checks everything by itself after each event."""

    @initialize(
        rate=st.sampled_from([0, 1, 10]), burst=small, half_open=small, in_all=st.integers(2, 30), of_torrent=small, unanswered=st.integers(1, 40),
    )
    def begin(self, rate, burst, half_open, in_all, of_torrent, unanswered):
        self.world = QueueWorld(settings_from({
            "connection_rate": rate, "connection_burst": burst, "half_open_limit": half_open, "global_connection_limit": in_all,
            "torrent_connection_limit": of_torrent, "unanswered_limit": unanswered,
        }), num_torrents=4)
        for number in range(3):
            self.world.register(number, 1.0)

    @rule(which=which, weight=st.sampled_from([3.0, 1.0, 1 / 3]))
    def register(self, which, weight):
        self.world.register(which, weight)

    @rule(which=which)
    def gone(self, which):
        self.world.gone(which)

    @rule(which=which, count=small)
    def request(self, which, count):
        self.world.request(which, count)

    @rule(which=which)
    def cancel(self, which):
        self.world.cancel(which)

    @rule(pick=pick, retry_after=st.sampled_from([None, 0.0, 1.0, 60.0]))
    def decline(self, pick, retry_after):
        self.world.decline(pick, retry_after)

    @rule(pick=pick)
    def start(self, pick):
        self.world.start(pick)

    @rule(pick=pick, outcome=st.sampled_from(dm.OUTCOMES))
    def end(self, pick, outcome):
        self.world.end(pick, outcome)

    @rule(pick=pick)
    def close(self, pick):
        self.world.close(pick)

    @rule(which=which)
    def incoming(self, which):
        self.world.incoming(which)

    @rule(pick=pick, kind=st.integers(0, 3))
    def say_again(self, pick, kind):
        self.world.say_again(pick, kind)

    @rule(pick=pick, kind=st.integers(0, 3))
    def say_too_early(self, pick, kind):
        self.world.say_too_early(pick, kind)

    @rule(rate=st.sampled_from([0, 0.5, 10]), burst=small)
    def set_rate(self, rate, burst):
        self.world.set_rate(rate, burst)

    @rule(name=st.sampled_from(["half_open", "global_connections", "torrent_connections", "unanswered"]), limit=small)
    def set_limits(self, name, limit):
        self.world.set_limits(**{name: limit})

    @rule()
    def pause(self):
        self.world.pause()

    @rule()
    def resume(self):
        self.world.resume()

    @rule(seconds=st.sampled_from([0.001, 0.1, 1.0, 15.0, 130.0]))
    def advance(self, seconds):
        self.world.advance(seconds)


QueueMachine.TestCase.settings = settings(
    max_examples=100, stateful_step_count=60, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
TestEveryInvariantHoldsAfterEveryEvent = QueueMachine.TestCase


@pytest.mark.parametrize("seed", range(NUM_RUNS))
def test_every_invariant_holds_after_every_one_of_many_random_events(seed):
    num_granted = sum(world.num_granted for world in worlds(NUM_EVENTS // NUM_RUNS, seed))
    assert num_granted > NUM_EVENTS // NUM_RUNS // 50   # the events were about something


def test_the_same_seed_gives_the_same_decisions_in_two_processes_with_different_hash_seeds():
    digests = set()
    for hash_seed in ("1", "2"):
        ended = subprocess.run(
            [sys.executable, "-m", "tests.properties.long_run", "5000", "7"], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True, text=True, check=True, timeout=120,
        )
        digests.add(ended.stdout)
    assert len(digests) == 1 and "digest" in digests.pop()
