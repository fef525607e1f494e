"""A daemon's dials: their timeouts change under way, a cancel leaves no socket, and it says when this machine cannot dial anybody."""

import shutil
from pathlib import Path

import pytest

from protocol import daemon_messages as dm
from tests.daemon.loop_tools import deaf_address, free_port
from tests.processes.daemon_process import DaemonProcess
from tests.processes.fake_peer import INTERESTED, frame
from tests.processes.namespaces import CANNOT_ISOLATE, ISOLATED, bring_network_back, take_network
from tests.processes.test_daemon_transfers import raw_info
from tests.processes.torrent_files import make_torrent
from tests.processes.wire_peer import HAVE_NONE, WirePeer, listen

SYN_SENT = "02"                                         # in /proc/net/tcp
NUM_DIALS = 12


@pytest.fixture
def torrent(tmp_path):
    return make_torrent(tmp_path, 100_000, piece_length=1 << 14)


def started(daemon: DaemonProcess, torrent, folder: Path) -> DaemonProcess:
    daemon.add(torrent.info_hash, raw_info(torrent), folder / "ours")
    daemon.start(torrent.info_hash)
    return daemon


@pytest.fixture
def daemon(tmp_path, torrent):
    with DaemonProcess(idle_seconds=0.1) as daemon:
        yield started(daemon, torrent, tmp_path)


def outcomes(daemon: DaemonProcess, grants: list[int]) -> set[tuple[str, str]]:
    """Wait for the ends of these dials."""
    ends = [daemon.wait_for(dm.DialFailed, lambda message, grant_id=grant_id: message.grant_id == grant_id) for grant_id in grants]
    return {(end.outcome, end.reason) for end in ends}


