"""Extension messages (BEP 10) as odd as they come: what makes no sense is passed over, what is no dictionary ends the connection."""

import pytest

from protocol import daemon_messages as dm
from protocol.limits import MAX_CLIENT_NAME_CHARS, MAX_EXTENDED_HANDSHAKE_BYTES
from tests.processes.daemon_process import DaemonProcess
from tests.processes.fake_peer import BLOCK_BYTES, INTERESTED, UNCHOKE, frame
from tests.processes.test_daemon_transfers import raw_info, seeding_folder
from tests.processes.torrent_files import bencode, make_torrent
from tests.processes.wire_peer import EXTENSION, HAVE_ALL, HAVE_NONE, WirePeer


@pytest.fixture(scope="module")
def torrent(tmp_path_factory):
    return make_torrent(tmp_path_factory.mktemp("torrent"), 100 * BLOCK_BYTES, piece_length=4 * BLOCK_BYTES)


def running(daemon: DaemonProcess, torrent, folder) -> DaemonProcess:
    daemon.accept_everybody()
    daemon.add(torrent.info_hash, raw_info(torrent), folder)
    daemon.start(torrent.info_hash)
    return daemon


@pytest.fixture(scope="module")
def seed(torrent, tmp_path_factory):
    with DaemonProcess(upload_slots=100) as daemon:
        yield running(daemon, torrent, seeding_folder(tmp_path_factory.mktemp("seed"), torrent))


@pytest.fixture(scope="module")
def leech(torrent, tmp_path_factory):
    with DaemonProcess() as daemon:
        yield running(daemon, torrent, tmp_path_factory.mktemp("leech"))


def says(**values: object) -> bytes:
    """An extension handshake with these values."""
    return frame(EXTENSION, b"\0" + bencode(values))


NAME = says(v="some client")
HUNDRED_KB = bytes(100_000)


@pytest.mark.parametrize("messages", [
    (NAME, frame(HAVE_NONE)), (frame(HAVE_NONE), NAME), (frame(HAVE_NONE), frame(INTERESTED), NAME), (NAME, NAME, NAME), (NAME, says()),
    (says(), NAME), (NAME, says(m=[], reqq=[], p={}, metadata_size="much")), (says(v=5), NAME), (says(p=0, reqq=0), NAME),
    (NAME, says(m={"ut_pex": -1, "ut_metadata": 256, "x": 1 << 60, "y": "1", "z": []})), (NAME, says(m={"ut_pex": 1, "ut_metadata": 1, "lt_donthave": 0})),
    (NAME, says(m={f"extension {number}": number for number in range(1_000)})), (NAME, says(m={"": 1, "n" * 20_000: 2})),
    (NAME, says(unknown={"deep": [[[[1]]]]}, yourip="x", ipv4=7)),
    (NAME, frame(EXTENSION, b"\x01"), frame(EXTENSION, b"\xff" + HUNDRED_KB), frame(EXTENSION, b"\x07d1:v")),
], ids=range(15))
def test_a_peer_whose_extension_messages_make_no_sense_is_served_and_named_once(seed, torrent, messages):
    before = len(seed.messages)
    peer = WirePeer.dial(seed.port, torrent.info_hash)
    peer.send(*messages, frame(INTERESTED))
    peer.wait_for(UNCHOKE)
    named = seed.wait_for(dm.PeerNamed, after=before)
    assert named.client_name == "some client"
    peer.close()
    seed.wait_for(dm.PeerDisconnected, after=before)
    assert len([message for message in seed.messages[before:] if isinstance(message, dm.PeerNamed)]) == 1


@pytest.mark.parametrize(("name", "shown"), [
    (b"\x1b[2J\r\nname\0", "[2Jname"), (b"x" * 10_000, "x" * MAX_CLIENT_NAME_CHARS), (b"\xff\xfe", "\N{REPLACEMENT CHARACTER}" * 2),
])
def test_a_client_name_is_told_as_text_that_can_be_shown(seed, torrent, name, shown):
    before = len(seed.messages)
    peer = WirePeer.dial(seed.port, torrent.info_hash)
    peer.send(says(v=name))
    assert seed.wait_for(dm.PeerNamed, after=before).client_name == shown
    peer.close()
    seed.wait_for(dm.PeerDisconnected, after=before)


@pytest.mark.parametrize("payload", [
    b"\0", b"\0le", b"\0i5e", b"\x0013:no dictionary", b"\0d1:v", b"\0dede", b"\0d1:pi1e1:pi2ee", b"\0" + b"d1:v" * 1_000, b"\0" + b"\xff" * 100,
    b"\0" + bencode({"v": "x" * MAX_EXTENDED_HANDSHAKE_BYTES}),
], ids=["empty", "list", "integer", "text", "cut", "two", "repeated-key", "deep", "noise", "too-long"])
def test_an_extension_handshake_that_is_no_dictionary_ends_that_connection_only(seed, torrent, payload):
    before = len(seed.messages)
    peer = WirePeer.dial(seed.port, torrent.info_hash)
    peer.send(frame(EXTENSION, payload))
    peer.wait_for_the_end()
    ended = seed.wait_for(dm.PeerDisconnected, after=before)
    assert ended.reason.startswith(("extension handshake", "message 20"))
    again = WirePeer.dial(seed.port, torrent.info_hash)
    again.wait_for(HAVE_ALL)
    again.close()
    seed.wait_for(dm.PeerDisconnected, after=seed.messages.index(ended) + 1)


@pytest.mark.parametrize(("reqq", "is_kept"), [
    (1, True), (0, False), (-7, False), ("many", False), ([], False), (1 << 40, False), ((1 << 63) - 1, False),
], ids=str)
def test_a_peer_is_asked_for_no_more_than_it_keeps_and_nonsense_counts_as_unsaid(leech, torrent, reqq, is_kept):
    before = len(leech.messages)
    peer = WirePeer.dial(leech.port, torrent.info_hash)
    peer.send(says(reqq=reqq), frame(HAVE_ALL), frame(UNCHOKE))
    stats = leech.wait_for(dm.TorrentStats, lambda stats: any(peer.num_requests for peer in stats.peers), after=before)
    assert (max(peer.num_requests for peer in stats.peers) == 1) is is_kept
    peer.close()
    leech.wait_for(dm.PeerDisconnected, after=before)
