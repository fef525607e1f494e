"""What trackers send us: an answer, or a TrackerError."""

import contextlib

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
