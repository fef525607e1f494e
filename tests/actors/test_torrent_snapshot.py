"""What a viewer sees of a torrent, and that a torrent at rest costs a viewer nothing."""

import pytest

from actors import messages as m
from actors.snapshots import CONNECTED, FAILED, QUEUED, ConnectionView, SwarmPeerView
from protocol import daemon_messages as dm
from scheduler.settings import settings_from
from tests.actors.torrent_world import (
    ALL_PIECES,
    INFO_HASH,
    LAST_PIECE_BYTES,
    NUM_PIECES,
    PIECE_BYTES,
    TorrentWorld,
    address,
    bitfield,
)

# ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_row_of_a_torrent():
    world = TorrentWorld(peers=(address(1), address(2))).run(bitfield(0))
    world.tell(dm.TorrentStats(INFO_HASH, 500, 50, 5, 90, 8, []), m.TrackerReported("http://t", "tracker says: no", None, 1, 2))
    world.connect()
    row = world.snapshot(with_peers=False)
    assert (row.info_hash, row.name, row.state, row.error) == (INFO_HASH, "debian.iso", "downloading", "")
    assert (row.total_bytes, row.verified_bytes) == (9 * PIECE_BYTES + LAST_PIECE_BYTES, PIECE_BYTES)
    assert (row.pieces_checked, row.num_pieces) == (0, NUM_PIECES)
    assert (row.downloaded, row.uploaded, row.wasted, row.download_rate, row.upload_rate) == (500, 50, 5, 90, 8)
    assert row.peers_by_state == {"queued": 1, "connecting": 0, "handshaking": 0, "connected": 1, "failed": 0}
    assert (row.known_peers, row.tracker_error, row.why, row.peers) == (2, "tracker says: no", "", ())


def test_the_row_of_a_connected_peer():
    world = TorrentWorld(peers=(address(1),)).run()
    connection_id = world.connect(name="libtorrent 2.1")
    world.tell(dm.TorrentStats(INFO_HASH, 0, 0, 0, 0, 0, [dm.PeerStats(connection_id, 5, 100, 20, 3_000, 400, "DU", 7)]))
    world.advance(4.0)
    row, = world.snapshot().peers
    assert (row.key, row.ip, row.port, row.state) == ("80.0.0.1:6881", "80.0.0.1", 6881, CONNECTED)
    assert (row.since, row.until, row.attempt, row.reason) == (4.0, None, 1, "")
    assert row.connection == ConnectionView("libtorrent 2.1", 0.5, 100, 20, 3_000, 400, "DU", 7, False)
    assert row.swarm_peer == SwarmPeerView("manual", 1, 0, "", None, "", "libtorrent 2.1", 3_000, 400)


def test_a_row_without_a_connection_has_no_figures_and_knows_the_client_from_before():
    world = TorrentWorld(peers=(address(1),)).run()
    world.disconnect(world.connect(name="libtorrent 2.1"), "end of file", seconds=100.0)
    world.advance(5.0)
    row, = world.snapshot().peers
    assert (row.state, row.reason, row.connection) == (FAILED, "end of file", None)
    assert (row.swarm_peer.client_name, row.swarm_peer.downloaded, row.swarm_peer.last_error) == ("libtorrent 2.1", 1_000, "end of file")
    assert row.until == row.swarm_peer.next_try_in and 10 <= row.until < 15


def test_an_incoming_peer_carries_the_flag_i_and_is_unknown_until_it_tells_its_name():
    world = TorrentWorld().run()
    connection_id, _ = world.accept()
    assert world.snapshot().peers[0].connection == ConnectionView("?", 0.0, 0, 0, 0, 0, "I", 0, True)
    world.tell(dm.TorrentStats(INFO_HASH, 0, 0, 0, 0, 0, [dm.PeerStats(connection_id, 0, 0, 0, 0, 0, "dU", 0)]))
    assert world.snapshot().peers[0].connection.flags == "dUI"


@pytest.mark.parametrize("bring_about", [
    lambda world: None,
    lambda world: (world.connect(), world.grant(), world.fail(world.grant()), world.accept()),
    lambda world: world.tell(m.StopTorrent(), dm.TorrentStopped(INFO_HASH)),
    lambda world: (world.fail(world.grant()), world.tell(m.DaemonLost())),
    lambda world: world.tell(dm.PiecesVerified(INFO_HASH, list(range(NUM_PIECES)))),
], ids=["new", "busy", "stopped", "daemon lost", "complete"])
def test_counts_and_rows_agree(bring_about):
    world = TorrentWorld(peers=tuple(map(address, range(1, 9)))).run()
    bring_about(world)
    snapshot = world.snapshot()
    states = [row.state for row in snapshot.peers]
    assert snapshot.peers_by_state == {state: states.count(state) for state in snapshot.peers_by_state}


def test_candidates_of_a_torrent_that_does_not_dial_are_not_queued():
    world = TorrentWorld(peers=(address(1),))
    assert (world.snapshot().peers, world.snapshot().known_peers) == ((), 1)
    world.run()
    assert [row.state for row in world.snapshot().peers] == [QUEUED]


