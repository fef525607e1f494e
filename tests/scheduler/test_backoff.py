"""How long a peer waits: 15 s × 2ⁿ with jitter, up to an hour."""

import random

import pytest

from scheduler.backoff import LONGEST_WAIT_SECONDS, backoff_wait


class Chance:
    """A random source that always says the same."""

    def __init__(self, value: float) -> None:
        self.value = value

    def random(self) -> float:
        return self.value


@pytest.mark.parametrize(("strikes", "chance", "expected"), [
    (1, 0, 15), (2, 0, 30), (3, 0, 60), (8, 0, 1_920), (1, 0.8, 18), (3, 0.8, 72), (9, 0, 2_880), (10**6, 0, 2_880),
])
def test_the_wait_doubles_with_every_strike(strikes, chance, expected):
    assert backoff_wait(strikes, Chance(chance)) == pytest.approx(expected)


def test_no_wait_is_longer_than_an_hour():
    assert max(backoff_wait(20, random.Random(seed)) for seed in range(1_000)) <= LONGEST_WAIT_SECONDS


def test_peers_that_failed_together_are_not_tried_together():
    rng = random.Random(1)
    for strikes in (1, 5, 20):
        waits = [backoff_wait(strikes, rng) for _ in range(100)]
        assert max(waits) - min(waits) > 0.15 * min(waits)
