"""What breaks around the engine: nothing leaks, nobody is blamed for what was not his fault, and all goes on when it is over."""

from protocol import daemon_messages as dm
from tests.simulation.figures import most_in_any
from tests.simulation.simulation import Simulation


def failures(torrent):
    return sum(row.swarm_peer.failures for row in torrent.snapshot.peers)


def test_a_daemon_that_dies_with_thirty_dials_under_way_gives_all_of_them_back():
    swarm = Simulation()
    torrents = swarm.add_many(3, dead=200)
    swarm.run(5)
    assert len(swarm.daemon.dialer.dials) == 30
    swarm.daemon.die()
    swarm.world.handle_all()
    assert swarm.stats.half_open == 0 and sum(map(failures, torrents)) == 0
    swarm.run(5)
    assert len(swarm.daemon.dialer.dials) == 30


def test_after_the_death_of_a_daemon_its_torrents_connect_again():
    swarm = Simulation()
    torrents = swarm.add_many(5, alive=5)
    swarm.run(30)
    swarm.daemon.die()
    swarm.run(1)
    swarm.run(90)
    assert all(torrent.num_connected == 5 for torrent in torrents)


def test_of_two_daemons_one_may_die_again_and_again_and_the_other_goes_on():
    swarm = Simulation(daemons=2)
    torrents = swarm.add_many(4, refuses=400)
    for _ in range(20):
        swarm.run(1)
        swarm.daemons[0].die()
    steady = [torrent for torrent in torrents if torrent.daemon is swarm.daemons[1]]
    assert all(len(torrent.dials) > 40 for torrent in steady)


def test_two_daemons_share_one_budget():
    swarm = Simulation(daemons=2)
    swarm.add_many(10, dead=200)
    swarm.run(30)
    assert swarm.dial_watch.most_half_open == 30
    assert most_in_any(swarm.dials, 1.0) <= 30


def test_a_daemon_that_says_nothing_any_more_keeps_no_slot_for_ever():
    swarm = Simulation()
    torrent = swarm.add(alive=50)
    swarm.run(1)
    swarm.daemon.is_mute = True
    swarm.run(120)
    assert swarm.events["connect_failed"] >= 20 and failures(torrent) == 0
    assert swarm.stats.half_open <= 30


def test_a_machine_whose_table_of_flows_is_full_blames_no_peer():
    swarm = Simulation()
    torrents = swarm.add_many(5, alive=10)
    swarm.daemon.dialer.says_busy = True
    swarm.run(20)
    assert sum(torrent.ends.count(dm.LOCAL_BUSY) for torrent in torrents) > 10
    assert sum(map(failures, torrents)) == 0
    swarm.daemon.dialer.says_busy = False
    swarm.run(60)
    assert all(torrent.num_connected == 10 for torrent in torrents)


def test_a_busy_machine_is_not_dialled_at_the_speed_of_messages():
    swarm = Simulation()
    swarm.add_many(5, alive=100)
    swarm.daemon.dialer.says_busy = True
    swarm.run(20)
    assert len(swarm.dials) <= 20 + 10 * 20


def test_a_daemon_with_smaller_limits_than_the_broker_answers_local_busy_and_all_are_dialled_in_the_end():
    swarm = Simulation()
    swarm.daemon.dialer.max_under_way, swarm.daemon.dialer.max_pending = 5, 5
    torrents = swarm.add_many(4, alive=10, dead=5)
    swarm.run(120)
    assert swarm.stats.failed[dm.LOCAL_BUSY] > 0
    assert all(torrent.num_connected == 10 for torrent in torrents)


def test_without_descriptors_everybody_pauses_and_goes_on_by_himself():
    swarm = Simulation()
    torrents = swarm.add_many(5, alive=10)
    swarm.daemon.dialer.has_descriptors = False
    swarm.run(10)
    assert swarm.stats.paused and len(swarm.dials) < 25 and sum(map(failures, torrents)) == 0
    swarm.daemon.dialer.has_descriptors = True
    swarm.run(60)
    assert not swarm.stats.paused and all(torrent.num_connected == 10 for torrent in torrents)


