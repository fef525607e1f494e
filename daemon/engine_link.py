"""EngineLink: the daemon's end of the socketpair. What is sent within one turn of the loop goes out as one frame.

Both directions are bounded. A slow engine costs little memory: the outbox merges statistics (protocol/frame_outbox.py). A slow daemon
leaves in the socket what it has not handled yet, so the engine waits. The engine's death is an end of file, which is told once to
`on_end`; so is everything after which the two no longer understand each other, a fault of ours in a handler included: a daemon that
is started again is better than one that is deaf.
"""

import socket
import time
import traceback
from collections.abc import Callable
from typing import Final

import gevent
import gevent.event

from protocol.daemon_frames import FrameReader
from protocol.daemon_messages import TO_DAEMON, DaemonMessage
from protocol.errors import LocalProtocolError
from protocol.frame_outbox import FrameOutbox

RECEIVE_BYTES: Final = 1 << 18
TURN_SECONDS: Final = 0.005                             # peers are served at least this often while the engine says much
END_OF_FILE: Final = "end of file"                      # the engine is gone: the usual reason


class EngineLink:
    """`send` never blocks and never switches, so it may be called from callbacks of the hub; `on_message` must not switch either."""

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
        gevent.spawn(self._until_the_end, self._read)
        gevent.spawn(self._until_the_end, self._write)

    def send(self, message: DaemonMessage) -> None:
        """Add it to the next frame; after the end nobody hears it."""
        if not self._ended:
            self._outbox.add(message)
            self._all_sent.clear()
            self._something_to_send.set()

    def flush(self, timeout: float) -> bool:
        """Wait until all is sent. False when that took longer than `timeout` seconds, or will never be."""
        return self._all_sent.wait(timeout) and not self._ended

    def _until_the_end(self, run: Callable[[], str]) -> None:
        """Whatever ends one direction ends both."""
        try:
            reason = run()
        except ConnectionError:                         # it died with something of ours unread
            reason = END_OF_FILE
        except (OSError, LocalProtocolError) as error:
            reason = str(error)
        except Exception as error:
            traceback.print_exc()
            reason = f"a fault of this client: {error!r}"
        if not self._ended:
            self._ended = True
            self._something_to_send.set()
            self._all_sent.set()
            self._on_end(reason)

    def _read(self) -> str:
        reader = FrameReader(TO_DAEMON)
        turn_started = time.monotonic()
        while data := self._socket.recv(RECEIVE_BYTES):
            reader.receive_data(data)
            for message in reader.messages():
                if self._ended:
                    return END_OF_FILE
                self._on_message(message)
                if time.monotonic() - turn_started > TURN_SECONDS:
                    gevent.sleep(1e-6)                  # not 0: that would not reach the event loop
                    turn_started = time.monotonic()
        return END_OF_FILE

    def _write(self) -> str:
        while True:
            while data := self._outbox.next_bytes():
                self._socket.sendall(data)
            self._all_sent.set()
            self._something_to_send.clear()
            if self._ended:
                return END_OF_FILE
            self._something_to_send.wait()
