"""Logins: who is let in. Cookies of browsers, the one-time token of the printed address, the password, the bearer token of scripts.

Secrets are compared in constant time and kept as digests where that is enough. Attempts to log in by password that fail are limited for
each address and for all together, so that it cannot be found by trying, and one who tries does not keep the others out for long. Tokens
and cookies are too long to be found, and a limit on them would be a way for any page in a browser to lock the user out.
"""

import hashlib
import hmac
import ipaddress
import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from protocol import web_messages as wm
from protocol.limits import MAX_WEB_SESSIONS

COOKIE_BYTES: Final = 32
FAILURES: Final = 5                                     # of one address in a row; then one each FAILURE_SECONDS
FAILURE_SECONDS: Final = 12.0
FAILURES_OF_ALL: Final = 100                            # … of all addresses together; then one each second
FAILURE_SECONDS_OF_ALL: Final = 1.0
MAX_ADDRESSES: Final = 1_000                            # remembered; the oldest is forgotten


class LoginLimit:
    """Attempts that may still fail: a bucket for each address and one for all. Moments are monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()      # when the bucket of an address is full again
        self._all_full_at = 0.0

    def wait(self, address: str) -> float:
        """Return the seconds until this address may try again; 0 = now."""
        now = self._clock()
        own = self._full_at.get(network_of(address), now) - now - (FAILURES - 1) * FAILURE_SECONDS
        of_all = self._all_full_at - now - (FAILURES_OF_ALL - 1) * FAILURE_SECONDS_OF_ALL
        return max(own, of_all, 0.0)

    def failed(self, address: str) -> None:
        """An attempt was wrong."""
        now, key = self._clock(), network_of(address)
        self._full_at[key] = max(self._full_at.pop(key, now), now) + FAILURE_SECONDS
        self._all_full_at = max(self._all_full_at, now) + FAILURE_SECONDS_OF_ALL
        while len(self._full_at) > MAX_ADDRESSES:
            self._full_at.popitem(last=False)


def network_of(address: str) -> str:
    """Return what counts as one address: of IPv6 the /64 that a single user has."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if ip.version == 6 and ip.ipv4_mapped is None:
        return str(ipaddress.IPv6Network((ip.packed[:8] + bytes(8), 64)))
    return str(getattr(ip, "ipv4_mapped", None) or ip)


class Logins:
    """The secrets of one client. `tell` sends to the engine what the next web process has to know."""

    def __init__(self, configure: wm.ConfigureWeb, tell: Callable[[wm.WebMessage], None], clock: Callable[[], float]) -> None:
        self.limit = LoginLimit(clock)
        self._password = configure.password
        self._api_token = configure.api_token
        self._login_token = configure.login_token
        self._sessions = OrderedDict.fromkeys(configure.sessions)   # digests of cookies, the least used first
        self._tell = tell

    @property
    def has_password(self) -> bool:
        """Tell whether there is a password to log in with."""
        return bool(self._password)

    def knows_cookie(self, cookie: str) -> bool:
        """Tell whether this browser is logged in."""
        digest = _digest(cookie)
        if digest not in self._sessions:
            return False
        self._sessions.move_to_end(digest)
        return True

    def is_bearer_token(self, token: str) -> bool:
        """Tell whether this is the token of scripts."""
        return _equal(token, self._api_token)

    def accepts(self, secret: str) -> bool:
        """Tell whether this is the password, or the token of scripts: whoever can read that file may also look at the page."""
        return _equal(secret, self._password) | _equal(secret, self._api_token)

    def use_login_token(self, token: str) -> bool:
        """Tell whether this is the token of the printed address; it is useless from now on."""
        if not _equal(token, self._login_token):
            return False
        self._login_token = ""
        self._tell(wm.LoginTokenUsed())
        return True

    def open_session(self) -> str:
        """Return the cookie of a browser that is logged in from now on."""
        cookie = secrets.token_urlsafe(COOKIE_BYTES)
        self._sessions[_digest(cookie)] = None
        self._tell(wm.SessionOpened(_digest(cookie)))
        while len(self._sessions) > MAX_WEB_SESSIONS:
            self._close(next(iter(self._sessions)))
        return cookie

    def close_session(self, cookie: str) -> None:
        """That browser is logged out."""
        if _digest(cookie) in self._sessions:
            self._close(_digest(cookie))

    def _close(self, digest: bytes) -> None:
        del self._sessions[digest]
        self._tell(wm.SessionClosed(digest))


def _digest(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode("utf-8", "replace")).digest()


def _equal(given: str, secret: str) -> bool:
    """In constant time; an empty secret equals nothing."""
    return hmac.compare_digest(_digest(given), _digest(secret)) and bool(secret)
