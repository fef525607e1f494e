"""Torrents to show: nobody has their data."""

import hashlib

from protocol.metainfo import build_metainfo

PIECE_LENGTH = 16_384


def small_torrent(name: str, *, comment: str = "", files: tuple[str, ...] = (), num_pieces: int = 3) -> bytes:
    """A .torrent of one file, or of a folder with `files` of one piece each."""
    count = len(files) or num_pieces
    pieces = b"".join(hashlib.sha1(f"{name} {number}".encode()).digest() for number in range(count))
    info = {b"name": name.encode(), b"piece length": PIECE_LENGTH, b"pieces": pieces}
    if files:
        info[b"files"] = [{b"length": PIECE_LENGTH, b"path": [file.encode()]} for file in files]
    else:
        info[b"length"] = count * PIECE_LENGTH
    return build_metainfo(info, tiers=(), web_seeds=(), comment=comment, created_by="", creation_date=None)
