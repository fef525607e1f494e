"""Asking, granting, using, giving back, ending."""

import pytest

from protocol import daemon_messages as dm
from scheduler.settings import settings_from
from tests.scheduler.queue_steps import QueueSteps, grants_by_name


def pending(steps, name):
    return steps.queue.torrents[steps.hash_of(name)].pending


# ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_asking_20_twelve_times_leaves_20_pending():
    steps = QueueSteps("a")
    steps.queue.pause("the network is down")
    for _ in range(12):
        steps.ask("a", 20)
    assert pending(steps, "a") == 20


def test_a_request_replaces_the_one_before():
    steps = QueueSteps("a")
    steps.ask("a", 20)
    steps.ask("a", 3)
    assert grants_by_name(steps.take(60.0)) == {"a": 3}


def test_a_request_contains_the_grants_that_the_torrent_had_not_seen_when_it_asked():
    steps = QueueSteps("a")
    steps.ask("a", 5)
    steps.take()                                        # they lie in its inbox
    steps.ask("a", 5)
    assert pending(steps, "a") == 0


def test_whoever_is_not_registered_gets_nothing():
    steps = QueueSteps()
    steps.ask("a", 5)
    assert steps.take(10.0) == [] and not steps.has_timer
    assert steps.cancel("a") == 0 and steps.gone("a") is None and steps.incoming("a") is None


def test_no_candidates_no_requests_no_timer():
    steps = QueueSteps("a", "b")
    steps.drain()
    assert not steps.has_timer and steps.queue.next_drain(steps.now + 1e6) is None


def test_what_is_granted_at_once_shares_the_burst_among_all_who_asked_within_a_drain_interval():
    steps = QueueSteps("a", "b", "c", "d")
    for name in "abcd":
        steps.ask(name, 50)
        steps.pass_time(0.02)
    assert grants_by_name(steps.take(0.05)) == {"a": 5, "b": 5, "c": 5, "d": 5}


def test_every_grant_that_tokens_and_limits_allow_goes_out_in_one_drain():
    steps = QueueSteps("a")
    steps.ask("a", 50)
    assert len({slot.when for slot in steps.take(0.1)}) == 1 and steps.queue.ledger.granted == 20


def test_a_torrent_alone_gets_every_slot():
    steps = QueueSteps("a", connection_rate=0)
    steps.ask("a", 50)
    assert len(steps.take()) == 30


def test_a_grant_says_how_long_it_was_waited_for():
    steps = QueueSteps("a", connection_rate=1, connection_burst=1)
    steps.ask("a", 3)
    assert [slot.waited for slot in steps.dial(5.0)] == pytest.approx([0.1, 1.0, 1.0])


def test_a_lease_ends_after_lease_seconds_of_the_callers_clock():
    steps = QueueSteps("a", lease_seconds=7.0)
    steps.queue.request(steps.hash_of("a"), 1, steps.now)
    assert [slot.deadline for slot in steps.queue.drain(steps.now + 0.1)] == [pytest.approx(steps.now + 7.1)]


# ── cancelling ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_after_a_cancel_no_grant_until_it_asks_again():
    steps = QueueSteps("a", connection_rate=1, connection_burst=1)
    steps.ask("a", 10)
    steps.dial(0.5)
    assert steps.cancel("a") == 9
    assert steps.take(60.0) == [] and not steps.has_timer
    steps.ask("a", 1)
    assert len(steps.take(60.0)) == 1


def test_a_cancel_leaves_the_others_where_they_are():
    steps = QueueSteps("a", "b", "c", connection_rate=1, connection_burst=1)
    for name in "abc":
        steps.ask(name, 10)
    assert [slot.name for slot in steps.dial(2.5)] == ["a", "b", "c"]
    steps.cancel("b")
    assert [slot.name for slot in steps.dial(3.0)] == ["a", "c", "a"]


def test_a_lease_that_was_out_when_the_torrent_cancelled_is_counted_until_it_is_answered():
    steps = QueueSteps("a", "b", half_open_limit=1)
    steps.ask("a", 1)
    (lease,) = steps.take()
    steps.cancel("a")
    steps.ask("b", 1)
    assert steps.take(1.0) == []                        # the slot is not free: a dial may have begun
    steps.decline(lease)
    assert len(steps.given) == 1


def test_a_dial_that_begins_after_the_cancel_is_counted_until_it_ends():
    steps = QueueSteps("a", "b", half_open_limit=1)
    steps.ask("a", 1)
    (lease,) = steps.take()
    steps.cancel("a")
    steps.start(lease)
    steps.ask("b", 1)
    assert steps.take(60.0) == []
    steps.end(lease, dm.CANCELLED)
    assert grants_by_name(steps.take()) == {"b": 1}
    assert steps.queue.ledger.failed == {} and steps.queue.ledger.cancelled == 1


