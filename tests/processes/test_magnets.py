"""`download MAGNET`: what the user sees, from hostile peers too. Others clients: tests/interop/test_magnets.py."""

import hashlib
import os
import random
import signal

import pytest

from tests.processes.evenswarm_process import EvenswarmProcess
from tests.processes.fake_peer import UNCHOKE, frame
from tests.processes.metadata_peer import MetadataWirePeer, data, says_metadata
from tests.processes.test_daemon_transfers import raw_info
from tests.processes.test_two_clients import address_of, assert_has, seed_of
from tests.processes.torrent_files import bencode, make_torrent
from tests.processes.wire_peer import HAVE_ALL, in_background, listen


@pytest.fixture
def torrent(tmp_path):
    return make_torrent(tmp_path, 300_000, piece_length=128)            # 2,344 pieces: three of metadata


def link(torrent, *peers: str) -> str:
    return f"magnet:?xt=urn:btih:{torrent.info_hash.hex()}&dn=from%20a%20link" + "".join(f"&x.pe={peer}" for peer in peers)


def download(folder, *arguments: str) -> EvenswarmProcess:
    return EvenswarmProcess(folder, "download", *arguments, "--dir", str(folder), "--offline", "--listen", "127.0.0.1:0")


@pytest.mark.parametrize("given_as", ["x.pe", "--peer"])
def test_a_link_leads_to_every_byte_by_the_peers_that_it_or_the_user_names(tmp_path, torrent, given_as):
    with seed_of(tmp_path, torrent) as seed:
        address = address_of(seed)
        arguments = (link(torrent, address),) if given_as == "x.pe" else (link(torrent), "--peer", address)
        with download(tmp_path / "d", *arguments) as client:
            assert client.wait() == 0, client.said()
    assert_has(tmp_path / "d", torrent)
    assert client.named("peers_found")[0]["source"] == ("magnet" if given_as == "x.pe" else "manual")
    assert len(client.named("peer_connected")) == 1, "the peer that sent the metadata is not dialled again"
    assert [event["name"] for event in client.named("metadata_received")] == ["payload.bin"]


def test_data_that_is_there_already_is_found_once_the_metadata_is(tmp_path, torrent):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / torrent.name).write_bytes(torrent.data[:200_000] + bytes(100_000))
    with seed_of(tmp_path, torrent) as seed, download(tmp_path / "d", link(torrent, address_of(seed))) as client:
        assert client.wait() == 0, client.said()
    assert_has(tmp_path / "d", torrent)
    assert client.named("torrent_checked")[0]["num_verified"] == 200_000 // 128


def test_a_liar_is_banned_and_the_download_goes_on_with_the_others(tmp_path, torrent):
    raw = raw_info(torrent)
    listener = listen("127.0.0.2")
    address = f"127.0.0.2:{listener.getsockname()[1]}"
    with seed_of(tmp_path, torrent) as seed:
        with download(tmp_path / "d", link(torrent, address)) as client:
            liar = MetadataWirePeer.meet(listener, torrent.info_hash)
            liar.send(frame(HAVE_ALL), says_metadata(len(raw)), frame(UNCHOKE))
            in_background(liar.serve_metadata, bytes(len(raw)))
            banned = client.wait_for("peer_banned")
            assert (banned["peer"], banned["reason"]) == (address, "sent wrong metadata")
            assert client.wait_for("metadata_failed")["num_peers"] == 1
        with download(tmp_path / "e", link(torrent, address, address_of(seed))) as client:
            liar = MetadataWirePeer.meet(listener, torrent.info_hash)
            liar.send(frame(HAVE_ALL), says_metadata(5), frame(UNCHOKE))
            in_background(liar.serve_metadata, b"wrong")
            assert client.wait() == 0, client.said()
    assert_has(tmp_path / "e", torrent)


def test_endless_and_oversized_metadata_end_in_nothing_but_a_closed_or_an_unused_connection(tmp_path, torrent):
    listeners = [listen("127.0.0.2"), listen("127.0.0.3")]
    addresses = [f"127.0.0.{number}:{listener.getsockname()[1]}" for number, listener in enumerate(listeners, 2)]
    with seed_of(tmp_path, torrent) as seed, download(tmp_path / "d", link(torrent, *addresses)) as client:
        endless, oversized = [MetadataWirePeer.meet(listener, torrent.info_hash, b"-XX0001-" + b"%012d" % number) for number, listener in enumerate(listeners)]
        oversized.send(frame(HAVE_ALL), says_metadata(1 << 40))
        endless.send(frame(HAVE_ALL), says_metadata(100), *[data(bytes(100), 0)] * 40)
        ended = client.wait_for("peer_disconnected", peer=addresses[0])
        assert "nobody had asked for" in ended["reason"] or "wrong metadata" in ended["reason"]
        assert client.process.poll() is None
        assert address_of(seed)


