"""Small torrents for process tests: random data and its .torrent, bencoded by hand so that a fault in protocol/ cannot hide here."""

import hashlib
import random
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TestTorrent:
    """A single-file torrent: `data` named `name`, its .torrent at `path`."""

    __test__ = False                                    # pytest: no class of tests

    name: str
    data: bytes
    piece_length: int
    info_hash: bytes
    path: Path


def bencode(value: object) -> bytes:
    """Bytes, text, ints, lists and dictionaries."""
    match value:
        case bytes():  return b"%d:%s" % (len(value), value)
        case str():    return bencode(value.encode())
        case int():    return b"i%de" % value
        case list():   return b"l" + b"".join(map(bencode, value)) + b"e"
        case dict():   return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"
    raise TypeError(f"cannot bencode {value!r}")


def make_torrent(folder: Path, size: int, name: str = "payload.bin", piece_length: int = 1 << 16, seed: int = 1, announce: str = "") -> TestTorrent:
    """Write `folder`/`name`.torrent for `size` random bytes; the data itself is not written."""
    folder.mkdir(parents=True, exist_ok=True)
    data = random.Random(seed).randbytes(size)
    pieces = b"".join(hashlib.sha1(data[start:start + piece_length]).digest() for start in range(0, size, piece_length))
    info = {"name": name, "length": size, "piece length": piece_length, "pieces": pieces}
    metainfo = {"info": info} | ({"announce": announce} if announce else {})
    path = folder / f"{name}.torrent"
    path.write_bytes(bencode(metainfo))
    return TestTorrent(name, data, piece_length, hashlib.sha1(bencode(info)).digest(), path)
