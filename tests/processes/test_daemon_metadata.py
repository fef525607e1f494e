"""Metadata of a magnet link (BEP 9) on the wire: fetched, judged, handed to the engine; then the same connections download."""

import gevent
import pytest

from protocol import daemon_messages as dm
from protocol.bitfield import Bitfield
from tests.processes.daemon_process import DaemonProcess
from tests.processes.fake_peer import BITFIELD, BLOCK_BYTES, HAVE, INTERESTED, UNCHOKE, frame
from tests.processes.metadata_peer import (
    DATA,
    PIECE_BYTES,
    REJECT,
    MetadataWirePeer,
    data,
    number,
    reject,
    request,
    says_metadata,
)
from tests.processes.test_daemon_transfers import raw_info, seeding_folder, wait_for_all
from tests.processes.torrent_files import make_torrent
from tests.processes.wire_peer import EXTENSION, HAVE_ALL, HAVE_NONE, in_background, listen

NUM_PIECES = 2_500                                      # of 20 bytes of hash each: four pieces of metadata


@pytest.fixture(scope="module")
def torrent(tmp_path_factory):
    return make_torrent(tmp_path_factory.mktemp("torrent"), NUM_PIECES * 64, piece_length=64)


@pytest.fixture
def daemon():
    with DaemonProcess(upload_slots=100) as daemon:
        yield daemon


def fetch(daemon: DaemonProcess, torrent) -> DaemonProcess:
    daemon.accept_everybody()
    daemon.send(dm.FetchMetadata(torrent.info_hash))
    return daemon


def dialled(daemon: DaemonProcess, torrent, ip: str = "127.0.0.1") -> MetadataWirePeer:
    """A peer that the daemon dialled."""
    listener = listen(ip)
    daemon.dial(torrent.info_hash, ip, listener.getsockname()[1])
    peer = MetadataWirePeer.meet(listener, torrent.info_hash, b"-XX0001-" + ip.encode().rjust(12, b"."))
    listener.close()
    return peer


def fetched(daemon: DaemonProcess, torrent) -> bytes:
    """The metadata that the daemon handed to the engine."""
    last = daemon.wait_for(dm.MetadataPart, lambda part: part.offset + len(part.data) == part.total)
    return b"".join(part.data for part in daemon.all_of(dm.MetadataPart))[-last.total:]


def test_metadata_is_fetched_from_several_peers_at_once_and_the_same_connections_download(daemon, torrent, tmp_path):
    raw = raw_info(torrent)
    fetch(daemon, torrent)
    one, other = dialled(daemon, torrent), MetadataWirePeer.call(daemon.port, torrent.info_hash, b"-XX0002-metadatapeer")
    for peer in (one, other):
        assert peer.next()[0] == HAVE_NONE
        peer.send(frame(HAVE_ALL), says_metadata(len(raw)))
    serving = [in_background(peer.serve_everything, raw, torrent.data, torrent.piece_length) for peer in (one, other)]
    assert fetched(daemon, torrent) == raw
    daemon.add(torrent.info_hash, raw, tmp_path)
    daemon.start(torrent.info_hash)
    wait_for_all(daemon, torrent)
    assert (tmp_path / torrent.name).read_bytes() == torrent.data
    for greenlet in serving:
        num_pieces, num_blocks = greenlet.get(timeout=10)
        assert num_pieces and num_blocks
    assert {said.reason for said in daemon.all_of(dm.PeerDisconnected)} == {dm.BOTH_SEEDS}


@pytest.mark.parametrize("said", [
    lambda: frame(BITFIELD, Bitfield.full(NUM_PIECES).to_bytes()),
    lambda: b"".join(frame(HAVE, number.to_bytes(4, "big")) for number in range(NUM_PIECES)),
    lambda: frame(HAVE_NONE) + frame(HAVE, b"\0\0\0\x05"),
], ids=["bitfield", "haves", "none-and-one"])
def test_what_a_peer_said_of_its_pieces_before_the_metadata_counts_afterwards(daemon, torrent, tmp_path, said):
    raw = raw_info(torrent)
    peer = dialled(fetch(daemon, torrent), torrent)
    peer.send(said(), frame(UNCHOKE), says_metadata(len(raw)))
    serving = in_background(peer.serve_metadata, raw, 4)
    fetched(daemon, torrent)
    serving.get(timeout=10)
    daemon.add(torrent.info_hash, raw, tmp_path)
    daemon.start(torrent.info_hash)
    peer.wait_for(INTERESTED)
    assert peer.serve(torrent.data, torrent.piece_length, 1) == 1
    daemon.wait_for(dm.PiecesVerified)


