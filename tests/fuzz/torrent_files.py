"""Odd and bad .torrent files, each named after its oddity: python -m tests.fuzz.torrent_files writes them to data/.

BAD holds the bytes of what is refused and words of the error; ODD the bytes of what is taken and what is read in it. The files are for
other clients, for `run.py show`, and the seeds of the fuzzer; a file that made trouble becomes a row here. Bencode is written by hand
where bencode itself is the oddity.
"""

from pathlib import Path
from typing import Final

from protocol.bencoding import encode
from protocol.limits import MAX_BENCODE_DEPTH, MAX_PIECE_BYTES

DATA: Final = Path(__file__).parent / "data"
LEFT_OUT: Final = object()                              # as a value: the key is not there

SINGLE: Final = {"name": "file.bin", "length": 40_000, "piece length": 16_384, "pieces": bytes(60)}
FOLDER: Final = {"name": "folder", "files": [{"length": 40_000, "path": ["file.bin"]}], "piece length": 16_384, "pieces": bytes(60)}
PLAIN: Final = encode({"info": SINGLE})


def single(**changes: object) -> bytes:
    """A .torrent of one file of 40,000 bytes with keys of `info` changed; `_` stands for the space in a key, or the hyphen."""
    return encode({"info": changed(SINGLE, changes)})


