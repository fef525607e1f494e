"""Idle connections make room: for a torrent that downloads, one for each place that is taken, the longest idle first."""

from dataclasses import replace

import pytest

from tests.scheduler.queue_steps import QueueSteps

LIMITS = {"connection_rate": 0, "half_open_limit": 100, "unanswered_limit": 10_000, "incoming_reserve": 0.0}


def full_queue(*, limit: int = 4, **settings) -> QueueSteps:
    """Every place is taken by connections of seed_a and seed_b, and `new` waits."""
    steps = QueueSteps("seed_a", "seed_b", "new", **LIMITS | {"global_connection_limit": limit, **settings})
    steps.ask("seed_a", limit // 2)
    for slot in steps.take():
        steps.connect(slot)
    steps.ask("seed_b", limit)
    for slot in steps.take():
        steps.connect(slot)
    steps.ask("new", 5)
    assert steps.binding("new") == "global"
    return steps


def grant_of(steps: QueueSteps, name: str) -> int:
    return next(iter(steps.queue.torrents[steps.hash_of(name)].account.grants))


def test_the_longest_idle_connection_of_all_torrents_goes():
    steps = full_queue()
    a, b = grant_of(steps, "seed_a"), grant_of(steps, "seed_b")
    steps.offer_idle("seed_a", a, idle_seconds=300.0)
    steps.offer_idle("seed_b", b, idle_seconds=900.0)
    assert steps.idle_to_close() == b


def test_a_second_one_goes_only_when_the_place_of_the_first_has_been_used():
    steps = full_queue()
    a, b = grant_of(steps, "seed_a"), grant_of(steps, "seed_b")
    steps.offer_idle("seed_a", a, 300.0)
    steps.offer_idle("seed_b", b, 900.0)
    assert steps.idle_to_close() == b
    assert steps.idle_to_close() is None                # its answer is awaited
    steps.queue.connection_closed(b, steps.now)
    assert steps.idle_to_close() is None                # there is a place now
    steps.drain()
    assert [slot.name for slot in steps.given] == ["new"]
    assert steps.idle_to_close() == a


@pytest.mark.parametrize(("offer", "next_one"), [(None, "a"), (1, "b's other")])
def test_a_torrent_may_keep_the_connection_that_was_asked_for(offer, next_one):
    steps = full_queue()
    a, b = grant_of(steps, "seed_a"), grant_of(steps, "seed_b")
    steps.offer_idle("seed_a", a, 300.0)
    steps.offer_idle("seed_b", b, 900.0)
    steps.idle_to_close()
    steps.offer_idle("seed_b", offer and b + offer, 900.0)
    assert steps.idle_to_close() == {"a": a, "b's other": b + 1}[next_one]


def test_a_torrent_that_does_not_answer_keeps_the_others_waiting_for_two_seconds_only():
    steps = full_queue()
    steps.offer_idle("seed_a", grant_of(steps, "seed_a"), 300.0)
    steps.offer_idle("seed_b", grant_of(steps, "seed_b"), 900.0)
    steps.idle_to_close()
    steps.pass_time(1.9)
    assert steps.idle_to_close() is None
    steps.pass_time(0.2)
    assert steps.idle_to_close() == grant_of(steps, "seed_a")


def test_nothing_is_closed_while_there_is_a_place():
    steps = full_queue()
    steps.offer_idle("seed_a", grant_of(steps, "seed_a"), 300.0)
    steps.queue.set_limits(steps.now, global_connections=10)
    assert steps.idle_to_close() is None


def test_nothing_is_closed_where_one_place_would_not_help():
    steps = full_queue()
    steps.offer_idle("seed_a", grant_of(steps, "seed_a"), 300.0)
    steps.queue.set_limits(steps.now, global_connections=2)        # two too many: they run out by themselves
    assert steps.idle_to_close() is None


@pytest.mark.parametrize("obstacle", ["paused", "half-open", "rate"])
def test_nothing_is_closed_while_another_rule_says_no_as_well(obstacle):
    steps = full_queue()
    steps.offer_idle("seed_a", grant_of(steps, "seed_a"), 300.0)
    if obstacle == "paused":
        steps.queue.pause("the network is down")
    elif obstacle == "rate":
        steps.queue.set_rate(0.01, 1, steps.now)
        steps.queue.rules.bucket.spend(0.0, reserved=False)
    else:
        steps.queue.rules.limits = replace(steps.queue.rules.limits, half_open=0)
    assert steps.idle_to_close() is None


def test_nothing_is_closed_for_torrents_that_are_finished():
    steps = full_queue()
    steps.offer_idle("seed_a", grant_of(steps, "seed_a"), 300.0)
    steps.ask("new", 5, is_finished=True)
    steps.cancel("seed_b")
    assert steps.binding("new") == "global" and steps.idle_to_close() is None


def test_nothing_is_closed_while_nobody_waits():
    steps = full_queue()
    steps.offer_idle("seed_a", grant_of(steps, "seed_a"), 300.0)
    steps.cancel("new")
    steps.cancel("seed_b")
    assert steps.idle_to_close() is None


def test_an_incoming_connection_of_those_that_places_are_kept_for_makes_no_room_for_a_dial():
    steps = QueueSteps("seed", "new", **LIMITS | {"global_connection_limit": 10, "incoming_reserve": 0.2})
    steps.ask("seed", 8)
    for slot in steps.take():
        steps.connect(slot)
    incoming = steps.incoming("seed")
    steps.ask("new", 1)
    steps.offer_idle("seed", incoming.grant_id, 900.0)
    assert steps.binding("new") == "global" and steps.idle_to_close() is None
    steps.offer_idle("seed", grant_of(steps, "seed"), 300.0)
    assert steps.idle_to_close() is not None


def test_an_incoming_connection_beyond_those_makes_room():
    steps = QueueSteps("seed", "new", **LIMITS | {"global_connection_limit": 10, "incoming_reserve": 0.2})
    incoming = [steps.incoming("seed") for _ in range(10)]
    steps.ask("new", 1)
    steps.pass_time(0.2)
    steps.offer_idle("seed", incoming[3].grant_id, 900.0)
    assert steps.idle_to_close() == incoming[3].grant_id
    steps.close(type("Closed", (), {"grant_id": incoming[3].grant_id}))
    assert [slot.name for slot in steps.given] == ["new"]


@pytest.mark.parametrize("said_of", ["another torrent's", "a lease", "unknown"])
def test_an_offer_of_what_is_no_connection_of_the_torrent_is_none(said_of):
    steps = full_queue()
    if said_of == "a lease":
        steps.queue.set_limits(steps.now, global_connections=5)
        steps.drain()
        grant_id = grant_of(steps, "new")
        steps.offer_idle("new", grant_id, 900.0)
    else:
        steps.offer_idle("seed_a", grant_of(steps, "seed_b") if said_of == "another torrent's" else 10**9, 900.0)
    assert len(steps.queue.idle) == 0 and steps.idle_to_close() is None


def test_an_offer_ends_with_its_connection_and_with_its_torrent():
    steps = full_queue()
    a, b = grant_of(steps, "seed_a"), grant_of(steps, "seed_b")
    steps.offer_idle("seed_a", a, 300.0)
    steps.offer_idle("seed_b", b, 300.0)
    steps.close(type("Closed", (), {"grant_id": a}))
    assert len(steps.queue.idle) == 1
    steps.gone("seed_b")
    assert len(steps.queue.idle) == 0
