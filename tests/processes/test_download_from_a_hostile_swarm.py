"""50 peers at once: some leave, some send bad data, some say nothing; the download completes, and nobody holds a slot for long."""

import struct

import pytest

from tests.processes.evenswarm_process import EvenswarmProcess
from tests.processes.fake_peer import FakePeer, stop_all
from tests.processes.torrent_files import make_torrent

HANDSHAKE_TIMEOUT = 2.0
SWARM_SETTINGS = ("--set", "connection_rate=0", "--set", "half_open_limit=60", "--set", f"handshake_timeout={HANDSHAKE_TIMEOUT}")


@pytest.fixture
def peers():
    started: list[FakePeer] = []
    yield started
    stop_all(started)


def swarm_of_50(torrent) -> list[FakePeer]:
    """20 honest, 8 leave after 3 blocks, 8 corrupt every block, 7 say nothing at all, 7 only shake hands."""
    faults = [{}] * 20 + [{"leaves_after": 3}] * 8 + [{"corrupts": True}] * 8 + [{"silent": True}] * 7 + [{"mute": True}] * 7
    return [FakePeer(torrent.info_hash, torrent.data, torrent.piece_length, ip=f"127.0.3.{number + 1}", **fault) for number, fault in enumerate(faults)]


def test_50_peers_of_which_30_misbehave_give_a_complete_and_right_file(tmp_path, peers):
    torrent = make_torrent(tmp_path, 24 << 20)
    peers += [peer.start() for peer in swarm_of_50(torrent)]
    options = [argument for peer in peers for argument in ("--peer", peer.address)]
    with EvenswarmProcess(tmp_path, "download", str(torrent.path), "--dir", str(tmp_path / "d"), "--listen", "127.0.0.1:0", "--offline",
                          *SWARM_SETTINGS, *options) as client:
        assert client.wait(90) == 0, client.said()

    assert (tmp_path / "d" / torrent.name).read_bytes() == torrent.data
    corrupt = {peer.address for peer in peers if peer.corrupts and peer.blocks_served}
    banned = {event["peer"] for event in client.named("peer_banned")}
    assert banned <= {peer.address for peer in peers if peer.corrupts}, "only those who sent bad data are banned"
    assert corrupt and banned, "somebody sent bad data, and was found"


def test_a_peer_that_sends_only_bad_data_is_banned_and_not_dialled_again(tmp_path, peers):
    torrent = make_torrent(tmp_path, 1 << 20)
    bad, good = (FakePeer(torrent.info_hash, torrent.data, torrent.piece_length, corrupts=corrupts, ip=ip) for corrupts, ip in ((True, "127.0.3.1"), (False, "127.0.3.2")))
    peers += [bad.start(), good.start()]
    with EvenswarmProcess(tmp_path, "download", str(torrent.path), "--dir", str(tmp_path / "d"), "--listen", "127.0.0.1:0", "--offline",
                          "--peer", bad.address) as client:
        event = client.wait_for("peer_banned", peer=bad.address)
        assert "bad data" in event["reason"]
        client.wait_for("peer_disconnected", peer=bad.address)
        assert bad.connections == 1


@pytest.mark.parametrize("fault", ["silent"])
def test_a_peer_that_never_shakes_hands_is_dropped_by_the_handshake_timer(tmp_path, peers, fault):
    torrent = make_torrent(tmp_path, 1 << 20)
    peers.append(FakePeer(torrent.info_hash, torrent.data, torrent.piece_length, **{fault: True}).start())
    with EvenswarmProcess(tmp_path, "download", str(torrent.path), "--dir", str(tmp_path / "d"), "--listen", "127.0.0.1:0", "--offline",
                          *SWARM_SETTINGS, "--peer", peers[0].address) as client:
        event = client.wait_for("connect_failed", peer=peers[0].address)
        assert event["outcome"] == "handshake_failed"
        assert HANDSHAKE_TIMEOUT <= event["elapsed"] < HANDSHAKE_TIMEOUT + 5


@pytest.mark.parametrize(("says", "named"), [
    (struct.pack(">I", 0xFFFF_FFFF), "4294967295"),                                 # a message of 4 GiB
    (struct.pack(">IBI", 5, 4, 1 << 30), "piece"),                                  # have of a piece that is not there
    (struct.pack(">IB", 3, 7) + b"xx", "message 7"),                                  # a piece message too short for its header
    (struct.pack(">IBIII", 13, 6, 0, 0, 1 << 30), "request"),                       # a request of 1 GiB
], ids=["4-GiB-length", "have-out-of-range", "short-piece", "huge-request"])
def test_a_message_that_cannot_be_meant_ends_that_connection_alone_and_is_named(tmp_path, peers, says, named):
    torrent = make_torrent(tmp_path, 1 << 20)
    bad = FakePeer(torrent.info_hash, torrent.data, torrent.piece_length, says=says, ip="127.0.3.1").start()
    good = FakePeer(torrent.info_hash, torrent.data, torrent.piece_length, ip="127.0.3.2").start()
    peers += [bad, good]
    with EvenswarmProcess(tmp_path, "download", str(torrent.path), "--dir", str(tmp_path / "d"), "--listen", "127.0.0.1:0", "--offline",
                          "--seed", "--peer", bad.address, "--peer", good.address) as client:
        assert named in client.wait_for("peer_disconnected", peer=bad.address)["reason"]
        client.wait_for("torrent_completed")
    assert (tmp_path / "d" / torrent.name).read_bytes() == torrent.data
    assert "Traceback" not in client.said()
