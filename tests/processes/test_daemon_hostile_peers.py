"""Whatever a peer sends, only its own connection ends, with a reason that names what was wrong; the others go on."""

import struct

import gevent
import pytest

from protocol import daemon_messages as dm
from protocol.limits import MAX_PEER_REQUESTS, MAX_WIRE_MESSAGE_BYTES
from tests.processes.daemon_process import DaemonProcess
from tests.processes.fake_peer import (
    BITFIELD,
    BLOCK_BYTES,
    CANCEL,
    CHOKE,
    HAVE,
    INTERESTED,
    NOT_INTERESTED,
    PIECE,
    REQUEST,
    UNCHOKE,
    FakePeer,
    frame,
)
from tests.processes.test_daemon_transfers import raw_info, seeding_folder, wait_for_all
from tests.processes.torrent_files import make_torrent
from tests.processes.wire_peer import (
    ALLOWED_FAST,
    EXTENSION,
    HAVE_ALL,
    HAVE_NONE,
    REJECT,
    SUGGEST,
    WirePeer,
    block,
    listen,
    requests,
)

PIECE_LENGTH = 1 << 15
NUM_PIECES = 40


@pytest.fixture
def torrent(tmp_path):
    return make_torrent(tmp_path, NUM_PIECES * PIECE_LENGTH - 100, piece_length=PIECE_LENGTH)


@pytest.fixture
def leech(tmp_path, torrent):
    with DaemonProcess() as daemon:
        daemon.add(torrent.info_hash, raw_info(torrent), tmp_path / "leech")
        daemon.start(torrent.info_hash)
        daemon.accept_everybody()
        yield daemon


@pytest.fixture
def seed(tmp_path, torrent):
    with DaemonProcess(upload_slots=2) as daemon:
        daemon.add(torrent.info_hash, raw_info(torrent), seeding_folder(tmp_path / "seed", torrent))
        daemon.start(torrent.info_hash)
        daemon.accept_everybody()
        yield daemon


def why_closed(daemon: DaemonProcess) -> str:
    return daemon.wait_for(dm.PeerDisconnected).reason


def dial_all(daemon: DaemonProcess, torrent, *peers: FakePeer) -> None:
    for peer in peers:
        daemon.dial(torrent.info_hash, peer.ip, peer.port)


def honest(torrent, **changes) -> FakePeer:
    return FakePeer(torrent.info_hash, torrent.data, torrent.piece_length, **changes).start()


LAST = NUM_PIECES - 1


@pytest.mark.parametrize(("says", "reason"), [
    (b"\xff\xff\xff\xff", f"message of 4294967295 bytes, at most {MAX_WIRE_MESSAGE_BYTES}"),
    (frame(HAVE, struct.pack(">I", NUM_PIECES)), f"piece {NUM_PIECES}, the torrent has {NUM_PIECES}"),
    (frame(HAVE, b"\xff\xff\xff\xff"), f"piece 4294967295, the torrent has {NUM_PIECES}"),
    (frame(HAVE, b"\0\0"), "message 4 of 3 bytes, must be 5"),
    (frame(BITFIELD, bytes(4)), f"bitfield of 4 bytes, must be 5 for {NUM_PIECES} pieces"),
    (requests(NUM_PIECES, 0), f"piece {NUM_PIECES}, the torrent has {NUM_PIECES}"),
    (requests(0, PIECE_LENGTH), "request of bytes 32768 to 49152 of piece 0, which has 32768"),
    (requests(LAST, BLOCK_BYTES), "request of bytes 16384 to 32768 of piece 39, which has 32668"),
    (requests(0, 0xFFFFFFFF), "request of bytes 4294967295"),
    (requests(0, 0, length=0), "request of 0 bytes, must be from 1"),
    (requests(0, 0, length=1 << 31), "request of 2147483648 bytes, must be from 1 to 131072"),
    (frame(CANCEL, struct.pack(">III", 0, 0, 0)), "request of 0 bytes"),
    (frame(REJECT, struct.pack(">III", 99, 0, 1)), "piece 99"),
    (frame(SUGGEST, struct.pack(">I", 99)), "piece 99"),
    (frame(ALLOWED_FAST, struct.pack(">I", 99)), "piece 99"),
    (frame(PIECE, struct.pack(">II", 99, 0) + b"x"), "piece 99"),
    (frame(PIECE, struct.pack(">II", 0, 0) + b"x") * 70, "sends blocks that nobody asked for"),
    (frame(EXTENSION, b"\0" + b"d1:ai1e-6:"), "extension handshake"),
    (frame(EXTENSION, b"\0" + b"d1:v" + b"l" * 5000), "extension handshake"),
    (frame(EXTENSION), "message 20 of 1 bytes"),
])
def test_what_is_against_the_protocol_ends_the_connection_and_is_named(seed, torrent, says, reason):
    peer = WirePeer.dial(seed.port, torrent.info_hash)
    peer.send(says)
    assert reason in why_closed(seed)
    peer.wait_for_the_end()
    again = WirePeer.dial(seed.port, torrent.info_hash)     # the daemon is as well as before
    assert again.next() == (HAVE_ALL, b"")


