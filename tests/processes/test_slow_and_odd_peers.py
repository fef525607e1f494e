"""Peers and trackers that are slow, silent or odd: none of them holds up a download."""

import pytest

from tests.processes.evenswarm_process import EvenswarmProcess
from tests.processes.fake_peer import CHOKE, FakePeer, frame, stop_all
from tests.processes.torrent_files import make_torrent


@pytest.fixture
def peers():
    started: list[FakePeer] = []
    yield started
    stop_all(started)


def download(tmp_path, torrent, peers, *options: str) -> EvenswarmProcess:
    addresses = [argument for peer in peers for argument in ("--peer", peer.address)]
    return EvenswarmProcess(tmp_path, "download", str(torrent.path), "--dir", str(tmp_path / "d"), "--listen", "127.0.0.1:0", "--offline", *options, *addresses)


def test_a_peer_that_stops_sending_does_not_hold_up_the_last_pieces(tmp_path, peers):
    """Endgame: what the silent one owes is asked of the other too, long before any timer of seconds."""
    torrent = make_torrent(tmp_path, 2 << 20)
    peers += [FakePeer(torrent.info_hash, torrent.data, torrent.piece_length, ip=f"127.0.6.{number}", **fault).start()
              for number, fault in ((1, {}), (2, {"holds_after": 3}))]
    with download(tmp_path, torrent, peers) as client:
        assert client.wait(60) == 0, client.said()
    assert (tmp_path / "d" / torrent.name).read_bytes() == torrent.data
    assert not client.named("peer_banned")
    assert peers[1].blocks_served == 3, "it never went on"


def test_a_peer_that_chokes_after_it_was_asked_costs_nothing_that_was_asked(tmp_path, peers):
    torrent = make_torrent(tmp_path, 1 << 20)
    peers += [FakePeer(torrent.info_hash, torrent.data, torrent.piece_length, ip=f"127.0.6.{number}", says=says).start()
              for number, says in ((1, b""), (2, frame(CHOKE) * 50 + b"\0\0\0\0" * 50))]
    with download(tmp_path, torrent, peers) as client:
        assert client.wait(60) == 0, client.said()
    assert (tmp_path / "d" / torrent.name).read_bytes() == torrent.data


def test_the_limits_of_set_reach_the_broker(tmp_path, peers):
    torrent = make_torrent(tmp_path, 100_000)
    peers += [FakePeer(torrent.info_hash, torrent.data, torrent.piece_length, ip=f"127.0.6.{number}", silent=True).start() for number in range(1, 7)]
    with download(tmp_path, torrent, peers, "--set", "half_open_limit=2", "--set", "handshake_timeout=0.2", "--set", "connection_rate=0") as client:
        for peer in peers:
            client.wait_for("connect_failed", peer=peer.address)
    half_open, most = set(), 0
    for event in client.events:
        if event["event"] == "slot_granted":
            half_open.add(event["grant_id"])
            most = max(most, len(half_open))
        elif event["event"] == "connect_failed":
            half_open.discard(event["grant_id"])
    assert most == 2


def test_the_rate_of_a_profile_reaches_the_broker(tmp_path, peers):
    torrent = make_torrent(tmp_path, 100_000)
    peers += [FakePeer(torrent.info_hash, torrent.data, torrent.piece_length, ip=f"127.0.6.{number}", mute=True).start() for number in range(1, 13)]
    with download(tmp_path, torrent, peers, "--profile", "weak-router") as client:
        for peer in peers:
            client.wait_for("connect_started", peer=peer.address)
    granted = sorted(event["monotonic"] for event in client.named("slot_granted"))
    assert granted[11] - granted[0] >= 0.2, "a burst of 10, then one every 0.2 s"


def test_a_download_whose_port_is_taken_goes_on_and_says_so(tmp_path, peers):
    torrent = make_torrent(tmp_path, 100_000)
    peers.append(FakePeer(torrent.info_hash, torrent.data, torrent.piece_length).start())
    taken = peers[0].address
    with download(tmp_path, torrent, peers, "--listen", taken) as client:
        assert client.wait() == 0, client.said()
    assert f"evenswarm: cannot listen on {taken}: " in client.said()
    assert (tmp_path / "d" / torrent.name).read_bytes() == torrent.data
