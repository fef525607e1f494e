"""Metainfo: a .torrent ↔ values (BEP 3, 12, 19, 27, 47; the v1 part of BEP 52 hybrids). Every fault names the file and the key.

What the download depends on is judged strictly; what only people read (comment, dates) may be wrong and is then left out. A piece may have
any length from one byte: what creates torrents takes powers of two, but files with others exist and the blocks come out all the same.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from protocol.bencoding import Spans, decode_with_spans, encode
from protocol.errors import BencodeError, MetainfoError
from protocol.file_paths import check_name, check_paths, component_text
from protocol.limits import MAX_CREATION_DATE, MAX_FILES, MAX_PIECE_BYTES, MAX_PIECES, MAX_TEXT_CHARS, MAX_TRACKERS
from protocol.piece_layout import PieceLayout
from protocol.urls import TRACKER_SCHEMES, WEB_SEED_SCHEMES, usable_urls

HASH_BYTES: Final = 20


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file: its path below the torrent's folder (of a single file: its name), its place in the torrent's bytes."""

    path: tuple[str, ...]
    length: int
    offset: int
    padding: bool                                       # BEP 47: zeros that are never written


@dataclass(frozen=True, slots=True)
class Info:
    """The info dictionary. `raw` is what the info hash is taken of, byte for byte; empty while only hash and name are known (a magnet link)."""

    info_hash: bytes
    raw: bytes
    name: str
    layout: PieceLayout
    files: tuple[FileEntry, ...]
    piece_hashes: bytes                                 # 20 bytes a piece
    private: bool
    is_single_file: bool
    is_hybrid: bool

    @property
    def is_known(self) -> bool:
        """False: only hash and name are, the rest has to come from peers (BEP 9)."""
        return bool(self.raw)

    def piece_hash(self, piece_index: int) -> bytes:
        """SHA-1 that the piece must have."""
        return self.piece_hashes[piece_index * HASH_BYTES:(piece_index + 1) * HASH_BYTES]


@dataclass(frozen=True, slots=True)
class Metainfo:
    """A whole .torrent. Trackers and web seeds are URLs that can be used; others were left out."""

    info: Info
    tiers: tuple[tuple[str, ...], ...]                  # of tracker URLs (BEP 12)
    web_seeds: tuple[str, ...]
    comment: str
    created_by: str
    creation_date: int | None                           # seconds since 1970; None: not given, or not before the year 10,000


def parse_metainfo(data: bytes, source: str) -> Metainfo:
    """Raises MetainfoError naming `source` and the key."""
    top, spans = _decoded(data, source)
    if not isinstance(top, dict):
        raise MetainfoError(f"{source}: is no dictionary, so no .torrent")
    if b"info" not in top:
        raise MetainfoError(f"{source}: has no info dictionary")
    start, end = spans[b"info"]
    creation_date = top.get(b"creation date")
    return Metainfo(
        info=_info(top[b"info"], bytes(data[start:end]), source), tiers=_tiers(top), web_seeds=_web_seeds(top),
        comment=_optional_text(top, b"comment"), created_by=_optional_text(top, b"created by"),
        creation_date=creation_date if isinstance(creation_date, int) and 0 <= creation_date <= MAX_CREATION_DATE else None,
    )


def parse_info(raw: bytes, source: str) -> Info:
    """The raw info dictionary, as in a .torrent or as peers sent it (BEP 9) → Info. Raises MetainfoError naming `source` and the key."""
    return _info(_decoded(raw, source)[0], bytes(raw), source)


def unknown_metainfo(info_hash: bytes, name: str, trackers: Sequence[str], web_seeds: Sequence[str]) -> Metainfo:
    """All that a magnet link tells: each tracker is a tier of its own; there are no pieces until somebody sends the info dictionary."""
    info = Info(info_hash, b"", name or info_hash.hex(), PieceLayout(1, 0), (), b"", private=False, is_single_file=False, is_hybrid=False)
    return Metainfo(info, tuple((url,) for url in trackers), tuple(web_seeds), "", "", None)


def build_metainfo(
    info: dict[bytes, Any], tiers: Sequence[Sequence[str]], web_seeds: Sequence[str], comment: str, created_by: str, creation_date: int | None,
) -> bytes:
    """The bytes of a .torrent; what is empty is left out."""
    top: dict[bytes, Any] = {b"info": info}
    if tiers:
        top[b"announce"] = tiers[0][0].encode()
        if len(tiers) > 1 or len(tiers[0]) > 1:
            top[b"announce-list"] = [[url.encode() for url in tier] for tier in tiers]
    if web_seeds:
        top[b"url-list"] = [url.encode() for url in web_seeds]
    if comment:
        top[b"comment"] = comment.encode()
    if created_by:
        top[b"created by"] = created_by.encode()
    if creation_date is not None:
        top[b"creation date"] = creation_date
    return encode(top)


def _decoded(data: bytes, source: str) -> tuple[Any, Spans]:
    try:
        return decode_with_spans(data, source=source)
    except BencodeError as error:
        raise MetainfoError(str(error)) from None


