"""The bytes that are downloaded: random ones, the same every time, and their .torrent."""

import hashlib
import random
from dataclasses import dataclass
from pathlib import Path

from protocol.bencoding import encode

CHUNK_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Payload:
    """A file, its .torrent (without a tracker), and the SHA-1 of the whole."""

    file: Path
    torrent: Path
    size: int
    sha1: bytes


def make_payload(folder: Path, size: int, piece_length: int) -> Payload:
    """Write both into `folder`. `size` is a multiple of CHUNK_BYTES, and that of `piece_length`."""
    rng = random.Random(1)
    file = folder / "payload.bin"
    whole, pieces = hashlib.sha1(), []
    with open(file, "wb") as stream:
        for _ in range(0, size, CHUNK_BYTES):
            chunk = memoryview(rng.randbytes(CHUNK_BYTES))
            stream.write(chunk)
            whole.update(chunk)
            pieces += [hashlib.sha1(chunk[start:start + piece_length]).digest() for start in range(0, CHUNK_BYTES, piece_length)]
    torrent = folder / "payload.torrent"
    info = {b"name": file.name.encode(), b"length": size, b"piece length": piece_length, b"pieces": b"".join(pieces)}
    torrent.write_bytes(encode({b"info": info}))
    return Payload(file, torrent, size, whole.digest())


def is_intact(file: Path, payload: Payload) -> bool:
    """The downloaded `file` has the bytes of `payload`."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha1").digest() == payload.sha1
