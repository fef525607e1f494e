"""Who dials next: nobody starves, whatever the others do."""

import pytest

from tests.simulation.figures import jain, most_in_any
from tests.simulation.simulation import Simulation

TRACKERS = tuple(f"http://tracker{number}.example/announce" for number in range(8))


def test_a_hog_with_2000_dead_peers_delays_nobody():
    swarm = Simulation()
    hog, others = swarm.add(dead=2_000), swarm.add_many(20, alive=3, dead=3)
    swarm.run(60)
    assert max(torrent.first_peer_after for torrent in others) < 20
    assert len(hog.dials) > 20


def test_three_torrents_with_many_trackers_share_evenly():
    swarm = Simulation()
    torrents = swarm.add_many(3, trackers=TRACKERS, dead=200)
    swarm.run(60)
    dials = [len(torrent.dials) for torrent in torrents]
    assert min(dials) > 30 and max(dials) - min(dials) <= 1


def test_twelve_torrents_with_many_trackers_share_evenly_though_they_learn_of_peers_at_different_times():
    swarm = Simulation()
    torrents = swarm.add_many(12, trackers=TRACKERS, dead=150)
    for number, torrent in enumerate(torrents):
        swarm.run(0.3)
        torrent.find(dead=number)
    swarm.run(60)
    assert jain(torrent.dials_between(5, 60) for torrent in torrents) > 0.99


def test_attempts_stay_at_about_ten_per_second_with_many_torrents():
    swarm = Simulation()
    swarm.add_many(40, refuses=100)
    swarm.run(30)
    assert 9 * 30 <= len(swarm.dials) <= 20 + 10 * 30
    assert most_in_any(swarm.dials, 1.0) <= 20 + 10


def test_one_torrent_alone_gets_every_slot():
    swarm = Simulation()
    torrent = swarm.add(dead=300)
    swarm.run(3)
    assert torrent.num_half_open == 30


def test_a_late_joiner_waits_at_most_one_ring_cycle():
    swarm = Simulation()
    swarm.add_many(20, refuses=500)
    swarm.run(30)
    late = swarm.add(alive=1)
    swarm.run(10)
    assert late.dials[0] - late.added_at <= 21 / 10 + 2 * 0.1 + 0.1


@pytest.mark.parametrize("profile", ["conservative", "moderate", "weak-router", "auto"])
def test_a_late_joiner_dials_at_once_though_the_others_have_dialled_dead_peers_for_a_minute(profile):
    swarm = Simulation(profile)
    others = swarm.add_many(10, alive=1)
    swarm.run(3)
    for torrent in others:
        torrent.find(dead=400)
    swarm.run(70)
    late = swarm.add(alive=1)
    swarm.run(10)
    assert late.dials[0] - late.added_at <= 1 and late.first_peer_after <= 5


@pytest.mark.parametrize("profile", ["conservative", "moderate", "weak-router", "auto"])
def test_a_late_joiner_dials_at_once_though_one_without_a_peer_has_dialled_dead_peers_for_a_minute(profile):
    swarm = Simulation(profile)
    swarm.add(dead=2_000)
    swarm.run(70)
    late = swarm.add(alive=1)
    swarm.run(10)
    assert late.dials[0] - late.added_at <= 1 and late.first_peer_after <= 5


def test_torrents_that_join_one_after_the_other_all_dial_at_once_though_one_dials_dead_peers_for_ever():
    swarm = Simulation()
    swarm.add(dead=2_000)
    for _ in range(10):
        swarm.run(30)
        late = swarm.add(alive=1, dead=3)
        swarm.run(5)
        assert late.dials[0] - late.added_at <= 1


@pytest.mark.parametrize("number", [5, 50, 200])
def test_of_torrents_that_start_together_the_last_one_dials_after_the_tokens_that_they_need(number):
    swarm = Simulation(global_connection_limit=1_000, half_open_limit=300)
    torrents = swarm.add_many(number, alive=1)
    swarm.run(60)
    assert max(torrent.dials[0] for torrent in torrents) <= max(number - 20, 0) / 10 + 2 * 0.1 + 0.1


def test_long_dials_of_ten_torrents_do_not_starve_the_eleventh():
    swarm = Simulation()
    swarm.add_many(10, dead=500)
    swarm.run(20)
    eleventh = swarm.add(refuses=3, alive=1)
    swarm.run(20)
    assert eleventh.first_peer_after < 12


