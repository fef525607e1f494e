"""TorrentActor when its daemon dies, when this machine fails, and when messages come that nobody waits for any more."""

import pytest

from actors import messages as m
from actors.snapshots import CHECKING, DOWNLOADING, ERROR, STOPPED
from protocol import daemon_messages as dm
from tests.actors.pump import RecordingRef
from tests.actors.torrent_world import ALL_PIECES, INFO_HASH, NUM_PIECES, PIECE_BYTES, TorrentWorld, address, bitfield

# ── the daemon dies ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_next_daemon_gets_the_torrent_with_the_pieces_that_are_durable():
    world = TorrentWorld().run(bitfield(0))
    world.tell(dm.PiecesVerified(INFO_HASH, [1, 2]), dm.PiecesDurable(INFO_HASH, [1]), m.DaemonLost())
    assert world.states() == [CHECKING]
    assert world.snapshot().verified_bytes == 2 * PIECE_BYTES
    world.forget().daemon_is_ready()
    assert [message.verified for message in world.to_daemon(dm.AddTorrent)] == [bitfield(0, 1)]
    world.checked(bitfield(0, 1, 2))
    assert world.to_daemon(dm.StartTorrent) == [dm.StartTorrent(INFO_HASH)]
    assert world.announcer.take(m.StartAnnouncing) == []  # it was never gone for the trackers


def test_a_complete_torrent_that_was_not_durable_is_checked_and_asks_again():
    world = TorrentWorld(peers=(address(1),)).run(bitfield(*range(NUM_PIECES - 1)))
    world.tell(dm.PiecesVerified(INFO_HASH, [NUM_PIECES - 1]), m.DaemonLost())
    world.daemon_is_ready()
    world.forget().checked(bitfield(*range(NUM_PIECES - 1)))
    assert world.broker.take() == [m.RequestConnections(INFO_HASH, 1)]


def test_what_was_transferred_before_the_daemon_died_is_counted():
    world = TorrentWorld().run()
    world.tell(dm.TorrentStats(INFO_HASH, 500, 50, 5, 9, 8, []), m.DaemonLost())
    snapshot = world.snapshot()
    assert (snapshot.downloaded, snapshot.uploaded, snapshot.wasted, snapshot.download_rate) == (500, 50, 5, 0)
    world.daemon_is_ready()
    world.checked()
    world.tell(dm.TorrentStats(INFO_HASH, 100, 10, 1, 9, 8, []))
    assert (world.snapshot().downloaded, world.snapshot().uploaded, world.snapshot().wasted) == (600, 60, 6)


def test_a_daemon_that_dies_while_the_torrent_is_checked_checks_again():
    world = TorrentWorld()
    world.tell(m.StartTorrent())
    world.daemon_is_ready()
    world.forget().tell(m.DaemonLost())
    world.daemon_is_ready()
    assert [type(message) for message in world.to_daemon()] == [dm.MetadataPart, dm.AddTorrent]


def test_a_daemon_that_dies_while_the_torrent_stops_has_stopped_it():
    world = TorrentWorld(with_announcer=False).run()
    world.tell(m.StopTorrent(world.user), m.DaemonLost())
    assert world.user.take() == [m.TorrentStoppedFully(INFO_HASH)]
    world.forget().daemon_is_ready()
    assert (world.to_daemon(), world.snapshot().state) == ([], STOPPED)


def test_a_daemon_that_dies_while_nothing_runs_changes_nothing():
    world = TorrentWorld()
    world.daemon_is_ready()
    world.forget().tell(m.DaemonLost())
    assert (world.broker.take(), world.states(), world.timers) == ([], [], [])


def test_a_stopped_torrent_whose_daemon_died_is_given_to_the_next_one_when_it_starts():
    world = TorrentWorld(with_announcer=False).run(bitfield(2))
    world.tell(m.StopTorrent(), dm.TorrentStopped(INFO_HASH), m.DaemonLost())
    world.forget().daemon_is_ready()
    world.tell(m.StartTorrent())
    assert [message.verified for message in world.to_daemon(dm.AddTorrent)] == [bitfield(2)]


def test_a_dead_daemon_link_is_a_dead_daemon():
    world = TorrentWorld(peers=(address(1),)).run()
    world.link.is_dead = True
    grant_id = world.grant()
    assert world.broker.take(m.AttemptEnded) == [m.AttemptEnded(grant_id, dm.CANCELLED, 0.0)]
    assert world.states() == [CHECKING] and world.snapshot().why == "waits for its I/O daemon, which is being started"


