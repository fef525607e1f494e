"""What a record remembers of its attempts: phases, outcome, reason; and the news of what changed."""

from protocol.daemon_messages import CANCELLED, CONNECTED, HANDSHAKE_FAILED, REFUSED, TIMED_OUT
from scheduler.attempt_history import MAX_PAST_ATTEMPTS, NO_PHASES, PastAttempt, PhaseTimes
from scheduler.swarm_peer import FAILED, HANDSHAKING, QUEUED
from tests.scheduler.swarm_steps import TIMEOUT, address, come_in, connect, dial, disconnect, fail, swarm_of


def test_a_round_counts_its_wait_its_connect_and_its_handshake():
    swarm = swarm_of(1, now=100.0)
    peer = dial(swarm, 103.0)
    assert peer.phases == PhaseTimes(3.0, 0.0, 0.0)
    swarm.handshake_started(peer, 103.5, TIMEOUT)
    swarm.connected(peer, "", 105.5)
    assert (peer.phases, peer.history) == (PhaseTimes(3.0, 0.5, 2.0), ())


def test_an_attempt_that_failed_is_remembered_with_its_phases_its_outcome_and_its_reason():
    swarm = swarm_of(1)
    peer = dial(swarm, 3.0)
    swarm.attempt_failed(peer, REFUSED, "connection refused", 3.25)
    assert peer.history == (PastAttempt(1, 3.25, PhaseTimes(3.0, 0.25, 0.0), 0.0, REFUSED, "connection refused"),)
    assert peer.phases == PhaseTimes(3.0, 0.25, 0.0), "of the last round while it is failed"
    swarm.wake(10_000.0)
    assert (peer.state, peer.phases) == (QUEUED, NO_PHASES), "a new round"


def test_a_connection_is_remembered_when_it_is_closed_with_how_long_it_lasted():
    swarm = swarm_of(1)
    peer = connect(swarm, 2.0)
    disconnect(swarm, peer, 62.0, reason="end of file")
    attempt, = peer.history
    assert (attempt.number, attempt.connected, attempt.outcome, attempt.reason) == (1, 60.0, CONNECTED, "end of file")


def test_a_cancelled_attempt_is_remembered_and_begins_a_new_round():
    swarm = swarm_of(1)
    peer = fail(swarm, 4.0, CANCELLED, "stopped")
    assert (peer.state, peer.phases) == (QUEUED, NO_PHASES)
    assert [(attempt.outcome, attempt.reason) for attempt in peer.history] == [(CANCELLED, "stopped")]


def test_a_peer_that_dialled_us_has_attempt_number_0():
    swarm = swarm_of(1)
    fail(swarm, 0.0)
    peer = come_in(swarm, address(1), 5.0)
    disconnect(swarm, peer, 65.0)
    assert [attempt.number for attempt in peer.history] == [1, 0]
    knocking = swarm.incoming(address(1), 70.0, TIMEOUT)
    assert (knocking.state, knocking.phases) == (HANDSHAKING, NO_PHASES)
    swarm.disconnected(knocking, 71.0, "no handshake", seconds=1.0, downloaded=0, uploaded=0)
    assert (knocking.history[-1].outcome, knocking.history[-1].phases.handshaking) == (HANDSHAKE_FAILED, 1.0)


def test_the_history_is_bounded_and_the_oldest_is_forgotten():
    swarm = swarm_of(1)
    for number in range(MAX_PAST_ATTEMPTS + 3):
        fail(swarm, 10_000.0 * number, TIMED_OUT)
    peer, = swarm
    assert [attempt.number for attempt in peer.history] == [4, 5, 6, 7, 8]


def test_a_clock_that_steps_back_makes_no_phase_negative():
    swarm = swarm_of(1, now=100.0)
    peer = dial(swarm, 50.0)
    swarm.attempt_failed(peer, REFUSED, "", 40.0)
    assert peer.history[0].phases == PhaseTimes(0.0, 0.0, 0.0)


def test_news_are_what_changed_since_the_last_look():
    swarm = swarm_of(1, 2, 3)
    assert swarm.take_news() is None, "nobody had looked: all may be new"
    peer = dial(swarm, 1.0)
    changed, gone = swarm.take_news()
    assert (list(changed), list(gone)) == ([peer], [])
    assert swarm.take_news() == ({}, {})
    swarm.attempt_failed(peer, REFUSED, "", 2.0)
    swarm.ban(peer.address, "bad data", 3.0)
    changed, _ = swarm.take_news()
    assert (list(changed), peer.state) == ([peer], FAILED)


def test_news_name_the_address_that_a_record_had_before_it_told_its_port():
    swarm = swarm_of(7)
    swarm.take_news()
    knock = address(7, port=50_000)
    peer = come_in(swarm, knock)
    swarm.named(peer, "rqbit 9", 6881)                  # which is a record that we had
    changed, gone = swarm.take_news()
    assert (list(changed), list(gone)) == ([peer], [knock]) and peer.address == address(7)


def test_the_first_candidates_are_those_that_are_dialled_next():
    swarm = swarm_of(*range(1, 8))
    first = swarm.first_candidates(3)
    assert [dial(swarm, 1.0) for _ in range(3)] == first
    assert len(swarm.first_candidates(100)) == 4
