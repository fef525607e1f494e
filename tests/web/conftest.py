"""One client for a module of tests: to start one takes a second."""

import pytest

from tests.web.client_process import ClientProcess


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with ClientProcess(tmp_path_factory.mktemp("client")) as running:
        yield running
        assert running.process.poll() is None
        assert "Traceback" not in running.complaints()
