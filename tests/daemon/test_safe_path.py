"""Nothing is opened, made or looked at outside the download folder, whatever a .torrent says and whatever lies on the disk."""

import errno
import os
from pathlib import Path

import pytest

from daemon.open_files import OpenFiles
from daemon.piece_store import PieceStore
from daemon.safe_path import folder_below_exists, longest_name, open_below, path_parts, size_below, storage_error
from protocol.errors import StorageError
from tests.daemon.built_torrents import build_torrent, single_file


@pytest.fixture
def outside(tmp_path):
    """A folder that nobody may touch, beside the download folder."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_bytes(b"secret")
    return folder


@pytest.fixture
def folder(tmp_path, outside):
    """The download folder; whatever happened in it, nothing outside has changed."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    yield folder
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_bytes() == b"secret"
    assert {path.name for path in tmp_path.iterdir()} == {"downloads", "outside"}


def refused(folder, torrent, *, doing=("write", "read", "look")):
    """The messages of what the store says when it writes, reads, and looks at sizes."""
    store = PieceStore(str(folder), torrent.info, OpenFiles())
    calls = {
        "write": lambda: store.write_piece(0, torrent.piece(0)),
        "read": lambda: store.read_into(0, 0, [bytearray(100)]),
        "look": lambda: store.size_on_disk(0),
    }
    messages = []
    for name in doing:
        with pytest.raises(StorageError) as caught:
            calls[name]()
        messages.append(str(caught.value))
    return messages


@pytest.mark.parametrize("part", ["..", ".", "", "a/b", "/etc", "a\0b", "\ud800"])
@pytest.mark.parametrize("where", ["name", "path"])
def test_a_name_that_leads_elsewhere_is_refused_even_if_the_metainfo_let_it_pass(folder, part, where):
    torrent = build_torrent([("x/y", 100)])
    file = torrent.info.files[0]
    if where == "name":
        object.__setattr__(torrent.info, "name", part)
    else:
        object.__setattr__(file, "path", ("x", part))
    with pytest.raises(StorageError, match=r"no name for a file|no text that a file"):
        path_parts(torrent.info, file)
    refused(folder, torrent)


def test_files_of_many_lie_below_a_folder_with_the_torrents_name_and_a_single_one_does_not():
    many, single = build_torrent([("a/b", 1)], name="many"), single_file(1, "single")
    assert path_parts(many.info, many.info.files[0]) == ("many", "a", "b")
    assert path_parts(single.info, single.info.files[0]) == ("single",)


def test_a_link_in_place_of_the_file_is_not_followed(folder, outside):
    (folder / "file.bin").symlink_to(outside / "secret")
    assert all("symbolic link" in message and "file.bin" in message for message in refused(folder, single_file(100)))


def test_a_dangling_link_is_not_followed(folder, outside):
    (folder / "file.bin").symlink_to(outside / "new")
    assert all("symbolic link" in message for message in refused(folder, single_file(100)))


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_link_in_place_of_a_folder_is_not_followed(folder, outside, depth):
    parts = ["torrent", "a", "b"][:depth]
    link = folder.joinpath(*parts)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    assert all("symbolic link" in message for message in refused(folder, build_torrent([("a/b/secret", 100)])))


def test_a_link_that_stays_inside_is_not_followed_either(folder):
    (folder / "other").mkdir()
    (folder / "torrent").symlink_to("other")
    assert all("symbolic link" in message for message in refused(folder, build_torrent([("a", 100)])))


def test_the_download_folder_itself_may_be_a_link(folder):
    (folder / "real").mkdir()
    (folder / "link").symlink_to("real")
    torrent = single_file(100)
    PieceStore(str(folder / "link"), torrent.info, OpenFiles()).write_piece(0, torrent.data)
    assert (folder / "real" / "file.bin").read_bytes() == torrent.data


def test_a_file_in_place_of_a_folder_is_named(folder):
    (folder / "torrent").write_bytes(b"")
    for message in refused(folder, build_torrent([("a", 100)])):
        assert "torrent/a" in message and "a file lies where a folder should be" in message
    refused(folder / "torrent", single_file(100))


def test_a_folder_in_place_of_the_file_is_named(folder):
    (folder / "file.bin").mkdir()
    assert all("a folder lies where the file should be" in message for message in refused(folder, single_file(100)))


def test_what_is_no_regular_file_is_refused_and_nobody_waits_for_it(folder):
    os.mkfifo(folder / "file.bin")
    assert all("no regular file" in message for message in refused(folder, single_file(100)))


def test_a_name_that_is_too_long_for_the_file_system_is_named(folder):
    torrent = build_torrent([("short", 10), ("x" * 300, 10)])
    store = PieceStore(str(folder / "to" / "be" / "made"), torrent.info, OpenFiles())
    with pytest.raises(StorageError, match=f"cannot write torrent/{'x' * 300}: file name too long"):
        store.check_names()
    assert longest_name(str(folder)) == 255


@pytest.mark.parametrize("name", ["ünïcödé ☃ 名前", "with space ", "-rf", "a\\b", "new\nline", "\udcff"])
def test_odd_names_are_kept_as_they_are_in_utf8(folder, name):
    torrent = single_file(10, name)
    PieceStore(str(folder), torrent.info, OpenFiles()).write_piece(0, torrent.data)
    assert os.listdir(os.fsencode(folder)) == [name.encode("utf-8", "surrogateescape")]


def test_sizes_and_folders_are_seen_without_opening_anything(folder):
    (folder / "a").mkdir()
    (folder / "a" / "b").write_bytes(b"12345")
    (folder / "a" / "b").chmod(0)
    assert size_below(str(folder), ("a", "b")) == 5
    assert size_below(str(folder), ("a", "c")) is None
    assert size_below(str(folder), ("c", "b")) is None
    assert size_below(str(folder / "missing"), ("a",)) is None
    assert folder_below_exists(str(folder), ("a",)) and not folder_below_exists(str(folder), ("c",))


def test_no_descriptor_is_left_open_by_what_failed(folder):
    (folder / "file").write_bytes(b"")
    (folder / "dir").mkdir()
    for parts in (("file", "x"), ("dir",), ("missing", "x"), ("dir", "y" * 300)):
        with pytest.raises(OSError):
            open_below(str(folder), parts, os.O_RDWR, create=parts[0] != "missing")
    still_open = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink() and os.path.realpath(link).startswith(str(folder))]
    assert still_open == []


@pytest.mark.parametrize(("code", "text"), [
    (errno.ENOSPC, "cannot write a/b: no space left on device (in /downloads; make room there, then start the torrent again)"),
    (errno.EIO, "cannot write a/b: input/output error (in /downloads; the disk may be failing)"),
    (errno.EROFS, "cannot write a/b: read-only file system (in /downloads; choose another download folder)"),
    (errno.EBADF, "cannot write a/b: bad file descriptor (in /downloads)"),
])
def test_an_error_says_what_is_wrong_where_and_what_to_do(code, text):
    assert str(storage_error("write", ("a", "b"), "/downloads", OSError(code, os.strerror(code)))) == text
