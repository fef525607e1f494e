"""What trackers send us: an answer, or a TrackerError."""

import contextlib

import pytest

from protocol.bencoding import encode
from protocol.errors import TrackerError
from protocol.limits import MAX_TRACKER_PEERS
from protocol.tracker_messages import parse_announce_response
from tests.fuzz.mutations import mutated

SEEDS = [
    encode({"interval": 1800, "min interval": 60, "peers": b"\x7f\0\0\1\x1a\xe1" * 3, "peers6": bytes(15) + b"\1\x1a\xe1", "tracker id": "x"}),
    encode({"complete": 1, "incomplete": 2, "interval": 60, "peers": [{"ip": "127.0.0.1", "port": 6881}, {"ip": "::1", "port": 0}], "warning message": "w"}),
    encode({"failure reason": "unregistered torrent", "retry in": "never"}),
    encode({"failure reason": "overloaded", "retry in": 5}),
    b"<html><title>504</title>",
]


def target(data: bytes) -> None:
    with contextlib.suppress(TrackerError):
        response = parse_announce_response(data)
        assert len(response.peers) <= MAX_TRACKER_PEERS
        assert all(value is None or value >= 0 for value in (response.interval, response.min_interval, response.retry_in))
        assert (response.failure + response.warning).isprintable()


def test_any_answer_is_read_or_refused():
    for data in mutated(SEEDS):
        target(data)


@pytest.mark.parametrize("data", [b"d8:intervali-0ee", b"d5:peersld2:ip0:4:porti1eeee", b"d5:peersld2:ip9:127.0.0.14:porti-1eeee", b"d8:retry in0:14:failure reason0:e"])
def test_an_answer_that_was_a_trap_once_is_read_or_refused(data):
    target(data)
