"""How a daemon's dials and incoming connections end: outcomes, limits, ourselves, and two connections between the same two peers."""

import time

import gevent
import pytest

from protocol import daemon_messages as dm
from tests.daemon.loop_tools import deaf_address, free_port
from tests.processes.daemon_process import PEER_ID, DaemonProcess
from tests.processes.fake_peer import BITFIELD, INTERESTED, frame
from tests.processes.test_daemon_transfers import raw_info
from tests.processes.torrent_files import make_torrent
from tests.processes.wire_peer import HAVE_NONE, WirePeer, listen

GREATER, LESSER = b"-zz0001-greaterpeer0", b"-AA0001-lesserpeer00"       # than PEER_ID


@pytest.fixture
def torrent(tmp_path):
    return make_torrent(tmp_path, 100_000, piece_length=1 << 14)


@pytest.fixture
def daemon(tmp_path, torrent):
    with DaemonProcess(max_connects_under_way=3, max_connects_pending=2, handshake_timeout=0.5) as daemon:
        daemon.add(torrent.info_hash, raw_info(torrent), tmp_path / "ours")
        daemon.start(torrent.info_hash)
        yield daemon


def outcome_of(daemon: DaemonProcess, grant_id: int) -> tuple[str, str]:
    failed = daemon.wait_for(dm.DialFailed, lambda message: message.grant_id == grant_id)
    return failed.outcome, failed.reason


def test_a_port_where_nobody_listens_refuses(daemon, torrent):
    assert outcome_of(daemon, daemon.dial(torrent.info_hash, "127.0.0.1", free_port())) == (dm.REFUSED, "connection refused")


def test_a_peer_that_does_not_answer_times_out_as_the_dial_says(daemon, torrent):
    with deaf_address() as address:
        assert outcome_of(daemon, daemon.dial(torrent.info_hash, *address, timeout=0.1)) == (dm.TIMED_OUT, "no answer within 0.1 s")


@pytest.mark.parametrize(("says", "reason"), [
    (b"", "no handshake within 0.5 s"),
    (b"SSH-2.0-OpenSSH_9.2p1", "begins with b'SSH-2.0-OpenSSH_9.2p', which is no BitTorrent handshake"),
    (b"\x13BitTorrent protocol" + bytes(8) + b"another torrent here" + b"-XX0001-abcdefghijkl", "answers for another torrent"),
])
def test_a_peer_that_does_not_shake_hands_fails_the_handshake_after_it_was_dialled(daemon, torrent, says, reason):
    listener = listen()
    grant_id = daemon.dial(torrent.info_hash, *listener.getsockname())
    connection, _ = listener.accept()
    connection.sendall(says)
    daemon.wait_for(dm.Dialled, lambda message: message.grant_id == grant_id)
    assert outcome_of(daemon, grant_id) == (dm.HANDSHAKE_FAILED, reason)


def test_beyond_its_limits_it_is_locally_busy_and_says_so_by_that_name(daemon, torrent):
    with deaf_address() as address:
        grants = [daemon.dial(torrent.info_hash, *address, timeout=5.0) for _ in range(6)]
        outcome, reason = outcome_of(daemon, grants[-1])
        assert (outcome, reason) == (dm.LOCAL_BUSY, "2 dials wait already for 3 under way")
        daemon.send(dm.CancelDials(torrent.info_hash))
        for grant_id in grants[:-1]:
            assert outcome_of(daemon, grant_id)[0] == dm.CANCELLED


def test_a_cancel_ends_handshakes_too_and_a_late_answer_is_closed(daemon, torrent):
    listener = listen()
    grant_id = daemon.dial(torrent.info_hash, *listener.getsockname())
    connection, _ = listener.accept()
    daemon.wait_for(dm.Dialled)
    daemon.send(dm.CancelDials(torrent.info_hash))
    assert outcome_of(daemon, grant_id) == (dm.CANCELLED, "cancelled")
    while connection.recv(100):
        pass                                            # its handshake, then the end
    assert not daemon.all_of(dm.PeerConnected)


