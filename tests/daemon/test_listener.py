"""Incoming connections and handshakes on the real loop."""

import socket as patched
import time

import gevent
import pytest

from daemon.handshaking import Handshaking
from daemon.listener import Listener
from daemon.raw_socket import plain_address
from protocol.handshake import HANDSHAKE_BYTES, build_handshake
from protocol.limits import MAX_INCOMING_HANDSHAKES
from tests.daemon.loop_tools import Calls

INFO_HASH, PEER_ID = b"h" * 20, b"-XX0001-abcdefghijkl"
THEIRS = build_handshake(INFO_HASH, PEER_ID)


@pytest.fixture
def calls():
    return Calls()


@pytest.fixture
def listener(calls):
    listener = Listener(gevent.get_hub().loop, time.monotonic, 0.3, calls.took("received"), calls.took("failed"))
    listener.address = listener.listen("127.0.0.1", 0)
    yield listener
    listener.close()


def dial(listener) -> patched.socket:
    return patched.create_connection(listener.address, timeout=5)


def test_a_peer_that_shakes_hands_is_told_and_not_answered_before_it_is_accepted(listener, calls):
    peer = dial(listener)
    peer.sendall(THEIRS)
    handshaking, = calls.next("received")
    assert (handshaking.theirs.info_hash, handshaking.theirs.peer_id) == (INFO_HASH, PEER_ID)
    assert (handshaking.context.ip, handshaking.context.port) == peer.getsockname()
    assert listener.num_handshakes == 0
    assert handshaking.answer(build_handshake(INFO_HASH, b"us" * 10)) is None
    assert peer.recv(100) == build_handshake(INFO_HASH, b"us" * 10)
    handshaking.take_socket().close()


def test_a_handshake_byte_by_byte_is_one_and_what_follows_it_stays_in_the_socket(listener, calls):
    peer = dial(listener)
    peer.setsockopt(patched.IPPROTO_TCP, patched.TCP_NODELAY, 1)
    for byte in THEIRS[:-1]:
        peer.sendall(bytes([byte]))
    peer.sendall(THEIRS[-1:] + b"more")
    handshaking, = calls.next("received")
    sock = handshaking.take_socket()
    with gevent.Timeout(5):
        gevent.socket.wait_read(sock.fileno())
    assert sock.recv(10) == b"more"
    sock.close()


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x13bittorrent protocol", b"\x00", THEIRS[:19] + b"X"])
def test_what_cannot_become_a_handshake_is_closed_at_once(listener, calls, garbage):
    peer = dial(listener)
    peer.sendall(garbage)
    assert peer.recv(1) == b""
    assert calls.all == []
    assert listener.num_handshakes == 0


@pytest.mark.parametrize("beginning", [b"", THEIRS[:20], THEIRS[:67]])
def test_a_peer_that_does_not_go_on_is_closed_after_its_time(listener, calls, beginning):
    peer = dial(listener)
    peer.sendall(beginning)
    assert peer.recv(1) == b""
    assert calls.all == []
    assert listener.num_handshakes == 0


def test_a_peer_that_gets_no_answer_from_the_engine_is_closed_after_its_time_and_that_is_told(listener, calls):
    peer = dial(listener)
    peer.sendall(THEIRS)
    handshaking, = calls.next("received")
    failed, reason = calls.next("failed")
    assert failed is handshaking
    assert reason == "no place found within 0.3 s"
    assert peer.recv(1) == b""


def test_silent_connections_make_room_for_new_ones(listener, calls):
    silent = [dial(listener) for _ in range(MAX_INCOMING_HANDSHAKES)]
    peer = dial(listener)
    peer.sendall(THEIRS)
    calls.next("received")
    assert silent[0].recv(1) == b""
    assert listener.num_handshakes <= MAX_INCOMING_HANDSHAKES
    for sock in silent:
        sock.close()


def test_a_port_that_is_taken_is_an_error(listener, calls):
    other = Listener(gevent.get_hub().loop, time.monotonic, 1.0, calls.took("received"), calls.took("failed"))
    with pytest.raises(OSError, match="in use"):
        other.listen(*listener.address)
    other.close()


def test_after_close_nobody_is_accepted(listener):
    peer = dial(listener)
    address = listener.address
    listener.close()
    with pytest.raises(ConnectionRefusedError):
        patched.create_connection(address, timeout=5)
    peer.close()


def test_a_socket_that_is_closed_before_its_handshake_is_complete_says_how_far_it_was(calls):
    ours, theirs = patched.socketpair()
    Handshaking(gevent.get_hub().loop, ours, 5.0, None, calls.took("received"), calls.took("failed"))
    theirs.sendall(THEIRS[:30])
    theirs.close()
    _, reason = calls.next("failed")
    assert reason == "closed after 30 bytes of its handshake"
    assert HANDSHAKE_BYTES == 68


@pytest.mark.parametrize(("address", "plain"), [
    (("::ffff:1.2.3.4", 5, 0, 0), ("1.2.3.4", 5)), (("fe80::1%eth0", 5, 0, 2), ("fe80::1", 5)), (("1.2.3.4", 5), ("1.2.3.4", 5)),
    (("::1", 5, 0, 0), ("::1", 5)),
])
def test_addresses_are_plain(address, plain):
    assert plain_address(address) == plain
