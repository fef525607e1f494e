"""How fast to dial: halved by signs of overload, a step a second back up; and what counts as a sign."""

import math

import pytest

from protocol import daemon_messages as dm
from scheduler.dial_rate_control import CAREFUL_START, DialPace, DialRateControl
from scheduler.settings import PROFILES
from scheduler.way_out_health import WayOutHealth

MOST = DialPace(10.0, 20, 30)
AUTO = DialPace(50.0, 100, 200)


def busy(control: DialRateControl, now: float) -> bool:
    return control.attempt_ended(dm.LOCAL_BUSY, None, None, now)


def answer(control: DialRateControl, now: float, seconds: float = 0.1, before: float | None = None) -> bool:
    return control.attempt_ended(dm.CONNECTED, seconds, before, now)


# ── additive increase, multiplicative decrease ───────────────────────────────────────────────────────────────────────────


def test_without_a_sign_the_pace_is_what_is_allowed():
    control = DialRateControl(MOST, is_careful=False, now=0.0)
    assert control.pace == MOST and not control.advance(1_000.0) and control.next_rise() == math.inf


def test_local_overload_halves_rate_burst_and_half_open():
    control = DialRateControl(MOST, is_careful=False, now=0.0)
    assert busy(control, 1.0) and control.pace == DialPace(5.0, 10, 15)


def test_many_dials_that_end_by_the_same_overload_are_one_sign():
    control = DialRateControl(MOST, is_careful=False, now=0.0)
    assert [busy(control, 1.0 + 0.01 * number) for number in range(30)] == [True] + [False] * 29
    assert busy(control, 2.1) and control.pace.rate == 2.5


def test_overload_for_ever_leaves_a_sixteenth():
    control = DialRateControl(MOST, is_careful=False, now=0.0)
    for second in range(100):
        busy(control, float(2 * second))
    assert control.pace == DialPace(10 / 16, 2, 2)


def test_the_pace_grows_by_a_tenth_a_second_until_it_is_what_is_allowed():
    control = DialRateControl(MOST, is_careful=False, now=0.0)
    busy(control, 0.0)
    assert control.next_rise() == 1.0 and not control.advance(0.9)
    rates = []
    for second in range(1, 7):
        control.advance(float(second))
        rates.append((control.pace.rate, control.pace.half_open))
    assert rates == [(6, 18), (7, 21), (8, 24), (9, 27), (10, 30), (10, 30)]
    assert control.next_rise() == math.inf


def test_after_a_rest_it_has_grown_meanwhile():
    control = DialRateControl(MOST, is_careful=False, now=0.0)
    busy(control, 0.0)
    control.advance(3_600.0)
    assert control.pace == MOST


@pytest.mark.parametrize("outcome", [outcome for outcome in dm.OUTCOMES if outcome != dm.LOCAL_BUSY])
def test_what_peers_do_is_no_local_overload(outcome):
    control = DialRateControl(MOST, is_careful=False, now=0.0)
    for number in range(100):
        control.attempt_ended(outcome, None, 0.1, float(number))
    assert control.pace == MOST


def test_a_rate_without_limit_stays_one_and_the_half_open_limit_is_halved():
    control = DialRateControl(DialPace(math.inf, 20, 30), is_careful=False, now=0.0)
    busy(control, 1.0)
    assert control.pace == DialPace(math.inf, 20, 15)


def test_other_limits_hold_at_once_and_one_that_was_slowed_stays_the_same_part_of_them():
    control = DialRateControl(MOST, is_careful=False, now=0.0)
    control.set_most(DialPace(40.0, 80, 100))
    assert control.pace == DialPace(40.0, 80, 100)
    busy(control, 1.0)
    control.set_most(MOST)
    assert control.pace == DialPace(5.0, 10, 15)


# ── auto ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_auto_begins_as_conservative_and_may_rise_to_50_a_second_and_200_half_open():
    profile, first = PROFILES["auto"], PROFILES["conservative"]
    assert (profile.rate_per_second, profile.half_open_limit, profile.unanswered_limit) == (50.0, 200, 300)
    control = DialRateControl(AUTO, is_careful=True, now=0.0)
    assert control.pace == CAREFUL_START == DialPace(first.rate_per_second, first.burst, first.half_open_limit)


