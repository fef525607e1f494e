"""What Evenswarm seeds, libtorrent, aria2 and Transmission download: every byte."""

import pytest

from tests.interop.drivers import CLIENTS
from tests.interop.exchange import PAIRS, Exchanges, assert_same_bytes, from_evenswarm


@pytest.fixture(scope="module")
def uploads(network, payloads, tmp_path_factory) -> Exchanges:
    return Exchanges(from_evenswarm, network, payloads, lambda name: tmp_path_factory.mktemp(f"to-{name}"))


@pytest.mark.parametrize(("client", "case"), PAIRS, ids=str)
def test_another_client_downloads_what_we_seed_whole(uploads, payloads, client, case):
    assert_same_bytes(case, payloads, uploads.with_client(client), downloader=CLIENTS[client])


@pytest.mark.parametrize("client", CLIENTS)
def test_another_client_says_that_it_has_everything(uploads, client):
    assert uploads.with_client(client).problem == ""
