"""Finished torrents: they dial to give, one turn in ten while somebody downloads."""

import pytest

from protocol import daemon_messages as dm
from tests.scheduler.queue_steps import QueueSteps, grants_by_name

NO_OTHER_LIMIT = {"connection_rate": 10, "connection_burst": 1, "half_open_limit": 30, "unanswered_limit": 100_000}


def grants_of(steps: QueueSteps, downloaders: str, finished: str, seconds: float):
    """Let all of them ask for ever, each dial ending at once; return the grants by name."""
    for name in downloaders:
        steps.ask(name, 10_000)
    for name in finished:
        steps.ask(name, 10_000, is_finished=True)
    given = []
    while seconds > 0:
        seconds -= 0.1
        for slot in steps.dial(0.1):
            steps.end(slot, dm.HANDSHAKE_FAILED)
            given.append(slot)
    return grants_by_name(given)


@pytest.mark.parametrize(("downloaders", "finished", "share"), [
    ("a", "z", 0.1),                                    # one each: one turn in ten
    ("ab", "xyz", 0.1),                                 # as many as there may be: still one in ten
    ("abcdefghi", "z", 1 / 82),                         # one beside nine: a ninth of what one of them gets
    ("abcd", "yz", 2 / 38),
])
def test_finished_torrents_get_one_turn_in_ten_and_none_of_them_more_than_a_ninth_of_what_another_gets(downloaders, finished, share):
    steps = QueueSteps(*downloaders, *finished, **NO_OTHER_LIMIT)
    grants = grants_of(steps, downloaders, finished, 164.0)
    assert sum(grants[name] for name in finished) / grants.total() == pytest.approx(share, rel=0.1)
    for group in (downloaders, finished):
        assert max(grants[name] for name in group) - min(grants[name] for name in group) <= 1


def test_where_nobody_downloads_finished_torrents_have_every_turn():
    steps = QueueSteps("y", "z", **NO_OTHER_LIMIT)
    grants = grants_of(steps, "", "yz", 10.0)
    assert grants.total() >= 99 and abs(grants["y"] - grants["z"]) <= 1


def test_a_torrent_that_finishes_leaves_the_turns_of_those_that_download_at_once():
    steps = QueueSteps("a", "b", **NO_OTHER_LIMIT)
    grants = grants_of(steps, "ab", "", 10.0)
    assert abs(grants["a"] - grants["b"]) <= 1
    grants = grants_of(steps, "a", "b", 20.0)
    assert grants["b"] / grants.total() == pytest.approx(0.1, rel=0.1)


def test_a_torrent_that_wants_more_again_is_no_longer_a_finished_one():
    steps = QueueSteps("a", "b", **NO_OTHER_LIMIT)
    grants_of(steps, "a", "b", 5.0)
    grants = grants_of(steps, "ab", "", 10.0)
    assert abs(grants["a"] - grants["b"]) <= 1


def test_many_finished_torrents_do_not_shrink_the_share_of_half_open_slots_of_those_that_download():
    steps = QueueSteps("a", *(f"z{number}" for number in range(100)), connection_rate=0, half_open_limit=30, unanswered_limit=10_000)
    for number in range(100):
        steps.ask(f"z{number}", 50, is_finished=True)
    steps.ask("a", 50)
    given = grants_by_name(steps.take())
    assert given["a"] == 27 and given.total() == 30


def test_finished_torrents_do_not_use_what_is_kept_for_torrents_without_a_peer():
    steps = QueueSteps("new", "done", connection_rate=100, connection_burst=1, half_open_limit=1, unanswered_limit=20)
    steps.ask("done", 100, is_finished=True)
    for _ in range(15):
        for slot in steps.dial(0.1):
            steps.end(slot, dm.TIMED_OUT)
    steps.ask("new", 100)                               # until now nobody needed what is kept, so it was used
    given = [slot.name for _ in range(5) for slot in steps.dial(0.1) if steps.end(slot, dm.TIMED_OUT) is None]
    assert given == ["new"] * 5 and steps.binding("new") == "unanswered"


def test_finished_torrents_without_a_peer_keep_nobody_from_dialling():
    steps = QueueSteps("a", "done", connection_rate=0, half_open_limit=100, unanswered_limit=20)
    steps.ask("a", 1)
    (slot,) = steps.take()
    steps.connect(slot)
    steps.ask("done", 1, is_finished=True)
    steps.take()
    steps.ask("a", 50)
    assert grants_by_name(steps.take())["a"] == 14      # three quarters of 20 less one, not half: the one without a peer is finished
