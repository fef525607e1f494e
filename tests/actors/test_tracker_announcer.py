"""TrackerAnnouncer, pumped by hand: what it says to trackers and to its torrent, and when it has its turn."""

from urllib.parse import parse_qs, urlsplit

import gevent.queue
import pytest

from actors import messages as m
from actors.announce_gate import AnnounceGate
from actors.engine_actor import UnknownMessage
from actors.http_tracker import HttpTracker
from actors.tracker_announcer import ANNOUNCE_SECONDS, TrackerAnnouncer
from protocol.bencoding import encode
from scheduler.settings import Settings
from tests.actors.announcer_world import INFO_HASH, PEERS, A, B, C, Unmoved, World, started
from tests.actors.loopback_tracker import answer, loopback_tracker
from tests.actors.pump import RecordingLog, pump

# ── announces ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_first_announce_says_who_we_are_and_what_is_left():
    world = started((A,), settings=Settings(num_want=33))
    assert world.http.announces[0].query == {
        "passkey": "secret", "info_hash": "\xff" * 20, "peer_id": "-EW0100-123456789012", "port": "6881", "uploaded": "0", "downloaded": "0",
        "left": "1000", "compact": "1", "event": "started", "key": "0badcafe", "numwant": "33",
    }
    assert world.http.announces[0].deadline == ANNOUNCE_SECONDS


def test_peers_go_to_the_torrent_and_what_the_tracker_said_is_shown():
    world = started((A,))
    world.answer(peers=PEERS, complete=3, incomplete=4)
    assert world.torrent.take(m.PeersFound) == [m.PeersFound("tracker", PEERS)]
    assert world.reports == [m.TrackerReported("http://a.example", "", 1800.0, 3, 4)]
    assert world.log.named("tracker_announced") == [{
        "info_hash": INFO_HASH, "tracker": "http://a.example", "kind": "started", "elapsed": 0.0, "peers": 2, "seeds": 3, "leeches": 4,
        "next_announce_in": 1800.0,
    }]


def test_an_answer_without_peers_is_no_message_about_peers():
    world = started((A,))
    world.answer()
    assert world.torrent.take(m.PeersFound) == []


def test_it_announces_again_after_the_interval_with_the_newest_totals():
    world = started((A,))
    world.answer(tracker_id=b"id")
    world.tell(m.TransferReported(downloaded=700, uploaded=50, left=300))
    world.advance(1799.0)
    assert len(world.asked) == 1
    world.advance(1.0)
    assert world.asked == [("a", "started"), ("a", "")]
    query = world.http.announces[1].query
    assert (query["downloaded"], query["uploaded"], query["left"], query["trackerid"]) == ("700", "50", "300", "id")


def test_one_announce_is_under_way_at_a_time_whatever_is_asked():
    world = started((A, B), (C,))
    world.tell(m.AnnounceNow(), m.TransferReported(1, 1, 0), m.AnnounceNow())
    world.advance(3_600.0)
    assert len(world.asked) == 1


def test_who_is_in_a_hurry_waits_for_the_minimum_interval_of_the_tracker():
    world = started((A,))
    world.answer(min_interval=100)
    world.tell(m.AnnounceNow(), m.AnnounceNow())
    world.advance(99.0)
    assert len(world.asked) == 1
    world.advance(1.0)
    assert len(world.asked) == 2


def test_at_rest_there_is_one_timer_and_without_trackers_none():
    world = started((A,))
    world.answer()
    world.tell(m.AnnounceNow(), m.TransferReported(1, 1, 500))
    assert len(world.time.timers) == 1
    world = started()
    world.tell(m.AnnounceNow(), m.TransferReported(1, 1, 0))
    assert (world.time.timers, world.asked) == ([], [])


def test_a_seed_that_does_not_dial_asks_for_no_peers():
    world = World((A,), settings=Settings(seeds_dial=False))
    world.start(left=0)
    assert world.http.announces[0].query["numwant"] == "0"


def test_a_seed_that_dials_asks_for_peers():
    world = World((A,), settings=Settings(seeds_dial=True))
    world.start(left=0)
    assert world.http.announces[0].query["numwant"] == "50"


# ── failures ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_failure_leads_to_the_next_tracker_and_is_shown_until_one_answers():
    world = started((A,), (B,))
    world.fail("answered with HTML, not bencode: '<html>'")
    assert world.asked == [("a", "started"), ("b", "started")]
    assert world.reports == [m.TrackerReported("http://a.example", "http://a.example: answered with HTML, not bencode: '<html>'", 0.0, None, None)]
    world.answer()
    assert [report.error for report in world.reports] == [""]


def test_when_all_failed_they_are_asked_again_later_and_later():
    world = started((A,))
    for wait in (15.0, 30.0, 60.0):
        world.fail()
        assert world.reports[0].next_announce_in == wait
        world.advance(wait - 1.0)
        before = len(world.asked)
        world.advance(1.0)
        assert len(world.asked) == before + 1
    assert world.log.named("tracker_failed")[0] == {
        "info_hash": INFO_HASH, "tracker": "http://a.example", "kind": "started", "reason": "did not answer", "elapsed": 0.0, "next_announce_in": 15.0,
    }


def test_a_refusal_of_the_tracker_is_a_failure_that_may_say_when_to_come_back():
    world = started((A,))
    world.answer(failure="unregistered torrent", retry_in=600.0)
    assert world.reports == [m.TrackerReported("http://a.example", "http://a.example: unregistered torrent", 600.0, None, None)]
    assert world.log.named("tracker_failed")[0]["reason"] == "unregistered torrent"


