"""A real I/O daemon for tests, with the test as its engine: frames over a socketpair, messages kept as they come."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import gevent.event

from protocol import daemon_messages as dm
from protocol.daemon_frames import FrameReader, encode_frames

ROOT = Path(__file__).resolve().parent.parent.parent
PEER_ID = b"-EW0100-testengine00"


class MessageDidNotCome(AssertionError):
    """With what was waited for, and what came instead."""


def configure(**changes: Any) -> dm.Configure:
    """What an engine says first, for tests: short timeouts."""
    values = {
        "peer_id": PEER_ID, "listen_host": "127.0.0.1", "listen_port": 0, "max_connects_under_way": 30, "max_connects_pending": 60,
        "connect_timeout": 10.0, "handshake_timeout": 2.0, "piece_buffer_bytes": 32 << 20, "read_cache_bytes": 16 << 20,
        "upload_slots": 8, "max_pipeline_depth": 500, "client_version": "Evenswarm test",
    }
    return dm.Configure(**values | changes)


class DaemonProcess:
    """A context manager. `messages` grows all the time, not only while somebody waits. `under`: a command that starts it, such as prlimit.

    `module`: what Python runs, for example the daemon with another clock.
    """

    def __init__(self, *, under: tuple[str, ...] = (), module: str = "daemon", **configuration: Any) -> None:
        self.messages: list[Any] = []
        self.has_ended = gevent.event.Event()
        self._news = gevent.event.Event()
        self._grants = 0
        self.socket, theirs = socket.socketpair()
        environment = dict(os.environ, PYTHONPATH=str(ROOT))
        self.process = subprocess.Popen(
            [*under, sys.executable, "-P", "-m", module, "--fd", str(theirs.fileno())],
            pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL, start_new_session=True,
        )
        theirs.close()
        self._reader = gevent.spawn(self._read)
        self.send(configure(**configuration))

    def __enter__(self) -> "DaemonProcess":
        listening = self.wait_for(dm.Listening | dm.ListenFailed)
        self.port = listening.port
        return self

    def __exit__(self, *error: object) -> None:
        self._reader.kill()
        self.socket.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            raise

    def send(self, *messages: dm.DaemonMessage) -> None:
        """As the engine does."""
        self.socket.sendall(encode_frames(messages))

    def wait_for(self, kind: Any, when: Callable[[Any], bool] = lambda message: True, timeout: float = 20.0, after: int = 0) -> Any:
        """Return the first message (from number `after` on) of this kind for which `when` holds, waiting for it if need be."""
        seen = after
        try:
            with gevent.Timeout(timeout):
                while not self.has_ended.is_set() or seen < len(self.messages):
                    self._news.clear()
                    for message in self.messages[seen:]:
                        seen += 1
                        if isinstance(message, kind) and when(message):
                            return message
                    if not self.has_ended.is_set():
                        self._news.wait()
        except gevent.Timeout:
            pass
        state = "the daemon ended" if self.has_ended.is_set() else f"waited {timeout} s"
        raise MessageDidNotCome(f"{kind} did not come ({state}), but {self.messages[after:][-8:]}")

    def all_of(self, kind: Any) -> list[Any]:
        """The messages of this kind so far."""
        return [message for message in self.messages if isinstance(message, kind)]

    # ── what tests do often ──────────────────────────────────────────────────────────────────────────────────────────────

    def add(self, info_hash: bytes, raw_info: bytes, folder: Path, verified: bytes = b"") -> dm.TorrentChecked:
        """Give it a torrent and wait until its data is checked."""
        start = len(self.messages)
        self.send(dm.MetadataPart(info_hash, len(raw_info), 0, raw_info), dm.AddTorrent(info_hash, "test.torrent", str(folder), verified))
        answer = self.wait_for(dm.TorrentChecked | dm.TorrentFailed, lambda said: said.info_hash == info_hash, after=start)
        if isinstance(answer, dm.TorrentFailed):
            raise MessageDidNotCome(f"the torrent failed: {answer.error}")
        return answer

    def start(self, info_hash: bytes) -> None:
        """Let it take part."""
        self.send(dm.StartTorrent(info_hash))

    def dial(self, info_hash: bytes, ip: str, port: int, timeout: float = 5.0) -> int:
        """Dial a peer; return the grant's id."""
        self._grants += 1
        self.send(dm.Dial(info_hash, self._grants, ip, port, timeout))
        return self._grants

    def accept_everybody(self) -> None:
        """Have a place for each incoming peer."""
        self._accepts = True
        for message in self.all_of(dm.IncomingPeer):
            self._accept(message)

    _accepts = False

    def _accept(self, message: dm.IncomingPeer) -> None:
        self._grants += 1
        self.send(dm.AcceptIncoming(message.info_hash, message.connection_id, self._grants))

    def _read(self) -> None:
        reader = FrameReader(dm.TO_ENGINE)
        try:
            while data := self.socket.recv(1 << 18):
                reader.receive_data(data)
                for message in reader.messages():
                    self.messages.append(message)
                    if self._accepts and isinstance(message, dm.IncomingPeer):
                        self._accept(message)
                self._news.set()
        except OSError:
            pass
        self.has_ended.set()
        self._news.set()