def num_connects_under_way(port: int) -> int:
    """Sockets of this machine that wait for an answer from this port."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(state == SYN_SENT and int(remote.partition(":")[2], 16) == port for _, _, remote, state, *_ in lines)


# ── timeouts, cancels ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_dials_that_hang_end_when_their_timeout_becomes_shorter(daemon, torrent):
    with deaf_address() as address:
        grants = [daemon.dial(torrent.info_hash, *address, timeout=30.0) for _ in range(NUM_DIALS)]
        daemon.send(dm.ChangeDialTimeouts(torrent.info_hash, 0.2))
        assert outcomes(daemon, grants) == {(dm.TIMED_OUT, "no answer within 0.2 s")}


def test_a_cancel_ends_the_dials_and_their_sockets(daemon, torrent):
    with deaf_address() as address:
        before = num_connects_under_way(address[1])
        grants = [daemon.dial(torrent.info_hash, *address, timeout=30.0) for _ in range(NUM_DIALS)]
        last = daemon.dial(torrent.info_hash, "127.0.0.1", free_port())     # refused at once: all before it are under way
        assert outcomes(daemon, [last]) == {(dm.REFUSED, "connection refused")}
        assert num_connects_under_way(address[1]) == before + NUM_DIALS
        daemon.send(dm.CancelDials(torrent.info_hash))
        assert outcomes(daemon, grants) == {(dm.CANCELLED, "cancelled")}
        assert num_connects_under_way(address[1]) == before


# ── idle connections ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def peer(daemon, torrent):
    """Connected, and of no use: it has nothing and wants nothing."""
    listener = listen()
    daemon.dial(torrent.info_hash, *listener.getsockname())
    peer = WirePeer.answer(listener, torrent.info_hash)
    peer.send(frame(HAVE_NONE))
    peer.connection_id = daemon.wait_for(dm.PeerConnected).connection_id
    return peer


def test_a_connection_in_which_neither_side_is_interested_is_told_idle_and_closed_when_its_place_is_needed(daemon, torrent, peer):
    idle = daemon.wait_for(dm.PeerIdle)
    assert idle.connection_id == peer.connection_id and idle.idle_seconds >= 0.1
    daemon.send(dm.CloseIdlePeer(torrent.info_hash, peer.connection_id))
    assert daemon.wait_for(dm.PeerDisconnected).reason == dm.IDLE


def test_a_connection_that_becomes_useful_is_kept(daemon, torrent, peer):
    daemon.wait_for(dm.PeerIdle)
    peer.send(frame(INTERESTED))
    daemon.wait_for(dm.PeerIdle, lambda message: message.idle_seconds is None)
    daemon.send(dm.CloseIdlePeer(torrent.info_hash, peer.connection_id))
    assert outcomes(daemon, [daemon.dial(torrent.info_hash, "127.0.0.1", free_port())])      # what was said before it was handled
    assert daemon.all_of(dm.PeerDisconnected) == []


# ── what keeps this machine from dialling ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(not shutil.which("prlimit"), reason="needs prlimit: apt-get install util-linux")
def test_a_daemon_without_descriptors_says_so_and_says_when_there_are_some_again(tmp_path, torrent):
    with DaemonProcess() as probe:
        used = len(list(Path(f"/proc/{probe.process.pid}/fd").iterdir()))
    with DaemonProcess(under=("prlimit", f"--nofile={used + NUM_DIALS}")) as daemon, deaf_address() as address:
        started(daemon, torrent, tmp_path)
        grants = [daemon.dial(torrent.info_hash, *address, timeout=30.0) for _ in range(2 * NUM_DIALS)]
        obstructed = daemon.wait_for(dm.DialsObstructed)
        assert (obstructed.obstacle, obstructed.reason) == ("descriptors", "too many open files")
        assert outcomes(daemon, grants[-1:]) == {(dm.LOCAL_BUSY, "too many open files")}
        daemon.send(dm.CancelDials(torrent.info_hash))
        assert daemon.wait_for(dm.DialsObstructed, lambda message: message.obstacle == "descriptors" and not message.reason)


@pytest.mark.skipif(bool(CANNOT_ISOLATE), reason=CANNOT_ISOLATE)
def test_a_daemon_whose_network_goes_away_blames_no_peer_and_says_when_it_is_back(tmp_path, torrent):
    with DaemonProcess(under=ISOLATED) as daemon:
        started(daemon, torrent, tmp_path)
        pid = daemon.process.pid
        refused = [daemon.dial(torrent.info_hash, "127.0.0.1", free_port())]
        assert outcomes(daemon, refused) == {(dm.REFUSED, "connection refused")}
        assert outcomes(daemon, [daemon.dial(torrent.info_hash, "192.0.2.7", 6881)]) == {(dm.UNREACHABLE, dm.NO_ROUTE)}
        assert daemon.all_of(dm.DialsObstructed) == []  # one address without a route is no lost network

        take_network(pid)
        start = len(daemon.messages)
        assert outcomes(daemon, [daemon.dial(torrent.info_hash, "127.0.0.1", free_port()) for _ in range(3)]) == {(dm.UNREACHABLE, dm.NO_ROUTE)}
        assert [message.obstacle for message in daemon.all_of(dm.DialsObstructed)] == ["network"]

        bring_network_back(pid)
        assert daemon.wait_for(dm.DialsObstructed, lambda message: not message.reason, after=start).obstacle == "network"
        assert outcomes(daemon, [daemon.dial(torrent.info_hash, "127.0.0.1", free_port())]) == {(dm.REFUSED, "connection refused")}


@pytest.mark.skipif(bool(CANNOT_ISOLATE), reason=CANNOT_ISOLATE)
@pytest.mark.parametrize("kind", ["unreachable", "prohibit", "blackhole"])
def test_a_route_that_forbids_an_address_is_no_failure_of_the_peer(tmp_path, torrent, kind):
    with DaemonProcess(under=(*ISOLATED, "sh", "-c", f'ip route add {kind} 198.51.100.0/24 && exec "$@"', "sh")) as daemon:
        started(daemon, torrent, tmp_path)
        assert outcomes(daemon, [daemon.dial(torrent.info_hash, "127.0.0.1", free_port())]) == {(dm.REFUSED, "connection refused")}
        assert outcomes(daemon, [daemon.dial(torrent.info_hash, "198.51.100.7", 6881)]) == {(dm.UNREACHABLE, dm.NO_ROUTE)}
        assert daemon.all_of(dm.DialsObstructed) == []


@pytest.mark.skipif(bool(CANNOT_ISOLATE), reason=CANNOT_ISOLATE)
def test_dials_under_way_when_the_network_goes_away_have_not_timed_out(tmp_path, torrent):
    with DaemonProcess(under=(*ISOLATED, "sh", "-c", 'ip route add 198.51.100.0/24 dev lo && exec "$@"', "sh")) as daemon:
        started(daemon, torrent, tmp_path)
        grants = [daemon.dial(torrent.info_hash, "198.51.100.7", 6881, timeout=30.0) for _ in range(3)]     # goes nowhere
        assert outcomes(daemon, [daemon.dial(torrent.info_hash, "127.0.0.1", free_port())]) == {(dm.REFUSED, "connection refused")}
        take_network(daemon.process.pid)
        daemon.send(dm.ChangeDialTimeouts(torrent.info_hash, 0.1))
        assert outcomes(daemon, grants) == {(dm.CANCELLED, "the network went away")}
        assert daemon.wait_for(dm.DialsObstructed).obstacle == "network"
