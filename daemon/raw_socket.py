"""The kernel's sockets, not gevent's: non-blocking, driven by watchers of the loop instead of a greenlet for each.

A callback of a watcher runs in the hub: nothing in it may switch to another greenlet.
"""

import errno
import os
import socket as patched
from typing import Any

from gevent.monkey import get_original

from protocol.daemon_messages import LOCAL_BUSY, REFUSED, TIMED_OUT, UNREACHABLE

RawSocket = get_original("socket", "socket")
READ, WRITE = 1, 2                                      # events of a watcher, as libev numbers them
_ANY_PORT = 9

# This machine lacks something for the moment (descriptors, memory, free ports): never the fault of whom we dial.
DESCRIPTOR_ERRORS = frozenset({errno.EMFILE, errno.ENFILE})
BUSY_ERRORS = DESCRIPTOR_ERRORS | {errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EAGAIN}
# What connecting says at once, before a packet left. By a firewall or a security module of this machine; later it would be a router's
# word (ICMPv6) about the address:
FORBIDDEN_ERRORS = frozenset({errno.EPERM, errno.EACCES})
# This machine has no way there (EACCES, EINVAL: a route of the kinds `prohibit` and `blackhole`), or no address of that family:
NO_ROUTE_ERRORS = frozenset({
    errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL, errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL,
})
_OUTCOMES = {
    **dict.fromkeys(BUSY_ERRORS, LOCAL_BUSY),
    errno.ECONNREFUSED: REFUSED, errno.ECONNRESET: REFUSED,
    errno.ETIMEDOUT: TIMED_OUT,
}


class NotAnAddress(ValueError):
    """Somebody named a host to dial by something else than its IP address."""


def has_route(ip: str) -> bool:
    """Tell whether this machine knows a way to the IP address `ip`. Nothing is sent: connecting a datagram socket only looks it up."""
    try:
        with RawSocket(patched.AF_INET6 if ":" in ip else patched.AF_INET, patched.SOCK_DGRAM) as sock:
            return sock.connect_ex((ip, _ANY_PORT)) not in NO_ROUTE_ERRORS
    except OSError as error:
        return error.errno not in NO_ROUTE_ERRORS


def open_tcp_socket(ip: str) -> Any:
    """Return a non-blocking TCP socket of the family of `ip`. Raises OSError; NotAnAddress for a name: looking it up would block."""
    family = patched.AF_INET6 if ":" in ip else patched.AF_INET
    try:
        patched.inet_pton(family, ip)
    except OSError:
        raise NotAnAddress(f"{ip!r} is not an IP address") from None
    sock = RawSocket(family, patched.SOCK_STREAM)
    sock.setblocking(False)
    return sock


def prepare_stream(sock: Any) -> None:
    """Make a connected socket fit for the peer wire: requests leave at once, not when a segment is full."""
    sock.setblocking(False)
    sock.setsockopt(patched.IPPROTO_TCP, patched.TCP_NODELAY, 1)


def dial_outcome(code: int) -> str:
    """Return the outcome (daemon_messages.OUTCOMES) that errno `code` of a connect stands for."""
    return _OUTCOMES.get(code, UNREACHABLE)


def reason_of(error: OSError | int) -> str:
    """Return what people read: "connection refused"."""
    text = os.strerror(error) if isinstance(error, int) else error.strerror or str(error)
    return text[:1].lower() + text[1:]


def plain_address(address: tuple) -> tuple[str, int]:
    """Return ip and port of what accept or getpeername gave: without a scope, IPv4 inside IPv6 as IPv4."""
    ip = address[0].partition("%")[0]
    if ip.startswith("::ffff:") and "." in ip:
        ip = ip.removeprefix("::ffff:")
    return ip, address[1]
