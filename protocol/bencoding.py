"""Bencode (BEP 3): a strict bounded scanner first, bencode.py second.

bencode.py alone loops for ever on ten bytes and takes what BEP 3 forbids (duplicate and unsorted keys, `i 3e`). The scanner reads every token
once, iteratively, and refuses: nesting beyond MAX_BENCODE_DEPTH, more than MAX_BENCODE_TOKENS, integers and lengths that are not in their
shortest form or beyond 64 bits, strings longer than what is there, keys that are not strings, unsorted or repeated keys, anything after the
value. What it lets pass has exactly one encoding, so that what is decoded and encoded again is the same bytes.
"""

import re
from typing import Any, Final

import bencodepy

from protocol.errors import BencodeError
from protocol.limits import MAX_BENCODE_DEPTH, MAX_BENCODE_TOKENS, MAX_METAINFO_BYTES

Spans = dict[bytes, tuple[int, int]]                    # key of the outermost dictionary → where its value begins and ends

# One of: the length of a string, an integer, the beginning of a list or a dictionary, the end of one.
_TOKEN: Final = re.compile(rb"(0|[1-9][0-9]{0,9}):|i(0|-?[1-9][0-9]{0,18})e|([dl])|e")
_STRING, _INTEGER, _OPEN, _END = 1, 2, 3, None          # the group that matched
_SMALLEST, _LARGEST = -(1 << 63), (1 << 63) - 1
_ONLY_VALUE, _ITEM, _KEY, _VALUE = range(4)             # what comes next; an end may come instead of an item or a key
_CODEC: Final = bencodepy.Bencode(encoding=None)


def decode(data: bytes, *, max_bytes: int = MAX_METAINFO_BYTES, source: str = "", require_sorted: bool = True) -> Any:
    """Return the value: bytes, int, list, dict with bytes as keys. Raises BencodeError naming `source` and the offset.

    `require_sorted=False` allows keys in any order, as many trackers send them; repeated keys are refused all the same.
    """
    return decode_with_spans(data, max_bytes=max_bytes, source=source, require_sorted=require_sorted)[0]


def decode_with_spans(
    data: bytes, *, max_bytes: int = MAX_METAINFO_BYTES, source: str = "", require_sorted: bool = True,
) -> tuple[Any, Spans]:
    """As `decode`, and where the values of the outermost dictionary are: an info hash is taken of bytes, not of values."""
    data = bytes(data)
    end, spans = _scan(data, max_bytes, source, require_sorted)
    if end != len(data):
        raise BencodeError(f"{_prefix(source)}{len(data) - end} bytes after the end of the value, at byte {end}")
    return _CODEC.decode(data), spans


def decode_prefix(data: bytes, *, max_bytes: int = MAX_METAINFO_BYTES, source: str = "") -> tuple[Any, int]:
    """Return the value that `data` begins with, and where it ends (BEP 9: a dictionary, then payload)."""
    data = bytes(data)
    end, _ = _scan(data, max_bytes, source, require_sorted=True)
    return _CODEC.decode(data[:end]), end


def encode(value: Any) -> bytes:
    """Bytes, text (as UTF-8), int, list, tuple, dict."""
    return _CODEC.encode(value)


def raw_span(data: bytes, key: bytes) -> tuple[int, int] | None:
    """Return where the value of `key` begins and ends in the outermost dictionary; None when it is not there or `data` is none."""
    return _scan(bytes(data), len(data), "", require_sorted=True)[1].get(key)


def _scan(data: bytes, max_bytes: int, source: str, require_sorted: bool) -> tuple[int, Spans]:
    """Check the value that `data` begins with; return its end and the spans of its keys.

    The innermost open container is in local variables, those around it are on `outer`.
    """
    if len(data) > max_bytes:
        raise BencodeError(f"{_prefix(source)}{len(data)} bytes, at most {max_bytes}")
    outer: list[tuple[int, bytes | None, set[bytes] | None]] = []
    spans: Spans = {}
    awaited, last_key, seen = _ONLY_VALUE, None, None
    place, value_start, size = 0, 0, len(data)
    for _ in range(MAX_BENCODE_TOKENS):
        token = _TOKEN.match(data, place)
        if token is None:
            raise _fault(data, place, awaited, source)
        start, place, kind = place, token.end(), token.lastindex
        if kind == _STRING:
            place += int(token[1])
            if place > size:
                raise BencodeError(f"{_prefix(source)}string of {int(token[1])} bytes at byte {start}, only {size - token.end()} are there")
            if awaited == _KEY:
                key = data[token.end():place]
                if (last_key is not None and key <= last_key) if seen is None else key in seen:
                    raise _key_fault(key, start, repeated=seen is not None or key == last_key, source=source)
                if seen is not None:
                    seen.add(key)
                awaited, last_key = _VALUE, key
                if len(outer) == 1:
                    value_start = place
                continue
        elif kind == _END:
            if awaited not in (_KEY, _ITEM):
                raise _fault(data, start, awaited, source)
            awaited, last_key, seen = outer.pop()
        elif awaited == _KEY:
            raise _fault(data, start, awaited, source)
        elif kind == _OPEN:
            if len(outer) == MAX_BENCODE_DEPTH:
                raise BencodeError(f"{_prefix(source)}nested deeper than {MAX_BENCODE_DEPTH} at byte {start}")
            outer.append((awaited, last_key, seen))
            is_dictionary = data[start] == ord("d")
            awaited, last_key, seen = _KEY if is_dictionary else _ITEM, None, set() if is_dictionary and not require_sorted else None
            continue
        elif not _SMALLEST <= int(token[2]) <= _LARGEST:
            raise _fault(data, start, awaited, source)
        if awaited == _VALUE:
            awaited = _KEY
            if len(outer) == 1:
                spans[last_key] = (value_start, place)
        elif awaited == _ONLY_VALUE:
            return place, spans
    raise BencodeError(f"{_prefix(source)}more than {MAX_BENCODE_TOKENS} values, at byte {place}")


def _fault(data: bytes, place: int, awaited: int, source: str) -> BencodeError:
    """Why no token that may stand at `place` stands there."""
    found = data[place:place + 1]
    if not found:
        what = f"ends in the middle of a value, at byte {place}"
    elif found.isdigit():
        what = f"bad string length at byte {place}"
    elif awaited == _KEY:
        what = f"a dictionary's key that is no string at byte {place}"
    elif found == b"i":
        what = f"bad integer at byte {place}: must be in its shortest form and fit into 64 bits"
    else:
        what = f"unexpected {found!r} at byte {place}"
    return BencodeError(_prefix(source) + what)


def _key_fault(key: bytes, place: int, repeated: bool, source: str) -> BencodeError:
    return BencodeError(f"{_prefix(source)}key {key[:40]!r} at byte {place} is {'repeated' if repeated else 'not in order'}")


def _prefix(source: str) -> str:
    return f"{source}: " if source else ""
