"""TorrentActor and its peers: who dials us, who is banned, what a connection leaves behind."""

import pytest

from actors import messages as m
from actors.snapshots import CONNECTED, FAILED, HANDSHAKING, QUEUED
from protocol import daemon_messages as dm
from protocol.peer_address import PeerAddress
from protocol.peer_priority import peer_priority
from tests.actors.torrent_world import ALL_PIECES, INFO_HASH, NUM_PIECES, TorrentWorld, address, bitfield


def rows(world: TorrentWorld) -> dict[str, str]:
    return {row.key: row.state for row in world.snapshot().peers}


# ── incoming ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_who_dials_us_gets_a_place_from_the_broker_first():
    world = TorrentWorld().run()
    connection_id = world.knock()
    assert world.broker.take() == [m.ReserveIncoming(INFO_HASH, connection_id)]
    assert (world.to_daemon(), rows(world)) == ([], {})
    grant_id = world.reserve(connection_id)
    assert world.to_daemon() == [dm.AcceptIncoming(INFO_HASH, connection_id, grant_id)]
    assert rows(world) == {"80.1.1.1:50000": HANDSHAKING}


def test_an_incoming_peer_is_connected_and_its_end_gives_the_place_back():
    world = TorrentWorld().run()
    connection_id, grant_id = world.accept()
    assert rows(world) == {"80.1.1.1:50000": CONNECTED}
    assert world.log.named("peer_connected") == [
        {"info_hash": INFO_HASH, "grant_id": grant_id, "peer": "80.1.1.1:50000", "incoming": True, "client_name": "", "elapsed": 0.2},
    ]
    world.disconnect(connection_id)
    assert world.broker.take(m.ConnectionClosed) == [m.ConnectionClosed(grant_id)]
    assert world.broker.take(m.AttemptEnded) == []
    assert rows(world) == {"80.1.1.1:50000": FAILED}


def test_who_has_no_place_is_refused_with_the_brokers_reason():
    world = TorrentWorld().run()
    connection_id = world.knock()
    world.tell(m.IncomingRefused(connection_id, "global limit: 200 of 200 connections"))
    assert world.to_daemon() == [dm.RefuseIncoming(INFO_HASH, connection_id, "global limit: 200 of 200 connections")]
    assert rows(world) == {}
    assert [event["reason"] for event in world.log.named("peer_refused")] == ["global limit: 200 of 200 connections"]


def test_who_leaves_before_the_broker_answers_costs_no_place():
    world = TorrentWorld().run()
    connection_id = world.knock()
    world.disconnect(connection_id)
    grant_id = world.reserve(connection_id)
    assert world.broker.take(m.ConnectionClosed) == [m.ConnectionClosed(grant_id)]
    assert (world.to_daemon(), rows(world)) == ([], {})


def test_who_leaves_before_its_handshake_is_complete_gives_its_place_back():
    world = TorrentWorld().run()
    connection_id = world.knock()
    grant_id = world.reserve(connection_id)
    world.disconnect(connection_id, seconds=0.0)
    assert world.broker.take(m.ConnectionClosed) == [m.ConnectionClosed(grant_id)]
    assert rows(world) == {}


def test_nobody_gets_into_a_torrent_that_does_not_run():
    world = TorrentWorld()
    connection_id = world.knock()
    assert world.to_daemon() == []                      # there is no daemon that could have said so
    world.daemon_is_ready()
    world.knock()
    assert [message.connection_id for message in world.to_daemon(dm.RefuseIncoming)] == [connection_id + 1]
    assert world.broker.take(m.ReserveIncoming) == []


def test_who_got_a_place_after_the_torrent_stopped_is_refused_and_the_place_given_back():
    world = TorrentWorld().run()
    connection_id = world.knock()
    world.tell(m.StopTorrent())
    world.to_daemon()
    grant_id = world.reserve(connection_id)
    assert world.to_daemon() == [dm.RefuseIncoming(INFO_HASH, connection_id, "the torrent is stopped")]
    assert world.broker.take(m.ConnectionClosed) == [m.ConnectionClosed(grant_id)]


def test_a_place_for_a_peer_of_a_dead_daemon_is_given_back():
    world = TorrentWorld().run()
    connection_id = world.knock()
    world.tell(m.DaemonLost())
    grant_id = world.reserve(connection_id)
    assert world.broker.take(m.ConnectionClosed) == [m.ConnectionClosed(grant_id)]


