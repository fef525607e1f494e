"""Which files nobody but us can have changed since their pieces were recorded."""

import pytest

from daemon.file_history import NANOSECONDS, UNRECORDED_SECONDS, FileHistory
from protocol.daemon_messages import FileState, KnownFiles

RECORDED_AT = 1_000 * NANOSECONDS
BEFORE = FileState(0, 500, 990 * NANOSECONDS)
SOON = RECORDED_AT + 5 * NANOSECONDS
LATE = RECORDED_AT + UNRECORDED_SECONDS * NANOSECONDS + 1


def judged(now, *, is_settled=False, before=BEFORE):
    history = FileHistory(KnownFiles(bytes(20), RECORDED_AT, is_settled, [] if before is None else [before]))
    history.judge(0, 1_000, now)
    return history


@pytest.mark.parametrize(("now", "before", "is_settled", "is_trusted"), [
    (BEFORE, BEFORE, True, True),
    (BEFORE, BEFORE, False, True),
    (FileState(0, 500, SOON), BEFORE, False, True),                 # what we wrote before we were killed
    (FileState(0, 900, SOON), BEFORE, False, True),
    (FileState(0, 900, SOON), None, False, True),                   # made after the record
    (None, None, False, True),
    (FileState(0, 500, SOON), BEFORE, True, False),                 # we wrote nothing any more
    (FileState(0, 499, SOON), BEFORE, False, False),                # what we write never makes a file shorter
    (FileState(0, 500, BEFORE.changed_at - 1), BEFORE, False, False),   # an older file in its place
    (FileState(0, 500, LATE), BEFORE, False, False),                # long after we were killed
    (FileState(0, 900, LATE), None, False, False),
    (None, BEFORE, False, False),
    (None, BEFORE, True, False),
    (FileState(0, 501, BEFORE.changed_at), BEFORE, True, False),
])
def test_pieces_are_believed_only_in_files_that_only_we_can_have_changed(now, before, is_settled, is_trusted):
    assert judged(now, before=before, is_settled=is_settled).is_trusted(0) is is_trusted


def test_of_a_torrent_at_rest_nothing_new_can_have_become_right_in_unchanged_files():
    assert judged(BEFORE, is_settled=True).is_unchanged(0)


@pytest.mark.parametrize(("now", "is_settled"), [(BEFORE, False), (FileState(0, 500, SOON), True), (FileState(0, 500, SOON), False), (None, True)])
def test_everywhere_else_it_can(now, is_settled):
    assert not judged(now, is_settled=is_settled).is_unchanged(0)


def test_only_pieces_that_reach_into_a_changed_file_are_doubted():
    history = FileHistory(KnownFiles(bytes(20), RECORDED_AT, True, [FileState(0, 10, 1), FileState(1, 10, 1)]))
    history.judge(0, 10, FileState(0, 10, 2))
    history.judge(1, 20, FileState(1, 10, 1))
    assert not history.is_trusted(9) and not history.is_unchanged(9)
    assert history.is_trusted(10) and history.is_unchanged(10)


def test_without_a_record_of_the_files_pieces_are_believed_and_nothing_is_known_to_be_wrong():
    history = FileHistory(None)
    history.judge(0, 1_000, FileState(0, 1, 1))
    assert history.is_trusted(0) and not history.is_unchanged(0)
