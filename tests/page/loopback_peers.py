"""Peers on loopback: one that answers a handshake when it is told to, and an address where nobody listens."""

import socket

import gevent
from gevent.event import Event
from gevent.server import StreamServer

HANDSHAKE_BYTES = 68
PEER_ID = b"-QB5200-" + b"x" * 12


class SilentPeer:
    """Accepts, reads the handshake and says nothing until `speak`. Then it answers with a handshake of its own."""

    def __init__(self) -> None:
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._may_speak = Event()

    def __enter__(self) -> "SilentPeer":
        self._server.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._may_speak.set()
        self._server.stop(timeout=1)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def speak(self) -> None:
        """Answer whoever said hello."""
        self._may_speak.set()

    def _serve(self, connection: socket.socket, _: object) -> None:
        said = b""
        while len(said) < HANDSHAKE_BYTES:
            data = connection.recv(HANDSHAKE_BYTES - len(said))
            if not data:
                return
            said += data
        self._may_speak.wait()
        connection.sendall(said[:20] + bytes(8) + said[28:48] + PEER_ID)
        while connection.recv(1 << 16):
            gevent.sleep(0)


def refused_address() -> str:
    """Where nobody listens: connects are refused."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"
