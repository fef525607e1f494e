"""Torrents for tests of what is on the disk: an Info and the bytes that belong to it, without a .torrent."""

import hashlib
import random
from typing import NamedTuple

from protocol.metainfo import FileEntry, Info
from protocol.piece_layout import PieceLayout

PIECE = 1 << 15


class BuiltTorrent(NamedTuple):
    """`data` is all of it, zeros in place of padding files included."""

    info: Info
    data: bytes

    def piece(self, piece_index: int) -> bytes:
        start = piece_index * self.info.layout.piece_length
        return self.data[start:start + self.info.layout.piece_size(piece_index)]


def build_torrent(files, name="torrent", piece_length=PIECE, data=None, seed=1, is_single_file=False) -> BuiltTorrent:
    """`files`: (path, length), or (path, length, "padding"), in order. Without `data`, random bytes."""
    entries, content, rng = [], [], random.Random(seed)
    for path, length, *padding in files:
        entries.append(FileEntry(tuple(path.split("/")), length, sum(map(len, content)), bool(padding)))
        content.append(bytes(length) if padding else rng.randbytes(length))
    data = b"".join(content) if data is None else data
    layout = PieceLayout(piece_length, len(data))
    hashes = b"".join(hashlib.sha1(data[start:start + piece_length]).digest() for start in range(0, len(data), piece_length))
    info = Info(hashlib.sha1(hashes).digest(), b"", name, layout, tuple(entries), hashes, False, is_single_file, False)
    return BuiltTorrent(info, data)


def single_file(length, name="file.bin", **others) -> BuiltTorrent:
    return build_torrent([(name, length)], name=name, is_single_file=True, **others)
