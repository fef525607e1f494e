"""Which addresses a URL that somebody gives us may lead to. A client that fetches what it is told must not become a way into the network
that it stands in: routers, printers, the metadata service of a cloud, this machine.
"""

import ipaddress
from typing import Final

NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")    # RFC 6052: an IPv4 address in its last 32 bits
SIX_TO_FOUR: Final = ipaddress.IPv6Network("2002::/16")  # RFC 3056: one after the first 16


def why_not_public(text: str) -> str:
    """Return why the IP address `text` may not be connected to; '' when it may."""
    try:
        ip = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return f"{text!r} is no IP address"
    inner = _embedded(ip)
    if inner is not None:
        return why_not_public(str(inner))
    if ip.is_loopback:
        return f"{ip} is this machine itself"
    if ip.is_link_local:
        return f"{ip} is a link-local address"
    if ip.is_multicast or ip.is_unspecified or ip.is_reserved or not ip.is_global:
        return f"{ip} is in a private or reserved network"
    return ""


def _embedded(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 one stands for."""
    if ip.version == 4:
        return None
    if ip in NAT64:
        return ipaddress.IPv4Address(ip.packed[12:])
    if ip in SIX_TO_FOUR:
        return ipaddress.IPv4Address(ip.packed[2:6])
    return ip.ipv4_mapped or (ip.teredo[1] if ip.teredo else None)
