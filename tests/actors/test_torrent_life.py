"""TorrentActor: from stopped to seeding and back, with a daemon that comes, checks, dies and fails."""

import pytest
from pykka.messages import _ActorStop

from actors import messages as m
from actors.snapshots import CHECKING, DOWNLOADING, SEEDING, STOPPED
from protocol import daemon_messages as dm
from protocol.limits import METADATA_PART_BYTES
from scheduler.settings import settings_from
from tests.actors.torrent_world import (
    ALL_PIECES,
    INFO_HASH,
    LAST_PIECE_BYTES,
    NUM_PIECES,
    PIECE_BYTES,
    RAW_INFO,
    TorrentWorld,
    add_order,
    address,
    bitfield,
)

# ── coming to life ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_torrent_makes_itself_known_to_broker_feed_and_daemon_link():
    world = TorrentWorld()
    assert world.broker.take(m.RegisterTorrent) == [m.RegisterTorrent(INFO_HASH, world.actor.actor_ref, "normal")]
    assert world.ui_feed.take(m.WatchTorrent) == [m.WatchTorrent(INFO_HASH, world.actor.actor_ref)]
    assert world.link.take(m.AttachTorrent) == [m.AttachTorrent(INFO_HASH, world.actor.actor_ref)]


def test_a_torrent_that_nobody_started_gives_the_daemon_nothing():
    world = TorrentWorld(peers=(address(1),))
    world.daemon_is_ready()
    assert (world.to_daemon(), world.timers, world.snapshot().state) == ([], [], STOPPED)


@pytest.mark.parametrize("daemon_first", [True, False])
def test_a_started_torrent_is_given_to_the_daemon_and_checked(daemon_first):
    world = TorrentWorld()
    for step in ([world.daemon_is_ready, lambda: world.tell(m.StartTorrent())][::1 if daemon_first else -1]):
        step()
    assert world.to_daemon() == [
        dm.MetadataPart(INFO_HASH, len(RAW_INFO), 0, RAW_INFO), dm.AddTorrent(INFO_HASH, "debian.torrent", "/downloads", b""),
    ]
    assert world.states() == [CHECKING]


def test_large_metadata_goes_in_parts_that_fit_into_a_frame():
    raw = bytes(METADATA_PART_BYTES) + b"the rest"
    world = TorrentWorld(order=add_order(raw=raw))
    world.tell(m.StartTorrent())
    world.daemon_is_ready()
    parts = world.to_daemon(dm.MetadataPart)
    assert [(part.total, part.offset) for part in parts] == [(len(raw), 0), (len(raw), METADATA_PART_BYTES)]
    assert b"".join(part.data for part in parts) == raw


def test_the_check_can_be_watched():
    world = TorrentWorld()
    world.tell(m.StartTorrent())
    world.daemon_is_ready()
    world.tell(dm.CheckProgress(INFO_HASH, 7))
    assert (world.snapshot().state, world.snapshot().pieces_checked) == (CHECKING, 7)
    world.checked(bitfield(0))
    assert (world.snapshot().state, world.snapshot().pieces_checked) == (DOWNLOADING, 0)


def test_a_checked_torrent_joins_the_swarm_and_is_announced():
    world = TorrentWorld()
    world.tell(m.StartTorrent())
    world.daemon_is_ready(port=7000)
    world.forget().checked(bitfield(0, NUM_PIECES - 1))
    left = (NUM_PIECES - 2) * PIECE_BYTES
    assert world.to_daemon() == [dm.StartTorrent(INFO_HASH)]
    assert world.announcer.take() == [m.StartAnnouncing(7000, left)]
    assert world.states() == [DOWNLOADING]
    assert world.snapshot().verified_bytes == PIECE_BYTES + LAST_PIECE_BYTES
    assert world.log.named("torrent_checked") == [{"info_hash": INFO_HASH, "num_verified": 2, "num_pieces": NUM_PIECES}]


def test_an_announcer_that_comes_late_announces_at_once():
    world = TorrentWorld(with_announcer=False).run()
    world.tell(m.AnnouncerStarted(world.announcer))
    assert len(world.announcer.take(m.StartAnnouncing)) == 1


def test_a_torrent_whose_data_is_all_there_seeds_and_asks_for_nobody():
    world = TorrentWorld(peers=(address(1),))
    world.tell(m.StartTorrent())
    world.daemon_is_ready()
    world.forget().checked(ALL_PIECES)
    assert (world.states(), world.broker.take(), world.timers) == ([SEEDING], [], [])
    assert world.announcer.take() == [m.StartAnnouncing(6881, 0)]
    assert world.log.named("torrent_completed") == []


