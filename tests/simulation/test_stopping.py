"""Stop means stop, and whoever ends, dies or is stuck gives back what it held."""

import pytest

from actors import messages as m
from actors import snapshots
from tests.simulation.simulation import Simulation


def assert_nothing_is_left(swarm, torrent):
    assert torrent.num_half_open == torrent.num_connected == 0
    account = swarm.broker._queue.torrents.get(torrent.info_hash)
    assert account is None or (account.pending, account.account.total) == (0, 0)


def test_stopping_a_torrent_empties_its_queue_and_ends_its_dials():
    swarm = Simulation()
    torrent, other = swarm.add(dead=500), swarm.add(dead=500)
    swarm.run(5)
    assert torrent.num_half_open == 15
    torrent.stop()
    swarm.run(0.1)
    assert_nothing_is_left(swarm, torrent)
    swarm.run(2)
    assert other.num_half_open == 30


def test_a_stopped_torrent_gets_no_grant_until_it_is_started_again():
    swarm = Simulation()
    torrent = swarm.add(refuses=500)
    swarm.run(5)
    torrent.stop()
    before = len(torrent.grants)
    swarm.run(60)
    assert len(torrent.grants) == before
    torrent.start()
    swarm.run(1)
    assert len(torrent.grants) > before


def test_a_stop_is_answered_when_the_connections_are_closed():
    swarm = Simulation()
    torrent = swarm.add(alive=20)
    swarm.run(10)
    torrent.stop()
    swarm.run(0.1)
    assert torrent.is_stopped_fully and torrent.states[-1] == snapshots.STOPPED and not swarm.daemon.connections


def test_a_connection_that_comes_just_after_the_stop_is_closed():
    swarm = Simulation(round_trip=(1.0, 1.0))
    torrent = swarm.add(alive=10)
    swarm.run(2.101)                                    # the handshakes end about now
    torrent.stop()
    swarm.run(5)
    assert_nothing_is_left(swarm, torrent)
    assert not swarm.daemon.connections


def test_peers_whose_dials_were_cancelled_are_not_blamed():
    swarm = Simulation()
    torrent = swarm.add(dead=30)
    swarm.run(5)
    torrent.stop()
    swarm.run(1)
    assert torrent.ends.count("cancelled") > 20
    assert all(row.swarm_peer.failures == 0 for row in torrent.snapshot.peers)


def test_a_torrent_that_was_stopped_and_started_dials_at_once():
    swarm = Simulation()
    torrent = swarm.add(dead=30)
    swarm.run(5)
    torrent.stop()
    torrent.start()
    swarm.run(1)
    assert torrent.num_half_open > 10


def test_removing_a_torrent_with_queued_connections_cleans_up():
    swarm = Simulation()
    torrent, other = swarm.add(dead=500), swarm.add(dead=500)
    swarm.run(5)
    torrent.remove()
    swarm.run(0.1)
    assert torrent.info_hash not in swarm.stats.torrents and torrent.num_half_open == 0
    assert torrent.info_hash not in swarm.daemon.torrents and not torrent.actor.actor_ref.is_alive()
    swarm.run(5)
    assert other.num_half_open == 30


def test_a_torrent_that_completes_ends_its_dials_and_keeps_its_connections():
    swarm = Simulation(seeds_dial=False)
    torrent = swarm.add(alive=5, dead=95)
    swarm.run(40)
    torrent.complete()
    swarm.run(0.2)
    assert torrent.num_half_open == 0 and torrent.num_connected == 5
    before = len(torrent.dials)
    swarm.run(60)
    assert len(torrent.dials) == before and torrent.states[-1] == snapshots.SEEDING


def test_a_torrent_that_completes_makes_way_for_those_that_download():
    swarm = Simulation()
    done, other = swarm.add(refuses=900), swarm.add(refuses=900)
    swarm.run(20)
    done.complete()
    swarm.run(1)
    before = len(done.dials), len(other.dials)
    swarm.run(30)
    assert len(other.dials) - before[1] >= 8 * (len(done.dials) - before[0]) > 0


def test_a_torrent_that_fails_gives_back_all_that_it_held():
    swarm = Simulation()
    torrent, other = swarm.add(alive=5, dead=500), swarm.add(dead=500)
    swarm.run(20)
    torrent.fail()
    swarm.run(1)
    assert_nothing_is_left(swarm, torrent)
    assert torrent.states[-1] == snapshots.ERROR
    swarm.run(5)
    assert other.num_half_open == 30


