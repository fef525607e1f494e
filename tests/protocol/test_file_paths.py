"""What may be the name of a file; the table of refused .torrent files is in tests/fuzz."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import MetainfoError
from protocol.file_paths import check_name, check_paths, component_text
from protocol.limits import MAX_COMPONENT_BYTES, MAX_PATH_BYTES


@pytest.mark.parametrize(("raw", "text"), [
    (b"plain.txt", "plain.txt"), ("Übung 1/日本".encode(), "Übung 1/日本"), (b"\xff\xfe", "%FF%FE"), (b"caf\xe9.txt", "caf%E9.txt"), (b"100%.txt", "100%.txt"),
    (b"\xc0\xaf", "%C0%AF"), (b"\xed\xa0\x80", "%ED%A0%80"), (b"\xf8\x88\x80\x80\x80", "%F8%88%80%80%80"), (b"\xc3", "%C3"), (b"", ""),
])
def test_a_byte_that_is_not_utf_8_becomes_percent_and_two_digits(raw, text):
    assert component_text(raw) == text


@given(st.binary())
def test_the_text_of_any_bytes_can_be_written_as_utf_8(raw):
    assert component_text(raw).encode().decode() == component_text(raw)


@pytest.mark.parametrize("name", ["a", "...", ".hidden", "a b", "a\\b", "C:", "CON", "a\nb", "\x1b[2J", "~", "-rf", "a" * MAX_COMPONENT_BYTES, "日" * 85])
def test_what_the_file_system_takes_is_a_name(name):
    check_name(name, "x.torrent")


@pytest.mark.parametrize("name", ["", ".", "..", "/", "a/b", "../a", "/a", "a/", "a\0", "\0", "a" * (MAX_COMPONENT_BYTES + 1), "日" * 86])
def test_what_names_no_file_or_leads_elsewhere_is_refused(name):
    with pytest.raises(MetainfoError, match=r"^x\.torrent: info\.name "):
        check_name(name, "x.torrent")
    with pytest.raises(MetainfoError, match=r"^x\.torrent: path "):
        check_paths("good", [(("folder", name), False)], "x.torrent")


def check(*paths: str, padding: bool = False) -> None:
    check_paths("folder", [(tuple(path.split("/")), padding) for path in paths], "x.torrent")


def test_files_may_share_folders_and_names_that_differ_in_case():
    check("a/b/c", "a/b/d", "a/c", "A/b/c", "b", "ab")


@pytest.mark.parametrize(("paths", "named"), [
    (["a", "b", "a"], "'a' is there twice"), (["a/b", "a/b"], "'a/b' is there twice"), (["a", "a/b"], "'a' is a file and a folder"),
    (["a/b/c/d", "x", "a/b"], "'a/b' is a file and a folder"), (["a/b/c", "a/b/d", "a"], "'a' is a file and a folder"),
])
def test_two_files_in_one_place_are_refused(paths, named):
    with pytest.raises(MetainfoError, match=named):
        check(*paths)


def test_padding_files_may_share_a_path():
    check(".pad/1", ".pad/1", padding=True)


def test_a_path_is_bounded_with_the_name_of_the_torrent():
    part, rest = "d" * 249, MAX_PATH_BYTES - len("folder") - 13 * 250
    check("/".join([part] * 13 + ["f" * (rest - 1)]))
    with pytest.raises(MetainfoError, match="too long"):
        check("/".join([part] * 13 + ["f" * rest]))
