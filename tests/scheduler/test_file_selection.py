"""From files to pieces: a table, and the definition itself as a second way to count."""

import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.piece_layout import PieceLayout
from scheduler.file_selection import FIRST_OR_LAST, HIGH, LOW, NORMAL, SKIP, FileSelection, piece_wishes


@dataclass(frozen=True)
class File:
    offset: int
    length: int
    padding: bool = False


def files_of(*lengths):
    """In order; a negative length is a padding file's."""
    files, offset = [], 0
    for length in lengths:
        files.append(File(offset, abs(length), padding=length < 0))
        offset += abs(length)
    return files


def wishes(lengths, priorities=(), piece_length=10, **others):
    files = files_of(*lengths)
    layout = PieceLayout(piece_length, sum(file.length for file in files))
    return piece_wishes(layout, files, FileSelection(bytes(priorities), **others))


TABLE = [
    # lengths of files, priorities, level of each piece
    ((30,), (HIGH,), ""),                               # one file, whichever priority: all alike
    ((30,), (SKIP,), "000"),
    ((10, 20), (NORMAL, SKIP), "200"),
    ((15, 15), (SKIP, NORMAL), "022"),                  # the piece that both share is wanted
    ((15, 15), (HIGH, LOW), "331"),                     # … and has the higher priority
    ((3, 3, 3, 21), (LOW, HIGH, SKIP, NORMAL), "322"),
    ((40, 0), (SKIP, HIGH), "0000"),                    # a file without bytes has no piece
    ((5, -5, 10), (SKIP, HIGH, NORMAL), "02"),          # padding goes with the file before it
    ((5, -25, 10), (NORMAL, SKIP, SKIP), "2220"),
    ((0, 20), (SKIP, NORMAL), "22"),
]


@pytest.mark.parametrize(("lengths", "priorities", "levels"), TABLE)
def test_a_piece_has_the_priority_of_the_most_urgent_file_in_it(lengths, priorities, levels):
    assert "".join(map(str, wishes(lengths, priorities).levels)) == levels


def test_without_a_selection_all_pieces_are_wanted_and_cost_nothing():
    found = wishes((25, 25))
    assert found.levels == b"" and found.sets_by_level() == () and found.wanted().is_complete


@pytest.mark.parametrize(("lengths", "priorities", "levels"), [
    ((50,), (), "52225"),
    ((10,), (), "5"),
    ((30, 30), (SKIP, LOW), "000414"),
    ((35, 35), (HIGH, LOW), "6336114"),                 # the piece that both share is the last one of a file with high priority
    ((25, -5, 30), (), "525525"),                       # padding has no first piece
])
def test_the_first_and_last_piece_of_each_wanted_file_come_first(lengths, priorities, levels):
    assert "".join(map(str, wishes(lengths, priorities, first_last_first=True).levels)) == levels


def test_a_torrent_without_bytes_has_nothing_to_wish():
    assert wishes((0,), (SKIP,)).wanted().is_complete


@given(st.integers(min_value=0))
@settings(max_examples=200, deadline=None)
def test_levels_and_sets_are_what_the_definition_says(seed):
    rng = random.Random(seed)
    lengths = [rng.choice((0, 1, 7, 10, 30, 95)) for _ in range(rng.randrange(1, 12))]
    priorities = [rng.randrange(4) for _ in lengths]
    first_last = rng.random() < 0.5
    files, found = files_of(*lengths), wishes(lengths, priorities, first_last_first=first_last)
    for piece_index in range(found.num_pieces):
        level = 0
        for file, priority in zip(files, priorities, strict=True):
            inside = [at // 10 for at in range(file.offset, file.offset + file.length)]
            if priority and piece_index in inside:
                level = max(level, priority + FIRST_OR_LAST * (first_last and piece_index in (inside[0], inside[-1])))
        if found.levels:
            assert found.levels[piece_index] == level
        else:
            assert level
        assert (piece_index in found.wanted()) == (level > 0)
    top = -(-found.num_pieces // 8) * 8 - 1
    in_order = [[index for index in range(found.num_pieces) if pieces >> top - index & 1] for pieces in found.sets_by_level()]
    assert all(len({found.levels[index] for index in pieces}) == 1 for pieces in in_order)
    assert [found.levels[pieces[0]] for pieces in in_order] == sorted(set(found.levels) - {0}, reverse=True)


@pytest.mark.parametrize("priorities", [b"\1\2", b"\1\2\3\0"])
def test_a_selection_for_another_number_of_files_is_refused(priorities):
    with pytest.raises(ValueError, match="the torrent has 3 files"):
        FileSelection(priorities).check(3)


def test_a_priority_that_there_is_not_is_refused_by_the_number_of_its_file():
    with pytest.raises(ValueError, match="file 2 is 4"):
        FileSelection(b"\1\2\4")


def test_skipped_files_are_known_by_index_and_padding_is_none_of_them():
    assert FileSelection(bytes((SKIP, SKIP, NORMAL, SKIP))).skipped(files_of(5, -5, 10, 3)) == {0, 3}