@pytest.mark.parametrize("says", [frame(HAVE_ALL), frame(HAVE_NONE), frame(REJECT, struct.pack(">III", 0, 0, 1)), frame(ALLOWED_FAST, bytes(4))])
def test_the_fast_extension_without_its_bit_in_the_handshake_is_a_fault(seed, torrent, says):
    WirePeer.dial(seed.port, torrent.info_hash, fast=False).send(says)
    assert "without the fast extension" in why_closed(seed)


def test_unknown_messages_and_extensions_are_passed_over(seed, torrent):
    peer = WirePeer.dial(seed.port, torrent.info_hash)
    peer.send(frame(77, b"whatever"), frame(9, b"\x1a\xe1"), frame(EXTENSION, b"\x05d1:xi1ee"), bytes(4), frame(HAVE_NONE), frame(INTERESTED))
    peer.wait_for(UNCHOKE)


def test_a_peer_that_sends_nothing_after_the_handshake_holds_up_nobody(leech, torrent):
    mute, good = honest(torrent, mute=True, ip="127.0.0.2"), honest(torrent, ip="127.0.0.3")
    dial_all(leech, torrent, mute, good)
    wait_for_all(leech, torrent)


def test_a_peer_that_corrupts_everything_is_banned_and_the_torrent_completes(leech, torrent, tmp_path):
    bad, good = honest(torrent, corrupts=True, ip="127.0.0.2"), honest(torrent, ip="127.0.0.3")
    dial_all(leech, torrent, bad)
    banned = leech.wait_for(dm.PeerBanned)
    assert (banned.ip, banned.port) == (bad.ip, bad.port)
    assert "sent bad data" in leech.wait_for(dm.PeerDisconnected).reason
    assert leech.wait_for(dm.PieceFailed).num_peers == 1
    dial_all(leech, torrent, good)
    wait_for_all(leech, torrent)
    assert (tmp_path / "leech" / torrent.name).read_bytes() == torrent.data
    assert [message.ip for message in leech.all_of(dm.PeerBanned)] == [bad.ip]


def test_among_many_peers_only_those_that_send_bad_data_are_banned(leech, torrent, tmp_path):
    good = [honest(torrent, ip=f"127.0.1.{number}") for number in range(1, 7)]
    bad = [honest(torrent, ip=f"127.0.2.{number}", corrupts=True) for number in range(1, 3)]
    leaving = [honest(torrent, ip=f"127.0.3.{number}", leaves_after=3) for number in range(1, 4)]
    dial_all(leech, torrent, *bad, *leaving, *good)
    wait_for_all(leech, torrent)
    assert (tmp_path / "leech" / torrent.name).read_bytes() == torrent.data
    assert {message.ip for message in leech.all_of(dm.PeerBanned)} <= {peer.ip for peer in bad}
    stats = leech.wait_for(dm.TorrentStats, lambda message: not message.peers)
    assert stats.downloaded - stats.wasted == len(torrent.data)


def test_endless_chokes_and_unchokes_hold_up_nobody(leech, torrent):
    flapping, good = listen("127.0.0.2"), honest(torrent, ip="127.0.0.3")

    def flap():
        peer = WirePeer.answer(flapping, torrent.info_hash)
        peer.send(frame(HAVE_ALL))
        try:
            while True:
                peer.send((frame(UNCHOKE) + frame(CHOKE)) * 200)
                gevent.sleep(0)
        except OSError:
            return

    flapper = gevent.spawn(flap)
    leech.dial(torrent.info_hash, *flapping.getsockname())
    dial_all(leech, torrent, good)
    wait_for_all(leech, torrent)
    flapper.get(timeout=10)                             # the daemon closed it in the end: both are seeds


