"""PeerAddress: an IP address and a port in one canonical form; compact forms (BEP 5, 7, 23); what may be dialled."""

import ipaddress
from dataclasses import dataclass
from typing import Final

from protocol.errors import RemoteProtocolError

COMPACT_V4_BYTES: Final = 6
COMPACT_V6_BYTES: Final = 18
_THIS_NETWORK: Final = ipaddress.IPv4Network("0.0.0.0/8")
_BROADCAST: Final = ipaddress.IPv4Address("255.255.255.255")


@dataclass(frozen=True, slots=True, order=True)
class PeerAddress:
    """`ip` in canonical text (an IPv4-mapped IPv6 address becomes IPv4), `port` 0 to 65,535. Raises ValueError."""

    ip: str
    port: int

    def __post_init__(self) -> None:
        address = ipaddress.ip_address(self.ip)
        if address.version == 6:
            if address.ipv4_mapped is not None:
                address = address.ipv4_mapped
            elif address.scope_id is not None:
                raise ValueError(f"{self.ip!r} has a scope, which means something on one machine only")
        object.__setattr__(self, "ip", str(address))
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"port {self.port} of {self.ip}: must be from 0 to 65535")

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> "PeerAddress":
        """'ip:port' or '[ipv6]:port'. Raises ValueError."""
        host, colon, port = text.rpartition(":")
        if not colon or not (port.isascii() and port.isdigit()) or len(port) > 5:
            raise ValueError(f"{text!r} is not ip:port or [ipv6]:port")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError(f"{text!r}: an IPv6 address stands in brackets")
        return cls(host, int(port))

    @classmethod
    def from_compact(cls, data: bytes) -> "PeerAddress":
        """6 or 18 bytes, big-endian. Raises RemoteProtocolError."""
        if len(data) not in (COMPACT_V4_BYTES, COMPACT_V6_BYTES):
            raise RemoteProtocolError(f"compact peer of {len(data)} bytes, must be {COMPACT_V4_BYTES} or {COMPACT_V6_BYTES}")
        return cls(str(ipaddress.ip_address(bytes(data[:-2]))), int.from_bytes(data[-2:], "big"))

    def compact(self) -> bytes:
        """6 bytes for IPv4, 18 for IPv6."""
        return ipaddress.ip_address(self.ip).packed + self.port.to_bytes(2, "big")


def parse_compact_list(data: bytes, size: int) -> list[PeerAddress]:
    """Addresses of `size` (6 or 18) bytes each. Raises RemoteProtocolError when they do not come out even."""
    if len(data) % size:
        raise RemoteProtocolError(f"compact peers of {len(data)} bytes, must be a multiple of {size}")
    return [PeerAddress.from_compact(data[start:start + size]) for start in range(0, len(data), size)]


def undiallable_reason(address: PeerAddress) -> str | None:
    """Why this address cannot be dialled, or None. Loopback and private networks can: swarms live there too."""
    if address.port == 0:
        return "port 0"
    ip = ipaddress.ip_address(address.ip)
    if ip.is_unspecified:
        return "unspecified address"
    if ip.is_multicast:
        return "multicast address"
    if ip == _BROADCAST:
        return "broadcast address"
    if ip.version == 4 and (ip in _THIS_NETWORK or ip.is_reserved):
        return "reserved address"                       # RFC 1122, 5735: no host has one, and each dial would stay unanswered
    if ip.version == 6 and ip.is_link_local:
        return "link-local address without its interface"
    return None