@pytest.mark.parametrize(("said", "named"), [
    (frame(BITFIELD, b"\xff"), "bitfield of 1 bytes"), (frame(HAVE, (NUM_PIECES).to_bytes(4, "big")), "the torrent has 2500"),
])
def test_a_peer_whose_early_bitfield_does_not_fit_the_torrent_is_closed_with_the_reason(daemon, torrent, tmp_path, said, named):
    raw = raw_info(torrent)
    peer = dialled(fetch(daemon, torrent), torrent)
    peer.send(said, says_metadata(len(raw)))
    serving = in_background(peer.serve_metadata, raw, 4)
    fetched(daemon, torrent)
    serving.get(timeout=10)
    daemon.add(torrent.info_hash, raw, tmp_path)
    daemon.start(torrent.info_hash)
    assert named in daemon.wait_for(dm.PeerDisconnected).reason


@pytest.mark.parametrize(("said", "named"), [
    (frame(HAVE, b"\xff\xff\xff\xff"), "no torrent has more"), (frame(7, bytes(9)), "a block"), (frame(EXTENSION, b"\x03hello"), "ut_metadata"),
    (frame(EXTENSION, b"\0le"), "no dictionary"), (says_metadata(100) + says_metadata(101), "said 100 before"), (b"\xff\xff\xff\xff", "at most"),
])
def test_a_peer_that_breaks_the_protocol_while_metadata_is_fetched_is_closed_and_nobody_else(daemon, torrent, said, named):
    good = dialled(fetch(daemon, torrent), torrent)
    bad = MetadataWirePeer.call(daemon.port, torrent.info_hash, b"-XX0002-metadatapeer")
    bad.send(said)
    bad.wait_for_the_end()
    assert named in daemon.wait_for(dm.PeerDisconnected).reason
    raw = raw_info(torrent)
    good.send(says_metadata(len(raw)))
    in_background(good.serve_metadata, raw)
    assert fetched(daemon, torrent) == raw


def test_a_liar_is_banned_and_the_metadata_comes_from_the_others(daemon, torrent):
    raw, wrong = raw_info(torrent), bytes(len(raw_info(torrent)))
    fetch(daemon, torrent)
    liar, honest = dialled(daemon, torrent, "127.0.0.2"), dialled(daemon, torrent, "127.0.0.3")
    for peer, metadata in ((liar, wrong), (honest, raw)):
        peer.send(says_metadata(len(raw)))
        in_background(peer.serve_metadata, metadata)
    assert fetched(daemon, torrent) == raw
    banned = daemon.wait_for(dm.PeerBanned)
    assert (banned.ip, banned.reason) == ("127.0.0.2", "sent wrong metadata")
    assert daemon.wait_for(dm.PeerDisconnected).reason == "sent wrong metadata"
    assert {said.ip for said in daemon.all_of(dm.PeerBanned)} == {"127.0.0.2"}


def test_metadata_without_end_ends_that_connection(daemon, torrent):
    peer = dialled(fetch(daemon, torrent), torrent)
    peer.send(says_metadata(100))
    peer.next_metadata()
    with gevent.Timeout(10):
        try:
            while not daemon.all_of(dm.PeerDisconnected):
                peer.send(data(bytes(100), 0, 100))
                gevent.sleep(0)
        except OSError:
            pass
    assert daemon.wait_for(dm.PeerDisconnected).reason


