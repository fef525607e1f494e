"""HttpServer: gevent's WSGI server with bounds on what a connection may take: headers, bodies, time, and how many there are.

A connection gets HEADER_SECONDS for a request's first line and headers, all together, however it dribbles; a body BODY_SECONDS; and a
write that makes no progress for STALL_SECONDS ends it. What is wrong with HTTP itself is answered in JSON, as everything else.
"""

import io
import json
import socket
import ssl
from typing import Any, Final

import gevent
from gevent import pywsgi
from gevent.pool import Pool

from protocol.limits import MAX_WEB_CONNECTIONS, MAX_WEB_HEADER_BYTES, MAX_WEB_URL_CHARS

HEADER_SECONDS: Final = 15.0                            # an idle connection is closed after this, too: browsers open another
BODY_SECONDS: Final = 120.0                             # 32 MiB over a slow line (2 Mbit/s)
STALL_SECONDS: Final = 30.0
DISCARD_BYTES: Final = 1 << 20                          # of a body that nobody wanted, so that the sender hears why
DISCARD_SECONDS: Final = 1.0
PORTION_BYTES: Final = 1 << 16
MOST_HEADERS: Final = 100                               # browsers send 20; beyond this http.client gives up
ONCE: Final = ("host", "content-length", "transfer-encoding", "authorization", "origin", "content-type")   # twice they have two readings


class TooSlow(gevent.Timeout):
    """A request did not come in time."""


class HeadersTooLarge(ValueError):
    """Of one request, beyond MAX_WEB_HEADER_BYTES."""


class BodyTooLarge(ValueError):
    """Of one request."""


def listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens there. Raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(MAX_WEB_CONNECTIONS)
    except BaseException:
        listening.close()
        raise
    return listening


class HttpServer(pywsgi.WSGIServer):
    """Serves `application`, with TLS if there is a context."""

    def __init__(self, listening: socket.socket, application: Any, context: ssl.SSLContext | None) -> None:
        tls = {} if context is None else {"ssl_context": context}
        super().__init__(
            listening, application, spawn=Pool(MAX_WEB_CONNECTIONS), log=None, error_log=None, handler_class=BoundedHandler, **tls,
        )

    def wrap_socket_and_handle(self, client_socket: socket.socket, address: Any) -> Any:
        """TLS: the handshake, too, has an end."""
        client_socket.settimeout(HEADER_SECONDS)
        try:
            return super().wrap_socket_and_handle(client_socket, address)
        except OSError:                                 # no TLS, or not in time: ssl.SSLError is one
            return None


class BoundedHandler(pywsgi.WSGIHandler):
    """One connection."""

    def __init__(self, sock: socket.socket, address: Any, server: HttpServer) -> None:
        sock.settimeout(STALL_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)     # head and body are two writes: the second would wait 40 ms for an ACK
        super().__init__(sock, address, server)
        self._deadline = TooSlow()

    def handle_one_request(self) -> Any:
        """As the base class, with a deadline until the headers are read."""
        self._deadline = TooSlow.start_new(HEADER_SECONDS)
        try:
            return super().handle_one_request()
        except TooSlow as late:
            if late is not self._deadline:
                raise
            return _refusal(408, f"the request did not come within {HEADER_SECONDS:g} s") if self.requestline else None
        finally:
            self._deadline.close()

    def MessageClass(self, stream: Any, *_: Any) -> Any:
        """Read the headers, all of them together no more than MAX_WEB_HEADER_BYTES, and none twice that counts once."""
        lines, size = [], 0
        while True:
            line = stream.readline(MAX_WEB_HEADER_BYTES - size + 1)
            size += len(line)
            if size > MAX_WEB_HEADER_BYTES:
                raise HeadersTooLarge
            lines.append(line)
            if len(lines) > MOST_HEADERS:
                raise HeadersTooLarge
            if line in (b"\r\n", b"\n", b""):
                break
        headers = pywsgi.headers_factory(io.BytesIO(b"".join(lines)))
        if twice := [name for name in ONCE if len(headers.get_all(name, ())) > 1]:
            raise ValueError(f"the header {twice[0]} stands there twice")
        if headers.get("transfer-encoding", "chunked").lower() != "chunked":
            raise ValueError("the only transfer-encoding is chunked")
        return headers

    def get_environ(self) -> dict[str, Any]:
        """The headers are there: from here on the application has the time that it takes."""
        self._deadline.close()
        environ = super().get_environ()
        if len(self.path) > MAX_WEB_URL_CHARS:
            environ["evenswarm.url_too_long"] = True
        self.wsgi_input = environ["wsgi.input"] = BoundedBody(self, self.wsgi_input)
        return environ

    def _handle_client_error(self, error: Exception) -> tuple[str, bytes]:
        if isinstance(error, HeadersTooLarge):
            return _refusal(431, f"the headers are longer than {MAX_WEB_HEADER_BYTES} bytes, or more than {MOST_HEADERS}")
        reason = str(error) if isinstance(error, ValueError) and type(error) is ValueError else "its first line or its headers are wrong"
        return _refusal(400, f"that is no HTTP request: {reason}")

    def handle_error(self, kind: Any, error: Any, trace: Any) -> None:
        """A viewer that stopped reading or went away is no fault of ours."""
        if isinstance(error, OSError):
            self.close_connection = True
            return
        super().handle_error(kind, error, trace)


class BoundedBody:
    """The body of a request; what is not read of it does not keep the connection busy for ever."""

    def __init__(self, handler: BoundedHandler, stream: Any) -> None:
        self._handler = handler
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        """As a file does."""
        return self._stream.read(None if size is None or size < 0 else size)

    def read_all(self, most: int) -> bytes:
        """Return the whole body. Raises BodyTooLarge, OSError when it does not come in time or breaks off."""
        portions, size = [], 0
        declared = self._handler.content_length
        if declared is not None and declared > most:
            raise BodyTooLarge
        with gevent.Timeout(BODY_SECONDS, TimeoutError(f"the body did not come within {BODY_SECONDS:g} s")):
            while data := self._stream.read(PORTION_BYTES):
                size += len(data)
                if size > most:
                    raise BodyTooLarge
                portions.append(data)
        return b"".join(portions)

    def _discard(self) -> None:
        """After the answer: take a little of what nobody read; when there is more, close."""
        left = DISCARD_BYTES
        try:
            with gevent.Timeout(DISCARD_SECONDS, TimeoutError()):
                while left > 0 and (data := self._stream.read(PORTION_BYTES)):
                    left -= len(data)
        except OSError:
            left = 0
        if left <= 0:
            self._handler.close_connection = True


def _refusal(status: int, sentence: str) -> tuple[str, bytes]:
    """An answer for a connection that is closed after it, before there is an application."""
    kind = {400: "bad_request", 408: "too_slow", 431: "too_large"}[status]
    phrase = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large"}[status]
    body = json.dumps({"error": sentence, "kind": kind}).encode()
    head = (f"HTTP/1.1 {status} {phrase}\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n")
    return str(status), head.encode() + body