def test_a_network_that_is_lost_pauses_everybody_and_blames_nobody():
    swarm = Simulation()
    torrents = swarm.add_many(5, dead=100)
    swarm.run(3)
    swarm.network.is_up = False
    swarm.run(10)
    assert swarm.stats.paused
    blamed, dials = sum(map(failures, torrents)), len(swarm.dials)
    swarm.run(300)
    assert len(swarm.dials) == dials and sum(map(failures, torrents)) == blamed == 0


def test_a_network_that_is_back_is_used_at_once():
    swarm = Simulation()
    torrents = swarm.add_many(5, alive=10)
    swarm.network.is_up = False
    swarm.run(60)
    swarm.network.is_up = True
    swarm.run(10)
    assert not swarm.stats.paused and all(torrent.num_connected for torrent in torrents)


def test_two_daemons_that_lose_the_network_pause_once_and_resume_when_the_last_is_over_it():
    swarm = Simulation(daemons=2)
    swarm.add_many(4, alive=50, dead=50, stays=20)
    swarm.run(10)
    swarm.network.is_up = False
    swarm.run(10)
    paused = swarm.stats.paused
    swarm.network.is_up = True
    swarm.run(5)
    dials = len(swarm.dials)
    swarm.run(5)
    assert paused.count("network") == 1 and not swarm.stats.paused and len(swarm.dials) > dials


def test_when_all_peers_are_dead_the_torrents_go_on_trying_within_the_budget():
    swarm = Simulation()
    torrents = swarm.add_many(10, dead=50)
    swarm.run(1_200)
    assert swarm.router.most_entries <= 300
    assert all(len(torrent.dials) >= 100 for torrent in torrents)


def test_peers_that_come_back_to_life_are_found():
    swarm = Simulation()
    torrents = swarm.add_many(5, dead=10)
    swarm.run(300)
    for peer in swarm.network.peers.values():
        peer.kind = "alive"
    swarm.run(1_800)
    assert all(torrent.num_connected == 10 for torrent in torrents)


def test_a_slow_link_to_the_daemon_makes_no_dial_too_many():
    swarm = Simulation()
    swarm.daemon.latency = 0.3
    swarm.add_many(10, dead=100, refuses=50, alive=5)
    swarm.run(60)
    assert swarm.dial_watch.most_half_open <= 30 and len(swarm.dials) > 100


def test_a_tracker_that_is_dead_does_not_keep_the_torrent_from_the_next_one():
    swarm = Simulation()
    swarm.tracker("http://dead.example/announce").is_dead = True
    torrent = swarm.add(trackers=("http://dead.example/announce", "http://living.example/announce"), alive=3)
    swarm.run(45)
    assert torrent.num_connected == 3


def test_announces_of_many_torrents_are_spread_and_dials_begin_as_the_answers_come():
    swarm = Simulation()
    swarm.add_many(200, trackers=("http://tracker.example/announce",), alive=1)
    swarm.run(15)
    asked = [moment for moment, _ in swarm.tracker("http://tracker.example/announce").asked]
    assert len(asked) == 200 and most_in_any(asked, 1.0) <= 50 + 20
    assert len(swarm.dials) > 100


def test_peers_that_dial_us_while_we_dial_find_a_place():
    swarm = Simulation()
    torrents = swarm.add_many(10, alive=3, dead=50)
    swarm.run(1)
    for torrent in torrents:
        torrent.is_dialled_by(2)
        swarm.run(0.2)
    swarm.run(30)
    assert swarm.stats.incoming == 20


def test_idle_connections_of_finished_torrents_make_room_for_one_that_downloads():
    swarm = Simulation(global_connection_limit=50)
    finished = swarm.add_many(5, alive=12)
    swarm.run(60)
    for torrent in finished:
        torrent.complete()
    swarm.run(1)
    newcomer = swarm.add(alive=10)
    swarm.run(10)
    assert newcomer.num_connected < 10
    for torrent in finished:
        torrent.daemon.say_idle(torrent.info_hash, 300.0)
    swarm.run(30)
    assert newcomer.num_connected == 10
    assert sum(torrent.num_connected for torrent in finished) >= 35
