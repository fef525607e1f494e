"""TorrentActor and the broker: when it asks, for how many, what it does with a grant, and how an attempt ends."""

import pytest

from actors import messages as m
from actors.snapshots import CONNECTING, FAILED, HANDSHAKING, QUEUED
from protocol import daemon_messages as dm
from scheduler.settings import settings_from
from tests.actors.torrent_world import ALL_PIECES, INFO_HASH, NUM_PIECES, TorrentWorld, address, bitfield


def peers(count: int) -> tuple:
    return tuple(map(address, range(1, count + 1)))


def asked(world: TorrentWorld) -> list[int]:
    """Return and forget the levels that the broker was told."""
    return [message.count for message in world.broker.take(m.RequestConnections)]


def state_of(world: TorrentWorld, number: int) -> str:
    return next(peer.state for peer in world.snapshot().peers if peer.ip == address(number).ip)


# ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_torrent_asks_for_as_many_as_it_has_candidates_and_room():
    world = TorrentWorld(peers=peers(80))
    world.tell(m.StartTorrent())
    world.daemon_is_ready()
    assert asked(world) == []
    world.checked()
    assert asked(world) == [50]
    assert world.log.named("slot_requested") == [{"info_hash": INFO_HASH, "count": 50, "candidates": 80}]


def test_a_torrent_without_peers_asks_nobody_and_has_no_timer():
    world = TorrentWorld().run()
    assert (asked(world), world.timers) == ([], [])
    world.advance(3_600)
    assert (world.broker.take(), world.ui_feed.take(), world.timers) == ([], [], [])


def test_a_torrent_that_nobody_serves_states_its_level_again_after_its_schedule():
    world = TorrentWorld(peers=peers(5)).run()
    times = []
    for _ in range(8):
        due, = world.timers
        world.advance(due)
        times.append((round(due, 3), asked(world)))
    assert times == [(seconds, [5]) for seconds in (0.5, 1.0, 1.0, 2.0, 2.0, 5.0, 5.0, 5.0)]
    assert world.log.named("slot_requested") == []      # the level did not change


def test_a_torrent_asks_at_once_when_new_candidates_come():
    world = TorrentWorld(peers=peers(1)).run()
    world.tell(m.PeersFound("pex", (address(2), address(3))))
    assert asked(world) == [3]


def test_addresses_that_are_known_already_are_no_reason_to_ask():
    world = TorrentWorld(peers=peers(1)).run()
    world.tell(m.PeersFound("pex", peers(1)))
    assert asked(world) == []
    assert world.log.named("peers_found") == [{"info_hash": INFO_HASH, "source": "pex", "count": 1, "new": 0}]


def test_many_messages_at_once_are_one_request():
    world = TorrentWorld().run()
    for number in range(1, 21):
        world.actor.actor_ref.tell(m.PeersFound("pex", (address(number),)))
    world.tell(m.PeersFound("pex", (address(21),)))
    assert asked(world) == [21]


def test_a_closed_peer_makes_room_and_the_torrent_asks_at_once():
    world = TorrentWorld(peers=peers(3), settings=settings_from({"torrent_connection_limit": 2})).run()
    first, _ = world.connect(), world.connect()
    assert (asked(world), world.timers) == ([], [])     # full: nothing that time could change
    world.disconnect(first)
    assert asked(world) == [1]


def test_a_full_torrent_sleeps_though_a_backoff_ends_and_presses_no_tracker():
    world = TorrentWorld(peers=peers(2), settings=settings_from({"torrent_connection_limit": 1})).run()
    world.fail(world.grant())
    world.tell(m.PeersFound("pex", peers(3)))
    world.connect()
    world.connect()
    world.forget()
    assert world.timers == []
    world.advance(100)
    assert (asked(world), world.announcer.take(m.AnnounceNow)) == ([], [])


def test_grants_use_up_what_was_asked_for_and_nothing_is_asked_twice():
    world = TorrentWorld(peers=peers(3)).run()
    for _ in range(3):
        world.grant()
    assert asked(world) == []


def test_a_torrent_whose_candidates_all_failed_sleeps_until_the_first_backoff_ends():
    world = TorrentWorld(peers=peers(3)).run()
    for wait in (0.0, 1.0, 1.0):
        world.advance(wait)
        world.fail(world.grant())
    asked(world)
    due, = world.timers
    assert 12 < due < 19
    world.advance(due - 0.01)
    assert (asked(world), state_of(world, 1)) == ([], FAILED)
    world.advance(0.02)
    assert (asked(world), state_of(world, 1)) == ([1], QUEUED)


