"""Bencode (BEP 3): a strict bounded scanner first, bencode.py second.

bencode.py alone loops for ever on ten bytes and takes what BEP 3 forbids (duplicate and unsorted keys, `i 3e`). The scanner reads every token
once, iteratively, and refuses: nesting beyond MAX_BENCODE_DEPTH, integers and lengths that are not in their shortest form or beyond 64 bits,
strings longer than what is there, keys that are not strings, unsorted or repeated keys, anything after the value.
"""

import re
from typing import Any, Final

import bencodepy

from protocol.errors import BencodeError
from protocol.limits import MAX_BENCODE_DEPTH, MAX_METAINFO_BYTES

_INTEGER: Final = re.compile(rb"i(0|-?[1-9][0-9]{0,18})e")
_STRING: Final = re.compile(rb"(0|[1-9][0-9]{0,9}):")
_SMALLEST, _LARGEST = -(1 << 63), (1 << 63) - 1
_CODEC: Final = bencodepy.Bencode(encoding=None)

_LIST, _KEY, _VALUE = range(3)                          # what an open container waits for


def decode(data: bytes, *, max_bytes: int = MAX_METAINFO_BYTES, source: str = "", require_sorted: bool = True) -> Any:
    """Return the value: bytes, int, list, dict with bytes as keys. Raises BencodeError naming `source` and the offset.

    `require_sorted=False` allows keys in any order, as many trackers send them; repeated keys are refused all the same.
    """
    end = scan(data, max_bytes=max_bytes, source=source, require_sorted=require_sorted)
    if end != len(data):
        raise BencodeError(f"{_prefix(source)}{len(data) - end} bytes after the end of the value, at byte {end}")
    return _CODEC.decode(bytes(data))


def decode_prefix(data: bytes, *, max_bytes: int = MAX_METAINFO_BYTES, source: str = "") -> tuple[Any, int]:
    """Return the value that `data` begins with, and where it ends (BEP 9: a dictionary, then payload)."""
    end = scan(data, max_bytes=max_bytes, source=source)
    return _CODEC.decode(bytes(data[:end])), end


def encode(value: Any) -> bytes:
    """Bytes, text (as UTF-8), int, list, tuple, dict."""
    return _CODEC.encode(value)


def raw_span(data: bytes, key: bytes) -> tuple[int, int] | None:
    """Return where the value of `key` begins and ends in the top-level dictionary; None when it is not there or `data` is none."""
    spans: dict[bytes, tuple[int, int]] = {}
    scan(data, max_bytes=len(data), top_level=spans)
    return spans.get(key)


def scan(
    data: bytes, *, max_bytes: int, source: str = "", require_sorted: bool = True, top_level: dict[bytes, tuple[int, int]] | None = None,
) -> int:
    """Check the value that `data` begins with and return its end. `top_level` gets the span of each value of the outermost dictionary."""
    prefix = _prefix(source)
    if len(data) > max_bytes:
        raise BencodeError(f"{prefix}{len(data)} bytes, at most {max_bytes}")
    place, size = 0, len(data)
    stack: list[list] = []                              # [waits for, last key, keys seen, offset of the value]
    while True:
        start = place
        kind = data[place:place + 1]
        top = stack[-1] if stack else None
        if kind == b"e" and top is not None and top[0] != _VALUE:
            place += 1
            stack.pop()
        elif kind.isdigit():
            match = _STRING.match(data, place)
            if match is None:
                raise BencodeError(f"{prefix}bad string length at byte {place}")
            place = match.end() + int(match[1])
            if place > size:
                raise BencodeError(f"{prefix}string of {int(match[1])} bytes at byte {start}, only {size - match.end()} are there")
            if top is not None and top[0] == _KEY:
                _take_key(top, bytes(data[match.end():place]), start, prefix, require_sorted)
                top[3] = place
                continue
        elif top is not None and top[0] == _KEY:
            raise BencodeError(f"{prefix}a dictionary's key that is no string at byte {place}")
        elif kind == b"i":
            match = _INTEGER.match(data, place)
            if match is None or not _SMALLEST <= int(match[1]) <= _LARGEST:
                raise BencodeError(f"{prefix}bad integer at byte {place}")
            place = match.end()
        elif kind in (b"d", b"l"):
            if len(stack) >= MAX_BENCODE_DEPTH:
                raise BencodeError(f"{prefix}nested deeper than {MAX_BENCODE_DEPTH} at byte {place}")
            stack.append([_KEY if kind == b"d" else _LIST, None, set(), 0])
            place += 1
            continue
        else:
            raise BencodeError(f"{prefix}ends in the middle of a value, at byte {place}" if place >= size else f"{prefix}unexpected {kind!r} at byte {place}")
        if not stack:
            return place
        parent = stack[-1]
        if parent[0] == _VALUE:
            parent[0] = _KEY
            if top_level is not None and len(stack) == 1:
                top_level[parent[1]] = (parent[3], place)


def _take_key(container: list, key: bytes, start: int, prefix: str, require_sorted: bool) -> None:
    last = container[1]
    if require_sorted:
        if last is not None and key <= last:
            raise BencodeError(f"{prefix}key {key[:40]!r} at byte {start} is {'repeated' if key == last else 'not in order'}")
    elif key in container[2]:
        raise BencodeError(f"{prefix}key {key[:40]!r} at byte {start} is repeated")
    else:
        container[2].add(key)
    container[0], container[1] = _VALUE, key


def _prefix(source: str) -> str:
    return f"{source}: " if source else ""