def test_a_warning_is_shown_though_the_announce_was_taken():
    world = started((A,))
    world.answer(warning="this tracker moves", complete=1, incomplete=2)
    assert world.reports == [m.TrackerReported("http://a.example", "http://a.example: this tracker moves", 1800.0, 1, 2)]
    assert world.log.named("tracker_warned") == [{"info_hash": INFO_HASH, "tracker": "http://a.example", "warning": "this tracker moves"}]


def test_no_passkey_is_shown_or_logged():
    world = started((A,))
    world.fail()
    world.advance(15.0)
    world.answer(warning="x")
    assert "secret" not in str(world.log.events) + str(world.torrent.messages)


def test_udp_trackers_are_named_once_and_left_out():
    world = started(("udp://u.example:1337/announce", A), ("udp://v.example:80",))
    assert world.asked == [("a", "started")]
    assert [report.error for report in world.reports] == ["udp://v.example:80: UDP trackers come later"]
    world.answer()
    world.stop()
    world.answer()
    world.start()
    assert len(world.log.named("tracker_warned")) == 1


# ── completion ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_completed_is_said_at_once_and_once():
    world = started((A,))
    world.answer()
    world.tell(m.TransferReported(1_000, 0, 0), m.TransferReported(1_000, 5, 0))
    assert world.asked == [("a", "started"), ("a", "completed")]
    world.answer()
    world.tell(m.TransferReported(1_000, 9, 0))
    world.advance(1_799.0)
    assert len(world.asked) == 2
    world.advance(1.0)
    assert world.asked[2:] == [("a", "")]


def test_completed_while_started_is_under_way_is_said_after_it():
    world = started((A,))
    world.tell(m.TransferReported(1_000, 0, 0))
    world.answer()
    assert world.asked == [("a", "started"), ("a", "completed")]


def test_who_starts_complete_never_says_completed():
    world = World((A,))
    world.start(left=0)
    world.answer()
    world.tell(m.TransferReported(0, 10, 0))
    assert world.asked == [("a", "started")]


# ── turns ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_announce_waits_for_its_turn_and_says_what_is_right_then():
    world = World((A,), most=1)
    other = world.gate.ask(lambda: None)
    world.start()
    world.tell(m.TransferReported(300, 0, 700))
    assert world.asked == []
    other.leave()
    pump(world.announcer)
    assert world.http.announces[0].query["left"] == "700"


def test_a_stop_while_it_waits_for_its_turn_leaves_the_queue():
    world = World((A,), most=1)
    other = world.gate.ask(lambda: None)
    world.start()
    world.stop()
    assert world.num_stopped == 1
    other.leave()
    pump(world.announcer)
    assert world.asked == []


@pytest.mark.parametrize("end", [
    lambda announcer: announcer.on_stop(),
    lambda announcer: announcer.on_failure(ValueError, ValueError("x"), None),
], ids=["stop", "failure"])
def test_an_announcer_that_ends_frees_its_place_and_ends_its_announce(end):
    world = started((A,), most=1)
    turns = []
    world.gate.ask(lambda: turns.append("next"))
    assert turns == []
    end(world.announcer)
    assert turns == ["next"]
    assert world.http.announces[0].is_killed


def test_what_is_late_is_no_news():
    world = started((A,))
    world.answer()
    reports = world.reports
    world.answer(index=0, peers=PEERS)
    world.tell(m.AnnounceTurn(1), m.AnnounceTurn(99), m.AnnounceEnded(99, None, "x"), m.GoodbyeOverdue())
    assert (len(reports), world.torrent.messages, world.asked) == (1, [], [("a", "started")])


def test_new_settings_count_from_the_next_announce():
    world = started((A,))
    world.answer()
    world.tell(m.ApplySettings(Settings(num_want=7)))
    world.advance(1_800.0)
    assert world.http.announces[-1].query["numwant"] == "7"


def test_a_message_that_is_not_for_it_is_a_bug_of_the_sender():
    world = World((A,))
    with pytest.raises(UnknownMessage, match=INFO_HASH.hex()):
        world.tell(m.StartTorrent())


# ── with greenlets and HTTP ──────────────────────────────────────────────────────────────────────────────────────────────


class Inbox:
    """Stands for the ActorRef of a torrent: a test waits for what it is told."""

    def __init__(self) -> None:
        self._messages = gevent.queue.Queue()

    def tell(self, message) -> None:
        self._messages.put(message)

    def wait_for(self, kind: type):
        while True:
            message = self._messages.get(timeout=10.0)
            if isinstance(message, kind):
                return message


def test_a_running_announcer_announces_to_a_real_tracker_and_says_goodbye():
    torrent = Inbox()
    with loopback_tracker(answer(encode({"interval": 1800, "peers": PEERS[0].compact()}))) as tracker:
        announcer = TrackerAnnouncer.start(
            None, torrent=torrent, info_hash=INFO_HASH, tiers=[(tracker.url,)], peer_id=b"-EW0100-123456789012", settings=Settings(),
            gate=AnnounceGate(), http=HttpTracker(), rng=Unmoved(), log=RecordingLog(),
        )
        try:
            announcer.tell(m.StartAnnouncing(6881, 5))
            assert torrent.wait_for(m.PeersFound).peers == PEERS[:1]
            announcer.tell(m.StopAnnouncing(torrent))
            assert torrent.wait_for(m.AnnouncerStopped) == m.AnnouncerStopped(INFO_HASH)
        finally:
            announcer.stop(timeout=10.0)
        events = [parse_qs(urlsplit(head.split()[1]).query, encoding="latin-1")["event"] for head in tracker.requests]
    assert events == [["started"], ["stopped"]]
