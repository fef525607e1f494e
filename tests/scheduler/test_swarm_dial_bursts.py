"""No address sees ten dials of ours in ten seconds: whatever the outcome, whoever asks, whatever is forgotten."""

import itertools
import random

import pytest

from protocol.daemon_messages import (
    CANCELLED,
    DUPLICATE_PEER,
    HANDSHAKE_FAILED,
    LOCAL_BUSY,
    NO_ROUTE,
    REFUSED,
    TIMED_OUT,
    UNREACHABLE,
)
from scheduler.backoff import MAX_BURST_DIALS, DialBurst, busy_wait
from scheduler.swarm import NO_ROUTE_TEXT, Swarm
from scheduler.swarm_peer import FAILED, QUEUED
from scheduler.swarm_table import TOO_OFTEN_TEXT
from tests.scheduler.swarm_steps import TIMEOUT, address, come_in, dial, disconnect, fail, swarm_of

STEP_SECONDS = 0.05


def most_in_ten_seconds(moments: list[float]) -> int:
    return max((sum(start <= moment < start + 10 for moment in moments) for start in moments), default=0)


def dials_within(swarm: Swarm, seconds: float, after_dial, before_dial=lambda now: None) -> list[float]:
    """Dial whoever may be dialled as often as that is possible; return when address(1) was."""
    moments = []
    for step in range(round(seconds / STEP_SECONDS)):
        now = step * STEP_SECONDS
        before_dial(now)
        swarm.wake(now)
        if (peer := swarm.best_candidate()) is not None:
            if peer.address == address(1):
                moments.append(now)
            swarm.attempt_started(peer, now, TIMEOUT)
            after_dial(peer, now)
            swarm.check_invariants()
    return moments


@pytest.mark.parametrize(("outcome", "reason"), [
    (REFUSED, ""), (TIMED_OUT, ""), (UNREACHABLE, ""), (HANDSHAKE_FAILED, ""), (HANDSHAKE_FAILED, DUPLICATE_PEER),
    (LOCAL_BUSY, ""), (UNREACHABLE, NO_ROUTE), (CANCELLED, ""),
])
@pytest.mark.parametrize("named_again", [False, True], ids=["", "the user names it all the time"])
def test_no_outcome_leads_to_ten_dials_in_ten_seconds(outcome, reason, named_again):
    swarm = swarm_of(1)
    moments = dials_within(
        swarm, 60.0, lambda peer, now: swarm.attempt_failed(peer, outcome, reason, now),
        (lambda now: swarm.add("manual", [address(1)], now)) if named_again else (lambda now: None),
    )
    assert 1 <= most_in_ten_seconds(moments) <= 9


@pytest.mark.parametrize("blame", [True, False])
def test_no_end_of_a_connection_leads_to_ten_dials_in_ten_seconds(blame):
    swarm = swarm_of(1)

    def connect_and_part(peer, now):
        swarm.connected(peer, "", now)
        disconnect(swarm, peer, now, seconds=0.0, blame=blame)

    assert 1 <= most_in_ten_seconds(dials_within(swarm, 60.0, connect_and_part, lambda now: swarm.add("manual", [address(1)], now))) <= 9


def test_a_table_that_is_flooded_forgets_nobody_who_was_dialled_just_now():
    swarm = swarm_of(1, max_peers=2)
    fresh = itertools.count(2)

    def flood(now):
        swarm.add("pex", [address(1)], now)
        swarm.add("pex", [address(next(fresh))], now)

    moments = dials_within(swarm, 60.0, lambda peer, now: swarm.attempt_failed(peer, REFUSED, "", now), flood)
    assert 1 <= most_in_ten_seconds(moments) <= 9


def test_who_dials_us_all_the_time_and_names_his_port_is_not_dialled_more_often():
    swarm = swarm_of(1)
    ports = itertools.count(10_000)

    def come_in_and_leave(peer, now):
        swarm.attempt_failed(peer, CANCELLED, "", now)
        knocking = come_in(swarm, address(1, port=next(ports)), now)
        swarm.named(knocking, "", 6881)
        disconnect(swarm, knocking, now, seconds=0.0, blame=False)

    assert 1 <= most_in_ten_seconds(dials_within(swarm, 60.0, come_in_and_leave)) <= 9


def test_who_is_dialled_too_often_waits_for_the_end_of_the_burst_and_is_not_to_blame():
    swarm = swarm_of(1)
    for number in range(MAX_BURST_DIALS):
        peer = fail(swarm, float(number), CANCELLED)
    assert (peer.state, peer.reason, peer.next_try, peer.failures) == (FAILED, TOO_OFTEN_TEXT, 10.0, 0)
    assert swarm.wake(10.0) == 1 and peer.state == QUEUED


def test_a_burst_is_over_ten_seconds_after_its_first_dial():
    burst = DialBurst()
    for moment in (0.0, 5.0, 9.9):
        burst.dialled(moment)
    assert burst.free_at(9.9) == 9.9
    burst.dialled(9.9)
    assert burst.free_at(9.9) == 10.0
    burst.dialled(10.0)
    assert (burst.num_dials, burst.free_at(10.0)) == (1, 10.0)


def test_what_this_machine_cannot_do_is_no_failure_and_is_tried_less_and_less():
    swarm, now, waits = swarm_of(1), 0.0, []
    for _ in range(8):
        peer = fail(swarm, now, UNREACHABLE, NO_ROUTE)
        waits.append(peer.next_try - now)
        now = peer.next_try
    assert waits == [busy_wait(times) for times in range(1, 9)] == [2, 4, 8, 16, 32, 60, 60, 60]
    assert (peer.failures, peer.last_failure, peer.last_error) == (0, None, NO_ROUTE_TEXT)


def test_a_dial_that_left_this_machine_ends_the_count_of_those_that_did_not():
    swarm = swarm_of(1)
    for _ in range(3):
        fail(swarm, swarm.next_try() or 0.0, LOCAL_BUSY)
    fail(swarm, swarm.next_try(), TIMED_OUT)
    now = swarm.next_try()
    assert fail(swarm, now, LOCAL_BUSY).next_try - now == 2


def test_the_deadline_of_a_dial_moves_with_its_timeout():
    swarm = Swarm(random.Random(1))
    swarm.add("tracker", [address(1)], 0.0)
    peer = dial(swarm, 0.0)
    swarm.deadline_moved(peer, 3.0)
    assert peer.until == 3.0
    swarm.handshake_started(peer, 1.0, TIMEOUT)
    swarm.deadline_moved(peer, 2.0)
    assert peer.until == 11.0
