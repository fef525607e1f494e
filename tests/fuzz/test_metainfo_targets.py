"""What people give us and what trackers and peers pack into it: .torrent files, magnet links, addresses, names.

Bytes are mutated as they are, which seldom gets past bencode; so a .torrent is also mutated as a tree and encoded again.
"""

import contextlib
from collections.abc import Iterator
from copy import deepcopy
from random import Random

import pytest

from protocol.bencoding import decode, decode_prefix, encode
from protocol.bitfield import Bitfield
from protocol.client_name import client_name
from protocol.errors import BencodeError, MagnetError, MetainfoError, RemoteProtocolError
from protocol.limits import MAX_PATH_BYTES, MAX_TRACKERS
from protocol.magnet import parse_magnet
from protocol.metainfo import HASH_BYTES, build_metainfo, parse_info, parse_metainfo
from protocol.peer_address import (
    COMPACT_V4_BYTES,
    COMPACT_V6_BYTES,
    PeerAddress,
    parse_compact_list,
    undiallable_reason,
)
from protocol.piece_layout import file_spans
from tests.fuzz.mutations import ROUNDS, mutated
from tests.fuzz.torrent_files import BAD, ODD

TORRENTS = [data for table in (ODD, BAD) for data, _ in table.values() if len(data) < 2_000]
TREES = [decode(data) for data, _ in ODD.values() if len(data) < 2_000]
MAGNETS = [
    b"magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&dn=a%20b&tr=http%3A%2F%2Fa%2Fx&x.pe=1.2.3.4:5&ws=http://w/&so=0,2,4-6",
    b"magnet:?xt=urn:btih:AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH&tr.1=udp://b:1", b"magnet:?xt=urn:btmh:1220" + b"0" * 64,
]
ADDRESSES = [b"127.0.0.1:6881", b"[2001:db8::1]:80", b"[::ffff:1.2.3.4]:65535", b"[fe80::1%eth0]:1"]
TELLING_VALUES = [b"", b".", b"..", b"/", b"a/b", b"\0", b"a", b"\xff", b"n" * 256, bytes(20), bytes(60), -1, 0, 1, 16_384, 40_000, 1 << 26, (1 << 63) - 1, [], [b"a"], [[b"http://a/"]], {}]


def read_bencode(data: bytes) -> None:
    assert encode(decode(data)) == data


def read_bencode_prefix(data: bytes) -> None:
    value, end = decode_prefix(data)
    assert encode(value) == data[:end]


def read_metainfo(data: bytes) -> None:
    metainfo = parse_metainfo(data, "x")
    info, layout = metainfo.info, metainfo.info.layout
    assert data.count(info.raw) and parse_info(info.raw, "x") == info
    assert len(info.piece_hashes) == layout.num_pieces * HASH_BYTES and layout.num_pieces > 0
    for file in info.files:
        assert not {"", ".", ".."} & set(file.path) and not any(bad in part for part in file.path for bad in "/\0")
        assert len("/".join((info.name, *file.path)).encode()) <= MAX_PATH_BYTES
    written = [file.path for file in info.files if not file.padding]
    assert len(set(written)) == len(written)
    assert sum(span.length for span in file_spans(info.files, 0, layout.total_length)) == layout.total_length
    assert sum(map(len, metainfo.tiers)) <= MAX_TRACKERS and all(metainfo.tiers)
    again = build_metainfo(decode(info.raw), metainfo.tiers, metainfo.web_seeds, metainfo.comment, metainfo.created_by, metainfo.creation_date)
    assert parse_metainfo(again, "x") == metainfo


def read_magnet(data: bytes) -> None:
    magnet = parse_magnet(data.decode("utf-8", "surrogateescape"))
    assert len(magnet.info_hash) == HASH_BYTES and list(magnet.selected_files) == sorted(set(magnet.selected_files))


def read_address(data: bytes) -> None:
    address = PeerAddress.parse(data.decode("latin-1"))
    assert PeerAddress.parse(str(address)) == address == PeerAddress.from_compact(address.compact())


def read_compact_peers(data: bytes) -> None:
    for size in (COMPACT_V4_BYTES, COMPACT_V6_BYTES):
        with contextlib.suppress(RemoteProtocolError):
            for address in parse_compact_list(data, size):
                undiallable_reason(address)
                assert PeerAddress.parse(str(address)) == address


def read_client_name(data: bytes) -> None:
    assert client_name(data).isprintable()


def read_bitfield(data: bytes) -> None:
    bitfield = Bitfield.from_bytes(data, 20)
    assert list(bitfield) == [piece_index for piece_index in range(20) if piece_index in bitfield] and bitfield.to_bytes() == data


TARGETS = {
    "bencode": (read_bencode, BencodeError, TORRENTS),
    "bencode-prefix": (read_bencode_prefix, BencodeError, TORRENTS),
    "metainfo": (read_metainfo, MetainfoError, TORRENTS),
    "magnet": (read_magnet, MagnetError, MAGNETS),
    "address": (read_address, ValueError, ADDRESSES),
    "compact-peers": (read_compact_peers, RemoteProtocolError, [b"\x7f\0\0\1\x1a\xe1" * 3, bytes(10) + b"\xff\xff\1\2\3\4\0\x50" + bytes(18)]),
    "client-name": (read_client_name, (), [b"-qB5020-123456789012", b"-TR4060-", b"-UT355B-", b"T03I----", b"M7-10-5--", b"A2-1-36-0-"]),
    "bitfield": (read_bitfield, RemoteProtocolError, [bytes(3), b"\xff\xff\xf0", b"\x80\x00\x10"]),
}


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_is_read_or_refused_by_the_error_that_is_promised(name):
    read, promised, seeds = TARGETS[name]
    for data in mutated(seeds):
        with contextlib.suppress(promised):
            read(data)


def mutated_trees(rounds: int = ROUNDS) -> Iterator[bytes]:
    """Yield .torrent files in which values were changed, taken out, doubled or swapped with those of another."""
    for number in range(rounds):
        rng = Random(number)
        tree = deepcopy(rng.choice(TREES))
        for _ in range(rng.randint(1, 3)):
            container, key = place_in(tree, rng)
            if key is None:
                continue
            match rng.randint(0, 4):
                case 0 | 1: container[key] = deepcopy(rng.choice(TELLING_VALUES))
                case 2: del container[key]
                case 3: container[key] = [container[key], deepcopy(container[key])]
                case 4:
                    other, other_key = place_in(rng.choice(TREES), rng)
                    container[key] = container[key] if other_key is None else deepcopy(other[other_key])
        yield encode(tree)


def place_in(tree: dict, rng: Random) -> tuple[dict | list, bytes | int | None]:
    """A container somewhere in the tree and one of its keys or indices; None when it is empty."""
    container: dict | list = tree
    while True:
        keys = list(container) if isinstance(container, dict) else list(range(len(container)))
        key = rng.choice(keys) if keys else None
        if key is None or not isinstance(container[key], dict | list) or not rng.randint(0, 3):
            return container, key
        container = container[key]


def test_a_torrent_whose_values_were_changed_is_read_or_refused():
    num_read = 0
    for data in mutated_trees():
        with contextlib.suppress(MetainfoError):
            read_metainfo(data)
            num_read += 1
    assert num_read > ROUNDS / 20                       # else nobody would see what lies behind the first checks
