"""How long a dial may take: p95 of the observed times × 2.5, between 3 and 30 s, 10 s until there are five."""

import pytest

from scheduler.connect_timeout import MANY_CANDIDATES, MAX_SAMPLES, ConnectTimeout


def timeout_after(*samples: float, num_candidates: int = 0) -> float:
    connect_timeout = ConnectTimeout()
    for sample in samples:
        connect_timeout.observe(sample)
    return connect_timeout.timeout(num_candidates)


@pytest.mark.parametrize(("samples", "expected"), [
    ([], 10),
    ([0.1] * 4, 10),
    ([0.1] * 5, 3),
    ([2.0] * 5, 5),
    ([20.0] * 5, 30),
    ([1.0] * 95 + [4.0] * 5, 3),                        # the 95th of 100 counts
    ([1.0] * 94 + [4.0] * 6, 10),
    ([4.0] * 6 + [1.0] * 94, 10),                       # in any order
])
def test_the_timeout_follows_the_observed_times(samples, expected):
    assert timeout_after(*samples) == expected


def test_only_the_newest_samples_count():
    assert timeout_after(*[8.0] * 500, *[2.0] * MAX_SAMPLES) == 5


def test_a_torrent_with_many_candidates_waits_half_as_long():
    assert timeout_after(num_candidates=MANY_CANDIDATES + 1) == 5
    assert timeout_after(*[4.0] * 5, num_candidates=MANY_CANDIDATES + 1) == 5
    assert timeout_after(*[1.0] * 5, num_candidates=MANY_CANDIDATES + 1) == 3


def test_a_timeout_that_became_too_short_finds_its_way_back():
    connect_timeout = ConnectTimeout()
    for _ in range(5):
        connect_timeout.observe(0.1)
    for number in range(1_000):                         # a network where a connect takes 0 to 10 s
        if (elapsed := number % 10) < connect_timeout.timeout():
            connect_timeout.observe(elapsed)
    assert connect_timeout.timeout() > 10
