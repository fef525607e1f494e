"""What goes wrong in one place ends that, says why, and nothing else."""

import errno
from types import SimpleNamespace

import pytest

from daemon.faults import reason_to_close
from daemon.io_daemon import IoDaemon
from protocol.errors import RemoteProtocolError


@pytest.mark.parametrize(("error", "reason", "is_shown"), [
    (RemoteProtocolError("message of 9 bytes"), "message of 9 bytes", False),
    (OSError(errno.ECONNRESET, "Connection reset by peer"), "connection reset by peer", False),
    (KeyError(7), "a fault of this client: KeyError(7)", True),
])
def test_a_connection_ends_with_a_reason_and_only_faults_of_ours_are_shown_in_full(error, reason, is_shown, capfd):
    assert reason_to_close(error) == reason
    assert ("Error" in capfd.readouterr().err) is is_shown


class Fetching:
    """A torrent without metadata; `error` is what its tick raises."""

    def __init__(self, error: Exception | None) -> None:
        self.error, self.ticks, self.closed = error, 0, []

    def tick(self, now: float) -> None:
        self.ticks += 1
        if self.error is not None:
            raise self.error

    def close(self, reason: str) -> None:
        self.closed.append(reason)


def test_a_torrent_without_metadata_that_fails_takes_no_turn_from_the_others(capfd):
    broken, sound = Fetching(KeyError(7)), Fetching(None)
    parts = SimpleNamespace(clock=lambda: 1.0)
    IoDaemon._tick(SimpleNamespace(_parts=parts, _without_metadata={b"a": broken, b"b": sound}, _torrents={}))
    assert (sound.ticks, sound.closed) == (1, [])
    assert broken.closed == ["a fault of this client: KeyError(7)"]
    assert "KeyError" in capfd.readouterr().err