def folder(*files: tuple, **changes: object) -> bytes:
    """A .torrent of files (path, length, more keys), as many pieces as they need, with keys of `info` changed."""
    entries = [{"path": path, "length": length, **(more[0] if more else {})} for path, length, *more in files]
    piece_length = changes.get("piece_length", 16_384)
    num_pieces = -(-sum(entry["length"] for entry in entries) // piece_length)
    return encode({"info": changed({**FOLDER, "files": entries, "pieces": bytes(20 * max(0, min(num_pieces, 1000)))}, changes)})


def entry(**changes: object) -> bytes:
    """A .torrent of one file in a folder with keys of that file's entry changed."""
    return encode({"info": {**FOLDER, "files": [changed(FOLDER["files"][0], changes)]}})


def top(**keys: object) -> bytes:
    """A .torrent of one file with keys beside `info`."""
    return encode(changed({"info": SINGLE}, keys))


def changed(values: dict, changes: dict) -> dict:
    merged = values | {key.replace("_", "-" if key.endswith("list") else " "): value for key, value in changes.items()}
    return {key: value for key, value in merged.items() if value is not LEFT_OUT}


def path(*parts: object) -> bytes:
    return folder((list(parts), 40_000))


V2_FILE_TREE: Final = {"file.bin": {"": {"length": 40_000, "pieces root": bytes(32)}}}

BAD: Final[dict[str, tuple[bytes, str]]] = {
    # what is no bencode, or none that BEP 3 allows
    "empty": (b"", "ends in the middle of a value, at byte 0"),
    "text": (b"this is no torrent", "unexpected b't' at byte 0"),
    "html": (b"<!DOCTYPE html><html><body>404</body></html>", "unexpected b'<' at byte 0"),
    "magnet_link": (b"magnet:?xt=urn:btih:" + b"0" * 40, "unexpected b'm' at byte 0"),
    "gzipped": (bytes.fromhex("1f8b0800000000000003"), "unexpected b'\\x1f' at byte 0"),
    "byte_order_mark": (b"\xef\xbb\xbf" + PLAIN, "unexpected b'\\xef' at byte 0"),
    "cut_in_pieces": (PLAIN[:-20], "string of 60 bytes at byte"),
    "cut_before_the_last_end": (PLAIN[:-1], "ends in the middle of a value"),
    "cut_in_a_key": (PLAIN[:4], "string of 4 bytes at byte 1, only 1 are there"),
    "newline_at_the_end": (PLAIN + b"\n", "1 bytes after the end"),
    "two_torrents": (PLAIN + PLAIN, "bytes after the end"),
    "nested_too_deep": (b"d4:info" + b"l" * MAX_BENCODE_DEPTH + b"e" * MAX_BENCODE_DEPTH + b"e", "nested deeper than 100"),
    "nested_without_end": (b"l" * 2_000, "nested deeper than 100"),
    "bencode_py_never_ends": (b"d1:ai1e-6:", "a dictionary's key that is no string at byte 7"),
    "keys_not_in_order": (b"d4:infod6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces0:e8:announce9:http://a/e", "key b'announce' at byte 61 is not in order"),
    "info_twice": (PLAIN[:-1] + PLAIN[1:], "key b'info'"),
    "key_is_an_integer": (b"di1ei2ee", "no string at byte 1"),
    "key_without_value": (b"d4:infoe", "unexpected b'e' at byte 7"),
    "string_length_negative": (b"d4:info-1:ae", "unexpected b'-' at byte 7"),
    "string_length_with_leading_zero": (b"d04:infodee", "bad string length at byte 1"),
    "string_length_of_20_digits": (b"d18446744073709551620:infodee", "bad string length at byte 1"),
    "string_length_without_colon": (b"d4info", "bad string length at byte 1"),
    "string_longer_than_the_file": (b"d4:info4294967295:abce", "string of 4294967295 bytes at byte 7, only 4 are there"),
    "integer_empty": (b"d4:infoiee", "bad integer at byte 7"),
    "integer_minus_zero": (b"d4:infoi-0ee", "bad integer at byte 7"),
    "integer_with_leading_zero": (b"d4:infoi01ee", "bad integer at byte 7"),
    "integer_with_plus": (b"d4:infoi+1ee", "bad integer at byte 7"),
    "integer_with_space": (b"d4:infoi 1ee", "bad integer at byte 7"),
    "integer_with_underscore": (b"d4:infoi1_0ee", "bad integer at byte 7"),
    "integer_of_65_bits": (b"d4:infoi18446744073709551616ee", "bad integer at byte 7"),
    "integer_of_1000_digits": (b"d4:infoi" + b"9" * 1000 + b"ee", "bad integer at byte 7"),
    "integer_without_end": (b"d4:infoi1", "bad integer at byte 7"),
    # what is no .torrent
    "is_a_list": (b"le", "is no dictionary, so no .torrent"),
    "is_a_string": (b"4:info", "is no dictionary, so no .torrent"),
    "is_an_integer": (b"i1e", "is no dictionary, so no .torrent"),
    "no_info": (top(info=LEFT_OUT, announce="http://a/"), "has no info dictionary"),
    "info_is_a_list": (top(info=[]), "info is no dictionary"),
    "info_is_a_string": (top(info="d4:name1:ae"), "info is no dictionary"),
    "info_is_empty": (top(info={}), "info.name is missing"),
    "v2_only": (single(pieces=LEFT_OUT, length=LEFT_OUT, meta_version=2, file_tree=V2_FILE_TREE), "is a v2-only torrent (BEP 52)"),
    "v2_only_without_its_version": (single(pieces=LEFT_OUT, length=LEFT_OUT, file_tree=V2_FILE_TREE), "is a v2-only torrent (BEP 52)"),
    # names
    "name_missing": (single(name=LEFT_OUT), "info.name is missing"),
    "name_is_an_integer": (single(name=1), "info.name must be a string"),
    "name_in_utf_8_is_a_list": (single(**{"name.utf-8": []}), "info.name.utf-8 must be a string"),
    "name_empty": (single(name=""), "info.name '' has the part ''"),
    "name_is_dot": (single(name="."), "info.name '.' has the part '.'"),
    "name_is_parent": (single(name=".."), "info.name '..' has the part '..'"),
    "name_of_a_folder_is_parent": (folder((["a"], 1), name=".."), "info.name '..' has the part '..'"),
    "name_is_absolute": (single(name="/etc/passwd"), "info.name '/etc/passwd' has a slash or a NUL"),
    "name_has_a_slash": (single(name="../x"), "info.name '../x' has a slash or a NUL"),
    "name_has_nul": (single(name="a\0.txt"), "has a slash or a NUL"),
    "name_too_long": (single(name="n" * 256), "too long: 256 bytes, at most 255"),
    "name_too_long_in_utf_8": (single(name="日" * 86), "too long: 258 bytes, at most 255"),
    # lengths and pieces
    "length_missing": (single(length=LEFT_OUT), "info.length is missing"),
    "length_is_a_string": (single(length="40000"), "info.length must be an integer"),
    "length_negative": (single(length=-1), "info.length is -1, must be at least 0"),
    "length_zero": (single(length=0, pieces=b""), "has no bytes to share"),
    "length_zero_with_pieces": (single(length=0), "info.pieces has 3 hashes, but 0 bytes"),
    "length_of_63_bits": (single(length=(1 << 63) - 1), "pieces, at most"),
    "length_needs_more_pieces": (single(length=400_000), "info.pieces has 3 hashes, but 400000 bytes in pieces of 16384 need 25"),
    "length_needs_fewer_pieces": (single(length=32_768), "info.pieces has 3 hashes, but 32768 bytes in pieces of 16384 need 2"),
    "piece_length_missing": (single(piece_length=LEFT_OUT), "info.piece length is missing"),
    "piece_length_zero": (single(piece_length=0), "info.piece length is 0"),
    "piece_length_negative": (single(piece_length=-16_384), "info.piece length is -16384"),
    "piece_length_is_a_string": (single(piece_length="16384"), "info.piece length must be an integer"),
    "piece_length_too_large": (single(piece_length=MAX_PIECE_BYTES + 1, pieces=bytes(20)), "info.piece length is 67108865, must be from 1 to 67108864"),
    "pieces_missing": (single(pieces=LEFT_OUT), "info.pieces is missing"),
    "pieces_are_a_list": (single(pieces=[bytes(20)] * 3), "info.pieces must be a string"),
    "pieces_of_41_bytes": (single(pieces=bytes(41)), "info.pieces is 41 bytes, must be a multiple of 20"),
    "pieces_empty": (single(pieces=b""), "info.pieces has 0 hashes"),
    # files
    "files_are_a_string": (single(files="a"), "info.files must be a list"),
    "files_are_a_dictionary": (single(files={}), "info.files must be a list"),
    "files_empty": (single(files=[]), "info.files has 0 files"),
    "file_is_a_string": (single(files=["a"]), "info.files[0] is no dictionary"),
    "file_without_length": (entry(length=LEFT_OUT), "info.files[0].length is missing"),
    "file_length_negative": (folder((["a"], 40_001), (["b"], -1)), "info.files[1].length is -1"),
    "file_lengths_beyond_64_bits": (folder((["a"], 1 << 62), (["b"], 1 << 62), (["c"], 1 << 62)), "pieces, at most"),
    "files_all_empty": (folder((["a"], 0), (["b"], 0)), "has no bytes to share"),
    "path_missing": (entry(path=LEFT_OUT), "info.files[0].path is missing"),
    "path_is_a_string": (entry(path="a/b"), "info.files[0].path must be a list"),
    "path_empty": (path(), "info.files[0].path must be a list of at least one string"),
    "path_of_integers": (path(1), "info.files[0].path must be a list of at least one string"),
    "path_begins_with_parent": (path("..", "x"), "path '../x' has the part '..'"),
    "path_with_parent_inside": (path("a", "..", "..", "x"), "path 'a/../../x' has the part '..'"),
    "path_ends_with_parent": (path("a", ".."), "path 'a/..' has the part '..'"),
    "path_with_dot": (path("a", ".", "b"), "path 'a/./b' has the part '.'"),
    "path_with_an_empty_part": (path("", "etc", "passwd"), "path '/etc/passwd' has the part ''"),
    "path_ends_with_an_empty_part": (path("a", ""), "path 'a/' has the part ''"),
    "path_part_is_absolute": (path("/etc/passwd"), "path '/etc/passwd' has a slash or a NUL"),
    "path_part_with_slashes": (path("a/../../x"), "path 'a/../../x' has a slash or a NUL"),
    "path_part_with_nul": (path("a\0b"), "has a slash or a NUL"),
    "path_part_too_long": (path("a", "n" * 256), "too long: 256 bytes, at most 255"),
    "path_too_long": (path(*["d" * 200] * 20), "is too long, at most 3500 bytes"),
    "path_in_utf_8_is_parent": (entry(**{"path.utf-8": ["..", "x"]}), "path '../x' has the part '..'"),
    "path_of_padding_is_parent": (folder((["a"], 1), (["..", "x"], 16_383, {"attr": "p"})), "path '../x' has the part '..'"),
    "file_twice": (folder((["a"], 1), (["b"], 1), (["a"], 1)), "path 'a' is there twice"),
    "file_twice_when_bytes_become_text": (folder((["%FF"], 1), ([b"\xff"], 1)), "path '%FF' is there twice"),
    "file_is_also_a_folder": (folder((["a"], 1), (["a", "b"], 1)), "path 'a' is a file and a folder"),
    "folder_is_also_a_file": (folder((["a", "b", "c"], 1), (["x"], 1), (["a", "b"], 1)), "path 'a/b' is a file and a folder"),
    "symbolic_link": (folder((["a"], 1), (["b"], 0, {"attr": "l", "symlink path": ["..", "..", "etc", "passwd"]})), "is a symbolic link (BEP 47)"),
}

ODD: Final[dict[str, tuple[bytes, dict[str, object]]]] = {
    "plain": (PLAIN, {"name": "file.bin", "paths": ["file.bin"], "num_pieces": 3, "private": False, "tiers": (), "comment": ""}),
    "unknown_keys": (top(zzz=[1, {"a": 2}], info=SINGLE | {"source": "site", "md5sum": "0" * 32}), {"paths": ["file.bin"]}),
    "hybrid": (single(meta_version=2, file_tree=V2_FILE_TREE), {"paths": ["file.bin"], "is_hybrid": True}),
    "length_beyond_4_gib": (single(length=5 << 30, piece_length=MAX_PIECE_BYTES, pieces=bytes(80 * 20)), {"num_pieces": 80}),
    "one_byte": (single(length=1, pieces=bytes(20)), {"num_pieces": 1}),
    "last_piece_of_one_byte": (single(length=32_769), {"num_pieces": 3, "last_piece_size": 1}),
    "piece_length_no_power_of_two": (single(piece_length=20_000, pieces=bytes(40)), {"num_pieces": 2, "last_piece_size": 20_000}),
    "piece_length_smaller_than_a_block": (single(piece_length=1_000, pieces=bytes(40 * 20)), {"num_pieces": 40}),
    "piece_length_of_one_byte": (single(length=5, piece_length=1, pieces=bytes(100)), {"num_pieces": 5}),
    "one_file_in_a_folder": (path("file.bin"), {"name": "folder", "paths": ["file.bin"], "is_single_file": False}),
    "file_named_as_its_folder": (path("folder"), {"name": "folder", "paths": ["folder"]}),
    "empty_files_all_over": (folder((["a"], 0), (["b"], 5), (["c"], 0), (["d"], 5), (["e"], 0)), {"paths": ["a", "b", "c", "d", "e"], "offsets": [0, 0, 5, 5, 10]}),
    "padding": (folder((["a"], 10), ([".pad", "16374"], 16_374, {"attr": "p"}), (["b"], 10)), {"paths": ["a", "b"], "offsets": [0, 16_384]}),
    "padding_of_one_path": (folder((["a"], 1), ([".pad", "9"], 9, {"attr": "p"}), (["b"], 1), ([".pad", "9"], 9, {"attr": "p"})), {"paths": ["a", "b"], "offsets": [0, 10]}),
    "padding_under_a_file": (folder((["a"], 1), (["a", "pad"], 9, {"attr": "p"})), {"paths": ["a"]}),
    "padding_by_name_only": (folder((["a"], 1), (["_____padding_file_0_"], 9)), {"paths": ["a", "_____padding_file_0_"]}),
    "attributes": (folder((["a"], 1, {"attr": "x"}), (["b"], 1, {"attr": "h"}), (["c"], 1, {"attr": 3}), (["d"], 1, {"attr": "?"})), {"paths": ["a", "b", "c", "d"]}),
    "name_not_utf_8": (single(name=b"caf\xe9 \x83e.bin"), {"name": "caf%E9 %83e.bin", "paths": ["caf%E9 %83e.bin"]}),
    "name_in_utf_8_beside_another": (single(name=b"\x93\xfa.bin", **{"name.utf-8": "日.bin"}), {"name": "日.bin", "paths": ["日.bin"]}),
    "path_in_utf_8_beside_another": (folder(([b"\x93\xfa"], 1, {"path.utf-8": ["日"]})), {"paths": ["日"]}),
    "name_with_backslashes": (single(name="..\\..\\x"), {"name": "..\\..\\x"}),
    "name_with_control_characters": (single(name="a\x1b[2J\r\nb"), {"name": "a\x1b[2J\r\nb"}),
    "name_written_right_to_left": (single(name="gpj.\u202eexe"), {"name": "gpj.\u202eexe"}),
    "name_of_spaces_and_dots": (single(name=" ... "), {"name": " ... "}),
    "name_of_a_device_on_windows": (single(name="CON"), {"name": "CON"}),
    "name_hidden": (single(name=".hidden"), {"name": ".hidden"}),
    "name_like_an_option": (single(name="-rf"), {"name": "-rf"}),
    "name_of_255_bytes": (single(name="n" * 255), {"name": "n" * 255}),
    "paths_that_differ_in_case": (folder((["a", "b"], 1), (["A", "b"], 1), (["a", "B"], 1)), {"paths": ["a/b", "A/b", "a/B"]}),
    "paths_that_look_the_same": (folder((["\u00fc"], 1), (["u\u0308"], 1)), {"paths": ["\u00fc", "u\u0308"]}),
    "paths_20_deep": (path(*"abcdefghijklmnopqrst"), {"paths": ["a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t"]}),
    "private": (single(private=1), {"private": True}),
    "private_is_0": (single(private=0), {"private": False}),
    "private_is_a_string": (single(private="1"), {"private": False}),
    "announce_is_an_integer": (top(announce=1), {"tiers": ()}),
    "announce_is_no_url": (top(announce="tracker.example"), {"tiers": ()}),
    "announce_with_control_characters": (top(announce="http://a/\x1b[2J"), {"tiers": ()}),
    "announce_with_a_bad_port": (top(announce="http://a:99999/"), {"tiers": ()}),
    "announce_not_utf_8": (top(announce=b"http://a/\xff"), {"tiers": ()}),
    "announce_list_beats_announce": (top(announce="http://a/", announce_list=[["http://b/"], ["udp://c:1"]]), {"tiers": (("http://b/",), ("udp://c:1",))}),
    "announce_list_is_empty": (top(announce="http://a/", announce_list=[]), {"tiers": (("http://a/",),)}),
    "announce_list_of_empty_tiers": (top(announce="http://a/", announce_list=[[], []]), {"tiers": (("http://a/",),)}),
    "announce_list_is_flat": (top(announce_list=["http://a/", "http://b/"]), {"tiers": (("http://a/",), ("http://b/",))}),
    "announce_list_of_nonsense": (top(announce_list=[1, {}, [[]], [1], ["wss://a/"], ["http://a/"]]), {"tiers": (("http://a/",),)}),
    "announce_list_of_500": (top(announce_list=[[f"udp://t{number}:1"] for number in range(500)]), {"num_trackers": 256}),
    "web_seed_is_a_string": (top(url_list="http://a/"), {"web_seeds": ("http://a/",)}),
    "web_seeds_of_nonsense": (top(url_list=[1, [], "ftp://a/", "", "http://a/", "http://a/"]), {"web_seeds": ("http://a/",)}),
    "comment_is_an_integer": (top(comment=1, created_by=[]), {"comment": "", "created_by": ""}),
    "comment_not_utf_8": (top(comment=b"caf\xe9"), {"comment": "caf\ufffd"}),
    "comment_of_20000_characters": (top(comment="c" * 20_000), {"comment": "c" * 10_000}),
    "creation_date": (top(creation_date=1_700_000_000), {"creation_date": 1_700_000_000}),
    "creation_date_negative": (top(creation_date=-1), {"creation_date": None}),
    "creation_date_of_63_bits": (top(creation_date=(1 << 63) - 1), {"creation_date": None}),
    "creation_date_is_a_string": (top(creation_date="today"), {"creation_date": None}),
}


def write() -> None:
    """Write all files, and remove those that are no longer named here."""
    for name, torrents in (("bad_torrents", BAD), ("odd_torrents", ODD)):
        (DATA / name).mkdir(parents=True, exist_ok=True)
        for old in (DATA / name).iterdir():
            old.unlink()
        for torrent, (data, _) in torrents.items():
            (DATA / name / f"{torrent}.torrent").write_bytes(data)


if __name__ == "__main__":
    write()
