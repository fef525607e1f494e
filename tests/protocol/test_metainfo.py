import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.bencoding import decode, encode
from protocol.errors import MetainfoError
from protocol.limits import MAX_PIECE_BYTES, MAX_TRACKERS
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


@pytest.mark.parametrize(("info", "named"), [
    (without(SINGLE, b"name"), "info.name is missing"),
    (without(SINGLE, b"length"), "info.length is missing"),
    (without(SINGLE, b"piece length"), "info.piece length is missing"),
    (without(SINGLE, b"pieces"), "info.pieces is missing"),
    (SINGLE | {b"name": 3}, "info.name must be a string"),
    (SINGLE | {b"length": b"3"}, "info.length must be an integer"),
    (SINGLE | {b"length": -1}, "info.length is -1"),
    (SINGLE | {b"length": 0, b"pieces": b""}, "no bytes"),
    (SINGLE | {b"length": 1 << 62}, "pieces"),
    (SINGLE | {b"length": 400_000}, "info.pieces has 3 hashes"),
    (SINGLE | {b"pieces": bytes(41)}, "info.pieces is 41 bytes, must be a multiple of 20"),
    (SINGLE | {b"pieces": []}, "info.pieces must be a string"),
    (SINGLE | {b"pieces": bytes(80)}, "info.pieces has 4 hashes"),
    (SINGLE | {b"piece length": 0}, "info.piece length is 0"),
    (SINGLE | {b"piece length": -16_384}, "info.piece length is -16384"),
    (SINGLE | {b"piece length": MAX_PIECE_BYTES + 1}, "info.piece length"),
    (SINGLE | {b"name": b""}, "info.name"),
    (SINGLE | {b"name": b".."}, "info.name"),
    (SINGLE | {b"name": b"a/b"}, "slash"),
    (SINGLE | {b"name": b"a\0b"}, "NUL"),
    (SINGLE | {b"name": b"n" * 256}, "too long"),
    (SINGLE | {b"name": "ü".encode() * 128}, "too long"),
    (multi(), "info.files has 0"),
    (multi(file(b"a")) | {b"files": b"a"}, "info.files must be a list"),
    (multi(file(b"a")) | {b"files": [b"a"]}, r"info.files\[0\] is no dictionary"),
    (multi(file(b"a"), file()), r"info.files\[1\].path"),
    (multi(file(b"a", b"..", b"b")), r"\.\."),
    (multi(file(b".")), r"'\.'"),
    (multi(file(b"/etc/passwd")), "slash"),
    (multi(file(b"", b"etc")), "''"),
    (multi(file(b"a", b"")), "''"),
    (multi(file(b"a"), file(b"b"), file(b"a")), "'a' is there twice"),
    (multi(file(b"a", b"b"), file(b"a")), "'a' is a file and a folder"),
    (multi(file(*[b"d" * 200] * 20)), "too long"),
    (multi(file(b"a", length=-5)), r"info.files\[0\].length is -5"),
    (multi(without(file(b"a"), b"length")), r"info.files\[0\].length is missing"),
    (multi(file(b"a", attr=b"l")), "symbolic link"),
    (multi(file(b"\xff"), file(b"%FF")), "there twice"),
    (without(SINGLE, b"pieces", b"length") | {b"meta version": 2, b"file tree": {}}, "v2-only"),
])
def test_an_info_dictionary_that_cannot_be_meant_is_refused_with_its_key(info, named):
    with pytest.raises(MetainfoError, match=named) as refused:
        parsed(info)
    assert str(refused.value).startswith("a.torrent: ")


@pytest.mark.parametrize(("data", "named"), [
    (b"", "ends"), (b"le", "no dictionary"), (b"i3e", "no dictionary"), (b"de", "no info"), (b"d4:infoi3ee", "info is no dictionary"),
    (b"d4:infolee", "info is no dictionary"), (b"d4:infode", "ends"), (b"<!DOCTYPE html>", "unexpected"), (b"d1:ai1e-6:", "key"),
])
def test_bytes_that_are_no_torrent_are_refused(data, named):
    with pytest.raises(MetainfoError, match=named):
        parse_metainfo(data, "a.torrent")


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
    metainfo = parsed(SINGLE, comment=3, created_by=[], creation_date=b"today")
    assert (metainfo.comment, metainfo.created_by, metainfo.creation_date) == ("", "", None)


def test_the_private_flag_is_1_and_nothing_else():
    assert parsed(SINGLE | {b"private": 1}).info.private
    assert not parsed(SINGLE | {b"private": 0}).info.private
    assert not parsed(SINGLE | {b"private": b"1"}).info.private


def test_what_is_built_is_parsed_to_the_same():
    data = build_metainfo(SINGLE, (("http://a/", "http://b/"), ("udp://c/",)), ("http://w/",), "a comment", "us", 1_700_000_000)
    metainfo = parse_metainfo(data, "x")
    assert (metainfo.tiers, metainfo.web_seeds, metainfo.comment, metainfo.created_by, metainfo.creation_date) == (
        (("http://a/", "http://b/"), ("udp://c/",)), ("http://w/",), "a comment", "us", 1_700_000_000)
    assert metainfo.info == parse_info(encode(SINGLE), "x")


@given(st.data())
def test_a_mutated_torrent_is_read_or_refused_with_our_error_and_nothing_else(data):
    good = bytearray(encode({b"info": multi(file(b"a"), file(b"b", b"c")), b"announce": b"http://a/", b"url-list": [b"http://w/"]}))
    for _ in range(data.draw(st.integers(1, 6))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        metainfo = parse_metainfo(bytes(good), "x")
    except MetainfoError:
        return
    for entry in metainfo.info.files:
        assert not {"", ".", ".."} & set(entry.path) and not any("/" in part for part in entry.path)


@given(st.dictionaries(st.sampled_from([b"name", b"length", b"files", b"piece length", b"pieces", b"private", b"meta version"]),
                       st.integers(-5, 1 << 40) | st.binary(max_size=60) | st.lists(st.binary(max_size=3) | st.dictionaries(st.sampled_from([b"length", b"path", b"attr"]), st.integers(-1, 9) | st.lists(st.binary(max_size=4), max_size=3), max_size=3), max_size=4)))
def test_any_dictionary_is_read_or_refused(info):
    try:
        parse_info(encode(info), "x")
    except MetainfoError:
        assert decode(encode(info)) == info
