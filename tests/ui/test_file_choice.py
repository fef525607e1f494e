"""`--files 1,3-5`, `--skip 2`: what is typed becomes a selection, or a sentence that says what is wrong."""

import pytest

from protocol.errors import SettingsError
from scheduler.file_selection import NORMAL, SKIP, FileSelection
from tests.daemon.built_torrents import build_torrent
from ui.commands.file_choice import chosen_files, numbered

INFO = build_torrent([("a", 10), ("pad", 5, "padding"), ("b", 10), ("c", 0), ("d", 10)]).info


def wanted(files=None, skip=None):
    priorities = chosen_files(INFO, files, skip, False, False).priorities
    assert len(priorities) == len(INFO.files) and set(priorities) <= {SKIP, NORMAL}
    return "".join(file.path[-1] for priority, file in zip(priorities, INFO.files, strict=True) if priority)


@pytest.mark.parametrize(("files", "skip", "names"), [
    ("1", None, "a"), ("2", None, "b"), ("1,3-4", None, "acd"), (" 4 , 1 - 2", None, "abd"), ("2-2,2", None, "b"),
    (None, "1", "bcd"), (None, "2-4", "a"), ("1-3", "2", "ac"),
])
def test_numbers_and_ranges_are_those_that_show_prints_without_padding(files, skip, names):
    assert wanted(files, skip) == names


def test_without_a_choice_all_files_are_wanted():
    assert chosen_files(INFO, None, None, False, False) == FileSelection()
    assert chosen_files(INFO, None, None, True, True) == FileSelection(b"", sequential=True, first_last_first=True)


@pytest.mark.parametrize("text", ["0", "5", "3-2", "1-9", "x", "1,,2", "-1", "1-", "٣", "1" * 5_000])
def test_what_is_no_number_of_a_file_is_refused_with_the_option_and_the_part(text):
    with pytest.raises(SettingsError, match=r"^--files .*(numbered from 1 to 4|for example 1,3-5)$"):
        wanted(files=text)


def test_a_choice_of_nothing_is_refused():
    with pytest.raises(SettingsError, match="no file of torrent is left"):
        wanted(files="1-2", skip="1-2")


def test_files_are_numbered_without_padding():
    assert [(number, index, file.path[-1]) for number, index, file in numbered(INFO)] == [(1, 0, "a"), (2, 2, "b"), (3, 3, "c"), (4, 4, "d")]
