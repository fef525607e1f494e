"""FeedStreams: the viewers of the web process as subscribers of UIFeed, and the events that they get.

Each has at most one difference under way, so nothing waits in a queue and a slow viewer gets fewer and larger ones. Nothing is kept of what
a viewer has but a version. It is in the id of the event: who comes back and names the last one (Last-Event-ID) goes on from there, if the
feed remembers that version, and has a snapshot otherwise.

An event holds the fields of torrents and of the queue that changed, whole rows of peers that changed, and for those of which only the
figures did, these. Nothing is sent because time passes: moments are on the clock that `now` tells.
"""

import secrets
import zlib
from collections.abc import Callable
from typing import Any, Final

import msgspec

from actors import messages as m
from actors.api_views import difference_event
from actors.snapshots import FeedDifference
from protocol.limits import MAX_VIEWED_TORRENTS
from protocol.web_messages import DIFFERENCE, SNAPSHOT

Send = Callable[[int, str, str, bytes], None]           # number, name, event id, body
MAX_VERSION_DIGITS: Final = 15                          # of an id that a client names


class FeedStreams:
    """All viewers, each by its number. `ask_feed` takes a message for UIFeed; `subscriber` is who gets its answers."""

    def __init__(self, send: Send, ask_feed: Callable[[Any], None], subscriber: Any) -> None:
        self._send = send
        self._ask_feed = ask_feed
        self._subscriber = subscriber
        self._peers_of: dict[int, tuple[bytes, ...]] = {}
        self._run = secrets.token_hex(4)                # ids of an earlier run of the client mean nothing
        self._made: tuple[tuple[int, int, tuple[bytes, ...]], bytes] | None = None  # the last body: viewers mostly look at the same

    def open(self, number: int, peers_of: list[bytes], last_event_id: str) -> None:
        """A viewer came, perhaps back."""
        wanted = self._peers_of[number] = tuple(peers_of[:MAX_VIEWED_TORRENTS])
        self._ask_feed(m.Subscribe(self._subscriber, number, wanted, self._version_in(last_event_id, wanted)))

    def taken(self, number: int) -> None:
        """It has the last event."""
        if number in self._peers_of:
            self._ask_feed(m.FeedTaken(self._subscriber, number))

    def close(self, number: int) -> None:
        """It is gone, perhaps for a moment."""
        if self._peers_of.pop(number, None) is not None:
            self._ask_feed(m.Unsubscribe(self._subscriber, number))

    def close_all(self) -> None:
        """The web process died."""
        for number in list(self._peers_of):
            self.close(number)

    def difference(self, difference: FeedDifference) -> None:
        """UIFeed says what changed."""
        peers_of = self._peers_of.get(difference.number)
        if peers_of is None:
            return
        key = difference.from_version, difference.to_version, peers_of
        if self._made is None or self._made[0] != key:
            self._made = key, msgspec.json.encode(difference_event(difference))
        name = DIFFERENCE if difference.from_version else SNAPSHOT
        self._send(difference.number, name, self._event_id(difference.to_version, peers_of), self._made[1])

    def _event_id(self, version: int, peers_of: tuple[bytes, ...]) -> str:
        return f"{self._run}-{version}-{zlib.crc32(b''.join(peers_of)):08x}"

    def _version_in(self, event_id: str, peers_of: tuple[bytes, ...]) -> int:
        """Return the version that an id of this run names, for the same peers; 0 for any other text."""
        _, _, rest = event_id.partition("-")
        digits = rest.partition("-")[0]
        if not (digits.isascii() and digits.isdigit() and len(digits) <= MAX_VERSION_DIGITS):
            return 0
        version = int(digits)
        return version if event_id == self._event_id(version, peers_of) else 0
