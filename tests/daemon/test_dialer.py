"""Dials on the real loop: each ends once, with the right outcome, and within the limits of this process."""

import errno
import resource
import time

import gevent
import pytest

from daemon.dialer import Dialer
from daemon.raw_socket import dial_outcome
from protocol import daemon_messages as dm
from tests.daemon.loop_tools import Calls, deaf_address, free_port, listening

TORRENT, OTHER = b"t" * 20, b"o" * 20


def make_dialer(calls: Calls, under_way: int = 30, pending: int = 60) -> Dialer:
    return Dialer(
        gevent.get_hub().loop, time.monotonic, under_way, pending, 10.0, calls.took("connected"), calls.took("failed"), calls.took("obstructed"),
    )


def test_a_dial_that_is_answered_gives_a_socket():
    calls = Calls()
    with listening() as listener:
        make_dialer(calls).dial(TORRENT, 7, *listener.getsockname(), 5.0)
        attempt, = calls.next("connected")
        assert attempt.grant_id == 7
        assert attempt.socket.getpeername() == listener.getsockname()
        assert not attempt.socket.getblocking()
        attempt.socket.close()


def test_a_port_where_nobody_listens_refuses():
    calls = Calls()
    make_dialer(calls).dial(TORRENT, 1, "127.0.0.1", free_port(), 5.0)
    _, outcome, reason = calls.next("failed")
    assert (outcome, reason) == (dm.REFUSED, "connection refused")


def test_a_peer_that_does_not_answer_times_out():
    calls = Calls()
    with deaf_address() as address:
        make_dialer(calls).dial(TORRENT, 1, *address, 0.05)
        attempt, outcome, reason = calls.next("failed")
    assert (outcome, reason) == (dm.TIMED_OUT, "no answer within 0.05 s")
    assert attempt.socket.fileno() == -1


@pytest.mark.parametrize("ip", ["no.such.host", "300.1.1.1", "", "::1%lo0000", "1.2.3"])
def test_what_is_no_address_is_unreachable_and_is_not_looked_up(ip):
    calls = Calls()
    make_dialer(calls).dial(TORRENT, 1, ip, 80, 5.0)
    _, outcome, reason = calls.next("failed")
    assert outcome == dm.UNREACHABLE
    assert "is not an IP address" in reason


@pytest.mark.parametrize(("code", "outcome"), [
    (errno.ECONNREFUSED, dm.REFUSED), (errno.ECONNRESET, dm.REFUSED), (errno.ETIMEDOUT, dm.TIMED_OUT),
    (errno.EHOSTUNREACH, dm.UNREACHABLE), (errno.ENETUNREACH, dm.UNREACHABLE), (errno.EACCES, dm.UNREACHABLE), (errno.EPERM, dm.UNREACHABLE),
    (errno.ENETDOWN, dm.UNREACHABLE), (errno.EAFNOSUPPORT, dm.UNREACHABLE),
    (errno.EMFILE, dm.LOCAL_BUSY), (errno.ENFILE, dm.LOCAL_BUSY), (errno.ENOBUFS, dm.LOCAL_BUSY), (errno.ENOMEM, dm.LOCAL_BUSY),
    (errno.EADDRNOTAVAIL, dm.LOCAL_BUSY), (errno.EAGAIN, dm.LOCAL_BUSY),
])
def test_what_this_machine_lacks_is_never_the_peers_fault(code, outcome):
    assert dial_outcome(code) == outcome


