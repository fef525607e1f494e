"""HTTP connections whose answers are bounded in bytes and leave the event loop its turns; import it late: urllib3 costs 5 MB.

urllib3 and http.client bound lines and headers, but not how many a server may send before the answer begins ("100 Continue" for ever),
nor the framing of a body in chunks of one byte. A socket that always has something to read never switches to another greenlet, so such a
server would stop the whole engine. Here every byte of an answer counts, and each read lets others run.
"""

import http.client
import io
import logging
import ssl
from typing import Any, Final

import gevent
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from protocol.errors import RemoteProtocolError
from protocol.limits import MAX_TRACKER_HTTP_BYTES

KEPT_HOSTS: Final = 16                                  # whose connections are kept: another request is no new flow then
KEPT_CONNECTIONS: Final = 4                             # of each


class BoundedReader(io.RawIOBase):
    """Reads from `raw`, at most MAX_TRACKER_HTTP_BYTES. Raises RemoteProtocolError for more."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self._left = MAX_TRACKER_HTTP_BYTES

    def readable(self) -> bool:
        """It is for reading."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """As io.RawIOBase.readinto."""
        gevent.sleep(1e-6)                              # not 0: that would not reach the event loop
        count = self._raw.readinto(buffer)
        self._left -= count or 0
        if self._left < 0:
            raise RemoteProtocolError(f"sent more than {MAX_TRACKER_HTTP_BYTES} bytes, with head and framing")
        return count

    def close(self) -> None:
        """Close `raw` as well."""
        self._raw.close()
        super().close()


class BoundedResponse(http.client.HTTPResponse):
    """An answer that is read through a BoundedReader."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fp = io.BufferedReader(BoundedReader(self.fp.detach()))


class BoundedConnection(HTTPConnection):
    """http://"""

    response_class = BoundedResponse


class BoundedSecureConnection(HTTPSConnection):
    """https://"""

    response_class = BoundedResponse


class BoundedConnectionPool(urllib3.HTTPConnectionPool):
    """Connections to one host."""

    ConnectionCls = BoundedConnection


class BoundedSecureConnectionPool(urllib3.HTTPSConnectionPool):
    """Connections to one host."""

    ConnectionCls = BoundedSecureConnection


def make_pools(headers: dict[str, str], timeout: urllib3.Timeout, ssl_context: ssl.SSLContext | None = None) -> urllib3.PoolManager:
    """Return pools for all hosts. `ssl_context` is shared: each connection would load all certificates of the system anew."""
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # it warns of connections that it does not keep, and names whole URLs
    options = {} if ssl_context is None else {"ssl_context": ssl_context}
    pools = urllib3.PoolManager(KEPT_HOSTS, headers, maxsize=KEPT_CONNECTIONS, timeout=timeout, **options)
    pools.pool_classes_by_scheme = {"http": BoundedConnectionPool, "https": BoundedSecureConnectionPool}
    return pools


def send(pools: urllib3.PoolManager, url: str) -> urllib3.BaseHTTPResponse:
    """GET `url` and return the answer with its body unread. Raises urllib3's HTTPError or RemoteProtocolError; follows no redirect.

    A kept connection may be closed by the server just as we use it: then, and only then, another one is tried.
    """
    pool = pools.connection_from_url(url)
    num_connections = pool.num_connections              # so many were made so far
    while True:
        try:
            return pools.request("GET", url, redirect=False, retries=False, preload_content=False, decode_content=False)
        except urllib3.exceptions.ProtocolError:
            if pool.num_connections != num_connections:
                raise
