"""Our handshakes, as libtorrent understands them."""

from collections.abc import Iterator

import pytest

from tests.interop.drivers import READY_SECONDS, Libtorrent, evenswarm, listening_address, needs, wait_until
from tests.interop.loopback_network import ROOT
from tests.interop.payloads import Payload


def our_version() -> str:
    """As setup.cfg says it."""
    lines = (ROOT / "setup.cfg").read_text().splitlines()
    return next(line.partition("=")[2].strip() for line in lines if line.startswith("version"))


@pytest.fixture(scope="module")
def observer(network, payloads, tmp_path_factory) -> Iterator[Libtorrent]:
    """A libtorrent that is connected to our seed, writes down what is said, and requests nothing: two seeds would part at once."""
    needs(Libtorrent, network)
    folder = tmp_path_factory.mktemp("seen")
    payload: Payload = payloads["pieces_of_16_kib"]
    (folder / "seed" / "content").mkdir(parents=True)
    payload.copy_content(folder / "seed" / "content", with_padding=False)
    options = ("--show-wire", "--only-look", "--set", "close_redundant_connections=0")
    with evenswarm(network, folder / "seed", "seed", str(payload.torrent)) as seed:
        peers = (listening_address(seed),)
        with Libtorrent(network, folder / "libtorrent", [payload.torrent], peers=peers, options=options) as client:
            wait_until(lambda: bool(heard(client, "EXTENDED_HANDSHAKE")), lambda: f"it heard no handshake: {client.said()[-2000:]}", READY_SECONDS)
            yield client


def heard(observer: Libtorrent, message: str) -> list[str]:
    """The lines about messages of this kind from us."""
    return [line for line in observer.said().splitlines() if f"<== {message} " in line]


def test_libtorrent_shows_our_name_and_version(observer):
    assert {peer["client"] for peer in observer.peers()} == {f"Evenswarm {our_version()}"}


def test_libtorrent_sees_the_extension_protocol_and_that_we_are_a_seed(observer):
    assert [(peer["speaks_extensions"], peer["is_seed"]) for peer in observer.peers()] == [(True, True)]


def test_libtorrent_understands_our_extension_handshake(observer):
    lines = heard(observer, "EXTENDED_HANDSHAKE")
    assert lines
    assert f"'v': 'Evenswarm {our_version()}'" in lines[-1]
    assert "'reqq': " in lines[-1]


def test_libtorrent_sees_the_fast_extension_and_gets_have_all_instead_of_a_bitfield(observer):
    assert any("FAST extension" in line for line in heard(observer, "EXTENSIONS"))
    assert heard(observer, "HAVE_ALL")
    assert not heard(observer, "BITFIELD")
