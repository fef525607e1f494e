"""Silence on a connection: keep-alives, the end of a peer that says nothing, and a peer that sends no blocks (snubbed).

The daemon is a real one whose clock shows a minute for each second (fast_daemon.py).
"""

import struct

import pytest

from protocol import daemon_messages as dm
from tests.processes.daemon_process import DaemonProcess
from tests.processes.fake_peer import BLOCK_BYTES, REQUEST, UNCHOKE, frame
from tests.processes.test_daemon_transfers import raw_info, wait_for_all
from tests.processes.torrent_files import make_torrent
from tests.processes.wire_peer import HAVE_ALL, HAVE_NONE, WirePeer, block, in_background, listen

KEEP_ALIVE = bytes(4)


@pytest.fixture
def torrent(tmp_path):
    return make_torrent(tmp_path, 40 * BLOCK_BYTES, piece_length=BLOCK_BYTES)


@pytest.fixture
def daemon(torrent, tmp_path):
    with DaemonProcess(module="tests.processes.fast_daemon") as daemon:
        daemon.accept_everybody()
        daemon.add(torrent.info_hash, raw_info(torrent), tmp_path / "d")
        daemon.start(torrent.info_hash)
        yield daemon


def wait_for_keep_alive(peer: WirePeer) -> None:
    while (body := peer.next_body()) != b"":
        assert body is not None, "the connection ended before a keep-alive came"


def test_a_peer_that_says_nothing_hears_a_keep_alive_and_is_closed_after_two_and_a_half_minutes(daemon, torrent):
    peer = WirePeer.dial(daemon.port, torrent.info_hash)
    wait_for_keep_alive(peer)
    assert not daemon.all_of(dm.PeerDisconnected)
    peer.wait_for_the_end()
    ended = daemon.wait_for(dm.PeerDisconnected)
    assert ended.reason == "silent for 150 s"
    assert ended.seconds > 150


def test_a_peer_that_sends_nothing_but_keep_alives_stays_and_hears_one_each_time(daemon, torrent):
    peer = WirePeer.dial(daemon.port, torrent.info_hash)
    peer.send(frame(HAVE_NONE))
    for _ in range(2):                                  # each a little less than two minutes
        wait_for_keep_alive(peer)
        peer.send(KEEP_ALIVE)
    assert not daemon.all_of(dm.PeerDisconnected)


def flags_of(daemon: DaemonProcess, after: int, when) -> dm.PeerStats:
    """Wait for statistics (from message number `after` on) of a peer for which `when` holds."""
    wanted = daemon.wait_for(dm.TorrentStats, lambda stats: any(map(when, stats.peers)), after=after)
    return next(filter(when, wanted.peers))


def test_a_peer_that_sends_no_block_for_a_minute_is_snubbed_until_it_sends_again(daemon, torrent, tmp_path):
    peer = WirePeer.dial(daemon.port, torrent.info_hash)
    peer.send(frame(HAVE_ALL), frame(UNCHOKE))
    first = struct.unpack(">III", peer.wait_for(REQUEST))
    flags_of(daemon, 0, lambda stats: "S" in stats.flags)
    before = len(daemon.messages)
    peer.send(block(torrent.data, torrent.piece_length, *first))
    again = flags_of(daemon, before, lambda stats: "S" not in stats.flags and stats.downloaded)
    assert "D" in again.flags
    asked = [first]
    while len(set(asked)) == len(asked):                # until it is asked again for what it had been asked for before it was snubbed
        asked.append(struct.unpack(">III", peer.wait_for(REQUEST)))
    # Both requests are answered: whatever comes the second time, while the piece is being verified, changes nothing.
    peer.send(block(torrent.data, torrent.piece_length, *asked[-1]) + block(bytes(len(torrent.data)), torrent.piece_length, *asked[-1]))
    peer.send(*(block(torrent.data, torrent.piece_length, *request) for request in asked[1:-1]))
    peer.serve(torrent.data, torrent.piece_length)
    wait_for_all(daemon, torrent)
    assert {ended.reason for ended in daemon.all_of(dm.PeerDisconnected)} <= {dm.BOTH_SEEDS}
    assert (tmp_path / "d" / torrent.name).read_bytes() == torrent.data


def test_the_blocks_that_a_stalled_peer_owes_are_asked_of_others(daemon, torrent):
    listener = listen("127.0.0.2")

    def stalls():
        peer = WirePeer.answer(listener, torrent.info_hash)
        peer.send(frame(HAVE_ALL), frame(UNCHOKE))
        peer.wait_for(REQUEST)
        peer.wait_for_the_end()

    in_background(stalls)
    daemon.dial(torrent.info_hash, *listener.getsockname())
    daemon.wait_for(dm.PeerConnected)
    flags_of(daemon, 0, lambda stats: stats.num_requests)
    other = WirePeer.dial(daemon.port, torrent.info_hash, peer_id=b"-XX0001-anotherpeer0", ip="127.0.0.3")
    other.send(frame(HAVE_ALL), frame(UNCHOKE))
    in_background(other.serve, torrent.data, torrent.piece_length)
    wait_for_all(daemon, torrent)
