"""A tracker on loopback that answers each connection with the bytes, or the behaviour, that a test gives it."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
from gevent.server import StreamServer
from gevent.socket import socket

Behaviour = Callable[[socket], None]                    # called after the head of a request was read


class LoopbackTracker:
    """`behaviour` handles each request; `requests` are the heads that came, `num_connections` those that were opened."""

    def __init__(self, behaviour: Behaviour, certificate: str | None = None) -> None:
        self.behaviour = behaviour
        self.requests: list[str] = []
        self.num_connections = 0
        tls = {}
        if certificate is not None:                     # a file that also holds the key
            tls["ssl_context"] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls["ssl_context"].load_cert_chain(certificate)
        self._server = StreamServer(("127.0.0.1", 0), self._serve, **tls)
        self._server.start()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_port}/announce"

    def close(self) -> None:
        """Stop at once, whatever is being answered."""
        self._server.stop(timeout=0)

    def _serve(self, connection: socket, _address: object) -> None:
        self.num_connections += 1
        try:
            while head := self._read_head(connection):
                self.requests.append(head)
                self.behaviour(connection)
        except (OSError, ssl.SSLError):                 # the client had enough
            pass

    def _read_head(self, connection: socket) -> str:
        """Return the head of the next request, '' at the end."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            part = connection.recv(1)
            if not part:
                return ""
            head += part
        return head.decode("latin-1")


@contextmanager
def loopback_tracker(behaviour: Behaviour, certificate: str | None = None) -> Iterator[LoopbackTracker]:
    """A tracker for the length of a `with`."""
    tracker = LoopbackTracker(behaviour, certificate)
    try:
        yield tracker
    finally:
        tracker.close()


def answer(body: bytes, *headers: str, status: str = "200 OK") -> Behaviour:
    """A whole answer; the connection stays open."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    whole = "\r\n".join([*lines, "", ""]).encode() + body
    return lambda connection: connection.sendall(whole)


def redirect(location: str, status: str = "302 Found") -> Behaviour:
    """An answer that leads somewhere else."""
    return answer(b"", f"Location: {location}", status=status)


def raw(data: bytes) -> Behaviour:
    """These bytes, then the end of the connection."""
    def send(connection: socket) -> None:
        connection.sendall(data)
        connection.shutdown(2)
    return send


def endless(head: bytes, part: bytes) -> Behaviour:
    """`head`, then `part` for ever."""
    def send(connection: socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(part)
    return send


def dribble(data: bytes, pause: float = 0.01) -> Behaviour:
    """`data` over and over, a byte at a time: never silent for long, never done."""
    def send(connection: socket) -> None:
        while True:
            for byte in data:
                connection.sendall(bytes([byte]))
                gevent.sleep(pause)
    return send


def silence(connection: socket) -> None:
    """Nothing, until the client goes."""
    connection.recv(1)


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """One behaviour for each request; the last one stays."""
    left = list(behaviours)
    return lambda connection: (left.pop(0) if len(left) > 1 else left[0])(connection)
