"""One attempt, from the wish to the row, and the next one after it."""

import itertools

from actors import snapshots
from tests.simulation.figures import most_in_any
from tests.simulation.simulation import Simulation


def test_a_peer_is_seen_queued_then_connecting_then_handshaking_then_connected():
    swarm = Simulation(round_trip=(1.0, 1.0))
    torrent = swarm.add(alive=1)
    states = []
    for _ in range(60):
        swarm.run(0.05)
        (row,) = torrent.snapshot.peers
        if row.state not in states:
            states.append(row.state)
    assert states == [snapshots.QUEUED, snapshots.CONNECTING, snapshots.HANDSHAKING, snapshots.CONNECTED]


def test_a_peer_that_fails_leaves_the_connecting_state_and_says_why_and_when_it_is_tried_again():
    swarm = Simulation()
    torrent = swarm.add(refuses=1)
    swarm.run(2)
    (row,) = torrent.snapshot.peers
    assert row.state == snapshots.FAILED and "refused" in row.swarm_peer.last_error
    assert 12 < row.swarm_peer.next_try_in < 19


def test_a_silent_peer_holds_no_slot_for_longer_than_its_handshake_may_take():
    swarm = Simulation()
    torrent = swarm.add(silent=1)
    swarm.run(5)
    assert torrent.num_half_open == 1 and torrent.snapshot.peers_by_state[snapshots.HANDSHAKING] == 1
    swarm.run(6)
    assert torrent.num_half_open == 0 and swarm.stats.half_open == 0
    assert torrent.snapshot.peers_by_state[snapshots.FAILED] == 1


def test_a_peer_that_drops_us_at_once_is_dialled_only_a_few_times():
    swarm = Simulation()
    torrent = swarm.add(drops=1)
    swarm.run(600)
    assert most_in_any(torrent.dials, 10.0) < 10
    assert 3 <= len(torrent.dials) <= 7


def test_a_dead_peer_is_tried_less_and_less_often():
    swarm = Simulation()
    torrent = swarm.add(dead=1)
    swarm.run(3_600)
    waits = [later - earlier for earlier, later in itertools.pairwise(torrent.dials)]
    assert len(waits) >= 5 and all(later > 1.5 * earlier for earlier, later in itertools.pairwise(waits))


def test_every_peer_is_tried_once_before_any_is_tried_again():
    swarm = Simulation()
    torrent = swarm.add(refuses=120)
    while len(torrent.dials) < 120:
        swarm.run(0.1)
    assert all(peer.num_dialled == 1 for peer in torrent.peers)


def test_who_took_us_before_is_dialled_again_before_those_that_refused():
    swarm = Simulation(connection_rate=1, connection_burst=1)
    torrent = swarm.add(refuses=5)
    (friend,) = torrent.find(alive=1)
    swarm.run(10)
    assert torrent.num_connected == 1
    friend.kind = "refuses"                             # so that it counts as failed once, like the others
    swarm.daemon.close(next(iter(swarm.daemon.connections)), "end of file")
    swarm.run(0.1)
    torrent.freeze()                                    # until all may be dialled again
    swarm.run(60)
    torrent.thaw()
    before = friend.num_dialled
    dialled = [peer.num_dialled for peer in torrent.peers]
    while [peer.num_dialled for peer in torrent.peers] == dialled:
        swarm.run(0.1)
    assert friend.num_dialled == before + 1


def test_dead_peers_cost_less_once_the_torrents_have_learnt_how_soon_living_ones_answer():
    swarm = Simulation(round_trip=(0.05, 0.2))
    swarm.add(alive=10)
    swarm.run(3)
    torrent = swarm.add(dead=1)
    swarm.run(4)
    assert torrent.ends == ["timed_out"]


def test_without_samples_a_dial_may_take_ten_seconds():
    swarm = Simulation()
    torrent = swarm.add(dead=1)
    swarm.run(9.9)
    assert torrent.ends == []
    swarm.run(1)
    assert torrent.ends == ["timed_out"]


def test_slow_but_living_peers_are_waited_for():
    swarm = Simulation(round_trip=(3.0, 4.0))
    torrent = swarm.add(alive=20)
    swarm.run(30)
    assert torrent.num_connected == 20


def test_unreachable_peers_do_not_burn_through_the_rate():
    swarm = Simulation()
    torrent = swarm.add(unreachable=500)
    swarm.run(30)
    assert 250 < len(torrent.dials) <= 20 + 10 * 30 and torrent.num_half_open <= 3


def test_a_torrent_says_why_it_does_not_connect():
    swarm = Simulation()
    torrent = swarm.add(refuses=3)
    swarm.run(3)
    assert torrent.snapshot.why
    waiting = swarm.add(dead=1_000)
    swarm.run(5)
    assert waiting.queue_stats.binding in ("half_open", "half_open_share", "rate", "unanswered")
    assert waiting.queue_stats.why


def test_a_peer_that_leaves_after_a_while_is_dialled_again_later():
    swarm = Simulation()
    torrent = swarm.add(alive=1, stays=60)
    swarm.run(200)
    assert len(torrent.connects) >= 2