def test_without_descriptors_a_dial_is_local_busy():
    calls, limits = Calls(), resource.getrlimit(resource.RLIMIT_NOFILE)
    dialer = make_dialer(calls)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        dialer.dial(TORRENT, 1, "127.0.0.1", 1, 5.0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert calls.next("obstructed") == ("descriptors", "too many open files")
    _, outcome, reason = calls.next("failed")
    assert (outcome, reason) == (dm.LOCAL_BUSY, "too many open files")
    assert calls.next("obstructed") == ("descriptors", "")


def test_dials_under_way_and_those_that_wait_get_a_new_timeout_of_their_torrent():
    calls = Calls()
    dialer = make_dialer(calls, under_way=3)
    with deaf_address() as address:
        dialer.dial(TORRENT, 1, *address, 9.0)
        dialer.dial(TORRENT, 2, *address, 9.0)
        dialer.dial(OTHER, 3, *address, 9.0)
        dialer.dial(TORRENT, 4, *address, 9.0)          # waits
        dialer.change_timeouts(TORRENT, 0.05)
        ended = [calls.next("failed") for _ in range(3)]
        assert [(attempt.grant_id, outcome, reason) for attempt, outcome, reason in ended] == [
            (grant_id, dm.TIMED_OUT, "no answer within 0.05 s") for grant_id in (1, 2, 4)
        ]
        assert dialer.num_under_way == 1
        dialer.cancel(OTHER)


def test_a_dial_that_is_over_its_new_timeout_ends_and_one_that_got_a_longer_one_does_not():
    calls = Calls()
    dialer = make_dialer(calls)
    with deaf_address() as address:
        dialer.dial(TORRENT, 1, *address, 0.1)
        dialer.dial(OTHER, 2, *address, 9.0)
        dialer.change_timeouts(TORRENT, 9.0)
        dialer.dial(OTHER, 3, *address, 0.2)            # ends later than the first one would have
        attempt, *_ = calls.next("failed")
        assert attempt.grant_id == 3
        dialer.change_timeouts(OTHER, 0.001)            # long over
        attempt, outcome, _ = calls.next("failed")
        assert (attempt.grant_id, outcome) == (2, dm.TIMED_OUT)
        dialer.cancel(TORRENT)


def test_no_timeout_is_longer_than_the_daemon_allows():
    calls = Calls()
    dialer = Dialer(gevent.get_hub().loop, time.monotonic, 30, 60, 0.05, calls.took("connected"), calls.took("failed"))
    with deaf_address() as address:
        dialer.dial(TORRENT, 1, *address, 0.04)
        dialer.change_timeouts(TORRENT, 100.0)
        assert calls.next("failed")[2] == "no answer within 0.05 s"


def test_a_long_line_of_dials_that_fail_at_once_is_gone_through():
    calls = Calls()
    dialer = make_dialer(calls, under_way=1, pending=2_000)
    with deaf_address() as address:
        dialer.dial(TORRENT, 0, *address, 9.0)
        for grant_id in range(1, 2_000):
            dialer.dial(OTHER, grant_id, "no.such.host", 80, 5.0)
        dialer.cancel(TORRENT)
    assert [arguments[0].grant_id for arguments in calls.named("failed")] == list(range(2_000))


def test_beyond_the_limits_dials_wait_and_beyond_those_they_are_local_busy():
    calls = Calls()
    dialer = make_dialer(calls, under_way=2, pending=3)
    with deaf_address() as address:
        for grant_id in range(1, 7):
            dialer.dial(TORRENT, grant_id, *address, 0.05)
        assert dialer.num_under_way == 2
        attempt, outcome, _ = calls.next("failed")
        assert (attempt.grant_id, outcome) == (6, dm.LOCAL_BUSY)
        ended = [calls.next("failed") for _ in range(5)]
    assert [(attempt.grant_id, outcome) for attempt, outcome, _ in ended] == [(grant_id, dm.TIMED_OUT) for grant_id in range(1, 6)]
    assert dialer.num_under_way == 0


def test_a_cancel_ends_what_is_under_way_and_what_waits_of_that_torrent_only():
    calls = Calls()
    dialer = make_dialer(calls, under_way=1)
    with deaf_address() as address:
        dialer.dial(TORRENT, 1, *address, 5.0)
        dialer.dial(TORRENT, 2, *address, 5.0)
        dialer.dial(OTHER, 3, *address, 0.05)
        dialer.cancel(TORRENT)
        assert sorted((attempt.grant_id, outcome) for attempt, outcome, _ in calls.named("failed")) == [(1, dm.CANCELLED), (2, dm.CANCELLED)]
        calls.next("failed")
        calls.next("failed")
        attempt, outcome, _ = calls.next("failed")
    assert (attempt.grant_id, outcome) == (3, dm.TIMED_OUT)


def test_every_dial_ends_once():
    calls = Calls()
    dialer = make_dialer(calls, under_way=3, pending=20)
    with listening() as listener, deaf_address() as deaf:
        for number in range(18):
            address = (listener.getsockname(), deaf, ("127.0.0.1", free_port()))[number % 3]
            dialer.dial(TORRENT, number, *address, 0.1)
        with gevent.Timeout(5):
            while len(calls.all) < 18:
                gevent.sleep(0.01)
    grants = [arguments[0].grant_id for _, arguments in calls.all]
    assert sorted(grants) == list(range(18))
    for attempt, in calls.named("connected"):
        attempt.socket.close()


def test_other_limits_hold_at_once_for_what_waits():
    calls = Calls()
    dialer = make_dialer(calls, under_way=1, pending=1)
    with deaf_address() as address:
        for grant_id in range(2):
            dialer.dial(TORRENT, grant_id, *address, 5.0)
        dialer.set_limits(2, 4)
        assert dialer.num_under_way == 2
        for grant_id in range(2, 7):
            dialer.dial(TORRENT, grant_id, *address, 5.0)
        attempt, outcome, _ = calls.next("failed")
        assert (attempt.grant_id, outcome) == (6, dm.LOCAL_BUSY)
        dialer.set_limits(1, 1)
        assert dialer.num_under_way == 2, "what is under way stays"
        dialer.cancel(TORRENT)
