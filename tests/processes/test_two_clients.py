"""Evenswarm with Evenswarm: one seeds or both download, over IPv4 and IPv6, in one daemon or several."""

import socket

import pytest

from tests.processes.evenswarm_process import EvenswarmProcess
from tests.processes.fake_peer import FakePeer, stop_all
from tests.processes.torrent_files import make_torrent

ANY_PORT = "--listen", "127.0.0.1:0"
NOBODY_LISTENS = "http://127.0.0.1:1/announce"


def address_of(client: EvenswarmProcess) -> str:
    """Where its daemon listens, as --peer takes it."""
    event = client.wait_for("daemon_listening")
    return f"[{event['host']}]:{event['port']}" if ":" in event["host"] else f"{event['host']}:{event['port']}"


def seed_of(folder, *torrents, listen: str = "127.0.0.1:0") -> EvenswarmProcess:
    """A `seed` of these; their data is written to `folder`."""
    for torrent in torrents:
        (folder / torrent.name).write_bytes(torrent.data)
    return EvenswarmProcess(folder, "seed", *(str(torrent.path) for torrent in torrents), "--dir", str(folder), "--listen", listen, "--offline")


def download(folder, torrents, peers, *options: str) -> EvenswarmProcess:
    peers = [argument for peer in peers for argument in ("--peer", peer)]
    return EvenswarmProcess(folder, "download", *(str(torrent.path) for torrent in torrents), "--dir", str(folder), "--offline", *options, *peers)


def assert_has(folder, *torrents) -> None:
    for torrent in torrents:
        assert (folder / torrent.name).read_bytes() == torrent.data, torrent.name


@pytest.mark.parametrize("listen", ["[::1]:0", "0.0.0.0:0"])
def test_an_ipv6_peer_is_dialled_from_whatever_we_listen_on(tmp_path, listen):
    torrent = make_torrent(tmp_path, 300_000)
    with seed_of(tmp_path, torrent, listen="[::1]:0") as seed, download(tmp_path / "d", [torrent], [address_of(seed)], "--listen", listen) as client:
        assert client.wait() == 0, client.said()
        assert seed.wait_for("peer_connected")["peer"].startswith("[::1]:")
    assert_has(tmp_path / "d", torrent)
    assert "listening [::1]:" in seed.said()


def test_several_sources_are_shared_by_two_daemons_and_the_same_one_twice_is_taken_once(tmp_path):
    torrents = [make_torrent(tmp_path, 200_000 + number, name=f"{number}.bin", seed=number) for number in range(5)]
    client_options = *ANY_PORT, "--set", "daemons=2"
    with seed_of(tmp_path, *torrents) as seed, download(tmp_path / "d", [*torrents, torrents[0]], [address_of(seed)], *client_options) as client:
        assert client.wait() == 0, client.said()
    assert_has(tmp_path / "d", *torrents)
    assert "taken once" in client.said()
    assert len({event["pid"] for event in client.named("daemon_started")}) == 2
    assert len(client.named("torrent_completed")) == 5


def test_a_download_with_seed_goes_on_and_feeds_several_others_at_once(tmp_path):
    torrent = make_torrent(tmp_path, 2 << 20)
    peer = FakePeer(torrent.info_hash, torrent.data, torrent.piece_length).start()
    with download(tmp_path / "d0", [torrent], [peer.address], *ANY_PORT, "--seed") as middle:
        middle.wait_for("torrent_completed")
        stop_all([peer])
        address = address_of(middle)
        others = [download(tmp_path / f"d{number}", [torrent], [address], *ANY_PORT) for number in (1, 2, 3)]
        for number, other in enumerate(others, 1):
            with other:
                assert other.wait() == 0, other.said()
            assert_has(tmp_path / f"d{number}", torrent)
        assert middle.process.poll() is None, "who seeds does not end by itself"


def test_two_halves_that_dial_each_other_make_a_whole_in_both(tmp_path):
    torrent = make_torrent(tmp_path, 4 << 20)
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = [held.getsockname()[1] for held in (one, other)]
    half = len(torrent.data) // 2
    clients = []
    for number, part in enumerate((torrent.data[:half], bytes(half) + torrent.data[half:])):
        (tmp_path / f"d{number}").mkdir()
        (tmp_path / f"d{number}" / torrent.name).write_bytes(part)
        clients.append(download(tmp_path / f"d{number}", [torrent], [f"127.0.0.1:{ports[1 - number]}"], "--listen", f"127.0.0.1:{ports[number]}", "--seed"))
    with clients[0], clients[1]:
        for number, client in enumerate(clients):
            assert client.wait_for("torrent_checked")["num_verified"] == 32
            client.wait_for("torrent_completed")
            assert_has(tmp_path / f"d{number}", torrent)
            assert not client.named("peer_banned")


def test_a_tracker_that_cannot_be_reached_does_not_matter_where_a_peer_is_given(tmp_path):
    torrent = make_torrent(tmp_path, 300_000, announce=NOBODY_LISTENS)
    peer = FakePeer(torrent.info_hash, torrent.data, torrent.piece_length).start()
    with download(tmp_path / "d", [torrent], [peer.address], *ANY_PORT) as client:
        assert client.wait() == 0, client.said()
        assert "connect" in client.wait_for("tracker_failed")["reason"]
    stop_all([peer])
    assert_has(tmp_path / "d", torrent)


def test_what_is_there_is_checked_and_only_the_rest_is_asked_for(tmp_path):
    torrent = make_torrent(tmp_path, 10 << 16)
    (tmp_path / "d").mkdir()
    there = bytearray(torrent.data[:5 << 16])
    there[2 << 16] ^= 1                                                             # the third of five pieces is spoilt
    (tmp_path / "d" / torrent.name).write_bytes(there)
    peer = FakePeer(torrent.info_hash, torrent.data, torrent.piece_length).start()
    with download(tmp_path / "d", [torrent], [peer.address], *ANY_PORT) as client:
        assert client.wait_for("torrent_checked")["num_verified"] == 4
        assert client.wait() == 0, client.said()
    stop_all([peer])
    assert_has(tmp_path / "d", torrent)
    assert peer.blocks_served == 6 * 4, "six pieces of four blocks were missing"