def test_a_dial_of_a_torrent_that_is_stopped_is_cancelled(daemon, torrent):
    daemon.send(dm.StopTorrent(torrent.info_hash))
    daemon.wait_for(dm.TorrentStopped)
    assert outcome_of(daemon, daemon.dial(torrent.info_hash, "127.0.0.1", 1)) == (dm.CANCELLED, "the torrent is stopped")


def test_whoever_dials_himself_hears_that_it_was_him(daemon, torrent):
    grant_id = daemon.dial(torrent.info_hash, "127.0.0.1", daemon.port)
    assert outcome_of(daemon, grant_id) == (dm.HANDSHAKE_FAILED, dm.OWN_ADDRESS)
    assert not daemon.all_of(dm.IncomingPeer)


def test_a_peer_of_an_unknown_torrent_is_closed_without_a_word(daemon):
    peer = WirePeer.dial(daemon.port, b"no torrent of ours!!")
    assert peer.their_handshake == b""
    assert not daemon.all_of(dm.IncomingPeer)


def test_an_incoming_peer_hears_nothing_before_it_is_accepted(daemon, torrent):
    shaking = gevent.spawn(WirePeer.dial, daemon.port, torrent.info_hash)
    incoming = daemon.wait_for(dm.IncomingPeer)
    assert incoming.peer_id == b"-XX0001-wirepeer0000"
    assert not shaking.ready()
    daemon.send(dm.AcceptIncoming(torrent.info_hash, incoming.connection_id, 77))
    connected = daemon.wait_for(dm.PeerConnected)
    assert (connected.connection_id, connected.grant_id, connected.incoming) == (incoming.connection_id, 77, True)
    peer = shaking.get(timeout=5)
    assert peer.their_handshake[48:] == PEER_ID
    assert peer.next() == (HAVE_NONE, b"")


def test_a_refused_incoming_peer_is_closed(daemon, torrent):
    shaking = gevent.spawn(WirePeer.dial, daemon.port, torrent.info_hash)
    incoming = daemon.wait_for(dm.IncomingPeer)
    daemon.send(dm.RefuseIncoming(torrent.info_hash, incoming.connection_id, "no place"))
    assert daemon.wait_for(dm.PeerDisconnected).reason == "no place"
    assert shaking.get(timeout=5).their_handshake == b""


def test_an_incoming_peer_that_is_never_answered_is_closed_and_an_answer_later_changes_nothing(daemon, torrent):
    shaking = gevent.spawn(WirePeer.dial, daemon.port, torrent.info_hash)
    incoming = daemon.wait_for(dm.IncomingPeer)
    assert daemon.wait_for(dm.PeerDisconnected).reason == "no place found within 0.5 s"
    daemon.send(dm.AcceptIncoming(torrent.info_hash, incoming.connection_id, 1))
    assert shaking.get(timeout=5).their_handshake == b""
    outcome_of(daemon, daemon.dial(torrent.info_hash, "127.0.0.1", free_port()))     # the answer was handled
    assert not daemon.all_of(dm.PeerConnected)


# ── two connections between the same two peers ───────────────────────────────────────────────────────────────────────────


def outgoing(daemon: DaemonProcess, torrent, peer_id: bytes) -> WirePeer:
    listener = listen()
    before = len(daemon.messages)
    daemon.dial(torrent.info_hash, *listener.getsockname())
    peer = WirePeer.answer(listener, torrent.info_hash, peer_id)
    daemon.wait_for(dm.PeerConnected | dm.DialFailed, after=before)
    return peer


def incoming(daemon: DaemonProcess, torrent, peer_id: bytes) -> WirePeer:
    daemon.accept_everybody()
    return WirePeer.dial(daemon.port, torrent.info_hash, peer_id)


def duplicates_closed(daemon: DaemonProcess) -> list[int]:
    return [message.connection_id for message in daemon.all_of(dm.PeerDisconnected) if message.reason == dm.DUPLICATE_PEER]


