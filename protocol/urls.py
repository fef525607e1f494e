"""URLs that a .torrent or a magnet link names: which of them can be used. The others are left out; one bad tracker spoils no torrent."""

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from protocol.limits import MAX_URL_CHARS

TRACKER_SCHEMES: Final = frozenset({"http", "https", "udp"})
WEB_SEED_SCHEMES: Final = frozenset({"http", "https"})


def usable_urls(candidates: Iterable[object], schemes: frozenset[str], most: int) -> tuple[str, ...]:
    """Return those of `candidates` (text, or bytes in UTF-8) that are URLs of one of `schemes`, each once, in order, at most `most`."""
    usable: dict[str, None] = {}
    for candidate in candidates:
        if len(usable) == most:
            break
        if url := _usable_url(candidate, schemes):
            usable[url] = None
    return tuple(usable)


def _usable_url(candidate: object, schemes: frozenset[str]) -> str:
    """The URL without spaces around it, or '': no host, no such port, another scheme, too long, characters that cannot be printed."""
    try:
        text = candidate.decode() if isinstance(candidate, bytes) else candidate
        if not isinstance(text, str) or len(text) > MAX_URL_CHARS:
            return ""
        text = text.strip()
        parts = urlsplit(text)
        is_usable = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0    # a port above 65,535 is a ValueError
    except ValueError:
        return ""
    return text if is_usable and text.isprintable() and " " not in text else ""
