"""More than two clients in one swarm."""

import contextlib
from pathlib import Path

import pytest

from tests.interop.drivers import CLIENTS, Aria2, Libtorrent, Tracker, evenswarm, listening_address, needs
from tests.interop.exchange import foreign
from tests.interop.loopback_network import LoopbackNetwork
from tests.interop.payloads import Payload, missing_maker


def payload_of(name: str, payloads: dict[str, Payload]) -> Payload:
    """That payload; skips the test when its maker is not installed."""
    if name not in payloads:
        pytest.skip(missing_maker("transmission-create") or "its maker is not installed")
    return payloads[name]


def write_part(payload: Payload, folder: Path, first_byte: int, end: int) -> None:
    """A file of the right size that has only these bytes, holes elsewhere."""
    whole = (payload.content / payload.root).read_bytes()
    with open(folder / payload.root, "wb") as stream:
        stream.truncate(len(whole))
        stream.seek(first_byte)
        stream.write(whole[first_byte:end])


def test_two_clients_download_from_one_seed_at_once(network, payloads, tmp_path):
    needs(Libtorrent, network)
    needs(Aria2, network)
    payload = payload_of("pieces_of_8_mib", payloads)
    with Tracker(network, tmp_path) as tracker:
        torrent = payload.with_tracker(tmp_path, tracker.url)
        (tmp_path / "seed" / "content").mkdir(parents=True)
        payload.copy_content(tmp_path / "seed" / "content", with_padding=False)
        with evenswarm(network, tmp_path / "seed", "seed", str(torrent)) as seed:
            listening_address(seed)
            several = ("--set", "allow_multiple_connections_per_ip=1")      # here all have the same address
            leeches = Libtorrent(network, tmp_path / "libtorrent", [torrent], options=several), Aria2(network, tmp_path / "aria2", [torrent])
            with leeches[0] as first, leeches[1] as second:
                first.wait_complete()
                second.wait_complete()
    assert payload.differences(first.content) == []
    assert payload.differences(second.content) == []


def test_three_clients_with_a_third_each_complete_us_and_we_complete_them(network: LoopbackNetwork, payloads, tmp_path):
    """They do not know of each other: all that they lack comes from us, who got it from the others."""
    for client in CLIENTS.values():
        needs(client, network)
    payload = payload_of("single_file", payloads)
    size, piece_length = payload.case.files[payload.root], payload.case.piece_length
    third = size // piece_length // 3 * piece_length
    with contextlib.ExitStack() as running:
        others = []
        for number, client in enumerate(CLIENTS.values()):
            other = foreign(client, network, tmp_path / client.name, [payload.torrent], has_content=True)
            write_part(payload, other.content, number * third, size if number == 2 else (number + 1) * third)
            others.append(running.enter_context(other))
        for other in others:
            other.wait_ready()
        peers = [argument for other in others for argument in ("--peer", other.address)]
        running.enter_context(evenswarm(network, tmp_path / "evenswarm", "download", "--seed", str(payload.torrent), *peers))
        for other in others:
            other.wait_complete()
            assert payload.differences(other.content) == [], other.name
    assert payload.differences(tmp_path / "evenswarm" / "content") == []
