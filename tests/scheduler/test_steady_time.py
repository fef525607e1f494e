"""Seconds that pass, whatever the clock does."""

import pytest

from scheduler.steady_time import SteadyTime


@pytest.mark.parametrize(("clock", "expected"), [
    ([100.0, 101.0, 103.5], 3.5),
    ([100.0, 50.0, 51.0], 1.0),                         # a step back is no time, and time goes on from there
    ([100.0, 105.0, 5.0, 6.0], 6.0),
    ([100.0, 3_700.0, 3_701.0], 3_601.0),               # a step forward (or a suspended machine) has passed, once
    ([100.0, 100.0, 100.0], 0.0),
])
def test_steady_time_never_runs_backward(clock, expected):
    time = SteadyTime(100.0)
    shown = [time.advance(now) for now in clock]
    assert shown == sorted(shown) and shown[-1] == pytest.approx(expected)


def test_looking_at_it_changes_nothing():
    time = SteadyTime(0.0)
    assert time.at(1_000.0) == 1_000.0
    assert time.advance(1.0) == 1.0
