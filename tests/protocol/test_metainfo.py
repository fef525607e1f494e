"""What is read in a .torrent. What is refused, and why, and what is odd but read: tests/fuzz/torrent_files.py."""

import pytest

from protocol import metainfo
from protocol.bencoding import encode
from protocol.errors import MetainfoError
from protocol.limits import MAX_METAINFO_BYTES, MAX_PIECES, MAX_TRACKERS
from protocol.metainfo import FileEntry, build_metainfo, parse_info, parse_metainfo

SINGLE = {b"name": b"x.bin", b"length": 40_000, b"piece length": 16_384, b"pieces": bytes(60)}


def multi(*files: dict, **changes) -> dict:
    total = sum(file.get(b"length", 0) for file in files if isinstance(file.get(b"length"), int))
    info = {b"name": b"folder", b"files": list(files), b"piece length": 16_384, b"pieces": bytes(20 * -(-total // 16_384))}
    return info | {key.encode(): value for key, value in changes.items()}


def file(*path: bytes, length: int = 20_000, **more) -> dict:
    return {b"length": length, b"path": list(path)} | {key.encode(): value for key, value in more.items()}


def without(info: dict, *keys: bytes) -> dict:
    return {key: value for key, value in info.items() if key not in keys}


def parsed(info: dict, **top):
    return parse_metainfo(encode({b"info": info} | {key.replace("_", " ").encode(): value for key, value in top.items()}), "a.torrent")


def test_a_single_file_is_one_entry_named_as_the_torrent():
    info = parsed(SINGLE).info
    assert info.files == (FileEntry(("x.bin",), 40_000, 0, False),)
    assert (info.is_single_file, info.layout.num_pieces, info.layout.last_piece_size) == (True, 3, 40_000 - 2 * 16_384)


def test_files_lie_one_behind_the_other_with_padding_and_empty_ones_among_them():
    info = parsed(multi(file(b"a", length=10), file(b".pad", b"16374", length=16_374, attr=b"p"), file(b"empty", length=0), file(b"sub", b"b", length=5))).info
    assert [(entry.path, entry.offset, entry.padding) for entry in info.files] == [
        (("a",), 0, False), ((".pad", "16374"), 10, True), (("empty",), 16_384, False), (("sub", "b"), 16_384, False)]


def test_the_info_hash_is_of_the_bytes_as_they_stand_with_keys_that_we_do_not_know():
    info = SINGLE | {b"source": b"tracker", b"zzz": [1, {b"a": 2}]}
    assert parsed(info).info.raw == encode(info)
    assert parsed(info).info.info_hash != parsed(SINGLE).info.info_hash


def test_a_hybrid_is_read_by_its_v1_part():
    assert parsed(SINGLE | {b"meta version": 2, b"file tree": {}}).info.is_hybrid


def test_utf_8_names_win_and_bytes_that_are_not_utf_8_become_percent_digits():
    assert parsed(SINGLE | {b"name": b"\xff\xfe.bin"}).info.name == "%FF%FE.bin"
    assert parsed(SINGLE | {b"name": b"?", b"name.utf-8": "Übung".encode()}).info.name == "Übung"


def test_many_pad_files_may_have_the_same_path():
    pad = file(b".pad", b"100", length=100, attr=b"p")
    assert len(parsed(multi(file(b"a"), pad, file(b"b"), pad)).info.files) == 4


def test_too_many_files_are_refused(monkeypatch):
    monkeypatch.setattr(metainfo, "MAX_FILES", 3)
    assert len(parsed(multi(*(file(b"%d" % number) for number in range(3)))).info.files) == 3
    with pytest.raises(MetainfoError, match=r"info\.files has 4 files"):
        parsed(multi(*(file(b"%d" % number) for number in range(4))))


def test_too_many_pieces_are_refused_whatever_their_length():
    with pytest.raises(MetainfoError, match=f"has {MAX_PIECES + 1} pieces, at most {MAX_PIECES}"):
        parsed(SINGLE | {b"length": MAX_PIECES + 1, b"piece length": 1})


def test_what_is_too_large_is_refused_unread():
    with pytest.raises(MetainfoError, match=f"a.torrent: {MAX_METAINFO_BYTES + 1} bytes, at most"):
        parse_metainfo(b"d4:info%d:" % MAX_METAINFO_BYTES + bytes(MAX_METAINFO_BYTES + 1 - len(b"d4:info%d:" % MAX_METAINFO_BYTES)), "a.torrent")


def test_an_info_dictionary_that_peers_sent_is_judged_like_one_in_a_file():
    assert parse_info(encode(SINGLE), "x") == parsed(SINGLE).info
    for data, named in ((b"", "x: ends"), (b"le", "x: info is no dictionary"), (encode(SINGLE) + b"x", "x: 1 bytes after"), (encode(without(SINGLE, b"name")), "x: info.name is missing")):
        with pytest.raises(MetainfoError, match=named):
            parse_info(data, "x")


@pytest.mark.parametrize(("top", "tiers"), [
    ({}, ()),
    ({"announce": b"http://a/x"}, (("http://a/x",),)),
    ({"announce": b"http://a/x", "announce-list": [[b"http://b/x", b"udp://c:1/x"], [b"https://d/x"]]}, (("http://b/x", "udp://c:1/x"), ("https://d/x",))),
    ({"announce": b"http://a/x", "announce-list": []}, (("http://a/x",),)),
    ({"announce": b"http://a/x", "announce-list": [[b"wss://b/x"], []]}, (("http://a/x",),)),
    ({"announce-list": [b"http://b/x", [b"http://b/x", b"http://b/x"]]}, (("http://b/x",), ("http://b/x",))),
    ({"announce": b"ftp://a/x"}, ()), ({"announce": 3}, ()), ({"announce": b"http://a/\x1b[2J"}, ()), ({"announce": b"http://\xff"}, ()), ({"announce-list": 3}, ()),
])
def test_trackers_come_in_tiers_and_what_cannot_be_announced_to_is_left_out(top, tiers):
    assert parsed(SINGLE, **top).tiers == tiers


def test_the_number_of_trackers_is_bounded():
    tiers = parsed(SINGLE, **{"announce-list": [[b"http://a/%d" % number] for number in range(5_000)]}).tiers
    assert sum(map(len, tiers)) == MAX_TRACKERS


@pytest.mark.parametrize(("url_list", "web_seeds"), [([b"http://a/", b"ftp://b/"], ("http://a/",)), (b"https://a/", ("https://a/",)), (3, ()), ([3], ())])
def test_web_seeds_are_kept(url_list, web_seeds):
    assert parsed(SINGLE, **{"url-list": url_list}).web_seeds == web_seeds


def test_what_is_only_to_be_shown_may_be_wrong():
    odd = parsed(SINGLE, comment=3, created_by=[], creation_date=b"today")
    assert (odd.comment, odd.created_by, odd.creation_date) == ("", "", None)


def test_the_private_flag_is_1_and_nothing_else():
    assert parsed(SINGLE | {b"private": 1}).info.private
    assert not parsed(SINGLE | {b"private": 0}).info.private
    assert not parsed(SINGLE | {b"private": b"1"}).info.private


def test_what_is_built_is_parsed_to_the_same():
    data = build_metainfo(SINGLE, (("http://a/", "http://b/"), ("udp://c/",)), ("http://w/",), "a comment", "us", 1_700_000_000)
    built = parse_metainfo(data, "x")
    assert (built.tiers, built.web_seeds, built.comment, built.created_by, built.creation_date) == (
        (("http://a/", "http://b/"), ("udp://c/",)), ("http://w/",), "a comment", "us", 1_700_000_000)
    assert built.info == parse_info(encode(SINGLE), "x")
