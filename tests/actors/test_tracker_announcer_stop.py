"""The end of a TrackerAnnouncer's announces: stopped, said to all that know us, with little time."""

import pytest

from actors import messages as m
from actors.tracker_announcer import GOODBYE_SECONDS
from tests.actors.announcer_world import PEERS, A, B, World, started
from tests.actors.pump import pump


def test_stopped_is_said_with_a_short_deadline_and_answered_when_it_was_taken():
    world = started((A,))
    world.answer()
    world.tell(m.TransferReported(600, 20, 400))
    world.stop()
    query = world.http.announces[1].query
    assert (query["event"], query["downloaded"], query["uploaded"], query["left"], query["numwant"]) == ("stopped", "600", "20", "400", "0")
    assert world.http.announces[1].deadline == GOODBYE_SECONDS
    assert world.num_stopped == 0
    world.answer()
    assert world.num_stopped == 1
    assert world.log.named("tracker_announced")[-1]["kind"] == "stopped"
    assert world.time.timers == []


def test_a_tracker_that_does_not_take_it_is_not_waited_for():
    world = started((A,))
    world.answer()
    world.stop()
    world.advance(GOODBYE_SECONDS - 0.01)
    assert world.num_stopped == 0
    world.advance(0.01)
    assert world.num_stopped == 1
    assert world.http.announces[1].is_killed
    assert world.log.named("tracker_failed")[-1]["reason"] == "there was no time left"
    world.answer()
    assert world.num_stopped == 0, "an answer that comes after is no news"


def test_stopped_goes_at_once_to_all_that_know_us():
    world = started((A,), (B,))
    world.fail()
    world.answer(interval=30)
    world.advance(30.0)
    world.answer()
    world.stop()
    assert world.asked[-2:] == [("a", "stopped"), ("b", "stopped")]
    world.answer(index=-2)
    assert world.num_stopped == 0
    world.fail()
    assert world.num_stopped == 1


def test_stopped_does_not_overtake_an_announce_that_is_under_way():
    world = started((A,))
    world.stop()
    assert world.asked == [("a", "started")]
    world.answer(peers=PEERS)
    assert world.asked == [("a", "started"), ("a", "stopped")]
    assert world.torrent.messages == [], "who has stopped wants no peers"
    world.answer()
    assert world.num_stopped == 1


def test_an_announce_that_fails_while_it_is_waited_for_is_the_last():
    world = started((A,), (B,))
    world.stop()
    world.fail()
    assert (world.num_stopped, world.asked, world.time.timers) == (1, [("a", "started")], [])


def test_an_announce_that_takes_too_long_is_not_waited_for():
    world = started((A,))
    world.stop()
    world.advance(GOODBYE_SECONDS)
    assert (world.num_stopped, world.asked, world.time.timers) == (1, [("a", "started")], [])
    assert world.http.announces[0].is_killed


def test_a_download_that_ends_with_its_last_piece_says_completed_and_then_stopped():
    world = started((A,))
    world.answer()
    for message in (m.TransferReported(1_000, 0, 0), m.StopAnnouncing(world.torrent)):
        world.announcer.actor_ref.tell(message)
    pump(world.announcer)
    world.answer()
    assert world.num_stopped == 0
    world.answer()
    assert world.asked == [("a", "started"), ("a", "completed"), ("a", "stopped")]
    assert world.num_stopped == 1


def test_completed_that_is_under_way_at_the_end_is_not_said_twice():
    world = started((A,))
    world.answer()
    world.tell(m.TransferReported(1_000, 0, 0))
    world.stop()
    world.answer()
    world.answer()
    assert world.asked == [("a", "started"), ("a", "completed"), ("a", "stopped")]
    assert world.num_stopped == 1


@pytest.mark.parametrize(("tiers", "is_started"), [([(A,)], False), ([], True), ([("udp://u.example:80",)], True)], ids=["never started", "no trackers", "only UDP"])
def test_with_nobody_to_tell_the_stop_is_answered_at_once(tiers, is_started):
    world = World(*tiers)
    if is_started:
        world.start()
    world.stop()
    assert (world.num_stopped, world.asked, world.time.timers) == (1, [], [])


def test_a_tracker_that_never_answered_is_not_told_stopped():
    world = started((A,))
    world.fail()
    world.stop()
    assert (world.num_stopped, world.asked, world.time.timers) == (1, [("a", "started")], [])


def test_each_who_asks_to_stop_is_answered():
    world = started((A,))
    world.answer()
    world.stop()
    world.stop()
    assert world.asked[1:] == [("a", "stopped")]
    world.answer()
    assert world.num_stopped == 2
    world.stop()
    assert world.num_stopped == 1


def test_nothing_is_announced_after_the_stop():
    world = started((A,))
    world.answer()
    world.stop()
    world.answer()
    world.tell(m.AnnounceNow(), m.TransferReported(1_000, 0, 0))
    world.advance(10_000.0)
    assert world.asked == [("a", "started"), ("a", "stopped")]


def test_started_does_not_overtake_stopped_and_totals_count_from_there():
    world = started((A,))
    world.answer()
    world.tell(m.TransferReported(600, 20, 400))
    world.stop()
    world.start(left=400)
    assert world.asked == [("a", "started"), ("a", "stopped")]
    world.answer()
    assert world.num_stopped == 1
    assert world.asked[2:] == [("a", "started")]
    world.tell(m.TransferReported(700, 20, 300))
    world.answer()
    world.advance(1_800.0)
    query = world.http.announces[-1].query
    assert (query["downloaded"], query["uploaded"], query["left"]) == ("100", "0", "300")


def test_a_stop_takes_back_a_start_that_waits_for_stopped():
    world = started((A,))
    world.answer()
    world.stop()
    world.start()
    world.stop()
    world.answer()
    assert world.num_stopped == 2
    assert world.asked == [("a", "started"), ("a", "stopped")]