def test_metadata_that_cannot_be_used_ends_that_torrent_with_the_reason(tmp_path):
    raw = b"d6:lengthi5e4:name2:..12:piece lengthi16384e6:pieces20:" + bytes(20) + b"e"
    info_hash = hashlib.sha1(raw).digest()
    listener = listen()
    with download(tmp_path / "d", f"magnet:?xt=urn:btih:{info_hash.hex()}&x.pe=127.0.0.1:{listener.getsockname()[1]}") as client:
        peer = MetadataWirePeer.meet(listener, info_hash)
        peer.send(says_metadata(len(raw)))
        in_background(peer.serve_metadata, raw)
        assert client.wait() == 1
    assert "name" in client.said().splitlines()[-1]
    assert "Traceback" not in client.said()


def test_a_stop_while_metadata_is_awaited_is_quick_and_clean(tmp_path, torrent):
    listener = listen()
    with download(tmp_path / "d", link(torrent, f"127.0.0.1:{listener.getsockname()[1]}")) as client:
        MetadataWirePeer.meet(listener, torrent.info_hash)
        client.wait_for("peer_connected")
        client.process.terminate()
        assert client.wait(10) == 130
    assert client.named("torrent_stopped")


def test_the_daemons_death_while_metadata_is_awaited_costs_nothing_but_the_connections(tmp_path, torrent):
    with seed_of(tmp_path, torrent) as seed:
        listener = listen()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with download(tmp_path / "d", link(torrent, address)) as client:
            MetadataWirePeer.meet(listener, torrent.info_hash)
            client.wait_for("peer_connected")
            os.kill(client.daemon_pids()[0], signal.SIGKILL)
            ended = client.wait_for("daemon_ended")
            client.wait_for("metadata_wanted", after=client.events.index(ended))
            assert address_of(seed)


@pytest.mark.parametrize(("text", "named"), [
    ("magnet:?xt=urn:btih:nonsense", "40 hex digits"), ("magnet:?dn=x", "no info hash"), ("magnet:?xt=urn:btmh:1220" + "0" * 64, "v2-only"),
])
def test_a_link_that_is_none_is_refused_in_one_line(tmp_path, text, named):
    with EvenswarmProcess(tmp_path, "download", text, "--dir", str(tmp_path / "d"), "--offline", with_log=False) as client:
        assert client.wait() == 1
    assert named in client.said()
    assert len(client.said().strip().splitlines()) == 1


def test_show_prints_the_link_of_a_torrent_and_what_is_in_a_link(tmp_path, torrent):
    with EvenswarmProcess(tmp_path, "show", str(torrent.path), with_log=False) as client:
        assert client.wait() == 0
    printed = client.said().splitlines()[-1].split()[-1]
    assert printed == f"magnet:?xt=urn:btih:{torrent.info_hash.hex()}&dn=payload.bin"
    with EvenswarmProcess(tmp_path, "show", f"{printed}&x.pe=1.2.3.4:5&tr=http://a/b", with_log=False) as client:
        assert client.wait() == 0
    for text in ("payload.bin", torrent.info_hash.hex(), "1.2.3.4:5", "http://a/b"):
        assert text in client.said()


def test_the_files_that_a_link_chooses_are_downloaded_and_no_others(tmp_path):
    one, other = [random.Random(seed).randbytes(100_000) for seed in (1, 2)]
    pieces = b"".join(hashlib.sha1((one + other)[start:start + 16_384]).digest() for start in range(0, 200_000, 16_384))
    files = [{"length": 100_000, "path": ["one"]}, {"length": 100_000, "path": ["other"]}]
    info = {"files": files, "name": "folder", "piece length": 16_384, "pieces": pieces}
    (tmp_path / "folder.torrent").write_bytes(bencode({"info": info}))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "one").write_bytes(one)
    (tmp_path / "folder" / "other").write_bytes(other)
    with EvenswarmProcess(tmp_path, "seed", str(tmp_path / "folder.torrent"), "--dir", str(tmp_path), "--listen", "127.0.0.1:0", "--offline") as seed:
        link = f"magnet:?xt=urn:btih:{hashlib.sha1(bencode(info)).hexdigest()}&so=1&x.pe={address_of(seed)}"
        with download(tmp_path / "d", link) as client:
            assert client.wait() == 0, client.said()
    assert (tmp_path / "d" / "folder" / "other").read_bytes() == other
    assert not (tmp_path / "d" / "folder" / "one").exists()