def _info(info: Any, raw: bytes, source: str) -> Info:
    if not isinstance(info, dict):
        raise MetainfoError(f"{source}: info is no dictionary")
    if b"pieces" not in info and (b"meta version" in info or b"file tree" in info):
        raise MetainfoError(f"{source}: is a v2-only torrent (BEP 52); this version reads v1 and hybrid ones")
    name = component_text(_value(info, b"name.utf-8" if b"name.utf-8" in info else b"name", bytes, source, "info."))
    check_name(name, source)
    piece_length = _value(info, b"piece length", int, source, "info.")
    if not 1 <= piece_length <= MAX_PIECE_BYTES:
        raise MetainfoError(f"{source}: info.piece length is {piece_length}, must be from 1 to {MAX_PIECE_BYTES}")
    is_single_file = b"files" not in info
    if is_single_file:
        files = (FileEntry((name,), _length(info, source, "info."), 0, False),)
    else:
        files = _files(info, source)
        check_paths(name, ((file.path, file.padding) for file in files), source)
    total = sum(file.length for file in files)
    return Info(
        info_hash=hashlib.sha1(raw).digest(), raw=raw, name=name, layout=PieceLayout(piece_length, total), files=files,
        piece_hashes=_piece_hashes(info, total, piece_length, source), private=info.get(b"private") == 1,
        is_single_file=is_single_file, is_hybrid=b"file tree" in info,
    )


def _files(info: dict, source: str) -> tuple[FileEntry, ...]:
    entries = _value(info, b"files", list, source, "info.")
    if not 0 < len(entries) <= MAX_FILES:
        raise MetainfoError(f"{source}: info.files has {len(entries)} files, must be from 1 to {MAX_FILES}")
    files, offset = [], 0
    for number, entry in enumerate(entries):
        where = f"info.files[{number}]."
        if not isinstance(entry, dict):
            raise MetainfoError(f"{source}: {where[:-1]} is no dictionary")
        length = _length(entry, source, where)
        parts = _value(entry, b"path.utf-8" if b"path.utf-8" in entry else b"path", list, source, where)
        if not parts or not all(isinstance(part, bytes) for part in parts):
            raise MetainfoError(f"{source}: {where}path must be a list of at least one string")
        attributes = entry.get(b"attr", b"")
        if isinstance(attributes, bytes) and b"l" in attributes:
            raise MetainfoError(f"{source}: {where}attr says that {component_text(parts[-1])!r} is a symbolic link (BEP 47), which is not supported")
        padding = isinstance(attributes, bytes) and b"p" in attributes
        files.append(FileEntry(tuple(component_text(part) for part in parts), length, offset, padding))
        offset += length
    return tuple(files)


def _piece_hashes(info: dict, total: int, piece_length: int, source: str) -> bytes:
    pieces = _value(info, b"pieces", bytes, source, "info.")
    if len(pieces) % HASH_BYTES:
        raise MetainfoError(f"{source}: info.pieces is {len(pieces)} bytes, must be a multiple of {HASH_BYTES}")
    num_pieces = -(-total // piece_length)
    if num_pieces > MAX_PIECES:
        raise MetainfoError(f"{source}: has {num_pieces} pieces, at most {MAX_PIECES}")
    if len(pieces) != num_pieces * HASH_BYTES:
        raise MetainfoError(f"{source}: info.pieces has {len(pieces) // HASH_BYTES} hashes, but {total} bytes in pieces of {piece_length} need {num_pieces}")
    if not num_pieces:
        raise MetainfoError(f"{source}: has no bytes to share")
    return pieces


def _value(container: dict, key: bytes, kind: type, source: str, where: str) -> Any:
    name = f"{where}{key.decode()}"
    if key not in container:
        raise MetainfoError(f"{source}: {name} is missing")
    if not isinstance(container[key], kind):
        kinds = {bytes: "a string", int: "an integer", list: "a list", dict: "a dictionary"}
        raise MetainfoError(f"{source}: {name} must be {kinds[kind]}")
    return container[key]


def _length(container: dict, source: str, where: str) -> int:
    length = _value(container, b"length", int, source, where)
    if length < 0:
        raise MetainfoError(f"{source}: {where}length is {length}, must be at least 0")
    return length


def _optional_text(top: dict, key: bytes) -> str:
    value = top.get(key + b".utf-8", top.get(key))
    return value[:4 * MAX_TEXT_CHARS].decode("utf-8", "replace")[:MAX_TEXT_CHARS] if isinstance(value, bytes) else ""


def _tiers(top: dict) -> tuple[tuple[str, ...], ...]:
    """announce-list (BEP 12) beats announce, unless nothing in it can be used. A list without the inner lists is a tier for each URL."""
    listed = top.get(b"announce-list")
    tiers, left = [], MAX_TRACKERS
    for entry in listed if isinstance(listed, list) else ():
        tier = usable_urls(entry if isinstance(entry, list) else [entry], TRACKER_SCHEMES, left)
        left -= len(tier)
        if tier:
            tiers.append(tier)
    if tiers:
        return tuple(tiers)
    announce = usable_urls([top.get(b"announce")], TRACKER_SCHEMES, 1)
    return (announce,) if announce else ()


def _web_seeds(top: dict) -> tuple[str, ...]:
    """BEP 19: one URL, or a list of them."""
    listed = top.get(b"url-list")
    return usable_urls(listed if isinstance(listed, list) else [listed], WEB_SEED_SCHEMES, MAX_TRACKERS)