def test_auto_rises_step_by_step_while_peers_answer_as_before():
    control = DialRateControl(AUTO, is_careful=True, now=0.0)
    for second in range(1, 10):
        for _ in range(4):
            answer(control, second - 0.5)
        assert control.advance(float(second)) or control.pace == AUTO
    assert control.pace == AUTO


def test_auto_does_not_rise_on_no_evidence():
    control = DialRateControl(AUTO, is_careful=True, now=0.0)
    for second in range(1, 100):
        control.attempt_ended(dm.TIMED_OUT, None, None, second - 0.5)
        assert not control.advance(float(second))
    assert control.pace == CAREFUL_START and control.num_slowdowns == 0


def test_auto_halves_both_when_peers_that_answered_before_do_not():
    control = DialRateControl(AUTO, is_careful=True, now=0.0)
    signs = [control.attempt_ended(dm.TIMED_OUT, None, 0.1, 1.0 + number) for number in range(3)]
    assert signs == [False, False, True]
    assert control.pace == DialPace(5.0, 10, 15)
    assert "3 of the last 3 peers that answered before" in control.last_slowdown.reason


def test_auto_halves_both_on_local_overload_too():
    control = DialRateControl(AUTO, is_careful=True, now=0.0)
    assert busy(control, 1.0) and control.pace.half_open == 15


def test_after_a_remote_sign_five_seconds_pass_before_another_or_a_rise():
    control = DialRateControl(AUTO, is_careful=True, now=0.0)
    for _ in range(3):
        control.attempt_ended(dm.TIMED_OUT, None, 0.1, 1.0)
    for number in range(20):
        assert not control.attempt_ended(dm.TIMED_OUT, None, 0.1, 1.0 + number / 5)
    assert control.attempt_ended(dm.TIMED_OUT, None, 0.1, 6.1)


# ── the signs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def signs_of(*attempts: tuple[str, float | None, float | None]) -> list[str]:
    health = WayOutHealth()
    return [sign for attempt in attempts if (sign := health.attempt_ended(*attempt))]


def test_two_peers_of_eight_may_have_left():
    here, gone = (dm.CONNECTED, 0.1, 0.1), (dm.TIMED_OUT, None, 0.1)
    assert signs_of(here, gone, here, here, gone, here, here, here, here, gone, here, here, here, gone) == []
    assert len(signs_of(here, gone, here, gone, gone)) == 1


def test_answers_that_come_much_later_than_before_are_a_sign_and_a_little_later_is_chance():
    assert signs_of(*[(dm.CONNECTED, 0.2, 0.1)] * 7) == []
    assert signs_of(*[(dm.CONNECTED, 0.9, 0.1)] * 3) != []


def test_a_refusal_is_an_answer():
    assert signs_of(*[(dm.REFUSED, 0.1, 0.1)] * 30) == []


def test_answers_of_all_peers_that_become_much_slower_are_a_sign():
    assert signs_of(*[(dm.CONNECTED, 0.1, None)] * 16) == []
    assert "at best it was 0.10 s" in signs_of(*[(dm.CONNECTED, 0.1, None)] * 16, *[(dm.CONNECTED, 1.0, None)] * 12)[0]


@pytest.mark.parametrize("worse", [
    [(dm.CONNECTED, 0.25, None)] * 12,                  # a bit slower than the best
    [(dm.TIMED_OUT, None, None)] * 32,                  # only dead ones answer no more
])
def test_what_is_not_flat_is_no_sign_and_no_evidence(worse):
    health = WayOutHealth()
    for _ in range(32):
        health.attempt_ended(dm.CONNECTED, 0.1, None)
    assert health.take_evidence()
    assert not any(health.attempt_ended(*attempt) for attempt in worse)
    assert not health.has_evidence()


@pytest.mark.parametrize("outcome", [dm.CANCELLED, dm.UNREACHABLE])
def test_what_nobody_was_asked_tells_nothing(outcome):
    assert signs_of(*[(outcome, None, 0.1)] * 30) == []
