"""Every limit is reached and never exceeded, also when it changes in the middle. (The watches check "never exceeded" at every event.)"""

import pytest

from actors import messages as m
from tests.simulation.figures import most_in_any
from tests.simulation.simulation import Simulation


def test_half_open_dials_reach_their_limit_and_stay_there():
    swarm = Simulation()
    swarm.add_many(20, dead=100)
    swarm.run(25)
    assert swarm.dial_watch.most_half_open == 30


def test_handshakes_count_as_half_open():
    swarm = Simulation()
    swarm.add_many(5, silent=200)
    swarm.run(9)
    assert swarm.stats.half_open == 30 and sum(dial.is_handshaking for dial in swarm.daemon.dialer.dials.values()) == 30


def test_the_global_limit_is_reached_but_for_the_tenth_that_is_kept_for_incoming():
    swarm = Simulation()
    swarm.add_many(30, alive=20)
    swarm.run(60)
    assert sum(torrent.num_connected for torrent in swarm.torrents.values()) == 180


def test_incoming_peers_use_what_is_kept_for_them_and_not_one_place_more():
    swarm = Simulation()
    torrents = swarm.add_many(30, alive=20)
    swarm.run(60)
    for torrent in torrents:
        torrent.is_dialled_by(3)
        swarm.run(0.1)
    swarm.run(1)
    assert swarm.stats.connected == 200 and swarm.stats.incoming == 20


def test_a_torrent_reaches_its_own_limit_while_others_have_room():
    swarm = Simulation()
    greedy, other = swarm.add(alive=200), swarm.add(alive=20)
    swarm.run(60)
    assert (greedy.num_connected, other.num_connected) == (45, 20)
    greedy.is_dialled_by(10)
    swarm.run(1)
    assert greedy.num_connected == 50


def test_a_place_that_becomes_free_is_used_again():
    swarm = Simulation(global_connection_limit=20, incoming_reserve=0.0)
    swarm.add_many(5, alive=40, stays=40)
    swarm.run(30)
    assert swarm.stats.connected == 20
    swarm.run(60)
    assert len([line for line in swarm.trace if " connected " in line]) >= 40


def test_a_lower_half_open_limit_lets_run_out_what_is_over_it():
    swarm = Simulation()
    swarm.add_many(5, dead=200)
    swarm.run(5)
    swarm.tell_broker(m.SetConnectionLimits(half_open=10))
    dials_before = len(swarm.dials)
    swarm.run(0.05)
    assert len(swarm.dials) == dials_before
    swarm.run(15)
    assert len(swarm.dials) > dials_before and len(swarm.daemon.dialer.dials) == 10


def test_a_higher_half_open_limit_is_used_at_once():
    swarm = Simulation(connection_rate=0)
    swarm.add_many(5, dead=200)
    swarm.run(5)
    assert len(swarm.daemon.dialer.dials) == 30
    swarm.tell_broker(m.SetConnectionLimits(half_open=60))
    swarm.run(0.1)
    assert len(swarm.daemon.dialer.dials) == 60


def test_a_lower_rate_holds_from_the_moment_at_which_it_is_set():
    swarm = Simulation()
    swarm.add_many(5, refuses=500)
    swarm.run(10)
    swarm.tell_broker(m.SetConnectionRateLimit(2))
    before = len(swarm.dials)
    swarm.run(20)
    assert 2 * 20 - 1 <= len(swarm.dials) - before <= 2 * 20 + 4


def test_without_a_rate_only_slots_limit_the_dials():
    swarm = Simulation(connection_rate=0)
    swarm.add_many(5, dead=200)
    swarm.run(0.2)
    assert len(swarm.daemon.dialer.dials) == 30


def test_time_at_the_old_rate_gives_no_tokens_at_the_new_one():
    swarm = Simulation(connection_rate=1, connection_burst=5)
    torrent = swarm.add(refuses=500)
    swarm.run(6)
    swarm.tell_broker(m.SetConnectionRateLimit(10, 20))
    before = len(torrent.dials)
    swarm.run(0.5)
    assert len(torrent.dials) - before <= 6


def test_after_an_hour_of_rest_there_is_exactly_one_burst():
    swarm = Simulation(half_open_limit=200)
    swarm.run(3_600)
    torrent = swarm.add(dead=200)
    swarm.run(0.15)
    assert len(torrent.dials) == 20
    assert most_in_any(torrent.dials, 0.02) == 20       # in one drain, not one for each tick


def test_a_queue_that_was_empty_between_two_bursts_lost_no_token():
    swarm = Simulation()
    first = swarm.add(refuses=20)
    swarm.run(10)
    assert len(first.dials) == 20
    second = swarm.add(refuses=20)
    swarm.run(0.4)
    assert len(second.dials) == 20


def test_grants_that_are_declined_cost_the_others_nothing():
    swarm = Simulation()
    refusing, others = swarm.add(refuses=600), swarm.add_many(3, refuses=300)
    swarm.run(2)
    refusing.actor._grants._why_declined = lambda *_, **__: "network_down"
    before = len(swarm.dials)
    swarm.run(20)
    assert len(swarm.dials) - before == pytest.approx(200, abs=3)
    assert min(len(torrent.dials) for torrent in others) > 60