def test_a_second_daemon_without_the_news_of_the_first_ones_death_is_a_new_start():
    world = TorrentWorld().run()
    world.daemon_is_ready()
    assert [type(message) for message in world.to_daemon()] == [dm.MetadataPart, dm.AddTorrent]


# ── this machine fails ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_torrent_that_fails_says_why_and_leaves_the_swarm():
    world = TorrentWorld(peers=(address(1),)).run()
    world.tell(dm.TorrentFailed(INFO_HASH, "debian.iso: no space left on device"))
    assert world.session.take(m.TorrentStateChanged) == [m.TorrentStateChanged(INFO_HASH, ERROR, "debian.iso: no space left on device")]
    assert world.broker.take() == [m.CancelRequests(INFO_HASH)]
    assert len(world.announcer.take(m.StopAnnouncing)) == 1
    assert (world.snapshot().error, world.timers) == ("debian.iso: no space left on device", [])
    assert world.log.named("torrent_failed") == [{"info_hash": INFO_HASH, "error": "debian.iso: no space left on device"}]


def test_a_failed_torrent_can_be_started_again():
    world = TorrentWorld().run(bitfield(3))
    world.tell(dm.TorrentFailed(INFO_HASH, "no room"))
    world.tell(dm.TorrentStopped(INFO_HASH), m.StartTorrent())
    assert [type(message) for message in world.to_daemon()] == [dm.RemoveTorrent, dm.MetadataPart, dm.AddTorrent]
    world.checked(bitfield(3))
    assert (world.states()[-1], world.snapshot().error) == (DOWNLOADING, "")
    assert len(world.announcer.take(m.StartAnnouncing)) == 1


def test_a_failed_torrent_can_be_stopped_and_keeps_its_error():
    world = TorrentWorld().run()
    world.tell(dm.TorrentFailed(INFO_HASH, "no room"), m.AnnouncerStopped(INFO_HASH), m.StopTorrent(world.user))
    assert (world.user.take(), world.snapshot().state) == ([m.TorrentStoppedFully(INFO_HASH)], ERROR)


def test_a_torrent_that_fails_while_it_stops_has_stopped():
    world = TorrentWorld(with_announcer=False).run()
    world.tell(m.StopTorrent(world.user), dm.TorrentFailed(INFO_HASH, "no room"))
    assert world.user.take() == [m.TorrentStoppedFully(INFO_HASH)]


# ── messages that come when nobody waits for them ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("bring_about", [
    lambda world: None,
    lambda world: world.run(),
    lambda world: world.run().tell(m.StopTorrent(), dm.TorrentStopped(INFO_HASH)),
    lambda world: world.run().tell(m.DaemonLost()),
    lambda world: world.run().tell(dm.TorrentFailed(INFO_HASH, "no room")),
], ids=["new", "running", "stopped", "daemon lost", "failed"])
def test_late_messages_of_the_daemon_change_no_state(bring_about):
    world = TorrentWorld(with_announcer=False)
    bring_about(world)
    world.forget()
    before = world.snapshot()
    world.tell(
        dm.TorrentChecked(INFO_HASH, ALL_PIECES), dm.TorrentStopped(INFO_HASH), dm.Dialled(INFO_HASH, 77, 0.1),
        dm.DialFailed(INFO_HASH, 77, dm.REFUSED, "", 0.1), dm.PeerNamed(INFO_HASH, 77, "rqbit", 6881),
        dm.PeerDisconnected(INFO_HASH, 77, "end of file", 1.0, 0, 0), m.IncomingRefused(77, "full"), m.AnnouncerStopped(INFO_HASH),
        m.StopOverdue(), m.MaintenanceDue(), dm.TorrentStats(INFO_HASH, 0, 0, 0, 0, 0, [dm.PeerStats(77, 1, 1, 1, 1, 1, "D", 1)]),
    )
    assert world.snapshot() == before
    assert (world.broker.take(), world.states(), world.to_daemon()) == ([], [], [])


# ── its announcer fails ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_announcer_of_a_running_torrent_announces_it_and_counts_from_now():
    world = TorrentWorld().run()
    world.tell(dm.TorrentStats(INFO_HASH, 5_000, 700, 0, 0, 0, []))
    world.forget()
    announcer = RecordingRef()
    world.tell(m.AnnouncerStarted(announcer))
    reported, started = announcer.take()
    assert (reported.downloaded, reported.uploaded) == (5_000, 700)
    assert isinstance(started, m.StartAnnouncing)
    assert world.announcer.take() == []


def test_a_new_announcer_of_a_stopped_torrent_waits():
    world = TorrentWorld()
    announcer = RecordingRef()
    world.tell(m.AnnouncerStarted(announcer))
    assert announcer.take(m.StartAnnouncing) == []
