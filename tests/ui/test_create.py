import argparse
import hashlib
import os
import re
import socket

import pytest

from protocol.errors import MetainfoError, StorageError
from protocol.metainfo import parse_metainfo
from ui.commands import create

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40


def created(tmp_path, path, **options):
    output = tmp_path / "made.torrent"
    arguments = {"tracker": [], "piece_length": None, "private": False, "web_seed": [], "comment": None} | options
    assert create.run(argparse.Namespace(path=str(path), output=str(output), **arguments)) == 0
    return parse_metainfo(output.read_bytes(), "made.torrent")


@pytest.mark.parametrize(("total", "piece_length"), [
    (0, 16 * KIB), (1, 16 * KIB), (23 * MIB, 16 * KIB), (24 * MIB, 32 * KIB), (100 * MIB, 128 * KIB), (1 * GIB, 1 * MIB), (4 * GIB, 4 * MIB), (10 * TIB, 16 * MIB),
])
def test_the_piece_length_grows_with_the_size_so_that_there_are_about_1500_pieces(total, piece_length):
    assert create.chosen_piece_length(total) == piece_length


@pytest.mark.parametrize("piece_length", [1, 16_383, 100_000, 128 * MIB])
def test_a_piece_length_that_others_would_refuse_is_refused(piece_length):
    with pytest.raises(MetainfoError, match="piece-length"):
        create.checked_piece_length(piece_length, 1000)


def test_a_piece_goes_on_from_one_file_to_the_next(tmp_path):
    folder = tmp_path / "album"
    (folder / "sub").mkdir(parents=True)
    contents = {"a": os.urandom(20_000), "b": b"", "sub/c": os.urandom(30_000)}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    metainfo = created(tmp_path, folder, piece_length=16_384)
    together = b"".join(contents.values())
    assert [file.path for file in metainfo.info.files] == [("a",), ("b",), ("sub", "c")]
    assert metainfo.info.piece_hashes == b"".join(hashlib.sha1(together[start:start + 16_384]).digest() for start in range(0, len(together), 16_384))


def test_trackers_web_seeds_comment_and_private_flag_are_kept(tmp_path):
    (tmp_path / "x").write_bytes(b"hello")
    metainfo = created(tmp_path, tmp_path / "x", tracker=["http://a/announce,http://b/announce", "https://c/announce"], web_seed=["http://w/x"],
                       comment="for you", private=True)
    assert metainfo.tiers == (("http://a/announce", "http://b/announce"), ("https://c/announce",))
    assert metainfo.web_seeds == ("http://w/x",)
    assert metainfo.comment == "for you"
    assert metainfo.info.private


def test_what_is_no_file_is_skipped_and_said(tmp_path, capsys):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "x").write_bytes(b"hello")
    (folder / "dangling").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "socket"))
    assert [file.path for file in created(tmp_path, folder).info.files] == [("x",)]
    said = capsys.readouterr().err
    assert "dangling" in said and "socket" in said


def test_a_file_that_shrinks_while_it_is_read_is_an_error_that_names_it(tmp_path):
    (tmp_path / "x").write_bytes(b"hello")
    files = [create.SourceFile(tmp_path / "x", (b"x",), 6)]
    with pytest.raises(StorageError, match="x changed while it was read"):
        list(create.piece_hashes(files, 16_384, lambda count: None))


@pytest.mark.parametrize("missing", ["path", "output"])
def test_a_path_that_is_not_there_is_named_before_anything_is_hashed(tmp_path, missing):
    (tmp_path / "x").write_bytes(b"hello")
    paths = {"path": str(tmp_path / "x"), "output": str(tmp_path / "x.torrent"), missing: str(tmp_path / "gone" / "y")}
    with pytest.raises(StorageError, match="gone"):
        create.run(argparse.Namespace(**paths, tracker=[], piece_length=None, private=False, web_seed=[], comment=None))


def test_nothing_is_left_when_the_torrent_cannot_be_written(tmp_path):
    (tmp_path / "target").mkdir()
    with pytest.raises(StorageError, match="target"):
        create.write_whole(tmp_path / "target", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


@pytest.mark.parametrize(("option", "value", "named"), [
    ("tracker", ["nonsense"], "--tracker 'nonsense'"), ("tracker", ["http://a/x", "http://b/x,http://c:99999/x"], "--tracker 'http://c:99999/x'"),
    ("tracker", [""], "--tracker ''"), ("web_seed", ["udp://a/x"], "--web-seed 'udp://a/x'"), ("piece_length", 0, "--piece-length is 0"),
])
def test_what_no_client_could_use_is_refused_and_named_before_anything_is_hashed(tmp_path, option, value, named):
    (tmp_path / "x").write_bytes(b"hello")
    given = {"path": str(tmp_path / "x"), "output": str(tmp_path / "x.torrent"), "tracker": [], "piece_length": None, "private": False, "web_seed": [],
             "comment": None, option: value}
    with pytest.raises(MetainfoError, match=re.escape(named)):
        create.run(argparse.Namespace(**given))
    assert not (tmp_path / "x.torrent").exists()


def test_a_file_to_share_is_never_overwritten_by_its_torrent(tmp_path):
    payload = tmp_path / "made.torrent"                 # also where `created` writes
    payload.write_bytes(b"precious" * 5_000)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(payload)
    for path in (payload, tmp_path / "folder"):
        with pytest.raises(StorageError, match="one of the files to share"):
            created(tmp_path, path)
    assert payload.read_bytes() == b"precious" * 5_000


def test_a_file_that_is_no_torrent_is_not_overwritten_and_an_older_torrent_is(tmp_path):
    payload, output = tmp_path / "payload", tmp_path / "made.torrent"
    payload.write_bytes(b"x" * 50_000)
    output.write_bytes(b"my diary")
    with pytest.raises(StorageError, match=r"no \.torrent lies there"):
        created(tmp_path, payload)
    assert output.read_bytes() == b"my diary"
    output.unlink()
    created(tmp_path, payload)
    assert created(tmp_path, payload, comment="newer").comment == "newer"