def test_what_a_dead_actor_held_goes_to_the_others():
    swarm = Simulation()
    torrent, other = swarm.add(dead=500), swarm.add(dead=500)
    swarm.run(5)
    torrent.crash()
    swarm.restart(torrent)
    torrent.stop()
    swarm.run(15)
    assert other.num_half_open == 30 and swarm.stats.half_open == 30


def test_the_broker_notices_a_dead_actor_by_itself():
    swarm = Simulation()
    torrent, other = swarm.add(refuses=500), swarm.add(refuses=500)
    swarm.run(5)
    torrent.crash()
    swarm.run(5)
    assert torrent.info_hash not in swarm.stats.torrents
    assert other.dials_between(7, 10) >= 29


def test_a_torrent_whose_actor_was_made_anew_dials_again():
    swarm = Simulation()
    torrent = swarm.add(alive=3)
    swarm.run(5)
    torrent.crash()
    swarm.restart(torrent)
    swarm.run(5)
    assert torrent.num_connected == 3


def test_a_torrent_that_is_stuck_between_grant_and_dial_keeps_its_slots_for_the_lease_only():
    swarm = Simulation(connection_rate=0)
    stuck, other = swarm.add(dead=500), swarm.add(dead=500)
    swarm.run(0.05)
    stuck.freeze()
    swarm.run(1)
    assert swarm.stats.leases > 0
    swarm.run(3)
    assert swarm.stats.leases == 0 and swarm.stats.expired > 0
    assert other.num_half_open == 30


def test_a_torrent_that_wakes_up_too_late_does_not_use_what_it_was_given():
    swarm = Simulation()
    stuck, _ = swarm.add(refuses=500), swarm.add(refuses=500)
    swarm.run(2)
    stuck.freeze()
    swarm.run(10)
    before = len(stuck.dials)
    stuck.thaw()
    assert swarm.watch.declined["too_late"] == 0 or len(stuck.dials) == before
    swarm.run(10)
    assert len(stuck.dials) > before + 40


def test_half_of_the_torrents_may_be_stuck_and_the_others_go_on():
    swarm = Simulation()
    torrents = swarm.add_many(20, refuses=500)
    swarm.run(3)
    for torrent in torrents[::2]:
        torrent.freeze()
    swarm.run(30)
    assert all(torrent.dials_between(8, 33) >= 20 for torrent in torrents[1::2])


def test_a_recheck_in_the_middle_ends_the_dials_and_goes_on_afterwards():
    swarm = Simulation()
    torrent = swarm.add(alive=5, dead=200)
    swarm.run(10)
    torrent.recheck()
    swarm.run(30)
    assert torrent.num_connected == 5 and torrent.states[-1] == snapshots.DOWNLOADING


def test_stopping_all_torrents_at_once_leaves_neither_dials_nor_timers():
    swarm = Simulation()
    swarm.add_many(50, alive=5, dead=50)
    swarm.run(10)
    for torrent in swarm.torrents.values():
        torrent.stop()
    swarm.run(3)
    assert swarm.stats.half_open == swarm.stats.connected == swarm.stats.pending == 0
    assert not swarm.daemon.dialer.dials and not swarm.daemon.connections and not swarm.world.timers


@pytest.mark.parametrize("seed", range(3))
def test_users_who_do_everything_at_random_break_nothing(seed):
    swarm = Simulation(seed=seed, shuffled=True, global_connection_limit=40)
    torrents = swarm.add_many(8, alive=10, dead=40, refuses=10, silent=5, drops=5, stays=45)
    rng = swarm.world.rng
    for _ in range(150):
        torrent = rng.choice(torrents)
        rng.choice((torrent.stop, torrent.start, torrent.recheck, torrent.start, torrent.find, torrent.is_dialled_by))()
        swarm.run(rng.choice((0.0, 0.05, 0.3, 1.5)))
    for torrent in torrents:
        torrent.start()
        torrent.find(alive=3)
    began = swarm.now
    swarm.run(150)                                      # the router has to forget what was cancelled
    assert all(torrent.connects[-1] > began for torrent in torrents)


def test_a_torrent_that_declines_for_now_is_asked_again_when_it_said():
    swarm = Simulation()
    torrent = swarm.add(refuses=50)
    grants = torrent.actor._grants
    decline, grants._why_declined = grants._why_declined, lambda *_, **__: "no_candidate"
    torrent.actor._swarm.next_try = lambda: swarm.world.clock() + 1.0
    torrent.actor._maintenance.maintain = lambda *state: None   # it relies on the broker's word
    swarm.broker.actor_ref.tell(m.RequestConnections(torrent.info_hash, 5))
    swarm.run(0.5)
    grants._why_declined = decline
    swarm.run(2)
    assert len(torrent.dials) == 5