# ── completing ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_torrent_with_all_pieces_verified_asks_for_nobody_any_more():
    world = TorrentWorld(peers=(address(1), address(2))).run(bitfield(*range(NUM_PIECES - 1)))
    world.tell(dm.PiecesVerified(INFO_HASH, [NUM_PIECES - 1]))
    assert world.broker.take() == [m.CancelRequests(INFO_HASH)]
    assert world.to_daemon() == [dm.CancelDials(INFO_HASH)]
    assert world.snapshot().state == DOWNLOADING        # not durable yet
    assert world.timers == []


def test_a_torrent_seeds_once_all_pieces_are_durable():
    world = TorrentWorld().run(bitfield(*range(NUM_PIECES - 2)))
    world.tell(dm.PiecesVerified(INFO_HASH, [NUM_PIECES - 1, NUM_PIECES - 2]), dm.PiecesDurable(INFO_HASH, [NUM_PIECES - 2]))
    assert world.states() == []
    world.tell(dm.PiecesDurable(INFO_HASH, [NUM_PIECES - 1]))
    assert world.states() == [SEEDING]
    assert [message.left for message in world.announcer.take(m.TransferReported)] == [0]
    assert len(world.log.named("torrent_completed")) == 1


def test_a_batch_of_pieces_is_one_event():
    world = TorrentWorld().run()
    world.tell(dm.PiecesVerified(INFO_HASH, [3, 1]))
    assert world.log.named("piece_verified") == [{"info_hash": INFO_HASH, "piece_indices": [3, 1], "num_verified": 2}]
    assert world.snapshot().verified_bytes == 2 * PIECE_BYTES


def test_a_piece_that_is_verified_twice_counts_once():
    world = TorrentWorld().run()
    world.tell(dm.PiecesVerified(INFO_HASH, [1]), dm.PiecesVerified(INFO_HASH, [1]))
    assert world.snapshot().verified_bytes == PIECE_BYTES


def test_a_failed_piece_is_logged():
    world = TorrentWorld().run()
    world.tell(dm.PieceFailed(INFO_HASH, 3, 2))
    assert world.log.named("piece_failed") == [{"info_hash": INFO_HASH, "piece_index": 3, "num_peers": 2}]


# ── stopping ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stop_cancels_requests_dials_and_announces_then_tells_who_asked():
    world = TorrentWorld(peers=(address(1),)).run()
    world.tell(m.StopTorrent(world.user))
    assert world.broker.take() == [m.CancelRequests(INFO_HASH)]
    assert world.to_daemon() == [dm.CancelDials(INFO_HASH), dm.StopTorrent(INFO_HASH)]
    assert world.announcer.take(m.StopAnnouncing) == [m.StopAnnouncing(world.actor.actor_ref)]
    assert world.user.take() == []
    world.tell(dm.TorrentStopped(INFO_HASH))
    assert world.user.take() == []
    world.tell(m.AnnouncerStopped(INFO_HASH))
    assert world.user.take() == [m.TorrentStoppedFully(INFO_HASH)]
    assert (world.states(), world.timers, world.snapshot().why) == ([STOPPED], [], "stopped by you")


def test_the_trackers_get_the_last_totals_before_they_are_told_that_it_stopped():
    world = TorrentWorld().run()
    world.tell(dm.TorrentStats(INFO_HASH, 500, 50, 5, 0, 0, []), m.StopTorrent())
    assert world.announcer.take()[-2:] == [
        m.TransferReported(500, 50, (NUM_PIECES - 1) * PIECE_BYTES + LAST_PIECE_BYTES), m.StopAnnouncing(world.actor.actor_ref),
    ]


@pytest.mark.parametrize("answers", [(), ("daemon",), ("announcer",)])
def test_a_stop_waits_two_seconds_for_daemon_and_tracker_but_no_longer(answers):
    world = TorrentWorld().run()
    world.tell(m.StopTorrent(world.user))
    world.tell(*[{"daemon": dm.TorrentStopped(INFO_HASH), "announcer": m.AnnouncerStopped(INFO_HASH)}[name] for name in answers])
    world.advance(1.9)
    assert world.user.take() == []
    world.advance(0.2)
    assert world.user.take() == [m.TorrentStoppedFully(INFO_HASH)]
    world.tell(dm.TorrentStopped(INFO_HASH), m.AnnouncerStopped(INFO_HASH))
    assert (world.user.take(), world.timers) == ([], [])


def test_a_torrent_at_rest_stops_at_once():
    world = TorrentWorld()
    world.tell(m.StopTorrent(world.user))
    assert (world.user.take(), world.timers) == ([m.TorrentStoppedFully(INFO_HASH)], [])


def test_everybody_who_asked_to_stop_is_told():
    world = TorrentWorld(with_announcer=False).run()
    other = type(world.user)()
    world.tell(m.StopTorrent(world.user), m.StopTorrent(other), m.StopTorrent(), dm.TorrentStopped(INFO_HASH))
    assert len(world.user.take()) == len(other.take()) == 1
    assert len(world.to_daemon(dm.StopTorrent)) == 1


