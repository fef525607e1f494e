"""Beyond 4 GiB in a file, where offsets of 32 bits end: nearly all of it holes, so that it costs no disk and little time."""

import hashlib
import os
from pathlib import Path

import pytest

from tests.interop.drivers import Libtorrent, evenswarm, listening_address, needs
from tests.interop.loopback_tracker import bencode
from tests.interop.payloads import MIB

PIECE_LENGTH = 8 * MIB
HOLE_BYTES = (4 << 30) + PIECE_LENGTH                   # a multiple of PIECE_LENGTH
TAIL_BYTES = PIECE_LENGTH + 12_345
NAME = "large.bin"


@pytest.fixture(scope="module")
def tail() -> bytes:
    return os.urandom(TAIL_BYTES)


@pytest.fixture(scope="module")
def torrent(tail, tmp_path_factory) -> Path:
    """Its .torrent, made without a file: all pieces of the hole are alike."""
    zero = hashlib.sha1(bytes(PIECE_LENGTH)).digest()
    pieces = zero * (HOLE_BYTES // PIECE_LENGTH) + b"".join(hashlib.sha1(tail[at:at + PIECE_LENGTH]).digest() for at in (0, PIECE_LENGTH))
    path = tmp_path_factory.mktemp("large") / "large.torrent"
    path.write_bytes(bencode({b"info": {b"length": HOLE_BYTES + TAIL_BYTES, b"name": NAME.encode(), b"piece length": PIECE_LENGTH, b"pieces": pieces}}))
    return path


def write_sparse(folder: Path, tail: bytes) -> None:
    """The hole, then `tail`, or a hole in its place."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / NAME, "wb") as stream:
        stream.truncate(HOLE_BYTES + TAIL_BYTES)
        if tail:
            stream.seek(HOLE_BYTES)
            stream.write(tail)


def read_tail(folder: Path) -> bytes:
    with open(folder / NAME, "rb") as stream:
        stream.seek(HOLE_BYTES)
        return stream.read()


def test_download_finds_the_hole_complete_and_fetches_only_what_lies_beyond_4_gib(network, torrent, tail, tmp_path):
    needs(Libtorrent, network)
    write_sparse(tmp_path / "theirs" / "content", tail)
    write_sparse(tmp_path / "ours" / "content", b"")
    with Libtorrent(network, tmp_path / "theirs", [torrent], options=("--trust-files",)) as seed:
        seed.wait_ready()
        with evenswarm(network, tmp_path / "ours", "download", str(torrent), "--peer", seed.address) as ours:
            assert ours.wait() == 0, ours.said()
    assert read_tail(tmp_path / "ours" / "content") == tail
    assert (tmp_path / "ours" / "content" / NAME).stat().st_size == HOLE_BYTES + TAIL_BYTES
    (left,) = {event["left"] for event in ours.named("torrent_started")}
    assert left == TAIL_BYTES


def test_seed_serves_what_lies_beyond_4_gib(network, torrent, tail, tmp_path):
    needs(Libtorrent, network)
    write_sparse(tmp_path / "ours" / "content", tail)
    write_sparse(tmp_path / "theirs" / "content", b"")
    with evenswarm(network, tmp_path / "ours", "seed", str(torrent)) as ours:
        peers = (listening_address(ours),)
        with Libtorrent(network, tmp_path / "theirs", [torrent], peers=peers) as leech:
            leech.wait_complete()
    assert read_tail(tmp_path / "theirs" / "content") == tail