@pytest.mark.parametrize("direction", [outgoing, incoming])
def test_of_two_connections_in_the_same_direction_the_older_stays(daemon, torrent, direction):
    older = direction(daemon, torrent, GREATER)
    newer = direction(daemon, torrent, GREATER)
    newer.wait_for_the_end()
    assert newer.their_handshake                        # so that the other end knows why
    older.send(frame(HAVE_NONE))
    assert older.next() == (HAVE_NONE, b"")
    assert len(daemon.all_of(dm.PeerConnected)) == 1


@pytest.mark.parametrize(("peer_id", "first", "second"), [(GREATER, incoming, outgoing), (LESSER, outgoing, incoming)])
def test_the_connection_of_whoever_has_the_greater_id_stays_when_it_is_the_older(daemon, torrent, peer_id, first, second):
    older = first(daemon, torrent, peer_id)
    newer = second(daemon, torrent, peer_id)
    newer.wait_for_the_end()
    assert older.next() == (HAVE_NONE, b"")
    assert len(daemon.all_of(dm.PeerConnected)) == 1


@pytest.mark.parametrize(("peer_id", "first", "second"), [(GREATER, outgoing, incoming), (LESSER, incoming, outgoing)])
def test_the_older_one_goes_only_after_the_newer_one_proved_to_be_alive(daemon, torrent, peer_id, first, second):
    older = first(daemon, torrent, peer_id)
    older_id = daemon.wait_for(dm.PeerConnected).connection_id
    newer = second(daemon, torrent, peer_id)
    daemon.wait_for(dm.PeerConnected, lambda message: message.connection_id != older_id)
    older.send(frame(HAVE_NONE))
    assert newer.next() == (HAVE_NONE, b"")
    assert duplicates_closed(daemon) == []              # both live until …
    newer.send(frame(HAVE_NONE))
    older.wait_for_the_end()
    daemon.wait_for(dm.PeerDisconnected)
    assert duplicates_closed(daemon) == [older_id]


def test_a_peer_with_a_rule_of_its_own_does_not_end_with_no_connection(daemon, torrent):
    """It keeps the older one, as Transmission does, where our rule says the newer."""
    older = outgoing(daemon, torrent, GREATER)
    newer = incoming(daemon, torrent, GREATER)
    newer.close()
    daemon.wait_for(dm.PeerDisconnected)
    older.send(frame(BITFIELD, b"\x80"))
    older.wait_for(INTERESTED)
    connected = {message.connection_id for message in daemon.all_of(dm.PeerConnected)}
    closed = {message.connection_id for message in daemon.all_of(dm.PeerDisconnected)}
    assert len(connected - closed) == 1


def test_two_daemons_that_dial_each_other_at_once_end_with_one_connection(tmp_path, torrent):
    with DaemonProcess(peer_id=GREATER) as first, DaemonProcess(peer_id=LESSER) as second:
        for number, daemon in enumerate((first, second)):
            daemon.add(torrent.info_hash, raw_info(torrent), tmp_path / str(number))
            daemon.start(torrent.info_hash)
            daemon.accept_everybody()
        first.dial(torrent.info_hash, "127.0.0.1", second.port)
        second.dial(torrent.info_hash, "127.0.0.1", first.port)

        def open_connections(daemon):
            closed = {message.connection_id for message in daemon.all_of(dm.PeerDisconnected)}
            return [message for message in daemon.all_of(dm.PeerConnected) if message.connection_id not in closed]

        def lost_attempts():
            return sum(len(daemon.all_of(dm.DialFailed)) + len(duplicates_closed(daemon)) for daemon in (first, second))

        ends_at = time.monotonic() + 10
        while not (len(open_connections(first)) == len(open_connections(second)) == 1 and lost_attempts()):
            assert time.monotonic() < ends_at, (first.messages, second.messages)
            gevent.sleep(0.01)
        assert not open_connections(first)[0].incoming  # the one with the greater id dialled it
        assert open_connections(second)[0].incoming