@pytest.mark.parametrize("size", [(32 << 20) + 1, 1 << 40, -5, 0])
def test_metadata_of_an_impossible_size_is_never_asked_for(daemon, torrent, size):
    raw = raw_info(torrent)
    fetch(daemon, torrent)
    huge, honest = dialled(daemon, torrent, "127.0.0.2"), dialled(daemon, torrent, "127.0.0.3")
    huge.send(says_metadata(size))
    honest.send(says_metadata(len(raw)))
    in_background(honest.serve_metadata, raw)
    assert fetched(daemon, torrent) == raw
    daemon.send(dm.RemoveTorrent(torrent.info_hash))
    assert huge.next_metadata() is None


def test_what_one_peer_rejects_is_asked_of_another(daemon, torrent):
    raw = raw_info(torrent)
    fetch(daemon, torrent)
    refuses, serves = dialled(daemon, torrent, "127.0.0.2"), dialled(daemon, torrent, "127.0.0.3")
    refuses.send(says_metadata(len(raw)))
    refuses.send(reject(number(refuses.next_metadata(), "piece")))
    serves.send(says_metadata(len(raw)))
    in_background(serves.serve_metadata, raw)
    assert fetched(daemon, torrent) == raw


def test_a_torrent_without_metadata_stops_like_any_other(daemon, torrent):
    peer = dialled(fetch(daemon, torrent), torrent)
    daemon.wait_for(dm.PeerConnected)
    daemon.send(dm.StopTorrent(torrent.info_hash))
    daemon.wait_for(dm.TorrentStopped)
    assert daemon.all_of(dm.PeerDisconnected)[0].reason == "the torrent was stopped"
    peer.wait_for_the_end()
    fetch(daemon, torrent)
    dialled(daemon, torrent).close()


# ── we have it ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def seed(torrent, tmp_path_factory):
    with DaemonProcess(upload_slots=100) as daemon:
        daemon.accept_everybody()
        daemon.add(torrent.info_hash, raw_info(torrent), seeding_folder(tmp_path_factory.mktemp("seed"), torrent))
        daemon.start(torrent.info_hash)
        yield daemon


def test_metadata_is_served_to_others_piece_by_piece(seed, torrent):
    raw = raw_info(torrent)
    peer = MetadataWirePeer.call(seed.port, torrent.info_hash)
    assert f"13:metadata_sizei{len(raw)}e".encode() in peer.wait_for(EXTENSION)
    peer.send(says_metadata(None))
    got = b""
    for piece_index in range(-(-len(raw) // PIECE_BYTES)):
        peer.send(request(piece_index))
        said = peer.next_metadata()
        assert (number(said, "msg_type"), number(said, "piece"), number(said, "total_size")) == (DATA, piece_index, len(raw))
        got += said[said.index(b"ee") + 2:]
    assert got == raw
    peer.close()


def test_a_piece_of_metadata_that_is_not_there_and_more_than_the_allowance_are_rejected(seed, torrent):
    peer = MetadataWirePeer.call(seed.port, torrent.info_hash)
    peer.send(says_metadata(None), request(4), request(2_047))
    assert [number(peer.next_metadata(), "msg_type") for _ in range(2)] == [REJECT, REJECT]
    kinds = []
    for _ in range(80):
        peer.send(request(0))
        kinds.append(number(peer.next_metadata(), "msg_type"))
    assert kinds == [DATA] * 64 + [REJECT] * 16
    peer.close()


def test_who_asks_for_metadata_and_reads_nothing_costs_little(seed, torrent):
    before = len(seed.messages)
    peer = MetadataWirePeer.call(seed.port, torrent.info_hash)
    peer.send(says_metadata(None), *[request(number % 4) for number in range(5_000)])
    other = MetadataWirePeer.call(seed.port, torrent.info_hash, b"-XX0002-metadatapeer", "127.0.0.2")
    other.send(says_metadata(None), request(0))
    assert number(other.next_metadata(), "msg_type") == DATA
    assert BLOCK_BYTES == PIECE_BYTES
    peer.close()
    other.close()
    seed.wait_for(dm.PeerDisconnected, after=before)


def test_who_never_named_the_extension_gets_no_answer_and_is_served_all_the_same(seed, torrent):
    peer = MetadataWirePeer.call(seed.port, torrent.info_hash)
    peer.send(request(0), frame(INTERESTED))
    peer.wait_for(UNCHOKE)
    peer.close()
