"""Incoming connections on one port, and their handshakes, of which only so many are under way."""

import socket as patched
from collections.abc import Callable
from typing import Any

from daemon.handshaking import Handshaking
from daemon.raw_socket import BUSY_ERRORS, READ, RawSocket, plain_address, prepare_stream
from protocol.limits import MAX_INCOMING_HANDSHAKES

BACKLOG = 128                                           # connects that the kernel keeps for us while we are busy
ACCEPTS_PER_WAKEUP = 16                                 # then others get their turn
BUSY_PAUSE_SECONDS = 1.0                                # out of descriptors: trying again at once would spin


class Arrival:
    """Where an incoming connection came from, and when."""

    __slots__ = ("accepted_at", "ip", "port")

    def __init__(self, ip: str, port: int, accepted_at: float) -> None:
        self.ip = ip
        self.port = port
        self.accepted_at = accepted_at


class Listener:
    """`received(handshaking)`: a peer's half of the handshake is there, its `context` is an Arrival; from then on the handshaking
    is the receiver's, its failure too: `failed(handshaking, reason)`. Those that fail before are nobody's business.
    """

    def __init__(
        self, loop: Any, clock: Callable[[], float], handshake_timeout: float,
        received: Callable[[Handshaking], None], failed: Callable[[Handshaking, str], None],
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._handshake_timeout = handshake_timeout
        self._received = received
        self._failed = failed
        self._handshakes: dict[Handshaking, None] = {}  # under way and not told yet, the oldest first
        self._socket: Any = None
        self._watcher: Any = None
        self._pause: Any = None

    @property
    def num_handshakes(self) -> int:
        return len(self._handshakes)

    def listen(self, host: str, port: int) -> tuple[str, int]:
        """Listen there and return host and port as they are. Raises OSError."""
        sock = RawSocket(patched.AF_INET6 if ":" in host else patched.AF_INET, patched.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(patched.SOL_SOCKET, patched.SO_REUSEADDR, 1)
            sock.bind((host, port))
            sock.listen(BACKLOG)
        except OSError:
            sock.close()
            raise
        self._socket = sock
        self._watcher = self._loop.io(sock.fileno(), READ)
        self._watcher.start(self._acceptable)
        return sock.getsockname()[:2]

    def close(self) -> None:
        """Listen no more; handshakes under way end."""
        for watcher in (self._watcher, self._pause):
            if watcher is not None:
                watcher.stop()
                watcher.close()
        self._watcher = self._pause = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        for handshaking in self._handshakes:
            handshaking.close()
        self._handshakes.clear()

    def _acceptable(self) -> None:
        for _ in range(ACCEPTS_PER_WAKEUP):
            try:
                sock, address = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in BUSY_ERRORS:
                    self._rest()
                return                                  # otherwise that one peer was gone before we came
            self._begin(sock, *plain_address(address))

    def _begin(self, sock: Any, ip: str, port: int) -> None:
        try:
            prepare_stream(sock)
        except OSError:
            sock.close()
            return
        if len(self._handshakes) >= MAX_INCOMING_HANDSHAKES:
            oldest = next(iter(self._handshakes))       # whoever is honest has spoken long ago
            oldest.close()
            del self._handshakes[oldest]
        arrival = Arrival(ip, port, self._clock())
        handshaking = Handshaking(self._loop, sock, self._handshake_timeout, arrival, self._handshake_received, self._handshake_failed)
        self._handshakes[handshaking] = None

    def _handshake_received(self, handshaking: Handshaking) -> None:
        del self._handshakes[handshaking]
        self._received(handshaking)

    def _handshake_failed(self, handshaking: Handshaking, reason: str) -> None:
        if handshaking in self._handshakes:
            del self._handshakes[handshaking]
        else:
            self._failed(handshaking, reason)

    def _rest(self) -> None:
        self._watcher.stop()
        self._pause = self._loop.timer(BUSY_PAUSE_SECONDS)
        self._pause.start(self._resume)

    def _resume(self) -> None:
        self._pause.close()
        self._pause = None
        self._watcher.start(self._acceptable)
