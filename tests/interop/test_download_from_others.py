"""What libtorrent, aria2 and Transmission seed, Evenswarm downloads: every byte, and nothing more."""

import pytest

from tests.interop.drivers import CLIENTS
from tests.interop.exchange import PAIRS, Exchanges, assert_same_bytes, to_evenswarm


@pytest.fixture(scope="module")
def downloads(network, payloads, tmp_path_factory) -> Exchanges:
    return Exchanges(to_evenswarm, network, payloads, lambda name: tmp_path_factory.mktemp(f"from-{name}"))


@pytest.mark.parametrize(("client", "case"), PAIRS, ids=str)
def test_what_another_client_seeds_arrives_whole_and_without_padding_files(downloads, payloads, client, case):
    assert_same_bytes(case, payloads, downloads.with_client(client))


@pytest.mark.parametrize("client", CLIENTS)
def test_download_ends_with_0_once_all_is_there(downloads, client):
    download = downloads.with_client(client)
    assert download.exit_code == 0, download.problem or download.said


@pytest.mark.parametrize("client", CLIENTS)
def test_the_log_names_the_other_client(downloads, client):
    names = {event["client_name"] for event in downloads.with_client(client).events if event["event"] == "peer_connected"}
    assert names and all(client.lower() in name.lower() for name in names), names
