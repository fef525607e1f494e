"""Ten thousand torrents: as fair as ten, and no dearer."""

from tests.simulation.simulation import Simulation


def test_of_ten_thousand_torrents_none_dials_twice_before_all_have_dialled_once():
    swarm = Simulation("aggressive")
    torrents = swarm.add_many(10_000, refuses=2)
    swarm.run(20)
    dials = [len(torrent.dials) for torrent in torrents]
    assert sum(dials) >= 50 + 25 * 19 and max(dials) == 1


def test_among_two_thousand_torrents_one_that_joins_late_gets_its_turn_after_all_others():
    swarm = Simulation("aggressive", connection_rate=200, connection_burst=100, unanswered_limit=5_000)
    swarm.add_many(2_000, refuses=5)
    swarm.run(1)
    late = swarm.add(alive=1)
    swarm.run(2_000 / 200 + 1)
    assert late.num_connected == 1
