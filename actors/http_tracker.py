"""HttpTracker: one announce over HTTP(S), bounded in time, size and redirects, in a greenlet of its own.

urllib3 speaks HTTP (actors/bounded_http.py). Its timeouts are those of single reads, so a deadline lies over the whole; redirects are
counted here and their bodies dropped; a packed body is unpacked here, no further than it may be large.
"""

import functools
import ssl
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

import gevent

from protocol.errors import RemoteProtocolError, TrackerError
from protocol.limits import MAX_TRACKER_REDIRECTS, MAX_TRACKER_RESPONSE_BYTES
from protocol.tracker_messages import AnnounceResponse, one_line, parse_announce_response, tracker_name
from protocol.version import USER_AGENT

if TYPE_CHECKING:                                       # it costs memory: only those who have a tracker pay
    import urllib3

CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 15.0                              # of silence
READ_BYTES: Final = 1 << 16
LARGE_RESPONSE_BYTES: Final = 1 << 15                   # parsing more keeps the event loop waiting: in a thread then
SCHEMES: Final = ("http", "https")

_TOO_LARGE: Final = f"answered with more than {MAX_TRACKER_RESPONSE_BYTES} bytes"
_GZIP: Final = 16 + zlib.MAX_WBITS                      # as zlib names it

OnEnd = Callable[[AnnounceResponse | None, str], None]  # response, or None and what went wrong


class HttpTracker:
    """Announces of all torrents of an engine. `make_tls` returns the ssl.SSLContext for HTTPS; it is asked once, when it is needed."""

    def __init__(self, make_tls: Callable[[], ssl.SSLContext] = ssl.create_default_context) -> None:
        self._make_tls = make_tls

    def start(self, url: str, deadline: float, on_end: OnEnd) -> gevent.Greenlet:
        """GET `url` and call `on_end` once within `deadline` seconds; not any more after the greenlet was killed."""
        return gevent.spawn(self._run, url, deadline, on_end)

    def _run(self, url: str, deadline: float, on_end: OnEnd) -> None:
        response, error = None, ""
        try:
            response = self.announce(url, deadline)
        except TrackerError as refused:
            error = str(refused)
        except Exception as bug:                        # nobody watches this greenlet: whoever waits for it must hear of it
            error = one_line(f"the announce failed: {type(bug).__name__}: {bug}")
        on_end(response, error)

    def announce(self, url: str, deadline: float) -> AnnounceResponse:
        """GET `url` and return what the tracker said. Raises TrackerError."""
        with gevent.Timeout(deadline, TrackerError(f"did not answer within {deadline:g} s")):
            status, reason, body = self._get(url)
            return _parse(status, reason, body)

    def _get(self, url: str) -> tuple[int, str, bytes]:
        """Return status, its text and the body of the answer to which redirects lead."""
        from urllib3.exceptions import HTTPError

        from actors.bounded_http import send

        for _ in range(MAX_TRACKER_REDIRECTS + 1):
            try:
                response = send(self._secure_pools if url.lower().startswith("https:") else self._pools, url)
                try:
                    location = response.get_redirect_location()
                    if not location:
                        return response.status, one_line(response.reason or ""), _read_bounded(response)
                finally:
                    response.close()                    # a body that was read to its end has given its connection back before
            except (HTTPError, RemoteProtocolError) as error:
                raise TrackerError(_in_words(error)) from None
            url = _redirected(url, location)
        raise TrackerError(f"redirects more than {MAX_TRACKER_REDIRECTS} times")

    @functools.cached_property
    def _pools(self) -> "urllib3.PoolManager":
        return _make_pools(None)

    @functools.cached_property
    def _secure_pools(self) -> "urllib3.PoolManager":
        return _make_pools(self._make_tls())


def _make_pools(ssl_context: ssl.SSLContext | None) -> "urllib3.PoolManager":
    import urllib3

    from actors.bounded_http import make_pools

    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"}
    return make_pools(headers, urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS), ssl_context)


def _redirected(url: str, location: str) -> str:
    try:
        target = urljoin(url, location)
        scheme = urlsplit(target).scheme
    except ValueError:
        raise TrackerError(f"redirects to '{one_line(location)}', which is no URL") from None
    if scheme not in SCHEMES:
        raise TrackerError(f"redirects to '{one_line(tracker_name(target))}', which is not HTTP")
    return target


def _read_bounded(response: "urllib3.BaseHTTPResponse") -> bytes:
    """Return the body, unpacked. Raises TrackerError when it is too large, before or after that."""
    body = bytearray()
    while part := response.read(READ_BYTES):
        body += part
        if len(body) > MAX_TRACKER_RESPONSE_BYTES:
            raise TrackerError(_TOO_LARGE)
    match response.headers.get("Content-Encoding", "").strip().lower():
        case "" | "identity":    return bytes(body)
        case "gzip" | "x-gzip":  return _unpacked(body)
        case other:              raise TrackerError(f"answered with the encoding '{one_line(other)}', which it was not asked for")


def _unpacked(packed: bytearray) -> bytes:
    unpacker = zlib.decompressobj(_GZIP)
    try:
        body = unpacker.decompress(packed, MAX_TRACKER_RESPONSE_BYTES + 1)
    except zlib.error as error:
        raise TrackerError(f"answered with something that cannot be unpacked: {error}") from None
    if len(body) > MAX_TRACKER_RESPONSE_BYTES:
        raise TrackerError(_TOO_LARGE)
    if not unpacker.eof:
        raise TrackerError("answered with something that cannot be unpacked: its end is missing")
    if unpacker.unused_data:
        raise TrackerError("answered with something that cannot be unpacked: more than one part")
    return body


def _parse(status: int, reason: str, body: bytes) -> AnnounceResponse:
    """A refusal counts whatever the status is; otherwise a status other than 200 is the error to show."""
    refused = TrackerError(f"answered with HTTP status {status} {reason}".rstrip())
    try:
        if len(body) > LARGE_RESPONSE_BYTES:
            response = gevent.get_hub().threadpool.apply(parse_announce_response, (body,))
        else:
            response = parse_announce_response(body)
    except TrackerError as error:
        raise (error if status == 200 else refused) from None
    if status != 200 and not response.failure:
        raise refused
    return response


def _in_words(error: Exception) -> str:
    """One line for people; urllib3 names objects and passwords."""
    from urllib3 import exceptions

    match error:
        case exceptions.NameResolutionError():          return "its name cannot be resolved"
        case exceptions.NewConnectionError():           return f"cannot be connected to: {_cause(error)}"
        case exceptions.ConnectTimeoutError():          return f"did not accept a connection within {CONNECT_SECONDS:g} s"
        case exceptions.ReadTimeoutError():             return "was silent for too long"
        case exceptions.SSLError():                     return f"no secure connection: {_cause(error)}"
        case exceptions.LocationValueError():           return "its URL is none"
        case RemoteProtocolError():                     return str(error)
        case _:                                         return f"broke the connection or HTTP: {_cause(error)}"


def _cause(error: BaseException) -> str:
    """What the innermost exception says."""
    while inner := error.__cause__ or error.__context__ or next((part for part in error.args if isinstance(part, BaseException)), None):
        error = inner
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    return one_line(getattr(error, "strerror", None) or str(error) or type(error).__name__)
