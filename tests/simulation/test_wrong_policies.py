"""The scenarios and the invariants can fail: each wrong policy is caught, by an invariant and, with those switched off, by a scenario."""

import pytest

from scheduler import torrent_turns
from tests.simulation import test_clock, test_fairness, test_faults, test_limits, test_router, test_stopping
from tests.simulation.simulation import Simulation
from tests.simulation.violations import InvariantViolated
from tests.simulation.wrong_policies import queues, torrents

# The wrong policy, a scenario that it fails, the kind of invariant that is violated in it
WRONG = [
    (queues.IndexIntoAChangingDict, test_fairness.test_three_torrents_with_many_trackers_share_evenly, "turns"),
    (queues.CountThatAccumulates, test_fairness.test_a_torrent_that_states_its_level_again_and_again_is_owed_no_more_for_it, "level"),
    (queues.TokenSpentOnAnEmptyQueue, test_limits.test_a_queue_that_was_empty_between_two_bursts_lost_no_token, "idle"),
    (queues.OneGrantPerTick, test_limits.test_a_higher_half_open_limit_is_used_at_once, "idle"),
    (queues.NoHalfOpenLimit, test_limits.test_half_open_dials_reach_their_limit_and_stay_there, "half_open"),
    (queues.NoRouterMemory, test_router.test_when_the_budget_is_used_up_the_dials_go_on_as_the_router_forgets, "unanswered"),
    (queues.EntryDroppedOnCannotNow, test_stopping.test_a_torrent_that_declines_for_now_is_asked_again_when_it_said, "level"),
    (queues.NoLease, test_stopping.test_a_torrent_that_is_stuck_between_grant_and_dial_keeps_its_slots_for_the_lease_only, "idle"),
    (queues.TimeFromAWallClock, test_clock.test_a_clock_that_steps_back_an_hour_does_not_stop_the_dials, "idle"),
    (torrents.LocalBusyIsThePeersFault, test_faults.test_a_machine_whose_table_of_flows_is_full_blames_no_peer, "blame"),
    (torrents.StopThatLeavesDials, test_stopping.test_a_torrent_that_completes_ends_its_dials_and_keeps_its_connections, "stop"),
]


def put_in(monkeypatch, policy):
    if policy is queues.IndexIntoAChangingDict:
        monkeypatch.setattr(torrent_turns, "RoundRobinRing", policy)
    elif policy.__module__ == torrents.__name__:
        monkeypatch.setattr(Simulation, "torrent_class", policy)
    else:
        monkeypatch.setattr(Simulation, "broker_class", queues.broker_with(policy))


@pytest.mark.parametrize(("policy", "scenario", "kind"), WRONG, ids=[policy.__name__ for policy, _, _ in WRONG])
def test_a_wrong_policy_violates_an_invariant(monkeypatch, policy, scenario, kind):
    put_in(monkeypatch, policy)
    with pytest.raises(InvariantViolated) as caught:
        scenario()
    assert caught.value.kind == kind


@pytest.mark.parametrize(("policy", "scenario"), [case[:2] for case in WRONG], ids=[policy.__name__ for policy, _, _ in WRONG])
def test_a_wrong_policy_fails_a_scenario_without_any_invariant(monkeypatch, policy, scenario):
    put_in(monkeypatch, policy)
    monkeypatch.setattr(Simulation, "checks_invariants", False)
    with pytest.raises(AssertionError) as caught:
        scenario()
    assert not isinstance(caught.value, InvariantViolated)


def test_the_right_policies_pass_the_same_scenarios_without_invariants(monkeypatch):
    monkeypatch.setattr(Simulation, "checks_invariants", False)
    for _, scenario, _ in WRONG:
        scenario()
