"""What libtorrent writes we read, what we write it reads, and of odd .torrent files both make the same. No network, no process."""

from collections.abc import Callable
from itertools import accumulate

import pytest

from protocol.errors import MetainfoError
from protocol.magnet import parse_magnet
from protocol.metainfo import build_metainfo, parse_metainfo
from tests.fuzz.torrent_files import ODD

libtorrent = pytest.importorskip("libtorrent", reason="libtorrent is not installed: pip install --require-hashes -r tests/requirements.lock")

READ_BY_BOTH = sorted(set(ODD) - {"hybrid"})            # that one is made by hand and lacks v2 hashes; real ones are below
FILES = [("Ünïcödé – 日本.bin", 100_001), ("empty", 0), ("deep/er/two  spaces", 32_768), ("deep/last", 1)]
FLAGS = libtorrent.create_torrent


@pytest.fixture
def by_libtorrent(tmp_path) -> Callable[[int], bytes]:
    """Makes a .torrent of FILES, with the flags of libtorrent's create_torrent."""
    for path, length in FILES:
        (tmp_path / "folder" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / path).write_bytes(path.encode()[:1] * length)

    def make(flags: int) -> bytes:
        torrent = libtorrent.create_torrent(libtorrent.list_files(str(tmp_path / "folder")), 32_768, flags)
        torrent.add_tracker("http://tracker.example/announce", 0)
        torrent.add_tracker("udp://tracker.example:1337", 1)
        torrent.add_url_seed("http://seed.example/")
        torrent.set_comment("a comment – é")
        torrent.set_creator("libtorrent")
        torrent.set_priv(True)
        libtorrent.set_piece_hashes(torrent, str(tmp_path))
        return libtorrent.bencode(torrent.generate())

    return make


@pytest.mark.parametrize("name", READ_BY_BOTH)
def test_libtorrent_reads_the_same_in_an_odd_torrent(name):
    data = ODD[name][0]
    ours, theirs = parse_metainfo(data, name).info, libtorrent.load_torrent_buffer(data).ti
    files = theirs.layout()
    assert ours.info_hash == theirs.info_hashes().v1.to_bytes()
    assert ours.layout.total_length == theirs.total_size()
    assert [ours.layout.piece_size(piece_index) for piece_index in range(ours.layout.num_pieces)] == [theirs.piece_size(piece_index) for piece_index in range(theirs.num_pieces())]
    assert [(file.offset, file.length) for file in ours.files] == [(files.file_offset(index), files.file_size(index)) for index in range(files.num_files())]
    assert ours.private == theirs.priv()


@pytest.mark.parametrize("flags", [FLAGS.v1_only, FLAGS.v1_only | FLAGS.canonical_files], ids=["v1", "v1 with padding"])
def test_what_libtorrent_writes_is_read_with_all_that_it_says(by_libtorrent, flags):
    data = by_libtorrent(flags)
    metainfo = parse_metainfo(data, "x")
    info = metainfo.info
    assert {("/".join(file.path), file.length) for file in info.files if not file.padding} == set(FILES)
    assert any(file.padding for file in info.files) == bool(flags & FLAGS.canonical_files)
    assert info.info_hash == libtorrent.load_torrent_buffer(data).info_hashes.v1.to_bytes()
    assert info.piece_hash(0) == libtorrent.load_torrent_buffer(data).ti.hash_for_piece(0)
    assert (metainfo.tiers, metainfo.web_seeds) == ((("http://tracker.example/announce",), ("udp://tracker.example:1337",)), ("http://seed.example/",))
    assert (metainfo.comment, metainfo.created_by, info.private, info.is_hybrid, info.is_single_file) == ("a comment – é", "libtorrent", True, False, False)


def test_a_hybrid_of_libtorrent_is_read_by_its_v1_part(by_libtorrent):
    data = by_libtorrent(0)
    info = parse_metainfo(data, "x").info
    assert info.is_hybrid and info.info_hash == libtorrent.load_torrent_buffer(data).info_hashes.v1.to_bytes()
    assert {("/".join(file.path), file.length) for file in info.files if not file.padding} == set(FILES)


def test_a_v2_torrent_of_libtorrent_is_refused_by_that_name(by_libtorrent):
    with pytest.raises(MetainfoError, match="v2-only"):
        parse_metainfo(by_libtorrent(FLAGS.v2_only), "x")


def test_libtorrent_reads_what_we_write():
    lengths = [length for _, length in FILES]
    info = {
        b"name": "folder", b"files": [{b"length": length, b"path": path.split("/")} for path, length in FILES], b"piece length": 32_768,
        b"pieces": bytes(20 * -(-sum(lengths) // 32_768)), b"private": 1,
    }
    data = build_metainfo(info, (("http://a/x", "http://b/x"), ("udp://c:1",)), ("http://w/",), "a comment – é", "Evenswarm", 1_700_000_000)
    theirs = libtorrent.load_torrent_buffer(data)
    files = theirs.ti.layout()
    assert theirs.info_hashes.v1.to_bytes() == parse_metainfo(data, "x").info.info_hash
    assert [(files.file_path(index), files.file_size(index)) for index in range(files.num_files())] == [(f"folder/{path}", length) for path, length in FILES]
    assert [files.file_offset(index) for index in range(files.num_files())] == [0, *accumulate(lengths[:-1])]
    assert list(zip(theirs.trackers, theirs.tracker_tiers, strict=True)) == [("http://a/x", 0), ("http://b/x", 0), ("udp://c:1", 1)]
    assert (theirs.url_seeds, theirs.comment, theirs.created_by, theirs.creation_date, theirs.ti.priv()) == (["http://w/"], "a comment – é", "Evenswarm", 1_700_000_000, True)


def test_a_magnet_link_of_libtorrent_is_read(by_libtorrent):
    theirs = libtorrent.load_torrent_buffer(by_libtorrent(FLAGS.v1_only))
    theirs.name = "a & b – é"
    magnet = parse_magnet(libtorrent.make_magnet_uri(theirs))
    assert (magnet.info_hash, magnet.name, magnet.trackers, magnet.web_seeds) == (
        theirs.info_hashes.v1.to_bytes(), "a & b – é", ("http://tracker.example/announce", "udp://tracker.example:1337"), ("http://seed.example/",))


@pytest.mark.parametrize("text", [
    f"magnet:?xt=urn:btih:{'a' * 40}&dn=a%20b&tr=http%3A%2F%2Fa%2F&tr.1=udp://b:1&x.pe=1.2.3.4:5&ws=http://w/&so=0,2-3",
    f"magnet:?dn=a+b%C3%A9&xt=urn:btih:{'MFRG' * 8}", f"magnet:?xt=urn:btmh:1220{'b' * 64}&xt=urn:btih:{'c' * 40}&tr=http://a/&tr=http://b/",
])
def test_libtorrent_reads_the_same_in_a_magnet_link(text):
    ours, theirs = parse_magnet(text), libtorrent.parse_magnet_uri(text)
    assert (ours.info_hash, ours.name, list(ours.trackers), list(ours.web_seeds)) == (theirs.info_hashes.v1.to_bytes(), theirs.name, theirs.trackers, theirs.url_seeds)
    assert list(ours.peers) == [f"{ip}:{port}" for ip, port in theirs.peers]
    assert list(ours.selected_files) == [index for index, priority in enumerate(theirs.file_priorities) if priority]
