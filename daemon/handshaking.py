"""One handshake under way (BEP 3): 68 bytes out, 68 bytes in, and a timer, in either direction.

Who dialled speaks first. Who was dialled hears all 68 bytes, finds out whether there is a place, and only then answers. Nothing
beyond the 68 bytes is read here, so what follows stays in the socket for the connection.
"""

import traceback
from collections.abc import Callable
from typing import Any

from daemon.raw_socket import READ, reason_of
from protocol.errors import RemoteProtocolError
from protocol.handshake import HANDSHAKE_BYTES, Handshake, check_beginning, parse_handshake


class Handshaking:
    """`received(handshaking)`: their half is there, in `.theirs`. `failed(handshaking, reason)`: the socket is closed. At most one is called.

    After `received` the owner calls `answer` (incoming only), then `take_socket`; or `close`. The timer runs until then: a peer
    that goes away while it waits for our answer is not noticed before we answer, or the timer ends it.
    """

    __slots__ = ("_data", "_failed", "_received", "_timer", "_watcher", "context", "socket", "theirs")

    def __init__(
        self, loop: Any, sock: Any, timeout: float, context: Any,
        received: Callable[["Handshaking"], None], failed: Callable[["Handshaking", str], None],
    ) -> None:
        self.socket = sock
        self.context = context                          # whatever the owner knows it by
        self.theirs: Handshake | None = None
        self._data = b""
        self._received = received
        self._failed = failed
        self._watcher = loop.io(sock.fileno(), READ)
        self._watcher.start(self._readable)
        self._timer = loop.timer(timeout)
        self._timer.start(self._timed_out, timeout)

    def answer(self, ours: bytes) -> str | None:
        """Send our half; why it could not be sent, or None. A fresh socket always has room for 68 bytes."""
        try:
            sent = self.socket.send(ours)
        except OSError as error:
            return reason_of(error)
        return None if sent == len(ours) else "no room to send a handshake"

    def take_socket(self) -> Any:
        """Give up the socket: the handshake is done."""
        sock, self.socket = self.socket, None
        self._stop()
        return sock

    def close(self) -> None:
        """End it from our side; neither callback follows."""
        self._stop()
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def _readable(self) -> None:
        try:
            data = self.socket.recv(HANDSHAKE_BYTES - len(self._data))
            if not data:
                self._fail(f"closed after {len(self._data)} bytes of its handshake")
                return
            self._data += data
            check_beginning(self._data)
            if len(self._data) < HANDSHAKE_BYTES:
                return
            self.theirs = parse_handshake(self._data)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(reason_of(error))
            return
        except RemoteProtocolError as error:
            self._fail(str(error))
            return
        self._watcher.stop()
        try:
            self._received(self)
        except Exception as error:
            traceback.print_exc()
            self._fail(f"a fault of this client: {error!r}")

    def _timed_out(self, timeout: float) -> None:
        self._fail(f"no handshake within {timeout:g} s" if self.theirs is None else f"no place found within {timeout:g} s")

    def _fail(self, reason: str) -> None:
        self.close()
        self._failed(self, reason)

    def _stop(self) -> None:
        for watcher in (self._watcher, self._timer):
            if watcher is not None:
                watcher.stop()
                watcher.close()
        self._watcher = self._timer = None