def test_fifty_torrents_of_which_ten_occupy_the_slots_all_find_their_peer():
    swarm = Simulation()
    swarm.add_many(10, silent=200)
    others = swarm.add_many(40, alive=2)
    swarm.run(45)
    assert max(torrent.first_peer_after for torrent in others) < 30


def test_torrents_without_a_peer_come_before_the_others_three_to_one():
    swarm = Simulation(half_open_limit=200, global_connection_limit=2_000, torrent_connection_limit=1_000)
    with_peers = swarm.add_many(5, alive=1)
    swarm.run(3)
    for torrent in with_peers:
        torrent.find(refuses=600)
    assert all(torrent.num_connected for torrent in with_peers)
    without = swarm.add_many(5, refuses=600)
    swarm.run(20)
    began = without[0].added_at + 1
    ratio = sum(t.dials_between(began, 40) for t in without) / sum(t.dials_between(began, 40) for t in with_peers)
    assert ratio == pytest.approx(3, abs=0.2)


def test_priorities_are_weights_of_three_one_and_a_third():
    swarm = Simulation(half_open_limit=200)
    high, normal, low = (swarm.add(priority=priority, refuses=1_500) for priority in ("high", "normal", "low"))
    swarm.run(100)
    assert len(high.dials) / len(normal.dials) == pytest.approx(3, rel=0.05)
    assert len(normal.dials) / len(low.dials) == pytest.approx(3, rel=0.1)


def test_finished_torrents_have_one_turn_in_ten():
    swarm = Simulation(half_open_limit=200)
    finished, downloading = swarm.add(complete=True, refuses=600), swarm.add(refuses=1_500)
    swarm.run(60)
    assert len(downloading.dials) / len(finished.dials) == pytest.approx(9, rel=0.1)


def test_a_finished_torrent_that_is_alone_has_all_turns():
    swarm = Simulation()
    torrent = swarm.add(complete=True, refuses=600)
    swarm.run(20)
    assert len(torrent.dials) >= 200


def test_a_torrent_of_low_priority_finds_its_peer_among_thirty_of_high_priority():
    swarm = Simulation()
    swarm.add_many(30, priority="high", refuses=300)
    low = swarm.add(priority="low", alive=3)
    swarm.run(60)
    assert low.first_peer_after < 60


def test_a_torrent_that_learns_of_peers_one_by_one_gets_no_more_than_one_that_knew_them_all():
    swarm = Simulation()
    knew, learns = swarm.add(refuses=300), swarm.add(refuses=20)
    for _ in range(280):
        swarm.run(0.1)
        learns.find(refuses=1)
    assert abs(len(knew.dials) - len(learns.dials)) <= 1


def test_a_torrent_that_states_its_level_again_and_again_is_owed_no_more_for_it():
    swarm = Simulation(half_open_limit=5)
    swarm.add_many(5, silent=100)
    torrent = swarm.add(dead=20)
    swarm.run(30)                                       # it has asked about ten times
    assert 0 < torrent.queue_stats.pending <= 20


def test_stopping_and_starting_again_and_again_gains_no_turns():
    swarm = Simulation()
    steady, restless = swarm.add(refuses=500), swarm.add(refuses=500)
    for _ in range(20):
        swarm.run(1)
        restless.stop()
        swarm.run(0.1)
        restless.start()
    assert len(restless.dials) <= len(steady.dials) + 1


def test_slow_peers_of_one_torrent_cost_the_others_no_turns():
    swarm = Simulation(round_trip=(0.05, 0.1))
    slow = swarm.add(peers=[swarm.network.new_peer("alive", (4.0, 6.0), stays=20) for _ in range(200)])
    quick = swarm.add_many(4, refuses=300)
    swarm.run(60)
    assert min(len(torrent.dials) for torrent in quick) >= len(slow.dials) - 1


def test_peers_that_everybody_knows_are_dialled_for_everybody():
    swarm = Simulation()
    shared = swarm.new_peers(alive=5)
    torrents = [swarm.add(peers=list(shared)) for _ in range(10)]
    swarm.run(30)
    assert all(torrent.num_connected == 5 for torrent in torrents)


def test_shares_do_not_depend_on_which_actor_runs_first():
    swarm = Simulation(shuffled=True)
    torrents = swarm.add_many(10, refuses=200, dead=100)
    swarm.run(60)
    dials = [len(torrent.dials) for torrent in torrents]
    assert jain(dials) > 0.99 and min(dials) > 20
