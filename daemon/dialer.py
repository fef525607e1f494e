"""Dials: TCP connects under way, those that wait for one of them to end, and the end of both.

The limits here are the last line of defence of this process: beyond `max_under_way` a dial waits, beyond `max_pending` waiting
ones it ends at once as `local_busy`. Whom to dial and how often is not decided here.
"""

import errno
from collections import deque
from collections.abc import Callable
from socket import SO_ERROR, SOL_SOCKET
from typing import Any

from daemon.raw_socket import WRITE, dial_outcome, open_tcp_socket, prepare_stream, reason_of
from protocol.daemon_messages import CANCELLED, LOCAL_BUSY, TIMED_OUT


class Attempt:
    """One dial, from the engine's message to its outcome."""

    __slots__ = ("began", "grant_id", "info_hash", "ip", "port", "socket", "timeout", "timer", "watcher")

    def __init__(self, info_hash: bytes, grant_id: int, ip: str, port: int, timeout: float, began: float) -> None:
        self.info_hash = info_hash
        self.grant_id = grant_id
        self.ip = ip
        self.port = port
        self.timeout = timeout                          # seconds, from the first packet on
        self.began = began
        self.socket: Any = None                         # None while it waits
        self.watcher: Any = None
        self.timer: Any = None


class Dialer:
    """`connected(attempt)` takes over `attempt.socket`; `failed(attempt, outcome, reason)` is the end. One of them is called, once.

    Both may be called from within `dial` and `cancel`.
    """

    def __init__(
        self, loop: Any, clock: Callable[[], float], max_under_way: int, max_pending: int, max_timeout: float,
        connected: Callable[[Attempt], None], failed: Callable[[Attempt, str, str], None],
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._max_under_way = max_under_way
        self._max_pending = max_pending
        self._max_timeout = max_timeout
        self._connected = connected
        self._failed = failed
        self._pending: deque[Attempt] = deque()
        self._under_way: set[Attempt] = set()

    @property
    def num_under_way(self) -> int:
        return len(self._under_way)

    def dial(self, info_hash: bytes, grant_id: int, ip: str, port: int, timeout: float) -> None:
        """Connect to ip:port now, or as soon as one of those under way has ended."""
        attempt = Attempt(info_hash, grant_id, ip, port, min(timeout, self._max_timeout), self._clock())
        if len(self._under_way) < self._max_under_way:
            self._connect(attempt)
        elif len(self._pending) < self._max_pending:
            self._pending.append(attempt)
        else:
            self._failed(attempt, LOCAL_BUSY, f"{self._max_pending} dials wait already for {self._max_under_way} under way")

    def cancel(self, info_hash: bytes) -> None:
        """End all dials of this torrent, the waiting ones too."""
        waiting = [attempt for attempt in self._pending if attempt.info_hash == info_hash]
        self._pending = deque(attempt for attempt in self._pending if attempt.info_hash != info_hash)
        for attempt in waiting:
            self._failed(attempt, CANCELLED, "cancelled")
        for attempt in [attempt for attempt in self._under_way if attempt.info_hash == info_hash]:
            self._end(attempt, CANCELLED, "cancelled")

    def _connect(self, attempt: Attempt) -> None:
        self._under_way.add(attempt)
        try:
            attempt.socket = open_tcp_socket(attempt.ip)
            code = attempt.socket.connect_ex((attempt.ip, attempt.port))
        except OSError as error:                        # also an address that is none: gaierror
            self._end(attempt, dial_outcome(error.errno), reason_of(error))
            return
        if code not in (0, errno.EINPROGRESS):
            self._end(attempt, dial_outcome(code), reason_of(code))
            return
        attempt.watcher = self._loop.io(attempt.socket.fileno(), WRITE)
        attempt.watcher.start(self._answered, attempt)
        attempt.timer = self._loop.timer(attempt.timeout)
        attempt.timer.start(self._timed_out, attempt)

    def _answered(self, attempt: Attempt) -> None:
        code = attempt.socket.getsockopt(SOL_SOCKET, SO_ERROR)
        if code:
            self._end(attempt, dial_outcome(code), reason_of(code))
            return
        self._let_go(attempt)
        try:
            prepare_stream(attempt.socket)
        except OSError as error:                        # it was reset at once
            attempt.socket.close()
            self._failed(attempt, dial_outcome(error.errno), reason_of(error))
        else:
            self._connected(attempt)
        self._connect_next()

    def _timed_out(self, attempt: Attempt) -> None:
        self._end(attempt, TIMED_OUT, f"no answer within {attempt.timeout:g} s")

    def _end(self, attempt: Attempt, outcome: str, reason: str) -> None:
        self._let_go(attempt)
        if attempt.socket is not None:
            attempt.socket.close()
        self._failed(attempt, outcome, reason)
        self._connect_next()

    def _let_go(self, attempt: Attempt) -> None:
        """Stop watching: before its descriptor is closed or handed on."""
        self._under_way.discard(attempt)
        for watcher in (attempt.watcher, attempt.timer):
            if watcher is not None:
                watcher.stop()
                watcher.close()
        attempt.watcher = attempt.timer = None

    def _connect_next(self) -> None:
        while self._pending and len(self._under_way) < self._max_under_way:
            self._connect(self._pending.popleft())
