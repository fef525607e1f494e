"""What a router remembers is what it dies of: the table of unanswered dials has room, whatever happens."""

import pytest

from actors import messages as m
from tests.simulation.figures import most_in_any
from tests.simulation.simulation import Simulation


@pytest.mark.parametrize(("profile", "most"), [("conservative", 300), ("moderate", 400), ("weak-router", 150)])
def test_unanswered_dials_fill_the_budget_of_the_profile_and_no_entry_more(profile, most):
    swarm = Simulation(profile)
    swarm.add_many(10, dead=2_000)
    swarm.run(240)
    assert most - 5 <= swarm.router.most_entries <= most


def test_a_router_of_1024_entries_never_drops_a_flow_of_the_default_profile():
    swarm = Simulation(router=1_024)
    swarm.add_many(50, dead=40, alive=10, stays=30)
    swarm.run(300)
    assert swarm.router.num_dropped == 0 and swarm.router.most_entries < 0.8 * 1_024


def test_a_router_of_4096_entries_never_drops_a_flow_of_the_aggressive_profile():
    swarm = Simulation("aggressive", router=4_096)
    swarm.add_many(50, dead=100, alive=10, refuses=20, stays=30)
    swarm.run(125)
    assert swarm.router.num_dropped == 0 and swarm.router.most_entries < 0.5 * 4_096


def test_an_old_router_of_256_entries_never_drops_a_flow_of_the_weak_router_profile():
    swarm = Simulation("weak-router", router=256, global_connection_limit=50)
    swarm.add_many(20, dead=200, alive=5)
    swarm.run(300)
    assert swarm.router.num_dropped == 0


def test_a_router_that_is_too_small_makes_living_peers_look_dead_and_they_are_found_all_the_same():
    swarm = Simulation(router=100)
    dead, others = swarm.add_many(2, dead=100), swarm.add_many(5, alive=3)
    swarm.run(60)
    late = swarm.add(alive=3)
    swarm.run(1_800)                                    # dials that fall into a full table wait twice as long each time
    assert swarm.router.num_dropped > 0 and dead[0].dials
    assert all(torrent.num_connected == 3 for torrent in (*others, late))


def test_refused_dials_are_forgotten_after_ten_seconds_and_do_not_use_up_the_budget():
    swarm = Simulation()
    torrent = swarm.add(refuses=1_900)
    swarm.run(120)
    assert len(torrent.dials) >= 10 * 120


def test_dials_that_we_cancelled_are_remembered_like_those_that_timed_out():
    swarm = Simulation(unanswered_limit=60)
    torrent = swarm.add(dead=1_000)
    for _ in range(10):
        swarm.run(2)
        torrent.stop()
        swarm.run(0.2)
        torrent.start()
    assert len(torrent.dials) <= 60 and swarm.router.most_entries <= 60


def test_when_the_budget_is_used_up_the_dials_go_on_as_the_router_forgets():
    swarm = Simulation(unanswered_limit=60)
    torrent = swarm.add(dead=1_500)
    swarm.run(100)
    assert len(torrent.dials) == 60
    swarm.run(110)
    assert 100 <= len(torrent.dials) <= 120
    assert torrent.queue_stats.binding == "unanswered"


def test_half_of_the_budget_is_kept_for_torrents_without_a_peer():
    swarm = Simulation(unanswered_limit=100)
    with_peers, without = swarm.add(alive=1), swarm.add(dead=10)
    swarm.run(1)
    with_peers.find(dead=1_500)
    without.find(dead=1_500)
    swarm.run(60)
    assert with_peers.num_connected == 1
    assert len(without.dials) >= 45 and len(with_peers.dials) >= 20


def test_a_torrent_without_a_peer_finds_one_though_another_has_used_up_its_half():
    swarm = Simulation(unanswered_limit=100)
    hog, waiting = swarm.add(alive=1), swarm.add(dead=1)
    swarm.run(3)
    hog.find(dead=1_500)
    swarm.run(60)
    waiting.find(alive=1)
    swarm.run(125)
    assert hog.num_connected == 1 and waiting.num_connected == 1


def test_the_budget_can_be_lowered_and_the_dials_wait_until_the_router_has_forgotten():
    swarm = Simulation()
    swarm.add_many(5, dead=500)
    swarm.run(40)
    swarm.tell_broker(m.SetConnectionLimits(unanswered=50))
    before = len(swarm.dials)
    swarm.run(60)
    assert len(swarm.dials) == before
    swarm.run(150)
    assert len(swarm.dials) > before and swarm.router.num_unanswered <= 50


def test_in_no_window_of_120_seconds_more_dials_stay_unanswered_than_the_profile_permits():
    swarm = Simulation()
    swarm.add_many(8, dead=2_000)
    swarm.run(600)
    assert most_in_any(swarm.dials, 120.0) <= 300 + 30
