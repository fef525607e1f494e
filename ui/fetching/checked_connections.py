"""A urllib3 pool manager whose connections go only to addresses that a rule allows.

The name is resolved once, each address is judged, and the connection goes to an address that was judged: a name that means something
else a moment later (DNS rebinding) gains nothing. It holds for each redirect, too, because each opens its connection here. TLS still
checks the certificate against the name.
"""

import socket
from collections.abc import Callable

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError

from protocol.errors import MetainfoError

Rule = Callable[[str], str]                             # IP address → why it may not be connected to, '' when it may


def checked_pools(why_not: Rule) -> urllib3.PoolManager:
    """Return a manager whose connections raise MetainfoError for an address that `why_not` refuses."""

    class CheckedHttpConnection(_Checked, HTTPConnection):
        rule = staticmethod(why_not)

    class CheckedHttpsConnection(_Checked, HTTPSConnection):
        rule = staticmethod(why_not)

    class CheckedHttpPool(HTTPConnectionPool):
        ConnectionCls = CheckedHttpConnection

    class CheckedHttpsPool(HTTPSConnectionPool):
        ConnectionCls = CheckedHttpsConnection

    pools = urllib3.PoolManager(retries=False)
    pools.pool_classes_by_scheme = {"http": CheckedHttpPool, "https": CheckedHttpsPool}
    return pools


class _Checked:
    """Before one of urllib3's connections: resolves and judges."""

    rule: Rule

    def _new_conn(self) -> socket.socket:
        name = self._dns_host
        try:
            found = socket.getaddrinfo(name.strip("[]"), self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise NameResolutionError(self.host, self, error) from error
        addresses = list(dict.fromkeys(entry[4][0] for entry in found))
        for address in addresses:                       # all of them: a name with one foot in the private network is not trusted at all
            if reason := self.rule(address):
                raise MetainfoError(f"its host is not on the public internet ({reason}); add the file itself, or start the client with --allow-private-urls")
        last_error: Exception | None = None
        for address in addresses:
            self._dns_host = address
            try:
                return super()._new_conn()
            except urllib3.exceptions.HTTPError as error:
                last_error = error
            finally:
                self._dns_host = name
        raise last_error or NameResolutionError(name, self, OSError("no address"))
