"""/api/events: Server-Sent Events. A snapshot, then differences, each with an id; a comment now and then, so that a dead connection is seen.

The engine makes the next event when the last one was written to the socket. So a viewer that reads slowly gets fewer and larger
differences, and one that does not read at all costs nothing, until the stalled write ends its connection.
"""

from collections.abc import Iterator
from typing import Final

from werkzeug.wrappers import Request, Response

from protocol import web_messages as wm
from protocol.limits import MAX_VIEWED_TORRENTS, MAX_WEB_VIEWERS
from ui.web.answers import Refused
from ui.web.engine_link import EngineLink, FeedReader

HEARTBEAT_SECONDS: Final = 15.0
RETRY_MILLISECONDS: Final = 1_000                       # until a browser connects again
MAX_EVENT_ID_CHARS: Final = 100


def event_stream(request: Request, link: EngineLink) -> Response:
    """`?peers=HASH,HASH`: with the peers of these torrents. Raises Refused."""
    if link.num_viewers >= MAX_WEB_VIEWERS:
        raise Refused("too_many", f"{MAX_WEB_VIEWERS} viewers look already; close one", {"Retry-After": "5"})
    peers_of = [info_hash_in_query(text) for text in request.args.get("peers", "").split(",") if text]
    if len(peers_of) > MAX_VIEWED_TORRENTS:
        raise Refused(wm.BAD_REQUEST, f"peers names {len(peers_of)} torrents, at most {MAX_VIEWED_TORRENTS}")
    last_event_id = request.headers.get("Last-Event-ID", "")[:MAX_EVENT_ID_CHARS]
    stream = EventStream(link.view(peers_of, last_event_id))
    return Response(stream, 200, content_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


def info_hash_in_query(text: str) -> bytes:
    """Raises Refused."""
    try:
        info_hash = bytes.fromhex(text)
    except ValueError:
        info_hash = b""
    if len(info_hash) != 20 or len(text) != 40:
        raise Refused(wm.BAD_REQUEST, f"peers names {text[:60]!r}: must be info hashes of 40 hex digits, separated by commas")
    return info_hash


class EventStream:
    """The body of one answer, a portion for each event. Closed by the server when the connection ends, started or not."""

    def __init__(self, reader: FeedReader) -> None:
        self._reader = reader

    def __iter__(self) -> Iterator[bytes]:
        yield b"retry: %d\n\n" % RETRY_MILLISECONDS
        while True:
            event = self._reader.next_event(HEARTBEAT_SECONDS)
            if event is None:
                yield b": heartbeat\n\n"
                continue
            yield b"id: %b\nevent: %b\ndata: %b\n\n" % (event.event_id.encode(), event.name.encode(), event.body)
            self._reader.taken()

    def close(self) -> None:
        """The viewer is gone."""
        self._reader.close()