def test_a_peer_of_the_next_daemon_is_not_mistaken_for_one_of_the_last_that_still_waited():
    world = TorrentWorld().run()
    knock = dm.IncomingPeer(INFO_HASH, 1, "80.1.1.1", 50_000, bytes(20))
    world.tell(knock, m.DaemonLost())
    world.daemon_is_ready()
    world.forget().checked()
    world.tell(knock)
    assert world.broker.take(m.ReserveIncoming) == [m.ReserveIncoming(INFO_HASH, 1)]


def test_a_seeding_torrent_takes_incoming_peers():
    world = TorrentWorld().run(ALL_PIECES)
    world.accept()
    assert rows(world) == {"80.1.1.1:50000": CONNECTED}


def test_an_address_that_is_connected_cannot_dial_us_as_well():
    world = TorrentWorld(peers=(address(1),)).run()
    world.connect()
    world.to_daemon()
    connection_id = world.knock(address(1).ip, 6881)
    assert world.to_daemon() == [dm.RefuseIncoming(INFO_HASH, connection_id, dm.DUPLICATE_PEER)]


def test_an_address_that_we_begin_to_dial_while_it_waits_for_a_place_is_refused():
    world = TorrentWorld(peers=(address(1),)).run()
    connection_id = world.knock(address(1).ip, 6881)
    world.grant()
    world.to_daemon()
    grant_id = world.reserve(connection_id)
    assert world.to_daemon() == [dm.RefuseIncoming(INFO_HASH, connection_id, dm.DUPLICATE_PEER)]
    assert world.broker.take(m.ConnectionClosed) == [m.ConnectionClosed(grant_id)]


def test_an_incoming_peer_that_is_told_twice_asks_for_one_place():
    world = TorrentWorld().run()
    knock = dm.IncomingPeer(INFO_HASH, 9, "80.1.1.1", 50_000, bytes(20))
    world.tell(knock, knock)
    assert len(world.broker.take(m.ReserveIncoming)) == 1
    world.tell(m.IncomingReserved(9, 1), m.IncomingReserved(9, 2))
    assert world.broker.take(m.ConnectionClosed) == [m.ConnectionClosed(2)]


def test_an_address_with_a_scope_is_refused_and_harms_nobody():
    world = TorrentWorld().run()
    connection_id = world.knock("fe80::1%eth0")
    assert [message.connection_id for message in world.to_daemon(dm.RefuseIncoming)] == [connection_id]


def test_an_incoming_connection_that_has_no_place_is_closed():
    world = TorrentWorld().run()
    world.tell(dm.PeerConnected(INFO_HASH, 9, 5, "80.1.1.1", 50_000, True, bytes(20), "", 0.1))
    assert world.to_daemon() == [dm.ClosePeer(INFO_HASH, 9, "its attempt has ended")]


def test_an_incoming_peer_that_tells_its_port_may_be_dialled_later():
    world = TorrentWorld().run()
    connection_id, _ = world.accept()
    world.tell(dm.PeerNamed(INFO_HASH, connection_id, "rqbit 9", 6881))
    assert rows(world) == {"80.1.1.1:6881": CONNECTED}
    world.disconnect(connection_id)
    world.advance(20)
    assert set(world.broker.take(m.RequestConnections)) == {m.RequestConnections(INFO_HASH, 1)}


def test_the_port_that_an_outgoing_peer_tells_moves_nothing():
    world = TorrentWorld(peers=(address(1),)).run()
    world.tell(dm.PeerNamed(INFO_HASH, world.connect(), "rqbit 9", 7000))
    row, = world.snapshot().peers
    assert (row.key, row.connection.client_name) == ("80.0.0.1:6881", "rqbit 9")


# ── bans ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_peer_that_sent_bad_data_is_neither_dialled_nor_taken_again():
    world = TorrentWorld(peers=(address(1),)).run()
    connection_id = world.connect()
    world.tell(dm.PeerBanned(INFO_HASH, connection_id, "80.0.0.1", 6881, "sent bad data"))
    world.disconnect(connection_id, "banned", seconds=500.0)
    world.forget().tell(m.PeersFound("tracker", (address(1), address(1, port=7000))))
    knocked = world.knock("80.0.0.1")
    assert (world.broker.take(), world.timers) == ([], [])
    assert world.to_daemon() == [dm.RefuseIncoming(INFO_HASH, knocked, "banned: sent bad data")]
    row, = world.snapshot().peers
    assert (row.state, row.until, row.swarm_peer.ban_reason) == (FAILED, None, "sent bad data")
    assert world.snapshot().why == "the only peer failed, none is tried again"


