"""EngineLink: the web process's end of the socketpair. Calls wait here for their answers, viewers for their events.

The engine bounds what it sends by what was asked: an answer for each call, one event for each that a viewer took. What is sent is
bounded by the number of calls under way. The engine's death is an end of file; then, and after a frame that makes no sense, `ended` is
set and the process ends.
"""

import itertools
import socket
from collections import deque
from collections.abc import Callable
from typing import Final

import gevent
import gevent.event
import gevent.lock

from protocol import web_messages as wm
from protocol.body_parts import PartJoiner, cut_body
from protocol.daemon_frames import FrameReader, encode_frames
from protocol.errors import LocalProtocolError
from protocol.limits import MAX_API_BODY_BYTES, MAX_API_CALLS

RECEIVE_BYTES: Final = 1 << 18
ANSWER_SECONDS: Final = 30.0                            # an engine that takes longer hangs
BUSY_SECONDS: Final = 5.0                               # a call waits this long for its turn
MAX_ANSWER_BYTES: Final = 4 * MAX_API_BODY_BYTES        # the files of a torrent with a quarter of a million of them


class NoAnswer(Exception):
    """The engine did not answer in time, or has too many calls to do."""


class EngineLink:
    """Calls and streams over one socket."""

    def __init__(self, connection: socket.socket, configure: Callable[[wm.ConfigureWeb], None]) -> None:
        self.ended: gevent.event.AsyncResult[str] = gevent.event.AsyncResult()      # why
        self._socket = connection
        self._configure = configure
        self._numbers = itertools.count(1)
        self._answers: dict[int, gevent.event.AsyncResult[wm.Answer]] = {}
        self._viewers: dict[int, FeedReader] = {}
        self._parts = PartJoiner(MAX_ANSWER_BYTES)
        self._turns = gevent.lock.BoundedSemaphore(MAX_API_CALLS)
        self._outbox: deque[wm.WebMessage] = deque()
        self._something_to_send = gevent.event.Event()

    def start(self) -> None:
        """Begin to read and write."""
        for run in (self._read, self._write):
            gevent.spawn(self._until_the_end, run)

    def send(self, *messages: wm.WebMessage) -> None:
        """Never blocks."""
        self._outbox.extend(messages)
        self._something_to_send.set()

    def call(self, command: str, info_hash: bytes = b"", arguments: bytes = b"", data: bytes = b"") -> wm.Answer:
        """Return the engine's answer, its body whole. Raises NoAnswer."""
        if not self._turns.acquire(timeout=BUSY_SECONDS):
            raise NoAnswer(f"{MAX_API_CALLS} calls are under way; try again in a moment")
        number = next(self._numbers)
        answer = self._answers[number] = gevent.event.AsyncResult()
        try:
            parts, last = cut_body(number, data)
            self.send(*parts, wm.Call(number, command, info_hash, arguments, last))
            return answer.get(timeout=ANSWER_SECONDS)
        except gevent.Timeout:
            raise NoAnswer(f"the engine did not answer within {ANSWER_SECONDS:g} s; what was asked may still be done") from None
        finally:
            del self._answers[number]
            self._turns.release()

    def view(self, peers_of: list[bytes], last_event_id: str) -> "FeedReader":
        """Open a stream of events; close it."""
        number = next(self._numbers)
        reader = self._viewers[number] = FeedReader(self, number)
        self.send(wm.FeedSubscribe(number, peers_of, last_event_id))
        return reader

    def close_view(self, number: int) -> None:
        """Nobody looks at it any more."""
        if self._viewers.pop(number, None) is not None:
            self.send(wm.FeedUnsubscribe(number))

    @property
    def num_viewers(self) -> int:
        """Streams that are open."""
        return len(self._viewers)

    def _until_the_end(self, run: Callable[[], str]) -> None:
        try:
            reason = run()
        except (OSError, LocalProtocolError) as error:
            reason = str(error)
        self.ended.set(reason)

    def _read(self) -> str:
        reader = FrameReader(wm.TO_WEB)
        while data := self._socket.recv(RECEIVE_BYTES):
            reader.receive_data(data)
            for message in reader.messages():
                self._handle(message)
        return "end of file"

    def _write(self) -> str:
        while True:
            while self._outbox:
                batch = [self._outbox.popleft() for _ in range(len(self._outbox))]
                self._socket.sendall(encode_frames(batch))
            self._something_to_send.clear()
            self._something_to_send.wait()

    def _handle(self, message: wm.WebMessage) -> None:
        match message:
            case wm.BodyPart():      self._parts.add(message)
            case wm.ConfigureWeb():  self._configure(message)
            case wm.Answer():
                body = self._parts.join(message.number, message.body)
                if waiting := self._answers.get(message.number):
                    waiting.set(wm.Answer(message.number, message.kind, body))
            case wm.FeedEvent():
                body = self._parts.join(message.number, message.body)
                if viewer := self._viewers.get(message.number):
                    viewer.event.set(wm.FeedEvent(message.number, message.name, message.event_id, body))


class FeedReader:
    """A viewer's stream: the event that came last, if it was not taken yet."""

    def __init__(self, link: EngineLink, number: int) -> None:
        self.event: gevent.event.AsyncResult[wm.FeedEvent] = gevent.event.AsyncResult()
        self._link = link
        self._number = number

    def next_event(self, timeout: float) -> wm.FeedEvent | None:
        """Return the next event, or None when none came in `timeout` seconds."""
        if not self.event.wait(timeout):
            return None
        event, self.event = self.event.get(), gevent.event.AsyncResult()
        return event

    def taken(self) -> None:
        """The last one reached the viewer: the next may come."""
        self._link.send(wm.FeedTaken(self._number))

    def close(self) -> None:
        """End the stream."""
        self._link.close_view(self._number)
