"""How many announces may begin and be under way, all torrents together."""

from hypothesis import given
from hypothesis import strategies as st

from scheduler.flow_budget import FlowBudget
from scheduler.settings import FlowLimits

ANNOUNCES_PER_SECOND, ANNOUNCE_BURST, MOST_ANNOUNCES = 20.0, 50, 30


def budget_of(rate: float = ANNOUNCES_PER_SECOND, burst: int = ANNOUNCE_BURST, most_under_way: int = MOST_ANNOUNCES) -> FlowBudget:
    return FlowBudget(FlowLimits(rate, burst, most_under_way))


def test_a_single_announce_has_its_turn_at_once():
    budget = budget_of()
    budget.ask("a")
    assert budget.next_turns(1_000.0) == ["a"]
    assert budget.seconds_until_turn(1_000.0) is None


def test_no_more_than_the_limit_are_under_way_and_one_that_leaves_lets_the_next_in():
    budget = budget_of()
    for asker in range(100):
        budget.ask(asker)
    assert budget.next_turns(0.0) == list(range(MOST_ANNOUNCES))
    assert budget.seconds_until_turn(0.0) is None, "time alone changes nothing"
    budget.leave(7)
    assert budget.next_turns(0.0) == [MOST_ANNOUNCES]
    assert (budget.num_under_way, budget.num_waiting) == (MOST_ANNOUNCES, 100 - MOST_ANNOUNCES - 1)


def test_after_the_burst_turns_come_at_the_rate():
    budget = budget_of(rate=20.0, burst=50, most_under_way=1_000)
    for asker in range(100):
        budget.ask(asker)
    assert len(budget.next_turns(0.0)) == 50
    assert budget.seconds_until_turn(0.0) == 0.05
    assert len(budget.next_turns(1.0)) == 20


def test_a_thousand_torrents_that_start_together_have_all_announced_in_fifty_seconds():
    budget, now, turns = budget_of(), 0.0, 0
    for asker in range(1_000):
        budget.ask(asker)
    while budget.num_waiting:
        for asker in budget.next_turns(now):
            turns += 1
            budget.leave(asker)
        now += 0.05
    assert turns == 1_000
    assert now <= (1_000 - ANNOUNCE_BURST) / ANNOUNCES_PER_SECOND + 0.1


def test_asking_again_neither_loses_nor_gains_a_place():
    budget = budget_of(most_under_way=1)
    for asker in "abca":
        budget.ask(asker)
    assert budget.next_turns(0.0) == ["a"]
    budget.ask("a")
    budget.leave("a")
    assert budget.next_turns(0.0) == ["b"]
    assert budget.num_waiting == 1


def test_who_leaves_the_queue_has_no_turn_and_costs_no_token():
    budget = budget_of(burst=1, rate=1.0)
    budget.ask("a")
    budget.ask("b")
    budget.leave("a")
    budget.leave("a")
    assert budget.next_turns(0.0) == ["b"]


STEPS = st.lists(st.tuples(st.sampled_from(["ask", "leave", "wait"]), st.integers(0, 15), st.floats(0, 3)), max_size=200)


@given(STEPS, st.integers(1, 5), st.integers(1, 4), st.sampled_from([0.5, 1.0, 20.0]))
def test_rate_burst_number_and_order_hold_whatever_happens(steps, most, burst, rate):
    budget = budget_of(rate, burst, most)
    now, began, waiting, under_way = 0.0, [], [], set()
    for step, asker, seconds in steps:
        if step == "ask":
            budget.ask(asker)
            if asker not in waiting and asker not in under_way:
                waiting.append(asker)
        elif step == "leave":
            budget.leave(asker)
            waiting = [other for other in waiting if other != asker]
            under_way.discard(asker)
        else:
            now += seconds
        turns = budget.next_turns(now)
        assert turns == waiting[:len(turns)], "first come, first served"
        waiting = waiting[len(turns):]
        under_way |= set(turns)
        began += [now] * len(turns)
        assert len(under_way) <= most
        assert (budget.num_waiting, budget.num_under_way) == (len(waiting), len(under_way))
        for first in range(len(began)):
            assert len(began) - first <= burst + rate * (now - began[first]) + 1e-6
        delay = budget.seconds_until_turn(now)
        if waiting and len(under_way) < most:
            assert delay > 0, "nobody waits beside a free place and a token"
        else:
            assert delay is None


def test_other_limits_hold_at_once_and_what_is_over_them_runs_out():
    budget = budget_of(rate=1.0, burst=10, most_under_way=10)
    for asker in range(30):
        budget.ask(asker)
    assert len(budget.next_turns(0.0)) == 10
    budget.set_limits(FlowLimits(100.0, 5, 3), 0.0)
    assert budget.next_turns(10.0) == [] and budget.num_under_way == 10
    for asker in range(8):
        budget.leave(asker)
    assert budget.next_turns(10.0) == [10] and budget.num_begun == 11