def test_a_peer_that_trickles_byte_by_byte_holds_up_nobody(leech, torrent):
    slow, good = listen("127.0.0.2"), honest(torrent, ip="127.0.0.3")

    def trickle():
        peer = WirePeer.answer(slow, torrent.info_hash)
        peer.send(frame(HAVE_ALL), frame(UNCHOKE))
        _, asked = peer.next(), peer.wait_for(REQUEST)
        try:
            for byte in block(torrent.data, torrent.piece_length, *struct.unpack(">III", asked)):
                peer.send(bytes([byte]))
                gevent.sleep(0.001)
        except OSError:
            return

    trickler = gevent.spawn(trickle)
    leech.dial(torrent.info_hash, *slow.getsockname())
    leech.wait_for(dm.PeerConnected)
    dial_all(leech, torrent, good)
    wait_for_all(leech, torrent)
    trickler.kill()


def test_without_the_fast_extension_requests_of_a_choked_peer_are_passed_over(seed, torrent):
    holders = [WirePeer.dial(seed.port, torrent.info_hash, b"-XX0001-holder%06d" % number) for number in range(2)]
    for holder in holders:
        holder.send(frame(HAVE_NONE), frame(INTERESTED))
        holder.wait_for(UNCHOKE)
    peer = WirePeer.dial(seed.port, torrent.info_hash, fast=False)
    peer.send(requests(0, 0), frame(INTERESTED), requests(0, 0))
    holders[0].send(frame(NOT_INTERESTED))
    peer.wait_for(UNCHOKE)                              # the next message: nothing was answered before it
    peer.send(requests(1, 0))
    assert peer.wait_for(PIECE)[:8] == struct.pack(">II", 1, 0)


def test_with_the_fast_extension_requests_of_a_choked_peer_are_rejected_unless_they_are_allowed(seed, torrent):
    peer = WirePeer.dial(seed.port, torrent.info_hash)
    peer.send(frame(HAVE_NONE))
    allowed = {struct.unpack(">I", peer.wait_for(ALLOWED_FAST))[0] for _ in range(10)}
    refused = next(index for index in range(NUM_PIECES) if index not in allowed)
    welcome = min(allowed)
    peer.send(requests(refused, 0), requests(welcome, 0))
    assert peer.wait_for(REJECT) == struct.pack(">III", refused, 0, BLOCK_BYTES)
    assert peer.wait_for(PIECE)[8:] == torrent.data[welcome * PIECE_LENGTH:][:BLOCK_BYTES]


def test_requests_of_pieces_that_we_lack_are_rejected(leech, torrent):
    peer = WirePeer.dial(leech.port, torrent.info_hash)
    peer.send(frame(HAVE_NONE), frame(INTERESTED))
    peer.wait_for(UNCHOKE)
    peer.send(requests(3, 0))
    assert peer.wait_for(REJECT) == struct.pack(">III", 3, 0, BLOCK_BYTES)


@pytest.mark.parametrize("fast", [True, False])
def test_more_requests_than_we_said_we_keep_are_rejected_or_end_the_connection(seed, torrent, fast):
    peer = WirePeer.dial(seed.port, torrent.info_hash, fast=fast)
    peer.send(frame(INTERESTED))
    peer.wait_for(UNCHOKE)
    # answers of 2 MiB and more than the sockets hold: they wait, since nobody reads
    peer.send(requests(0, *[0] * (4 * MAX_PEER_REQUESTS)))
    if fast:
        peer.wait_for(REJECT)
    else:
        assert "requests wait already" in why_closed(seed)


def test_a_peer_that_asks_and_never_reads_is_closed(seed, torrent):
    peer = WirePeer.dial(seed.port, torrent.info_hash)
    peer.send(frame(INTERESTED))
    with pytest.raises(OSError):
        while True:
            peer.send(requests(0, *[0] * 2_000))
    assert "reads nothing" in why_closed(seed)


def test_a_choked_peer_may_lie_about_pieces_and_nothing_comes_of_it(leech, torrent):
    """It says that it has everything, lets us ask, and rejects all."""
    listener, good = listen("127.0.0.2"), honest(torrent, ip="127.0.0.3")

    def reject_all():
        peer = WirePeer.answer(listener, torrent.info_hash)
        peer.send(frame(HAVE_ALL), frame(UNCHOKE))
        while (message := peer.next()) is not None:
            if message[0] == REQUEST:
                try:
                    peer.send(frame(REJECT, message[1]))
                except OSError:
                    return

    rejecting = gevent.spawn(reject_all)
    leech.dial(torrent.info_hash, *listener.getsockname())
    leech.wait_for(dm.PeerConnected)
    dial_all(leech, torrent, good)
    wait_for_all(leech, torrent)
    rejecting.get(timeout=10)
