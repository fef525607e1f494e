"""Magnet links (BEP 9) between Evenswarm and others, both ways: by a peer in the link and by a tracker, every byte."""

import hashlib
import random
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.interop.drivers import CLIENTS, TRANSFER_SECONDS, Tracker, evenswarm, listening_address, needs
from tests.interop.exchange import foreign
from tests.interop.payloads import EVENSWARM, KIB, Case, Payload, make_torrent

# Of 1,221 pieces: metadata of 24 KiB, two pieces of it
CASE = Case("magnet", EVENSWARM, 16 * KIB, {"magnet/one.bin": 15_000_000, "magnet/sub/two.bin": 5_000_001})
# Transmission 3.00 knows no x.pe
METADATA_CLIENTS = ("libtorrent", "Transmission")


@pytest.fixture(scope="module")
def payload(tmp_path_factory) -> Payload:
    folder = tmp_path_factory.mktemp("magnet")
    made = Payload(CASE, folder / "content", folder / "magnet.torrent")
    for path, size in CASE.files.items():
        (made.content / path).parent.mkdir(parents=True, exist_ok=True)
        (made.content / path).write_bytes(random.Random(path).randbytes(size))
    make_torrent(made)
    return made


def link(payload: Payload, peer: str = "", tracker: str = "") -> str:
    """A magnet link, made by hand. The info dictionary is the last key of these .torrents."""
    data = payload.torrent.read_bytes()
    info_hash = hashlib.sha1(data[data.index(b"4:info") + 6:-1]).hexdigest()
    return f"magnet:?xt=urn:btih:{info_hash}&dn=magnet" + (f"&x.pe={peer}" if peer else "") + (f"&tr={quote(tracker, safe='')}" if tracker else "")


@pytest.mark.parametrize("by", ["peer", "tracker"])
@pytest.mark.parametrize("client", METADATA_CLIENTS)
def test_the_metadata_and_every_byte_come_from_another_client(network, payload, tmp_path, client, by):
    needs(CLIENTS[client], network, by_tracker=by == "tracker")
    with Tracker(network, tmp_path) as tracker:
        torrent = payload.with_tracker(tmp_path, tracker.url)
        seed = foreign(CLIENTS[client], network, tmp_path / "seed", [torrent], has_content=True)
        payload.copy_content(seed.content, with_padding=False)
        with seed:
            seed.wait_ready()
            magnet = link(payload, peer=seed.address) if by == "peer" else link(payload, tracker=tracker.url)
            with evenswarm(network, tmp_path / "evenswarm", "download", magnet) as ours:
                assert ours.wait(TRANSFER_SECONDS) == 0, f"{ours.said()}\n{seed.said()}"
    assert payload.differences(tmp_path / "evenswarm" / "content") == []
    received = ours.named("metadata_received")
    assert [(event["name"], event["size"] > 16 * KIB) for event in received] == [("magnet", True)]


@pytest.mark.parametrize("client", METADATA_CLIENTS)
def test_another_client_gets_the_metadata_and_every_byte_from_us(network, payload, tmp_path, client):
    needs(CLIENTS[client], network, by_tracker=True)
    with Tracker(network, tmp_path) as tracker:
        torrent = payload.with_tracker(tmp_path, tracker.url)
        content = tmp_path / "evenswarm" / "content"
        content.mkdir(parents=True)
        payload.copy_content(content, with_padding=False)
        with evenswarm(network, tmp_path / "evenswarm", "seed", str(torrent)) as ours:
            address = listening_address(ours)
            magnets = [link(payload, address, tracker.url)]
            with foreign(CLIENTS[client], network, tmp_path / "leech", magnets, has_content=False) as leech:
                leech.wait_complete()
                downloaded: Path = leech.content
    assert payload.differences(downloaded, needs_empty_files=False) == []


def test_two_of_us_get_the_metadata_from_each_other(network, payload, tmp_path):
    with Tracker(network, tmp_path) as tracker:
        torrent = payload.with_tracker(tmp_path, tracker.url)
        content = tmp_path / "seed" / "content"
        content.mkdir(parents=True)
        payload.copy_content(content, with_padding=False)
        with evenswarm(network, tmp_path / "seed", "seed", str(torrent)) as seed:
            listening_address(seed)
            with evenswarm(network, tmp_path / "one", "download", link(payload, tracker=tracker.url)) as one, \
                    evenswarm(network, tmp_path / "two", "download", link(payload, tracker=tracker.url)) as two:
                assert [client.wait(TRANSFER_SECONDS) for client in (one, two)] == [0, 0], f"{one.said()}\n{two.said()}"
    for name in ("one", "two"):
        assert payload.differences(tmp_path / name / "content") == []
