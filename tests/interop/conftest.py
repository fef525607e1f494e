"""One network and one set of payloads for all interop tests: both take seconds to make and are only read."""

from collections.abc import Iterator

import pytest

from tests.interop.loopback_network import LoopbackNetwork, loopback_network
from tests.interop.payloads import Payload, make_payloads


@pytest.fixture(scope="session")
def network() -> Iterator[LoopbackNetwork]:
    """Where the clients meet."""
    with loopback_network() as made:
        yield made


@pytest.fixture(scope="session")
def payloads(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Payload]:
    """By name of the case; those whose maker is not installed are missing."""
    return make_payloads(tmp_path_factory.mktemp("payloads"))