# ── why ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def fourteen_failed(world):
    world.tell(m.PeersFound("pex", tuple(map(address, range(1, 15)))))
    for _ in range(14):
        world.fail(world.grant())


@pytest.mark.parametrize(("bring_about", "why"), [
    (lambda world: None, "no peers known yet"),
    (lambda world: world.tell(m.TrackerReported("http://t", "", 20.4, None, None)), "no peers known yet, tracker answers in 20 s"),
    (lambda world: world.tell(m.TrackerReported("http://t", "", 1_800.0, None, None)), "no peers known yet, tracker answers in 30 min"),
    (lambda world: world.tell(m.PeersFound("pex", (address(1),))), ""),
    (lambda world: (world.tell(m.PeersFound("pex", (address(1),))), world.connect()), ""),
    (lambda world: (world.tell(m.PeersFound("pex", (address(1), address(2)))), world.connect(), world.connect()),
     "this torrent's limit: 2 of 2"),
    (lambda world: world.tell(m.StopTorrent()), "stopped by you"),
    (lambda world: world.tell(dm.TorrentFailed(INFO_HASH, "no room")), "no room"),
    (lambda world: world.tell(m.DaemonLost()), "waits for its I/O daemon, which is being started"),
    (lambda world: world.tell(m.RecheckTorrent(), dm.TorrentStopped(INFO_HASH)), "hashes what is on disk"),
    (lambda world: world.tell(dm.PiecesVerified(INFO_HASH, list(range(NUM_PIECES)))), ""),
], ids=range(11))
def test_every_not_yet_has_a_reason(bring_about, why):
    world = TorrentWorld(settings=settings_from({"torrent_connection_limit": 2, "seeds_dial": False})).run()
    bring_about(world)
    assert world.snapshot().why == why


def test_the_reason_of_a_torrent_whose_peers_all_failed_counts_down():
    world = TorrentWorld().run()
    fourteen_failed(world)
    whys = []
    for _ in range(2):
        whys.append(world.snapshot(with_peers=False).why)
        world.advance(10.0)
    first, second = (int(why.removeprefix("all 14 peers failed, next try in ").removesuffix(" s")) for why in whys)
    assert 15 <= first <= 19 and second == first - 10


def test_the_reason_names_the_failed_ones_when_others_are_connected():
    world = TorrentWorld(peers=(address(1), address(2), address(3))).run()
    world.connect()
    world.fail(world.grant())
    world.fail(world.grant())
    assert world.snapshot().why.startswith("the other 2 peers failed, next try in ")


# ── what it costs to look ────────────────────────────────────────────────────────────────────────────────────────────────


def look(world: TorrentWorld, with_peers: bool = False) -> m.SnapshotTaken:
    world.tell(m.GetTorrentSnapshot(world.user, with_peers))
    taken, = world.user.take(m.SnapshotTaken)
    return taken


def test_a_torrent_at_rest_gives_the_same_snapshot_again_and_again():
    world = TorrentWorld().run(ALL_PIECES)
    first = look(world)
    world.advance(1_000)
    assert look(world).snapshot is first.snapshot and not first.changes_with_time


def test_a_message_that_changed_nothing_gives_the_same_snapshot():
    world = TorrentWorld().run(ALL_PIECES)
    first = look(world)
    world.tell(m.PeersFound("tracker", ()), dm.Dialled(INFO_HASH, 99, 1.0))
    assert look(world).snapshot is first.snapshot


def test_a_torrent_says_once_that_it_changed_until_somebody_looks():
    world = TorrentWorld(peers=(address(1),)).run()
    look(world)
    world.forget()
    world.connect()
    world.tell(dm.TorrentStats(INFO_HASH, 1, 1, 1, 1, 1, []))
    assert world.ui_feed.take() == [m.TorrentChanged(INFO_HASH)]
    look(world)
    assert world.ui_feed.take() == []
    world.tell(dm.PiecesVerified(INFO_HASH, [1]))
    assert world.ui_feed.take() == [m.TorrentChanged(INFO_HASH)]


def test_a_backoff_that_ends_is_a_change():
    world = TorrentWorld(peers=(address(1),)).run()
    world.fail(world.grant())
    look(world)
    world.forget().advance(20)
    assert m.TorrentChanged(INFO_HASH) in world.ui_feed.take()


def test_a_snapshot_that_tells_a_time_says_that_it_changes_with_time():
    world = TorrentWorld(peers=(address(1),)).run()
    assert not look(world).changes_with_time
    assert look(world, with_peers=True).changes_with_time   # since when, for each row
    world.fail(world.grant())
    assert look(world).changes_with_time


def test_a_look_at_the_row_alone_builds_no_rows_of_peers():
    world = TorrentWorld(peers=(address(1),)).run()
    assert look(world, with_peers=False).snapshot.peers == () and len(look(world, with_peers=True).snapshot.peers) == 1