def test_a_second_stop_waits_for_what_the_first_one_waits_for():
    world = TorrentWorld().run()
    world.tell(m.StopTorrent(world.user), m.StopTorrent(world.user), dm.TorrentStopped(INFO_HASH))
    assert world.user.take() == []
    world.tell(m.AnnouncerStopped(INFO_HASH))
    assert world.user.take() == [m.TorrentStoppedFully(INFO_HASH)] * 2


def test_a_check_can_be_stopped_and_is_begun_anew():
    world = TorrentWorld()
    world.tell(m.StartTorrent())
    world.daemon_is_ready()
    world.forget().tell(m.StopTorrent(world.user))
    assert world.to_daemon(dm.StopTorrent) == [dm.StopTorrent(INFO_HASH)]
    world.tell(dm.TorrentStopped(INFO_HASH))
    assert world.user.take() == [m.TorrentStoppedFully(INFO_HASH)]
    assert world.to_daemon(dm.RemoveTorrent) == [dm.RemoveTorrent(INFO_HASH)]
    world.forget().tell(m.StartTorrent())
    assert [type(message) for message in world.to_daemon()] == [dm.MetadataPart, dm.AddTorrent]


def test_a_torrent_that_is_started_while_it_stops_runs_again_when_it_has_stopped():
    world = TorrentWorld(with_announcer=False).run()
    world.tell(m.StopTorrent(world.user), m.StartTorrent())
    assert world.to_daemon(dm.StartTorrent) == []
    world.tell(dm.TorrentStopped(INFO_HASH))
    assert world.user.take() == [m.TorrentStoppedFully(INFO_HASH)]
    assert world.to_daemon(dm.StartTorrent) == [dm.StartTorrent(INFO_HASH)]
    assert world.states()[-1] == DOWNLOADING


def test_a_torrent_that_is_started_again_is_announced_again():
    world = TorrentWorld().run()
    world.tell(m.StopTorrent(), dm.TorrentStopped(INFO_HASH), m.AnnouncerStopped(INFO_HASH))
    world.forget().tell(m.StartTorrent())
    assert len(world.announcer.take(m.StartAnnouncing)) == 1
    assert world.to_daemon() == [dm.StartTorrent(INFO_HASH)]  # what it has is known


def test_a_forgotten_torrent_leaves_everybody_and_ends():
    world = TorrentWorld(with_announcer=False).run()
    world.tell(m.StopTorrent(world.user, forget=True), m.StartTorrent())
    world.forget()
    world.actor.on_receive(dm.TorrentStopped(INFO_HASH))
    assert world.to_daemon() == [dm.RemoveTorrent(INFO_HASH, delete_parts=True)]
    assert world.link.take() == [m.DetachTorrent(INFO_HASH)]
    assert world.broker.take() == [m.TorrentGone(INFO_HASH)]
    assert m.UnwatchTorrent(INFO_HASH) in world.ui_feed.take()
    assert world.user.take() == [m.TorrentStoppedFully(INFO_HASH)]
    assert isinstance(world.actor.actor_inbox.get().message, _ActorStop)


# ── rechecking ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_running_torrent_leaves_the_swarm_is_checked_and_goes_on():
    world = TorrentWorld().run(ALL_PIECES)
    world.tell(m.RecheckTorrent())
    assert world.to_daemon(dm.StopTorrent) and world.announcer.take(m.StopAnnouncing) == []
    world.tell(dm.TorrentStopped(INFO_HASH))
    assert world.to_daemon(dm.CheckTorrent) == [dm.CheckTorrent(INFO_HASH)]
    world.checked(bitfield(1))
    assert world.states() == [CHECKING, DOWNLOADING]
    assert world.snapshot().verified_bytes == PIECE_BYTES


def test_a_recheck_believes_nothing_of_what_was_known():
    world = TorrentWorld().run(ALL_PIECES)
    world.tell(m.StopTorrent(), dm.TorrentStopped(INFO_HASH), m.DaemonLost(), m.RecheckTorrent())
    world.forget().daemon_is_ready()
    assert [message.verified for message in world.to_daemon(dm.AddTorrent)] == [b""]


def test_settings_that_change_are_used_at_once():
    world = TorrentWorld(peers=tuple(map(address, range(1, 11)))).run()
    world.tell(m.ApplySettings(settings_from({"torrent_connection_limit": 3})))
    assert world.broker.take(m.RequestConnections) == [m.RequestConnections(INFO_HASH, 3)]


def test_an_unknown_message_is_a_bug():
    with pytest.raises(Exception, match=r"debian\.iso got"):
        TorrentWorld().tell(m.GetView())
