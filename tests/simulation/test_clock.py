"""Whatever the clock does: dials neither freeze nor flood."""

from actors import messages as m
from tests.simulation.figures import most_in_any
from tests.simulation.simulation import Simulation


def test_a_clock_that_steps_back_an_hour_does_not_stop_the_dials():
    swarm = Simulation()
    swarm.add_many(5, refuses=500)
    swarm.run(10)
    swarm.step_clock(-3_600)
    before = len(swarm.dials)
    swarm.run(10)
    assert len(swarm.dials) - before >= 97


def test_a_clock_that_steps_forward_an_hour_lets_no_more_than_a_burst_out():
    swarm = Simulation()
    swarm.add_many(5, refuses=500)
    swarm.run(10)
    swarm.step_clock(3_600)
    before = len(swarm.dials)
    swarm.run(1)
    assert len(swarm.dials) - before <= 20 + 10


def test_after_a_step_forward_nobody_waits_for_a_timer_that_was_set_before_it():
    swarm = Simulation(connection_rate=0.02, connection_burst=1)
    torrent = swarm.add(dead=500)
    swarm.run(1)                                        # the next token is due in 49 s
    swarm.step_clock(3_600)
    swarm.tell_broker(m.SetConnectionRateLimit(10, 1))
    swarm.run(1.5)
    assert len(torrent.dials) >= 8


def test_a_clock_that_jumps_to_and_fro_costs_at_most_the_time_that_it_hides():
    swarm = Simulation()
    swarm.add_many(5, refuses=800)
    for number in range(100):
        swarm.run(0.3)
        swarm.step_clock((-5.0, 5.0)[number % 2])
    assert len(swarm.dials) >= 250 and most_in_any(swarm.dials, 1.0) <= 80


def test_leases_and_holds_end_after_a_step_back():
    swarm = Simulation(connection_rate=0)
    stuck, other = swarm.add(dead=500), swarm.add(dead=500)
    swarm.run(0.05)
    stuck.freeze()
    swarm.run(1)
    swarm.step_clock(-86_400)
    swarm.run(4)
    assert swarm.stats.leases == 0 and other.num_half_open == 30


def test_after_an_hour_of_suspension_the_torrents_connect_again_without_a_flood():
    swarm = Simulation()
    torrents = swarm.add_many(10, alive=10, dead=20)
    swarm.run(60)
    swarm.suspend(3_600)
    before = len(swarm.dials)
    swarm.run(1)
    assert len(swarm.dials) - before <= 20 + 10
    swarm.run(60)
    assert all(torrent.num_connected for torrent in torrents)


def test_a_machine_that_sleeps_while_a_grant_is_out_dials_nobody_with_it():
    swarm = Simulation(connection_rate=0)
    torrent = swarm.add(dead=500)
    swarm.run(0.05)
    torrent.freeze()
    swarm.run(1)
    dials = len(torrent.dials)
    swarm.suspend(60)
    torrent.thaw()
    assert len(torrent.dials) == dials
    swarm.run(5)
    assert len(torrent.dials) > dials
