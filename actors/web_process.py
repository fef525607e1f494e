"""WebProcess: one web process, from its start to its end, and the two greenlets of its socket.

It inherits one end of a socketpair; the death of either side is an end of file for the other. What it says reaches `heard` in portions,
one at a time: the next is read when `handled` was called, so a busy engine fills no inbox.
"""

import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path

import gevent
import gevent.event

from protocol import web_messages as wm
from protocol.daemon_frames import FrameReader, encode_frames
from protocol.errors import LocalProtocolError

RECEIVE_BYTES = 1 << 18
TREE = Path(__file__).resolve().parent.parent           # where the package `ui` lies


class WebProcess:
    """Started by its constructor. Raises OSError when that cannot be."""

    def __init__(self, heard: Callable[[tuple[wm.WebMessage, ...]], bool], ended: Callable[[str], None]) -> None:
        self._heard = heard                             # False: nobody listens any more
        self._ended = ended
        self._outbox: deque[wm.WebMessage] = deque()
        self._something_to_send = gevent.event.Event()
        self._handled = gevent.event.Event()
        self._socket, theirs = socket.socketpair()
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, [str(TREE), os.environ.get("PYTHONPATH")])))
        try:
            self._process = subprocess.Popen(           # a session of its own: Ctrl-C in the terminal is for the engine to handle
                [sys.executable, "-P", "-m", "ui.web", "--fd", str(theirs.fileno())],
                pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL, start_new_session=True,
            )
        except OSError:
            self._socket.close()
            raise
        finally:
            theirs.close()
        self.pid = self._process.pid
        self._greenlets = [gevent.spawn(self._read), gevent.spawn(self._write)]

    def send(self, *messages: wm.WebMessage) -> None:
        """Never blocks: what is sent is bounded by what was asked."""
        self._outbox.extend(messages)
        self._something_to_send.set()

    def handled(self) -> None:
        """The next portion may come."""
        self._handled.set()

    def end(self) -> int:
        """Close our end, kill what is left of the process and return its exit status. It holds nothing that could be lost."""
        gevent.killall(self._greenlets, block=False)
        self._socket.close()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        return self._process.wait()

    def _read(self) -> None:
        reader, reason = FrameReader(wm.TO_ENGINE), "end of file"
        try:
            while data := self._socket.recv(RECEIVE_BYTES):
                reader.receive_data(data)
                if messages := tuple(reader.messages()):
                    self._handled.clear()
                    if not self._heard(messages):
                        return
                    self._handled.wait()
        except (OSError, LocalProtocolError) as error:
            reason = str(error)
        self._ended(reason)

    def _write(self) -> None:
        try:
            while True:
                while self._outbox:
                    batch = [self._outbox.popleft() for _ in range(len(self._outbox))]
                    self._socket.sendall(encode_frames(batch))
                self._something_to_send.clear()
                self._something_to_send.wait()
        except OSError:
            return                                      # the reader sees the end of file and tells it
        except LocalProtocolError as error:             # a message that fits into no frame: nothing can follow it
            self._ended(str(error))
