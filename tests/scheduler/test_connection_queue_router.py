"""What a router remembers of dials: the limit, who may use how much of it, and what is kept for whom."""

import pytest

from protocol import daemon_messages as dm
from tests.scheduler.queue_steps import grants_by_name, steps_with


def dial_dead_peers(steps, seconds, *, timeout=1.0, outcome=dm.TIMED_OUT):
    """Every dial ends after `timeout`. Return the moments at which they ended."""
    under_way, ended = [], []
    for _ in range(round(seconds / 0.1)):
        under_way += steps.dial(0.1)
        while under_way and under_way[0].when + timeout <= steps.now:
            steps.end(under_way.pop(0), outcome)
            ended.append(steps.now)
    return ended


def test_no_120_seconds_have_more_unanswered_dials_than_the_limit():
    steps = steps_with("a", connection_rate=10, connection_burst=20, half_open_limit=30, unanswered_limit=50)
    steps.ask("a", 10_000)
    ended = dial_dead_peers(steps, 600)
    assert all(sum(start <= moment < start + 120 for moment in ended) <= 50 for start in ended)
    assert len(ended) >= 50 * 4                         # and the limit is reached again and again


def test_the_memory_of_the_router_is_named():
    steps = steps_with("a", unanswered_limit=50)
    steps.ask("a", 10_000)
    dial_dead_peers(steps, 5)
    assert (steps.binding("a"), steps.why("a")) == ("unanswered", "waits: 50 of 50 unanswered dials that the router remembers")
    assert steps.has_timer


def test_refused_dials_are_forgotten_after_10_seconds():
    steps = steps_with("a", unanswered_limit=50, half_open_limit=30)
    steps.ask("a", 100_000)
    assert len(dial_dead_peers(steps, 100, outcome=dm.REFUSED)) >= 38 * 8


def test_what_no_router_remembers_is_not_counted():
    steps = steps_with("a", unanswered_limit=50, half_open_limit=30, connection_rate=10)
    steps.ask("a", 100_000)
    assert len(dial_dead_peers(steps, 60, outcome=dm.HANDSHAKE_FAILED)) >= 500


def test_half_of_what_the_router_remembers_is_kept_for_torrents_without_a_peer():
    steps = steps_with("rich", "poor", unanswered_limit=40, half_open_limit=1_000)
    steps.incoming("rich")
    steps.ask("poor", 1)
    (waiting,) = steps.dial(0.1)                        # poor has a dial under way; now it holds still
    steps.ask("rich", 500)
    assert len(steps.dial(0.1)) == 30                   # nobody without a peer asks: but some may come
    assert steps.why("rich") == (
        "waits: 30 of 40 unanswered dials that the router remembers, a quarter is kept for torrents that begin to look for their first peer"
    )
    assert waiting.name == "poor"


@pytest.mark.parametrize("has_peer", [True, False])
def test_who_comes_dials_at_once_though_another_one_dials_dead_peers_for_ever(has_peer):
    steps = steps_with("hog", "late", unanswered_limit=100, half_open_limit=8)
    if has_peer:
        steps.incoming("hog")
    steps.ask("hog", 10_000)
    dial_dead_peers(steps, 60)
    steps.ask("late", 1)
    assert grants_by_name(steps.dial(0.1)) == {"late": 1}


def test_what_only_newcomers_may_use_is_theirs_for_twenty_dials_each():
    steps = steps_with("hog", "late", unanswered_limit=100)
    steps.ask("hog", 10_000)
    dial_dead_peers(steps, 60)
    steps.ask("late", 10_000)
    assert grants_by_name(steps.dial(5)) == {"late": 5}  # 95 are the hog's, of which 20 were its first ones


def test_who_waits_for_what_the_router_forgets_has_a_timer_for_that_and_for_nothing_sooner():
    steps = steps_with("hog", unanswered_limit=40)
    steps.incoming("hog")
    steps.ask("hog", 10_000)
    for slot in steps.dial(0.1):
        steps.end(slot)
    assert steps.queue.next_drain(steps.now) == pytest.approx(120.0, abs=0.2)
    assert len(steps.dial(121)) == 30


def test_no_idle_connection_goes_for_a_torrent_that_could_not_dial_then():
    steps = steps_with("hog", unanswered_limit=4, global_connection_limit=5)
    grants = [steps.incoming("hog") for _ in range(2)]
    steps.ask("hog", 10_000)
    (slot, *others) = steps.dial(0.1)
    assert len(others) == 2                             # three of four, and every place is taken
    steps.offer_idle("hog", grants[0].grant_id, 1_000.0)
    assert steps.idle_to_close() is None
    steps.end(slot, dm.HANDSHAKE_FAILED)
    assert len(steps.given) == 1


def test_while_a_torrent_without_a_peer_asks_the_others_use_half():
    steps = steps_with("rich", "poor", unanswered_limit=40, half_open_limit=8)
    steps.incoming("rich")
    steps.ask("rich", 5_000)
    steps.ask("poor", 5_000)
    ended = {"rich": 0, "poor": 0}
    under_way = []
    for _ in range(200):
        under_way += steps.dial(0.1)
        for slot in under_way:
            steps.end(slot, dm.TIMED_OUT)
            ended[slot.name] += 1
        under_way = []
    assert ended["rich"] <= 20 and sum(ended.values()) == 40


def test_it_is_told_that_half_is_kept():
    steps = steps_with("rich", "poor", unanswered_limit=4, half_open_limit=100, connection_rate=10, connection_burst=2)
    steps.incoming("rich")
    steps.ask("rich", 50)
    assert len(steps.dial(0.1)) == 2
    steps.queue.set_rate(0, 1, steps.now)
    steps.queue.pause("not yet")
    steps.ask("poor", 1)
    steps.queue.resume()
    why = "waits: 2 of 4 unanswered dials that the router remembers, half is kept for torrents without a peer"
    assert (steps.binding("rich"), steps.why("rich")) == ("unanswered", why)


def test_a_dial_of_a_torrent_that_is_gone_is_still_remembered():
    steps = steps_with("a", "b", unanswered_limit=5)
    steps.ask("a", 5)
    steps.dial(0.1)
    steps.gone("a")
    steps.ask("b", 5)
    assert steps.take(119.0) == []
    assert len(steps.take(2.0)) == 5


def test_dials_that_others_never_began_are_not_remembered():
    steps = steps_with("a", "b", unanswered_limit=5)
    steps.ask("a", 5)
    steps.take()
    steps.gone("a")
    steps.ask("b", 5)
    assert len(steps.take()) == 5
