import pytest

from ui.terminal.live_table import cells
from ui.terminal.text import human_bytes, human_rate, human_time, percent, printable


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB"), (1 << 70, "1048576.0 PiB")])
def test_bytes_are_shown_with_the_unit_that_fits(count, text):
    assert human_bytes(count) == text


def test_no_rate_is_a_dash():
    assert human_rate(0) == "-"
    assert human_rate(2048) == "2.0 KiB/s"


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (59.9, "59 s"), (200, "3 m 20 s"), (10_000, "2 h 46 m")])
def test_times_are_shown_in_two_units_at_most(seconds, text):
    assert human_time(seconds) == text


@pytest.mark.parametrize(("part", "whole", "text"), [(0, 0, "?"), (0, 3, "0.0"), (1, 3, "33.3"), (9_999, 10_000, "99.9"), (9_999_999, 10_000_000, "99.9"), (5, 5, "100")])
def test_100_percent_is_said_only_of_what_is_complete(part, whole, text):
    assert percent(part, whole) == text


def test_a_foreign_name_cannot_move_the_cursor_or_turn_the_line_around():
    assert printable("a\x1b[2Jb\u202ec\nd") == "a\\x1b[2Jb\\u202ec\\nd"
    assert printable("Übergröße 日本") == "Übergröße 日本"


@pytest.mark.parametrize(("filled", "of", "drawn"), [(2, 4, "●●○○"), (0, 3, "○○○"), (9, 4, "●●●●"), (-1, 2, "○○")])
def test_a_row_of_cells_has_one_for_each_unit_of_the_limit(filled, of, drawn):
    assert cells(filled, of, "●", "○") == drawn


def test_a_limit_of_more_than_40_is_drawn_in_40_cells():
    assert cells(50, 100, "●", "○") == "●" * 20 + "○" * 20
