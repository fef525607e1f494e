"""EngineLink: the daemon's end of the socketpair. What is sent within one turn of the loop goes out as one frame.

A slow engine costs little memory: the outbox merges statistics (protocol/frame_outbox.py). The engine's death is an end of file,
which is told once to `on_end`.
"""

import socket
from collections.abc import Callable

import gevent
import gevent.event

from protocol.daemon_frames import FrameReader
from protocol.daemon_messages import TO_DAEMON, DaemonMessage
from protocol.errors import LocalProtocolError
from protocol.frame_outbox import FrameOutbox

RECEIVE_BYTES = 1 << 18


class EngineLink:
    """`send` never blocks and never switches, so it may be called from callbacks of the hub."""

    def __init__(self, connection: socket.socket, on_message: Callable[[DaemonMessage], None], on_end: Callable[[str], None]) -> None:
        self._socket = connection
        self._on_message = on_message
        self._on_end = on_end
        self._outbox = FrameOutbox()
        self._something_to_send = gevent.event.Event()
        self._all_sent = gevent.event.Event()
        self._all_sent.set()
        self._ended = False

    def start(self) -> None:
        """Begin to read and write."""
        gevent.spawn(self._read)
        gevent.spawn(self._write)

    def send(self, message: DaemonMessage) -> None:
        """Add it to the next frame."""
        self._outbox.add(message)
        self._all_sent.clear()
        self._something_to_send.set()

    def flush(self, timeout: float) -> bool:
        """Wait until all is sent. False when that took longer than `timeout` seconds."""
        return self._all_sent.wait(timeout)

    def _read(self) -> None:
        reader, reason = FrameReader(TO_DAEMON), "end of file"
        try:
            while data := self._socket.recv(RECEIVE_BYTES):
                reader.receive_data(data)
                for message in reader.messages():
                    self._on_message(message)
        except (OSError, LocalProtocolError) as error:
            reason = str(error)
        self._end(reason)

    def _write(self) -> None:
        try:
            while True:
                while data := self._outbox.next_bytes():
                    self._socket.sendall(data)
                self._all_sent.set()
                self._something_to_send.clear()
                self._something_to_send.wait()
        except OSError as error:
            self._end(str(error))

    def _end(self, reason: str) -> None:
        if not self._ended:
            self._ended = True
            self._on_end(reason)