def test_backoffs_that_end_almost_together_are_one_wake_up():
    world = TorrentWorld(peers=peers(50)).run()
    for _ in range(50):
        world.fail(world.grant(), dm.LOCAL_BUSY)        # all wait 2 s
    asked(world)
    world.advance(2.2)
    assert asked(world) == [50]


def test_the_tracker_is_asked_once_when_all_that_it_named_has_been_tried():
    world = TorrentWorld(peers=peers(1)).run()
    world.fail(world.grant())
    assert world.announcer.take(m.AnnounceNow) == [m.AnnounceNow()]
    world.advance(30)
    world.fail(world.grant())
    assert world.announcer.take(m.AnnounceNow) == []
    world.tell(m.PeersFound("tracker", (address(2),)))
    world.fail(world.grant())
    assert world.announcer.take(m.AnnounceNow) == [m.AnnounceNow()]


def test_a_torrent_that_never_knew_a_peer_does_not_press_the_tracker():
    assert TorrentWorld().run().announcer.take(m.AnnounceNow) == []


# ── using a grant ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_grant_becomes_a_dial_of_the_best_candidate_of_that_moment():
    world = TorrentWorld(peers=peers(1)).run()
    world.fail(world.grant())
    world.advance(30)
    world.tell(m.PeersFound("tracker", (address(2),)))  # never tried: better than what was asked for
    world.forget()
    grant_id = world.grant()
    assert world.broker.take(m.AttemptStarted) == [m.AttemptStarted(grant_id, "80.0.0.2:6881", 10.0)]
    assert world.to_daemon() == [dm.Dial(INFO_HASH, grant_id, "80.0.0.2", 6881, 10.0)]
    assert world.log.named("connect_started") == [
        {"info_hash": INFO_HASH, "grant_id": grant_id, "peer": "80.0.0.2:6881", "source": "tracker", "attempt": 1, "timeout": 10.0},
    ]
    assert state_of(world, 2) == CONNECTING


def test_a_peer_is_seen_connecting_then_handshaking_then_connected():
    world = TorrentWorld(peers=peers(1)).run()
    grant_id = world.grant()
    row, = world.snapshot().peers
    assert (row.state, row.until, row.attempt) == (CONNECTING, 10.0, 1)
    world.advance(1.0)
    world.tell(dm.Dialled(INFO_HASH, grant_id, 0.9))
    row, = world.snapshot().peers
    assert (row.state, row.since, row.until) == (HANDSHAKING, 0.0, 10.0)
    world.tell(dm.PeerConnected(INFO_HASH, 5, grant_id, "80.0.0.1", 6881, False, bytes(20), "rqbit 9", 1.2))
    row, = world.snapshot().peers
    assert (row.state, row.until, row.connection.client_name) == ("connected", None, "rqbit 9")


def test_a_grant_that_led_to_a_peer_is_told_to_the_broker_once():
    world = TorrentWorld(peers=peers(1)).run()
    grant_id = world.grant()
    connection_id = world.connect(grant_id)
    assert world.broker.take(m.AttemptEnded) == [m.AttemptEnded(grant_id, dm.CONNECTED, 0.2, answered_in=0.1)]
    world.fail(grant_id)
    world.disconnect(connection_id)
    world.disconnect(connection_id)
    assert world.broker.take(m.AttemptEnded) == []
    assert world.broker.take(m.ConnectionClosed) == [m.ConnectionClosed(grant_id)]


@pytest.mark.parametrize("outcome", [dm.REFUSED, dm.TIMED_OUT, dm.UNREACHABLE, dm.HANDSHAKE_FAILED, dm.LOCAL_BUSY])
def test_a_failed_attempt_is_told_to_the_broker_and_logged_with_its_next_try(outcome):
    world = TorrentWorld(peers=peers(1)).run()
    grant_id = world.grant()
    world.fail(grant_id, outcome, "no route")
    world.fail(grant_id, outcome, "no route")
    answered_in = 1.5 if outcome == dm.REFUSED else None    # a refusal is an answer, too
    assert world.broker.take(m.AttemptEnded) == [m.AttemptEnded(grant_id, outcome, 1.5, answered_in)]
    event, = world.log.named("connect_failed")
    assert (event["grant_id"], event["peer"], event["outcome"], event["reason"]) == (grant_id, "80.0.0.1:6881", outcome, "no route")
    assert event["next_try"] > 0


