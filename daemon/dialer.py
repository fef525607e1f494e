"""Dials: TCP connects under way, those that wait for one of them to end, and the end of both.

The limits here are the last line of defence of this process: beyond `max_under_way` a dial waits, beyond `max_pending` waiting
ones it ends at once as `local_busy`. Whom to dial and how often is not decided here.
"""

import errno
from collections import deque
from collections.abc import Callable
from socket import SO_ERROR, SOL_SOCKET
from typing import Any

from daemon.dial_obstacles import DialObstacles
from daemon.raw_socket import (
    DESCRIPTOR_ERRORS,
    FORBIDDEN_ERRORS,
    NO_ROUTE_ERRORS,
    WRITE,
    NotAnAddress,
    dial_outcome,
    has_route,
    open_tcp_socket,
    prepare_stream,
    reason_of,
)
from protocol.daemon_messages import CANCELLED, LOCAL_BUSY, NO_ROUTE, TIMED_OUT, UNREACHABLE

NETWORK_LOST_TEXT = "the network went away"


class Attempt:
    """One dial, from the engine's message to its outcome."""

    __slots__ = ("began", "connecting_since", "grant_id", "info_hash", "ip", "port", "socket", "timeout", "timer", "watcher")

    def __init__(self, info_hash: bytes, grant_id: int, ip: str, port: int, timeout: float, began: float) -> None:
        self.info_hash = info_hash
        self.grant_id = grant_id
        self.ip = ip
        self.port = port
        self.timeout = timeout                          # seconds, from the first packet on
        self.began = began
        self.connecting_since = began                   # when its first packet left; before that, when it began to wait
        self.socket: Any = None                         # None while it waits
        self.watcher: Any = None
        self.timer: Any = None


class Dialer:
    """`connected(attempt)` takes over `attempt.socket`; `failed(attempt, outcome, reason)` is the end. One of them is called, once.

    Both may be called from within `dial` and `cancel`. `obstructed(obstacle, reason)`: see DialObstacles.
    """

    def __init__(
        self, loop: Any, clock: Callable[[], float], max_under_way: int, max_pending: int, max_timeout: float,
        connected: Callable[[Attempt], None], failed: Callable[[Attempt, str, str], None],
        obstructed: Callable[[str, str], None] = lambda obstacle, reason: None,
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._max_under_way = max_under_way
        self._max_pending = max_pending
        self._max_timeout = max_timeout
        self._connected = connected
        self._failed = failed
        self._obstacles = DialObstacles(loop, obstructed)
        self._pending: deque[Attempt] = deque()
        self._under_way: dict[Attempt, None] = {}       # in the order in which they began
        self._connects_next = False

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

    def set_limits(self, max_under_way: int, max_pending: int) -> None:
        """Other limits from now on. What is under way or waits already stays."""
        self._max_under_way, self._max_pending = max_under_way, max_pending
        self._connect_next()

    def change_timeouts(self, info_hash: bytes, timeout: float) -> None:
        """Give all dials of this torrent that are under way or wait this timeout; those that are over it end in the loop's next turn."""
        timeout, now = min(timeout, self._max_timeout), self._clock()
        for attempt in self._pending:
            if attempt.info_hash == info_hash:
                attempt.timeout = timeout
        for attempt in self._of_torrent(info_hash):
            attempt.timeout = timeout
            attempt.timer.stop()
            attempt.timer.close()                       # and not armed again: gevent would fire it at once
            self._set_timer(attempt, max(attempt.connecting_since + timeout - now, 0.0))

    def close(self) -> None:
        """Nobody dials any more."""
        self._obstacles.close()

    def _of_torrent(self, info_hash: bytes) -> list[Attempt]:
        return [attempt for attempt in self._under_way if attempt.info_hash == info_hash]

    def cancel(self, info_hash: bytes) -> None:
        """End all dials of this torrent, the waiting ones too."""
        waiting = [attempt for attempt in self._pending if attempt.info_hash == info_hash]
        self._pending = deque(attempt for attempt in self._pending if attempt.info_hash != info_hash)
        for attempt in waiting:
            self._failed(attempt, CANCELLED, "cancelled")
        for attempt in self._of_torrent(info_hash):
            self._end(attempt, CANCELLED, "cancelled")

    def _connect(self, attempt: Attempt) -> None:
        self._under_way[attempt] = None
        attempt.connecting_since = self._clock()
        try:
            attempt.socket = open_tcp_socket(attempt.ip)
        except NotAnAddress as error:
            self._end(attempt, UNREACHABLE, str(error))
            return
        except OSError as error:
            self._not_sent(attempt, error.errno)
            return
        code = attempt.socket.connect_ex((attempt.ip, attempt.port))
        if code not in (0, errno.EINPROGRESS):
            self._not_sent(attempt, code)
            return
        self._obstacles.found_route(attempt.ip)
        attempt.watcher = self._loop.io(attempt.socket.fileno(), WRITE)
        attempt.watcher.start(self._answered, attempt)
        self._set_timer(attempt, attempt.timeout)

    def _set_timer(self, attempt: Attempt, seconds: float) -> None:
        attempt.timer = self._loop.timer(seconds)
        attempt.timer.start(self._timed_out, attempt)

    def _not_sent(self, attempt: Attempt, code: int) -> None:
        """It failed on this machine, at once."""
        if code in DESCRIPTOR_ERRORS:
            self._obstacles.no_descriptors(reason_of(code))
        if code in NO_ROUTE_ERRORS and not has_route(attempt.ip):
            if self._obstacles.no_route(attempt.ip):
                self._end_unroutable()
            self._end(attempt, UNREACHABLE, NO_ROUTE)
        else:
            self._end(attempt, LOCAL_BUSY if code in FORBIDDEN_ERRORS else dial_outcome(code), reason_of(code))

    def _end_unroutable(self) -> None:
        """The network is gone: what is under way cannot be answered, which is nobody's fault."""
        for attempt in list(self._under_way):
            if attempt.timer is not None and not has_route(attempt.ip):
                self._end(attempt, CANCELLED, NETWORK_LOST_TEXT)

    def _answered(self, attempt: Attempt) -> None:
        code = attempt.socket.getsockopt(SOL_SOCKET, SO_ERROR)
        if code in NO_ROUTE_ERRORS and self._lost_route(attempt):
            return
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
        if not self._lost_route(attempt):
            self._end(attempt, TIMED_OUT, f"no answer within {attempt.timeout:g} s")

    def _lost_route(self, attempt: Attempt) -> bool:
        """Tell whether an attempt came to nothing because the network went away; then it is ended."""
        if has_route(attempt.ip):
            return False
        if self._obstacles.no_route(attempt.ip):
            self._end_unroutable()
        if attempt in self._under_way:
            self._end(attempt, CANCELLED, NETWORK_LOST_TEXT)
        return True

    def _end(self, attempt: Attempt, outcome: str, reason: str) -> None:
        self._let_go(attempt)
        if attempt.socket is not None:
            attempt.socket.close()
        self._failed(attempt, outcome, reason)
        self._connect_next()

    def _let_go(self, attempt: Attempt) -> None:
        """Stop watching: before its descriptor is closed or handed on."""
        self._under_way.pop(attempt, None)
        for watcher in (attempt.watcher, attempt.timer):
            if watcher is not None:
                watcher.stop()
                watcher.close()
        attempt.watcher = attempt.timer = None

    def _connect_next(self) -> None:
        if self._connects_next:                         # one of those below failed at once: the loop goes on, not deeper
            return
        self._connects_next = True
        while self._pending and len(self._under_way) < self._max_under_way:
            self._connect(self._pending.popleft())
        self._connects_next = False
