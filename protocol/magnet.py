"""Magnet link ↔ what it names (BEP 9, 53): info hash in hex or base32, name, trackers, peers, web seeds, files."""

import base64
import contextlib
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, quote

from protocol.errors import MagnetError
from protocol.limits import MAX_FILES, MAX_MAGNET_CHARS, MAX_MAGNET_PEERS, MAX_TEXT_CHARS, MAX_TRACKERS
from protocol.peer_address import PeerAddress
from protocol.urls import TRACKER_SCHEMES, WEB_SEED_SCHEMES, usable_urls

_SCHEME: Final = "magnet:?"
_SHOWN_CHARS: Final = 60                                # of a link, in an error
_NUMBERED: Final = re.compile(r"(xt|tr|dn|ws)\.\d{1,4}")                       # tr.1=…&tr.2=…, as some sites write lists
_V1_TOPIC: Final = re.compile(r"urn:btih:(.*)", re.IGNORECASE | re.DOTALL)
_V2_TOPIC: Final = re.compile(r"urn:btmh:", re.IGNORECASE)
_HEX: Final = re.compile(r"[0-9a-fA-F]{40}")
_BASE32: Final = re.compile(r"[a-zA-Z2-7]{32}")
_FILES: Final = re.compile(r"([0-9]{1,7})(?:-([0-9]{1,7}))?")


@dataclass(frozen=True, slots=True)
class Magnet:
    """What a magnet link says. `peers` are 'host:port' as written; `selected_files` empty means all."""

    info_hash: bytes
    name: str
    trackers: tuple[str, ...]
    peers: tuple[str, ...]
    web_seeds: tuple[str, ...]
    selected_files: tuple[int, ...]                     # indices, sorted

    @property
    def peer_addresses(self) -> tuple[PeerAddress, ...]:
        """Those of `peers` that are addresses. A host name is none: it would have to be looked up before anybody could judge it."""
        addresses: dict[PeerAddress, None] = {}
        for text in self.peers:
            with contextlib.suppress(ValueError):
                addresses[PeerAddress.parse(text)] = None
        return tuple(address for address in addresses if address.port)


def parse_magnet(text: str) -> Magnet:
    """Raises MagnetError that says what is wrong. Keys that it does not know, and URLs that cannot be used, are left out."""
    if len(text) > MAX_MAGNET_CHARS:
        raise MagnetError(f"magnet link of {len(text)} characters, at most {MAX_MAGNET_CHARS}")
    if text[:len(_SCHEME)].lower() != _SCHEME:
        raise MagnetError(f"{text[:_SHOWN_CHARS]!r} is no magnet link: it begins with '{_SCHEME}'")
    values: dict[str, list[str]] = {}
    for key, value in parse_qsl(text[len(_SCHEME):]):
        key = key.lower()
        values.setdefault(match[1] if (match := _NUMBERED.fullmatch(key)) else key, []).append(value)
    return Magnet(
        info_hash=_info_hash(values.get("xt", []), text), name=values.get("dn", [""])[0][:MAX_TEXT_CHARS],
        trackers=usable_urls(values.get("tr", []), TRACKER_SCHEMES, MAX_TRACKERS),
        peers=tuple(dict.fromkeys(values.get("x.pe", [])))[:MAX_MAGNET_PEERS],
        web_seeds=usable_urls(values.get("ws", []), WEB_SEED_SCHEMES, MAX_TRACKERS),
        selected_files=_selected_files(values.get("so", [])),
    )


def build_magnet(magnet: Magnet) -> str:
    """The link. Trackers and web seeds for which there is no room in MAX_MAGNET_CHARS are left out, the last ones first."""
    text = f"{_SCHEME}xt=urn:btih:{magnet.info_hash.hex()}"
    pairs = [("dn", magnet.name)] if magnet.name else []
    pairs += [("so", _ranges(magnet.selected_files))] if magnet.selected_files else []
    for key, values in (("x.pe", magnet.peers), ("tr", magnet.trackers), ("ws", magnet.web_seeds)):
        pairs += [(key, value) for value in values]
    for key, value in pairs:
        pair = f"&{key}={quote(value, safe=':[],-' if key in ('x.pe', 'so') else '', errors='replace')}"
        if len(text) + len(pair) <= MAX_MAGNET_CHARS:
            text += pair
    return text


def _ranges(indices: tuple[int, ...]) -> str:
    """(0, 2, 4, 5, 6) → '0,2,4-6'."""
    ranges: list[list[int]] = []
    for index in indices:
        if ranges and index == ranges[-1][1] + 1:
            ranges[-1][1] = index
        else:
            ranges.append([index, index])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def _info_hash(topics: list[str], text: str) -> bytes:
    """Of a hybrid link the v1 hash is taken. Two v1 hashes name two torrents: nobody knows which is meant."""
    hashes = {_decoded_hash(match[1]) for topic in topics if (match := _V1_TOPIC.fullmatch(topic))}
    if len(hashes) > 1:
        raise MagnetError(f"{text[:_SHOWN_CHARS]!r} names {len(hashes)} torrents (xt=urn:btih:…): give one link for each")
    if hashes:
        return hashes.pop()
    if any(_V2_TOPIC.match(topic) for topic in topics):
        raise MagnetError(f"{text[:_SHOWN_CHARS]!r} names a v2-only torrent (urn:btmh, BEP 52); this version reads v1 and hybrid ones")
    raise MagnetError(f"{text[:_SHOWN_CHARS]!r} has no info hash: xt=urn:btih:… is missing")


def _decoded_hash(digits: str) -> bytes:
    if _HEX.fullmatch(digits):
        return bytes.fromhex(digits)
    if _BASE32.fullmatch(digits):
        return base64.b32decode(digits.upper())
    raise MagnetError(f"info hash {digits[:_SHOWN_CHARS]!r} must be 40 hex digits or 32 of base32")


def _selected_files(texts: list[str]) -> tuple[int, ...]:
    """'0,2,4-7' → (0, 2, 4, 5, 6, 7) (BEP 53)."""
    selected: set[int] = set()
    for part in ",".join(texts).split(",") if texts else ():
        match = _FILES.fullmatch(part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last < MAX_FILES:
            raise MagnetError(f"selected files {part[:_SHOWN_CHARS]!r}: must be numbers or ranges below {MAX_FILES}, such as so=0,2,4-7")
        if len(selected) < MAX_FILES:                   # many wide ranges cost no more than one
            selected.update(range(first, last + 1))
    return tuple(sorted(selected))