@pytest.mark.parametrize(("bring_about", "reason", "retry"), [
    (lambda world: None, "no_candidate", False),
    (lambda world: (world.tell(m.PeersFound("pex", peers(1))), world.fail(world.grant())), "no_candidate", True),
    (lambda world: world.tell(m.StopTorrent()), "stopped", False),
    (lambda world: world.tell(m.DaemonLost()), "checking", False),
    (lambda world: world.tell(dm.PiecesVerified(INFO_HASH, list(range(NUM_PIECES)))), "complete", False),
    (lambda world: world.tell(dm.TorrentFailed(INFO_HASH, "no room")), "stopped", False),
    (lambda world: (world.tell(m.PeersFound("pex", peers(2))), world.connect()), "torrent_full", False),
], ids=["no candidate", "all in backoff", "stopped", "daemon lost", "complete", "failed", "full"])
def test_a_grant_that_cannot_be_used_is_declined_with_the_reason(bring_about, reason, retry):
    world = TorrentWorld(settings=settings_from({"torrent_connection_limit": 1, "seeds_dial": False})).run()
    bring_about(world)
    world.forget()
    grant_id = world.grant()
    declined, = world.broker.take(m.SlotDeclined)
    assert (declined.grant_id, declined.reason, declined.retry_after is not None) == (grant_id, reason, retry)
    assert retry is False or 15 <= declined.retry_after < 20
    assert (world.broker.take(m.AttemptStarted), world.to_daemon(dm.Dial)) == ([], [])
    assert [event["reason"] for event in world.log.named("slot_declined")] == [reason]


def test_a_grant_whose_lease_has_ended_is_not_dialled():
    world = TorrentWorld(peers=peers(1)).run()
    grant_id = world.grant(lease=0.0)
    assert [message.reason for message in world.broker.take(m.SlotDeclined)] == ["too_late"]
    assert world.to_daemon(dm.Dial) == []
    world.advance(1.0)
    assert asked(world)[-1] == 1                        # it still wants one
    world.fail(grant_id)
    assert world.broker.take(m.AttemptEnded) == []


def test_a_grant_that_is_told_twice_is_used_once():
    world = TorrentWorld(peers=peers(2)).run()
    grant_id = world.grant()
    world.tell(m.ConnectOnePeer(grant_id, world.time.now + 10))
    assert len(world.to_daemon(dm.Dial)) == len(world.broker.take(m.AttemptStarted)) == 1
    assert world.broker.take(m.SlotDeclined) == []


def test_a_torrent_is_never_over_its_own_limit():
    world = TorrentWorld(peers=peers(9), settings=settings_from({"torrent_connection_limit": 3})).run()
    for _ in range(9):
        world.grant()
    assert len(world.to_daemon(dm.Dial)) == 3
    assert [message.reason for message in world.broker.take(m.SlotDeclined)] == ["torrent_full"] * 6


# ── timeouts ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_connect_timeout_is_learned_from_dials_that_were_answered():
    world = TorrentWorld(peers=peers(6)).run()
    for _ in range(5):
        world.tell(dm.Dialled(INFO_HASH, world.grant(), 2.0))
    world.to_daemon()
    world.grant()
    assert [message.timeout for message in world.to_daemon(dm.Dial)] == [5.0]


def test_a_dial_that_nobody_knows_of_teaches_nothing():
    world = TorrentWorld(peers=peers(6)).run()
    for _ in range(5):
        world.tell(dm.Dialled(INFO_HASH, 99, 2.0))
    assert world.connect_timeout.timeout() == 10.0


def test_a_dial_of_which_the_daemon_says_nothing_does_not_hold_its_slot_for_ever():
    world = TorrentWorld(peers=peers(1)).run()
    grant_id = world.grant()
    world.advance(81.0)
    # Cancelled, for its SYN may be out: a router remembers that, and no pace is halved for it
    assert [(message.grant_id, message.outcome) for message in world.broker.take(m.AttemptEnded)] == [(grant_id, dm.CANCELLED)]
    (ended,) = world.log.named("connect_failed")
    assert (ended["outcome"], ended["reason"]) == (dm.CANCELLED, "the I/O daemon does not answer")
    world.forget().tell(dm.PeerConnected(INFO_HASH, 5, grant_id, "80.0.0.1", 6881, False, bytes(20), "", 31.5))
    assert world.to_daemon() == [dm.ClosePeer(INFO_HASH, 5, "its attempt has ended")]
    assert world.broker.take(m.AttemptEnded) == []


