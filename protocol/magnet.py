"""Magnet link → what it names (BEP 9, 53): info hash in hex or base32, name, trackers, peers, files."""

import base64
import binascii
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from protocol.errors import MagnetError
from protocol.limits import MAX_FILES, MAX_TRACKERS

MAX_MAGNET_CHARS = 1 << 16                              # a link with 256 trackers of 200 characters
_BTIH = "urn:btih:"


@dataclass(frozen=True, slots=True)
class Magnet:
    """What a magnet link says. `peers` are 'host:port' as written; `selected_files` empty means all."""

    info_hash: bytes
    name: str
    trackers: tuple[str, ...]
    peers: tuple[str, ...]
    web_seeds: tuple[str, ...]
    selected_files: tuple[int, ...]


def parse_magnet(text: str) -> Magnet:
    """Raises MagnetError that says what is wrong."""
    if len(text) > MAX_MAGNET_CHARS:
        raise MagnetError(f"magnet link of {len(text)} characters, at most {MAX_MAGNET_CHARS}")
    if not text.startswith("magnet:?"):
        raise MagnetError(f"{text[:60]!r} is no magnet link: it begins with 'magnet:?'")
    values: dict[str, list[str]] = {}
    for key, value in parse_qsl(urlsplit(text).query):
        values.setdefault(key.partition(".")[0] if key.startswith(("xt.", "tr.")) else key, []).append(value)
    return Magnet(
        info_hash=_info_hash(values.get("xt", []), text), name=values.get("dn", [""])[0],
        trackers=tuple(dict.fromkeys(url for url in values.get("tr", []) if url.startswith(("http://", "https://", "udp://"))))[:MAX_TRACKERS],
        peers=tuple(dict.fromkeys(values.get("x.pe", [])))[:MAX_TRACKERS],
        web_seeds=tuple(dict.fromkeys(url for url in values.get("ws", []) if url.startswith(("http://", "https://"))))[:MAX_TRACKERS],
        selected_files=_selected(values.get("so", [])),
    )


def _info_hash(topics: list[str], text: str) -> bytes:
    for topic in topics:
        if topic.lower().startswith(_BTIH):
            return _decoded_hash(topic[len(_BTIH):])
    if any(topic.lower().startswith("urn:btmh:") for topic in topics):
        raise MagnetError(f"{text[:60]!r} names a v2-only torrent (urn:btmh, BEP 52); this version reads v1 and hybrid ones")
    raise MagnetError(f"{text[:60]!r} has no info hash: xt=urn:btih:… is missing")


def _decoded_hash(digits: str) -> bytes:
    try:
        if len(digits) == 40:
            return binascii.unhexlify(digits)
        if len(digits) == 32:
            return base64.b32decode(digits.upper())
    except ValueError:
        pass
    raise MagnetError(f"info hash {digits[:60]!r} must be 40 hex digits or 32 of base32")


def _selected(texts: list[str]) -> tuple[int, ...]:
    """'0,2,4-7' → (0, 2, 4, 5, 6, 7) (BEP 53)."""
    selected: set[int] = set()
    for part in ",".join(texts).split(",") if texts else ():
        match = re.fullmatch(r"([0-9]{1,7})(?:-([0-9]{1,7}))?", part)
        if match is None or int(match[2] or match[1]) >= MAX_FILES:
            raise MagnetError(f"selected files {part[:40]!r}: must be numbers or ranges below {MAX_FILES}, such as so=0,2,4-7")
        selected.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return tuple(sorted(selected))