# ── giving back ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_declined_grant_gives_token_and_slot_back():
    steps = QueueSteps("a", "b", connection_rate=1, connection_burst=1, half_open_limit=1)
    steps.ask("a", 1)
    (lease,) = steps.take()
    steps.ask("b", 1)
    steps.decline(lease)
    assert grants_by_name(steps.take()) == {"b": 1}


def test_who_declines_keeps_its_place_in_the_ring():
    steps = QueueSteps("a", "b", "c", connection_rate=1, connection_burst=1)
    for name in "abc":
        steps.ask(name, 10)
    (lease,) = steps.take()
    assert lease.name == "a"
    steps.dials_at_once = True
    steps.decline(lease, retry_after=0.5)               # its token goes to b at once
    assert [slot.name for slot in steps.dial(1.5)] == ["b", "a"]
    assert [slot.name for slot in steps.dial(3.0)] == ["c", "b", "a"]


def test_who_declines_is_not_asked_again_before_the_time_that_it_said():
    steps = QueueSteps("a")
    steps.ask("a", 5)
    for lease in steps.take():
        steps.decline(lease, retry_after=30.0)
    assert steps.take(29.8) == []
    assert len(steps.take(0.4)) == 5


def test_who_declines_with_a_time_still_wants_what_it_asked_for():
    steps = QueueSteps("a", connection_burst=1)
    steps.ask("a", 3)
    (lease,) = steps.take(0.1)
    steps.decline(lease, retry_after=1.0)
    assert pending(steps, "a") == 3


def test_who_declines_without_a_time_will_ask_by_itself():
    steps = QueueSteps("a")
    steps.ask("a", 1)
    (lease,) = steps.take()
    steps.decline(lease, retry_after=None)
    assert steps.take(3_600.0) == [] and not steps.has_timer
    steps.ask("a", 1)
    assert len(steps.take()) == 1


def test_who_asks_again_knows_better_than_the_time_that_it_said():
    steps = QueueSteps("a")
    steps.ask("a", 1)
    (lease,) = steps.take()
    steps.decline(lease, retry_after=600.0)
    steps.pass_time(5.0)
    steps.ask("a", 1)
    assert len(steps.take()) == 1


def test_who_asks_and_declines_all_the_time_is_granted_once_a_drain_interval_at_most():
    steps = QueueSteps("a", connection_rate=0)
    for _ in range(1_000):                              # in one second
        steps.ask("a", 1)
        for lease in steps.take(0.001):
            steps.decline(lease)
    assert steps.queue.ledger.granted <= 11


@pytest.mark.parametrize("retry_after", [None, 0.0])
def test_those_who_decline_all_the_time_keep_nobody_from_dialling(retry_after):
    decliners = [f"decliner{number}" for number in range(50)]
    steps = QueueSteps("honest", *decliners, connection_rate=10, connection_burst=1)
    for name in ("honest", *decliners):
        steps.ask(name, 50)
    dials = 0
    for _ in range(1_000):
        for slot in steps.take(0.01):
            if slot.name == "honest":
                dials += 1
                steps.start(slot)
                steps.end(slot, dm.HANDSHAKE_FAILED)
                steps.ask("honest", 50)
            else:
                steps.decline(slot, retry_after)
                steps.ask(slot.name, 50)
    assert dials >= 50                                  # of the 100 that the rate allows in 10 s


def test_several_leases_declined_at_once_are_one_decline():
    steps = QueueSteps("a", "b", connection_rate=1, connection_burst=3)
    steps.ask("a", 3)
    for lease in steps.take():
        steps.decline(lease, retry_after=0.1)
    steps.ask("b", 9)
    assert steps.take(0.5)[0].name == "a"


# ── leases ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_lease_that_nobody_uses_comes_back_after_its_deadline():
    steps = QueueSteps("stuck", "b", half_open_limit=1, lease_seconds=10.0)
    steps.ask("stuck", 1)
    steps.take()
    steps.ask("b", 1)
    assert steps.take(9.8) == []
    assert grants_by_name(steps.take(0.3)) == {"b": 1}


def test_a_torrent_whose_lease_expired_must_ask_again():
    steps = QueueSteps("stuck", "b", half_open_limit=2, lease_seconds=1.0)
    steps.ask("stuck", 50)
    steps.ask("b", 50)
    granted = grants_by_name(steps.take(30.0))
    assert granted["stuck"] == 1                        # its pending requests went with the lease
    assert pending(steps, "stuck") == 0


def test_nothing_is_expired_that_was_answered_in_time_but_not_yet_handled():
    steps = QueueSteps("a", lease_seconds=10.0)
    steps.ask("a", 1)
    (lease,) = steps.take()
    steps.now += 30.0                                   # the inbox is full; the timer was due at 10 s
    assert steps.queue.expire_leases(steps.now, told_until=lease.when + 9.9) == []
    steps.start(lease)
    assert steps.queue.ledger.count.half_open == 1


