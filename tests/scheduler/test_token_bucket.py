"""Tokens: a rate, a burst, and promises that cost nothing until they are used."""

import math

import pytest

from scheduler.token_bucket import TokenBucket


def start_as_many_as_possible(bucket, now):
    started = 0
    while bucket.can_reserve(now) and started < 10_000:
        bucket.reserve()
        bucket.spend(now)
        started += 1
    return started


@pytest.mark.parametrize(("seconds_after_the_burst", "expected"), [(0.0, 0), (0.05, 0), (0.1, 1), (1.0, 10), (1.99, 19), (2.0, 20), (3600.0, 20)])
def test_tokens_come_at_the_rate_and_stop_at_the_burst(seconds_after_the_burst, expected):
    bucket = TokenBucket(rate=10, burst=20, now=5.0)
    assert start_as_many_as_possible(bucket, 5.0) == 20
    assert start_as_many_as_possible(bucket, 5.0 + seconds_after_the_burst) == expected


def test_a_promise_that_is_given_back_costs_nothing():
    bucket = TokenBucket(rate=1, burst=3, now=0.0)
    for _ in range(100):
        bucket.reserve()
        bucket.release()
    assert bucket.available(0.0) == 3


def test_no_more_is_promised_than_is_there():
    bucket = TokenBucket(rate=1, burst=3, now=0.0)
    for _ in range(3):
        bucket.reserve()
    assert not bucket.can_reserve(0.0) and not bucket.can_reserve(1_000.0)


def test_promises_given_back_late_let_no_more_than_a_burst_out_at_once():
    bucket = TokenBucket(rate=10, burst=20, now=0.0)
    for _ in range(10):
        bucket.reserve()
    started_before = start_as_many_as_possible(bucket, 2.0)
    for _ in range(10):
        bucket.release()
    assert started_before + start_as_many_as_possible(bucket, 2.0) == 20


def test_a_clock_that_steps_back_neither_freezes_nor_floods():
    bucket = TokenBucket(rate=10, burst=20, now=10_000.0)
    start_as_many_as_possible(bucket, 10_000.0)
    assert start_as_many_as_possible(bucket, 4_000.0) == 0
    bucket.spend(4_000.0, reserved=False)               # counts from here on
    assert bucket.available(4_000.0) == -1
    assert start_as_many_as_possible(bucket, 4_001.0) == 9


def test_a_clock_that_steps_forward_gives_a_burst_and_no_more():
    bucket = TokenBucket(rate=10, burst=20, now=0.0)
    start_as_many_as_possible(bucket, 0.0)
    assert start_as_many_as_possible(bucket, 1e9) == 20
    assert start_as_many_as_possible(bucket, 1e9 + 0.1) == 1


def test_a_rate_of_0_is_unlimited():
    bucket = TokenBucket(rate=0, burst=1, now=0.0)
    assert start_as_many_as_possible(bucket, 0.0) == 10_000
    assert bucket.available(0.0) == math.inf and bucket.seconds_until_available(0.0) == 0


def test_a_new_rate_counts_from_now_and_the_time_until_now_at_the_old_one():
    bucket = TokenBucket(rate=10, burst=20, now=0.0)
    start_as_many_as_possible(bucket, 0.0)
    bucket.set_rate(100, 200, now=0.5)
    assert bucket.available(0.5) == pytest.approx(5)
    assert bucket.available(0.6) == pytest.approx(15)


def test_a_smaller_burst_takes_away_what_is_over_it():
    bucket = TokenBucket(rate=10, burst=20, now=0.0)
    bucket.set_rate(10, 5, now=0.0)
    assert bucket.available(0.0) == 5


def test_after_no_limit_at_all_a_limit_begins_with_a_full_burst():
    bucket = TokenBucket(rate=0, burst=20, now=0.0)
    start_as_many_as_possible(bucket, 0.0)
    bucket.set_rate(10, 20, now=0.0)
    assert start_as_many_as_possible(bucket, 0.0) == 20


@pytest.mark.parametrize("rate", [0.3, 1, 3, 7, 10, 1000 / 7])
def test_it_says_exactly_when_the_next_token_is_there(rate):
    bucket, now = TokenBucket(rate=rate, burst=2, now=123.4), 123.4
    for _ in range(100):
        start_as_many_as_possible(bucket, now)
        wait = bucket.seconds_until_available(now)
        assert not bucket.can_reserve(now + wait * 0.99)
        now += wait
        assert bucket.can_reserve(now)


def test_no_time_brings_a_token_while_all_are_promised():
    bucket = TokenBucket(rate=10, burst=2, now=0.0)
    bucket.reserve()
    bucket.reserve()
    assert bucket.seconds_until_available(0.0) == math.inf


def test_starts_that_nothing_promised_are_a_debt_of_at_most_a_burst():
    bucket = TokenBucket(rate=10, burst=20, now=0.0)
    for _ in range(1_000):
        bucket.spend(0.0, reserved=False)
    assert bucket.seconds_until_available(0.0) == pytest.approx(2.1)
