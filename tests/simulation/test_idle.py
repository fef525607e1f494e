"""Who has nothing to do does nothing: no timer, no message."""

from tests.simulation.simulation import Simulation


def test_without_peers_nothing_happens_and_there_is_no_timer():
    swarm = Simulation()
    swarm.add_many(5)
    swarm.run(1)
    handled = swarm.world.num_handled
    swarm.run(3_600)
    assert not swarm.world.timers and swarm.world.num_handled == handled and not swarm.dials


def test_a_stopped_torrent_with_a_thousand_peers_has_no_timer():
    swarm = Simulation()
    torrent = swarm.add(started=False, alive=500, dead=500)
    swarm.run(600)
    assert not swarm.world.timers and not torrent.dials


def test_a_finished_torrent_that_leaves_the_dialling_to_others_dials_nobody_and_has_no_timer():
    swarm = Simulation(seeds_dial=False)
    torrent = swarm.add(complete=True, alive=50)
    swarm.run(600)
    assert not swarm.world.timers and not torrent.dials


def test_when_all_have_all_their_peers_there_is_no_timer():
    swarm = Simulation()
    torrents = swarm.add_many(5, alive=10)
    swarm.run(60)
    assert all(torrent.num_connected == 10 for torrent in torrents) and not swarm.world.timers


def test_a_single_dead_peer_wakes_nobody_between_its_tries():
    swarm = Simulation()
    torrent = swarm.add(dead=1)
    swarm.run(3_600)
    handled, dials = swarm.world.num_handled, len(torrent.dials)
    swarm.run(3_600)
    assert swarm.world.num_handled - handled <= 20 * (len(torrent.dials) - dials)


def test_a_new_peer_of_a_torrent_that_slept_is_dialled_within_two_drain_intervals():
    swarm = Simulation()
    torrent = swarm.add()
    swarm.run(3_600)
    torrent.find(alive=1)
    swarm.run(0.21)
    assert len(torrent.dials) == 1
