"""For tests of callbacks of the loop: gather what is called, wait for it with a deadline; and sockets that do not answer."""

import contextlib
import errno
from collections.abc import Iterator
from typing import Any

import gevent
import gevent.event
from gevent.monkey import get_original

RawSocket = get_original("socket", "socket")


class CallDidNotCome(AssertionError):
    """Within the time of the test."""


class Calls:
    """`calls.took(name)` is a callback; `calls.next(name)` waits for its next call and returns the arguments."""

    def __init__(self) -> None:
        self.all: list[tuple[str, tuple]] = []
        self._seen = 0
        self._news = gevent.event.Event()

    def took(self, name: str) -> Any:
        def call(*arguments: Any) -> None:
            self.all.append((name, arguments))
            self._news.set()
        return call

    def next(self, name: str, timeout: float = 5.0) -> tuple:
        with gevent.Timeout(timeout, CallDidNotCome(f"{name}; there were {self.all}")):
            while self._seen == len(self.all):
                self._news.clear()
                self._news.wait()
        self._seen += 1
        got, arguments = self.all[self._seen - 1]
        assert got == name, (got, arguments)
        return arguments

    def named(self, name: str) -> list[tuple]:
        return [arguments for got, arguments in self.all if got == name]


@contextlib.contextmanager
def deaf_address() -> Iterator[tuple[str, int]]:
    """An address where nothing answers: a listening socket with a full backlog, the kernel drops what comes."""
    listener = RawSocket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    dials = []
    for _ in range(4):
        dial = RawSocket()
        dial.setblocking(False)
        assert dial.connect_ex(listener.getsockname()) in (0, errno.EINPROGRESS)
        dials.append(dial)
    try:
        yield listener.getsockname()
    finally:
        for sock in (*dials, listener):
            sock.close()


@contextlib.contextmanager
def listening() -> Iterator[Any]:
    """A raw socket that accepts."""
    listener = RawSocket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    try:
        yield listener
    finally:
        listener.close()


def free_port() -> int:
    """Nobody listens there."""
    with contextlib.closing(RawSocket()) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
