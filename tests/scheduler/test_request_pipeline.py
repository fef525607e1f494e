"""How many blocks to have requested: rate × delay, slow start before the rate is known, bounded both ways."""

import pytest

from protocol.limits import BLOCK_BYTES
from scheduler.request_pipeline import (
    FIRST_DEPTH,
    LONGEST_DELAY_SECONDS,
    MIN_DEPTH,
    POOL_SHARE,
    QUEUE_SECONDS,
    PipelinePool,
    RequestPipeline,
    pipeline_depth,
)

BLOCKS_A_SECOND = 50
RATE = BLOCKS_A_SECOND * BLOCK_BYTES


@pytest.mark.parametrize(("rate", "delay", "reqq", "ceiling", "expected"), [
    (RATE, 0, 500, 500, BLOCKS_A_SECOND * QUEUE_SECONDS),
    (RATE, 1, 500, 500, BLOCKS_A_SECOND * (QUEUE_SECONDS + 1)),
    (RATE, 3_600, 5_000, 5_000, BLOCKS_A_SECOND * (QUEUE_SECONDS + LONGEST_DELAY_SECONDS)),
    (RATE, -1, 500, 500, BLOCKS_A_SECOND * QUEUE_SECONDS),
    (0, 0, 500, 500, MIN_DEPTH),
    (1e12, 0, 500, 300, 300),
    (1e12, 0, 200, 300, 200),
    (0, 0, 1, 500, 1),                                  # a peer that keeps one request gets one
])
def test_the_depth_is_rate_times_delay_within_its_bounds(rate, delay, reqq, ceiling, expected):
    assert pipeline_depth(rate, delay, reqq, ceiling) == expected


def play(pipeline, seconds, round_trip, most_blocks_a_second):
    """A peer that answers after `round_trip` and sends no faster than it can; two ticks a second."""
    now, credit, ticks, got = 0.0, 0.0, 0, 0
    outstanding = [0.0] * pipeline.depth                # when each was requested
    while now < seconds:
        now += 0.01
        credit = min(credit + most_blocks_a_second * 0.01, 2.0)
        while outstanding and outstanding[0] + round_trip <= now and credit >= 1:
            outstanding.pop(0)
            credit -= 1
            got += 1
            pipeline.received(1)
        outstanding += [now] * (pipeline.depth - len(outstanding))
        if now >= (ticks + 1) * 0.5:
            ticks += 1
            pipeline.tick(now, got * BLOCK_BYTES / 0.5, False, True)
            last, got = got / 0.5, 0
    return last


@pytest.mark.parametrize("round_trip", [0.001, 0.03, 0.3, 1.0])
@pytest.mark.parametrize("most_blocks_a_second", [10, 100])
def test_a_peer_comes_to_its_full_rate_and_has_no_more_queue_than_that_needs(round_trip, most_blocks_a_second):
    pipeline = RequestPipeline(500, PipelinePool(1 << 40))
    pipeline.delay_seen(round_trip)
    rate = play(pipeline, 20, round_trip, most_blocks_a_second)
    assert rate >= 0.9 * most_blocks_a_second
    assert pipeline.depth <= 1.2 * most_blocks_a_second * (round_trip + QUEUE_SECONDS) + 1


def test_slow_start_doubles_the_depth_in_each_round_trip():
    pipeline = RequestPipeline(500, PipelinePool(1 << 40))
    depths = [pipeline.depth]
    for _ in range(4):
        pipeline.received(pipeline.depth)
        depths.append(pipeline.depth)
    assert depths == [FIRST_DEPTH, 2 * FIRST_DEPTH, 4 * FIRST_DEPTH, 8 * FIRST_DEPTH, 16 * FIRST_DEPTH]


def test_slow_start_goes_on_while_the_rate_grows_and_ends_when_it_does_not():
    pipeline = RequestPipeline(10_000, PipelinePool(1 << 40))
    pipeline.received(1_000)
    for second in range(3):
        pipeline.tick(float(second), RATE * 2 ** second, False, True)
        assert pipeline.depth == FIRST_DEPTH + 1_000
    pipeline.tick(3.0, RATE * 4, False, True)
    assert pipeline.depth == 4 * BLOCKS_A_SECOND * QUEUE_SECONDS
    pipeline.received(1_000)
    assert pipeline.depth == 4 * BLOCKS_A_SECOND * QUEUE_SECONDS


def test_what_the_peer_keeps_is_never_exceeded():
    pipeline = RequestPipeline(500, PipelinePool(1 << 40))
    pipeline.received(100)
    pipeline.peer_keeps(20)
    assert pipeline.depth == 20
    pipeline.received(100)
    assert pipeline.depth == 20
    pipeline.peer_keeps(0)
    assert pipeline.depth == 1


def test_the_ceiling_is_never_exceeded():
    pipeline = RequestPipeline(3, PipelinePool(1 << 40))
    assert pipeline.depth == 3
    pipeline.received(100)
    assert pipeline.depth == 3


def test_a_snubbed_peer_is_asked_for_one_block_until_it_sends_one():
    pipeline = RequestPipeline(500, PipelinePool(1 << 40))
    pipeline.received(100)
    pipeline.tick(60.0, 0.0, True, True)
    assert pipeline.depth == 1
    pipeline.tick(60.5, 0.0, True, True)
    assert pipeline.depth == 1
    pipeline.received(1)
    assert pipeline.depth == FIRST_DEPTH                # slow start again


def test_a_peer_that_was_never_asked_stays_in_slow_start():
    pipeline = RequestPipeline(500, PipelinePool(1 << 40))
    for half_second in range(100):
        pipeline.tick(half_second / 2, 0.0, False, True)
    assert pipeline.depth == FIRST_DEPTH


# ── Short of buffers ─────────────────────────────────────────────────────────────────────────────────────────────────────


def pipelines_that_want(pool_blocks, *wanted):
    pool = PipelinePool(int(pool_blocks / POOL_SHARE * BLOCK_BYTES) + 1)
    pipelines = [RequestPipeline(500, pool) for _ in wanted]
    for pipeline, blocks in zip(pipelines, wanted, strict=True):
        pipeline.tick(0.0, 0.0, False, True)
        pipeline.received(blocks - FIRST_DEPTH)
    return pipelines


def depths(pipelines):
    return [pipeline.depth for pipeline in pipelines]


def test_where_buffers_are_short_all_get_the_same_part_of_what_they_want():
    assert depths(pipelines_that_want(300, 400, 100, 100)) == [200, 50, 50]


def test_where_there_are_enough_buffers_all_get_what_they_want():
    assert depths(pipelines_that_want(600, 400, 100, 100)) == [400, 100, 100]


def test_nobody_gets_less_than_keeps_it_busy():
    assert depths(pipelines_that_want(10, 500, 4, 4)) == [9, MIN_DEPTH, MIN_DEPTH]


def test_who_is_choked_or_gone_leaves_its_part_to_the_others():
    pipelines = pipelines_that_want(300, 300, 300, 300)
    assert depths(pipelines) == [100, 100, 100]
    pipelines[0].tick(0.5, 0.0, False, False)
    assert depths(pipelines)[1:] == [150, 150]
    pipelines[0].tick(1.0, 0.0, False, True)
    pipelines[1].close()
    pipelines[1].close()
    assert depths(pipelines)[0] == depths(pipelines)[2] == 150
