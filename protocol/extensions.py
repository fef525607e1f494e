"""The extension handshake (BEP 10): a bencoded dictionary in which each side names its client, its port and its request queue."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from protocol.bencoding import decode, encode
from protocol.errors import BencodeError, RemoteProtocolError
from protocol.limits import MAX_CLIENT_NAME_CHARS, MAX_EXTENDED_HANDSHAKE_BYTES, MAX_METAINFO_BYTES

HANDSHAKE_ID: Final = 0
MAX_EXTENSIONS: Final = 64                              # real clients name up to 10


@dataclass(frozen=True, slots=True)
class ExtensionHandshake:
    """What a peer said; 0, '' and {} for what it left out or wrote wrongly: each is optional."""

    client_name: str = ""                               # `v`, printable, cut
    listen_port: int = 0                                # `p`
    request_queue: int = 0                              # `reqq`: requests that it keeps without dropping
    metadata_size: int = 0                              # BEP 9
    message_ids: Mapping[str, int] = field(default_factory=dict)    # `m`: name of an extension → the id under which it wants it
    your_ip: str = ""                                   # `yourip`: the address under which it sees us


def parse_extension_handshake(payload: bytes) -> ExtensionHandshake:
    """Raises RemoteProtocolError for what is no dictionary; single values that make no sense count as left out."""
    try:
        said = decode(payload, max_bytes=MAX_EXTENDED_HANDSHAKE_BYTES, require_sorted=False)
    except BencodeError as error:
        raise RemoteProtocolError(f"extension handshake: {error}") from None
    if not isinstance(said, dict):
        raise RemoteProtocolError("extension handshake is no dictionary")
    name = said.get(b"v", b"")
    return ExtensionHandshake(
        client_name=_shown(name) if isinstance(name, bytes) else "", listen_port=_within(said.get(b"p"), 65_535),
        request_queue=_within(said.get(b"reqq"), 1 << 20), metadata_size=_within(said.get(b"metadata_size"), MAX_METAINFO_BYTES),
        message_ids=_message_ids(said.get(b"m")), your_ip=_ip_text(said.get(b"yourip")),
    )


def build_extension_handshake(
    client_name: str, listen_port: int, request_queue: int, metadata_size: int, message_ids: Mapping[str, int], your_ip: bytes = b"",
) -> bytes:
    """The payload. `your_ip`: 4 or 16 bytes, the address under which we see the peer."""
    said: dict[bytes, object] = {
        b"m": {name.encode(): number for name, number in message_ids.items()}, b"reqq": request_queue, b"v": client_name.encode(),
    }
    if listen_port:
        said[b"p"] = listen_port
    if metadata_size:
        said[b"metadata_size"] = metadata_size
    if your_ip:
        said[b"yourip"] = your_ip
    return encode(said)


def _shown(name: bytes) -> str:
    text = name.decode("utf-8", "replace")
    return "".join(char for char in text if char.isprintable())[:MAX_CLIENT_NAME_CHARS].strip()


def _within(value: object, highest: int) -> int:
    return value if isinstance(value, int) and 0 < value <= highest else 0


def _ip_text(value: object) -> str:
    if not isinstance(value, bytes) or len(value) not in (4, 16):
        return ""
    address = ipaddress.ip_address(value)
    return str(getattr(address, "ipv4_mapped", None) or address)


def _message_ids(value: object) -> dict[str, int]:
    if not isinstance(value, dict):
        return {}
    pairs = list(value.items())[:MAX_EXTENSIONS]
    return {name.decode("latin-1"): number for name, number in pairs if isinstance(number, int) and 0 < number < 256}