def test_a_ban_that_comes_after_the_connection_is_gone_counts():
    world = TorrentWorld(peers=(address(1),)).run()
    connection_id = world.connect()
    world.disconnect(connection_id)
    world.tell(dm.PeerBanned(INFO_HASH, connection_id, "80.0.0.1", 6881, "sent bad data"))
    assert world.log.named("peer_banned") == [{"info_hash": INFO_HASH, "peer": "80.0.0.1:6881", "reason": "sent bad data"}]
    world.advance(4_000)
    assert world.broker.take(m.RequestConnections) == []


# ── addresses of our own ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("key", ["127.0.0.1:6881", "[::1]:6881"])
def test_where_we_listen_is_not_dialled(key):
    world = TorrentWorld().run()                        # on 0.0.0.0, port 6881
    world.tell(m.PeersFound("tracker", (type(address(1)).parse(key),)))
    assert world.broker.take(m.RequestConnections) == []


def test_an_address_that_turns_out_to_be_our_own_is_never_dialled_again():
    world = TorrentWorld(peers=(address(1),)).run()
    world.fail(world.grant(), dm.HANDSHAKE_FAILED, dm.OWN_ADDRESS)
    world.tell(m.PeersFound("manual", (address(1),)))
    world.advance(4_000)
    assert (world.broker.take(m.RequestConnections), world.timers) == ([], [])
    assert world.log.named("connect_failed")[0]["next_try"] is None


# ── what a connection leaves ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_closed_connection_is_logged_with_what_it_brought():
    world = TorrentWorld(peers=(address(1),)).run()
    grant_id = world.grant()
    world.disconnect(world.connect(grant_id), "end of file", seconds=60.0)
    assert world.log.named("peer_disconnected") == [{
        "info_hash": INFO_HASH, "grant_id": grant_id, "peer": "80.0.0.1:6881", "reason": "end of file", "elapsed": 60.0,
        "downloaded": 1_000, "uploaded": 200,
    }]


def test_a_peer_that_drops_us_at_once_is_not_dialled_ten_times_in_ten_seconds():
    world = TorrentWorld(peers=(address(1),)).run()
    for _ in range(100):
        if world.broker.take(m.RequestConnections):
            world.disconnect(world.connect(), seconds=0.1)
        world.advance(0.1)
    assert len(world.to_daemon(dm.Dial)) == 1


def test_totals_go_to_the_announcer_now_and_then_not_with_every_figure():
    world = TorrentWorld().run()
    for _ in range(40):
        world.advance(0.5)
        world.tell(dm.TorrentStats(INFO_HASH, 100, 10, 1, 9, 8, []))
    assert 3 <= len(world.announcer.take(m.TransferReported)) <= 5


def test_peers_are_kept_when_the_torrent_stops_and_dialled_when_it_starts_again():
    world = TorrentWorld(peers=(address(1), address(2)), with_announcer=False).run()
    connection_id = world.connect()
    world.tell(m.StopTorrent())
    world.disconnect(connection_id, "stopped", seconds=1.0)
    world.tell(dm.TorrentStopped(INFO_HASH))
    assert (rows(world), world.snapshot().known_peers) == ({}, 2)
    world.forget().tell(m.StartTorrent())
    assert world.broker.take(m.RequestConnections) == [m.RequestConnections(INFO_HASH, 2)]
    assert rows(world) == {"80.0.0.1:6881": QUEUED, "80.0.0.2:6881": QUEUED}


def test_peers_of_a_complete_torrent_that_left_are_not_dialled():
    world = TorrentWorld(peers=(address(1),)).run(bitfield(*range(1, NUM_PIECES)))
    connection_id = world.connect()
    world.tell(dm.PiecesVerified(INFO_HASH, [0]), dm.PiecesDurable(INFO_HASH, [0]))
    world.disconnect(connection_id)
    world.forget().advance(4_000)
    assert (world.broker.take(), world.timers) == ([], [])


def test_torrents_learn_from_their_peers_under_which_address_they_are_seen():
    world = TorrentWorld(peers=tuple(map(address, range(1, 41)))).run()
    for connection_id in [world.connect() for _ in range(3)]:
        world.tell(dm.PeerNamed(INFO_HASH, connection_id, "", 0, "81.2.3.4"))
    world.to_daemon()
    for _ in range(37):
        world.grant()
    ours = PeerAddress("81.2.3.4", 6881)
    order = [peer_priority(ours, PeerAddress(dial.ip, dial.port)) for dial in world.to_daemon(dm.Dial)]
    assert len(order) == 37 and order == sorted(order, reverse=True)