# ── the end of all attempts ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stop_ends_the_dials_under_way_and_no_peer_is_blamed():
    world = TorrentWorld(peers=peers(3)).run()
    grants = [world.grant() for _ in range(3)]
    world.tell(m.StopTorrent())
    assert world.to_daemon(dm.CancelDials) == [dm.CancelDials(INFO_HASH)]
    world.fail(grants[0], dm.CANCELLED)
    world.tell(dm.TorrentStopped(INFO_HASH))            # of the others it says nothing
    ended = world.broker.take(m.AttemptEnded)
    assert [(message.grant_id, message.outcome) for message in ended] == [(grant_id, dm.CANCELLED) for grant_id in grants]
    world.tell(m.StartTorrent())
    assert {(row.state, row.swarm_peer.failures) for row in world.snapshot().peers} == {(QUEUED, 0)}


def test_a_connect_that_succeeds_after_the_stop_is_closed():
    world = TorrentWorld(peers=peers(1), with_announcer=False).run()
    grant_id = world.grant()
    world.tell(m.StopTorrent(), dm.TorrentStopped(INFO_HASH), dm.PeerConnected(INFO_HASH, 5, grant_id, "80.0.0.1", 6881, False, bytes(20), "", 1.0))
    assert world.to_daemon(dm.ClosePeer) == [dm.ClosePeer(INFO_HASH, 5, "its attempt has ended")]
    assert [message.outcome for message in world.broker.take(m.AttemptEnded)] == [dm.CANCELLED]
    assert world.actor._peers.num_places == 0


def test_a_connect_that_succeeds_during_the_stop_is_counted_until_the_daemon_closes_it():
    world = TorrentWorld(peers=peers(1), with_announcer=False).run()
    grant_id = world.grant()
    world.tell(m.StopTorrent())
    connection_id = world.connect(grant_id)
    world.disconnect(connection_id, "stopped", seconds=0.1)
    assert [message.outcome for message in world.broker.take(m.AttemptEnded)] == [dm.CONNECTED]
    assert world.broker.take(m.ConnectionClosed) == [m.ConnectionClosed(grant_id)]
    world.tell(dm.TorrentStopped(INFO_HASH), m.StartTorrent())
    assert state_of(world, 1) == QUEUED                 # that was no quick disconnect of the peer's


def test_the_daemons_death_with_dials_and_connections_under_way_blames_no_peer():
    world = TorrentWorld(peers=peers(30)).run()
    connected = [world.grant() for _ in range(5)]
    for grant_id in connected:
        world.connect(grant_id)
    dialled = [world.grant() for _ in range(25)]
    world.forget().tell(m.DaemonLost())
    assert world.broker.messages[0] == m.CancelRequests(INFO_HASH)
    ended = world.broker.take(m.AttemptEnded)
    assert [(message.grant_id, message.outcome) for message in ended] == [(grant_id, dm.CANCELLED) for grant_id in dialled]
    assert [message.grant_id for message in world.broker.take(m.ConnectionClosed)] == connected
    world.daemon_is_ready()
    world.forget().checked()
    assert asked(world) == [30]
    assert {row.swarm_peer.failures for row in world.snapshot().peers} == {0}


def test_connection_ids_of_the_next_daemon_are_not_mistaken_for_those_of_the_last():
    world = TorrentWorld(peers=peers(2)).run()
    world.connect()
    world.tell(m.DaemonLost())
    world.daemon_is_ready()
    world.forget().checked()
    world.disconnect(1)
    assert world.broker.take(m.ConnectionClosed) == []


def test_a_complete_torrent_ends_its_dials_and_keeps_its_connections():
    world = TorrentWorld(peers=peers(2)).run(bitfield(*range(1, NUM_PIECES)))
    world.connect()
    grant_id = world.grant()
    world.forget().tell(dm.PiecesVerified(INFO_HASH, [0]), dm.PiecesDurable(INFO_HASH, [0]))
    assert world.to_daemon() == [dm.CancelDials(INFO_HASH)]
    world.fail(grant_id, dm.CANCELLED)
    assert world.snapshot().peers_by_state == {"queued": 0, "connecting": 0, "handshaking": 0, "connected": 1, "failed": 0}


def test_a_seeding_torrent_stops_without_a_word_to_the_broker():
    world = TorrentWorld(peers=peers(2)).run(ALL_PIECES)
    world.tell(m.StopTorrent(), dm.TorrentStopped(INFO_HASH))
    assert world.broker.take() == []
