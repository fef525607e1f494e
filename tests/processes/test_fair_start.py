"""A real client in a network namespace, its dials counted as packets: the bounds of the fair queue as a router sees them.

A small version of `benchmarks/fair_start.py`. Seven torrents for twelve seconds: enough for the burst, for hundreds of turns, and for the half-open limit to bind.
"""

from pathlib import Path

import pytest

from benchmarks.dialling import namespace, run
from benchmarks.dialling.dials import dials_of, excess_over_bucket, first_activity
from benchmarks.dialling.plan import SwarmShape
from benchmarks.dialling.turns import turns_of
from scheduler.settings import PROFILES

SHAPE = SwarmShape(num_torrents=6, num_live=2, num_refusing=6, num_dead=12, hog_peers=60)
SECONDS, SEED = 12.0, 1
PROFILE = PROFILES["conservative"]
# Between a token and its SYN lie three processes that the machine may hold up for so long.
MOST_DELAY_SECONDS = 0.3


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> run.Recording:
    """What was seen of one client with the profile `conservative`."""
    if (reason := namespace.why_not()) is not None:
        pytest.skip(reason)
    folder: Path = tmp_path_factory.mktemp("fair-start")
    process = run.start("Evenswarm conservative", SHAPE, SEED, SECONDS, folder)
    try:
        run.await_end(process, folder)
        return run.recorded(SHAPE, SEED, folder)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


@pytest.fixture(scope="module")
def dials(recording):
    return dials_of(recording.events, first_activity(recording.events))


def test_attempts_in_every_window_are_at_most_burst_plus_rate_times_its_length(dials):
    assert len(dials) > PROFILE.burst
    assert excess_over_bucket([dial.begun for dial in dials], PROFILE.rate_per_second, PROFILE.burst) <= PROFILE.rate_per_second * MOST_DELAY_SECONDS


def test_no_more_dials_are_half_open_at_any_moment_than_the_limit_says(recording):
    figures = recording.figures(SECONDS)
    assert PROFILE.half_open_limit / 2 < figures.peak_half_open <= PROFILE.half_open_limit


def test_no_torrent_is_ever_more_than_one_attempt_ahead_of_another_of_its_class(recording, dials):
    start = first_activity(recording.events)
    told = [when - start for when in recording.told]
    turns = turns_of(dials, recording.plan, told, PROFILE.half_open_limit)
    assert turns.num_compared > 30
    assert turns.largest_lead <= 1


def test_a_torrent_with_only_dead_peers_delays_nobodys_first_peer(recording):
    assert max(recording.figures(SECONDS).first_live) < SECONDS


def test_a_router_remembers_no_more_dials_than_were_made(recording, dials):
    figures = recording.figures(SECONDS)
    assert 0 < figures.peak_table_entries <= len(dials) + len(recording.plan)       # and an announce each
