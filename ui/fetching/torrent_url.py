"""A .torrent from the web: GET its URL, bounded in size, time and redirects. What goes wrong is said in plain words, with what to do."""

import errno
import ssl
from collections.abc import Callable
from http.client import BadStatusLine, IncompleteRead, RemoteDisconnected
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit, urlunsplit

import gevent

from protocol.errors import MetainfoError
from protocol.limits import MAX_METAINFO_BYTES
from protocol.version import USER_AGENT

if TYPE_CHECKING:                                       # it costs memory: only for those who use it
    import urllib3

SCHEMES = ("http", "https")
DEADLINE_SECONDS = 30.0
MAX_REDIRECTS = 5                                       # real ones are http → https, or to a new host
MAX_SHOWN_CHARS = 200                                  # of a URL that the server chose
BY_BROWSER = "save the file with a browser and give that"
PAGE_BEGINNINGS = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")


def fetch(url: str, why_not: Callable[[str], str] | None = None) -> bytes:
    """GET `url` and return its body. `why_not`: IP address → why nothing may be fetched from there, '' when it may.

    Raises MetainfoError that names the URL (without a password in it), what happened and what to do.
    """
    try:
        with gevent.Timeout(DEADLINE_SECONDS, MetainfoError(f"did not come within {DEADLINE_SECONDS:g} s; try again later, or {BY_BROWSER}")):
            return _follow(url, why_not)
    except MetainfoError as error:
        raise MetainfoError(f"{without_login(url)}: {error}") from None


def without_login(url: str) -> str:
    """Return `url` without "user:password@"."""
    scheme, colon, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{colon}{host.rpartition('@')[2]}{slash}{path}"


def _follow(url: str, why_not: Callable[[str], str] | None) -> bytes:
    import urllib3

    from ui.fetching.checked_connections import checked_pools

    pools = urllib3.PoolManager(retries=False) if why_not is None else checked_pools(why_not)
    try:
        for _ in range(MAX_REDIRECTS + 1):
            response = pools.request("GET", url, redirect=False, preload_content=False, headers={"User-Agent": USER_AGENT})
            location = response.get_redirect_location()
            if not location:
                return _body(response)
            url = _redirected(url, location)
    except (urllib3.exceptions.HTTPError, ValueError) as error:     # ValueError: urllib3 lets some of the standard library's through
        raise MetainfoError(_in_words(error)) from None
    finally:
        pools.clear()
    raise MetainfoError(f"the server redirects more than {MAX_REDIRECTS} times, perhaps in a circle; {BY_BROWSER}")


def _redirected(url: str, location: str) -> str:
    target = urljoin(url, location)
    scheme = urlsplit(target).scheme.lower()
    if scheme == "magnet":
        raise MetainfoError("the server redirects to a magnet link, which cannot be downloaded yet; give a .torrent")
    if scheme not in SCHEMES:
        raise MetainfoError(f"the server redirects to {without_login(target)[:MAX_SHOWN_CHARS]!r}, which is no web address; give a .torrent")
    return urlunsplit(urlsplit(target)._replace(fragment=""))


def _body(response: "urllib3.BaseHTTPResponse") -> bytes:
    if response.status != 200:
        raise MetainfoError(_status_in_words(response.status))
    too_large = MetainfoError(f"is larger than {MAX_METAINFO_BYTES} bytes, too large for a .torrent; is it the URL of the payload itself?")
    said = response.headers.get("Content-Length", "")
    if said.isascii() and said.isdigit() and (len(said) > 18 or int(said) > MAX_METAINFO_BYTES):
        raise too_large
    data = response.read(MAX_METAINFO_BYTES + 1, decode_content=True)
    if len(data) > MAX_METAINFO_BYTES:
        raise too_large
    if data.lstrip()[:9].lower().startswith(PAGE_BEGINNINGS):
        raise MetainfoError("the server sent a web page instead of a .torrent; open it in a browser (it may want a login), "
                            "and give the link of the .torrent itself, or the saved file")
    return data


def _status_in_words(status: int) -> str:
    match status:
        case 404 | 410:  return f"the server has no such file (HTTP {status}); check the URL"
        case 401 | 403:  return f"the server refuses to give it (HTTP {status}), perhaps without a login; {BY_BROWSER}"
        case 429:        return "the server says that it was asked too often (HTTP 429); try again later"
        case 451:        return "the server says that it must not give it, for legal reasons (HTTP 451)"
    if 500 <= status < 600:
        return f"the server failed (HTTP {status}); try again later"
    return f"the server sent no file (HTTP {status}); check the URL, or {BY_BROWSER}"


def _in_words(error: Exception) -> str:
    from urllib3 import exceptions

    cause = _innermost(error)
    match error:
        case exceptions.NameResolutionError():
            return "the name of its host cannot be resolved; is it spelled right, and is this machine online?"
        case exceptions.NewConnectionError():
            return _no_connection_in_words(cause)
        case exceptions.SSLError():
            return _no_tls_in_words(cause)
        case exceptions.TimeoutError():
            return "the server does not answer; try again later"
        case exceptions.DecodeError():
            return "the server sent something that cannot be unpacked; try again later"
        case exceptions.LocationValueError() | ValueError():
            return "is no URL that can be asked; write it as http://HOST/PATH or https://HOST/PATH"
    match cause:
        case RemoteDisconnected():
            return "the server closed the connection without an answer; try again later"
        case BadStatusLine():
            return "what answers there does not speak HTTP; check the port in the URL"
        case IncompleteRead():
            return "the connection ended in the middle of the file; try again"
        case OSError():
            return f"the connection broke ({cause.strerror or cause}); try again"
    return "the server does not keep to HTTP; try again later"


def _no_connection_in_words(cause: BaseException) -> str:
    match getattr(cause, "errno", None):
        case errno.ECONNREFUSED:
            return "the connection was refused: no server listens there; check host and port, or try again later"
        case errno.ENETUNREACH | errno.EHOSTUNREACH:
            return "its host cannot be reached; is this machine online?"
    return f"cannot be connected to ({getattr(cause, 'strerror', None) or cause}); check host and port, or try again later"


def _no_tls_in_words(cause: BaseException) -> str:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted ({cause.verify_message}); is this its right name, and this machine's clock right?"
    if getattr(cause, "reason", None) in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
        return "the server does not speak TLS there; is it http:// instead of https://?"
    return f"no secure connection to the server ({getattr(cause, 'reason', None) or 'it broke off'}); try again later"


def _innermost(error: BaseException) -> BaseException:
    """Return the exception that began it: urllib3 wraps them as arguments, causes and contexts."""
    while inner := error.__cause__ or error.__context__ or next((part for part in error.args if isinstance(part, BaseException)), None):
        error = inner
    return error