def test_a_dial_that_begins_after_its_lease_expired_is_counted_over_the_limit_if_need_be():
    steps = QueueSteps("a", "b", half_open_limit=1, lease_seconds=1.0)
    steps.ask("a", 1)
    (late,) = steps.take()
    steps.ask("b", 5)
    (dial,) = steps.dial(1.5)
    steps.start(late)
    assert steps.queue.ledger.count.half_open == 2
    steps.end(dial)
    assert steps.take(60.0) == []                       # one slot, and the late dial has it
    steps.end(late)
    assert len(steps.take()) == 1


# ── what is told twice, too late, or of nothing ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("outcome", dm.OUTCOMES)
def test_an_attempt_that_ends_twice_ends_once(outcome):
    steps = QueueSteps("a")
    steps.ask("a", 1)
    (slot,) = steps.take()
    steps.start(slot)
    for _ in range(3):
        steps.end(slot, outcome)
    ledger = steps.queue.ledger
    assert ledger.connected_ever + ledger.failed.total() + ledger.cancelled == 1


def test_a_connection_that_closes_twice_closes_once():
    steps = QueueSteps("a")
    steps.ask("a", 2)
    first, second = steps.take()
    steps.connect(first)
    steps.connect(second)
    for _ in range(3):
        steps.close(first)
    assert steps.queue.ledger.count.connected == 1


def test_a_decline_after_the_dial_began_does_not_end_the_dial():
    steps = QueueSteps("a")
    steps.ask("a", 1)
    (slot,) = steps.take()
    steps.start(slot)
    steps.decline(slot)
    assert steps.queue.ledger.count.half_open == 1 and steps.queue.ledger.declined == {}


def test_a_dial_that_closes_without_an_outcome_is_cancelled():
    steps = QueueSteps("a")
    steps.ask("a", 1)
    (slot,) = steps.take()
    steps.start(slot)
    steps.close(slot)
    assert (steps.queue.ledger.count.total, steps.queue.ledger.cancelled) == (0, 1)


def test_an_attempt_that_ends_before_it_was_said_to_begin_has_begun():
    steps = QueueSteps("a")
    steps.ask("a", 1)
    (slot,) = steps.take()
    steps.end(slot, dm.CONNECTED)
    assert (steps.queue.ledger.count.leased, steps.queue.ledger.count.connected) == (0, 1)
    assert steps.queue.tokens(steps.now) == 19


# ── the end of a torrent ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_torrent_that_is_gone_frees_all_that_it_held():
    steps = QueueSteps("a", "b", half_open_limit=3, global_connection_limit=4, incoming_reserve=0)
    steps.ask("a", 4)
    slots = steps.take()
    steps.connect(slots[0])
    slots += steps.take()
    steps.start(slots[1])
    steps.ask("b", 4)
    assert steps.take(1.0) == []
    assert tuple(steps.gone("a")) == (2, 1, 1)
    assert grants_by_name(steps.take()) == {"b": 3}
    for slot in slots:                                  # what it says after its end changes nothing
        steps.start(slot)
        steps.end(slot, dm.CONNECTED)
        steps.close(slot)
    assert steps.queue.ledger.count.total == 3


def test_a_torrent_that_comes_again_begins_anew():
    steps = QueueSteps("a")
    steps.ask("a", 50)
    steps.gone("a")
    steps.register("a")
    assert steps.take(60.0) == []
    steps.ask("a", 1)
    assert len(steps.take()) == 1


def test_registering_again_changes_the_weight_and_nothing_else():
    steps = QueueSteps("a", "b", connection_rate=0, half_open_limit=40)
    steps.ask("a", 30)
    steps.ask("b", 30)
    steps.register("a", weight=3.0)
    assert "".join(slot.name for slot in steps.take())[:8] == "aaabaaab"


# ── clocks ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("step", [-3_600.0, -1e6, 3_600.0, 1e6])
def test_a_clock_step_neither_freezes_nor_floods(step):
    steps = QueueSteps("a", connection_burst=5)
    steps.dials_at_once = True
    steps.ask("a", 50)
    for slot in steps.take(1.0):
        steps.end(slot, dm.HANDSHAKE_FAILED)
    steps.now += step
    steps._due = steps.now + 0.1                        # the timer counts seconds, not the clock
    assert 18 <= len(steps.dial(2.0)) <= 5 + 20


def test_settings_give_the_numbers():
    steps = QueueSteps("a", profile="weak-router")
    limits, expected = steps.queue.rules.limits, settings_from({"profile": "weak-router"})
    assert (limits.half_open, limits.unanswered) == (expected.half_open_limit, expected.unanswered_limit) == (15, 150)
    assert (steps.queue.rules.bucket.rate, steps.queue.rules.bucket.burst) == (5, 10)
