"""TrackerAnnouncer, pumped by hand: messages in, announces and messages out."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import gevent.queue
import pytest

from actors import messages as m
from actors.announce_gate import AnnounceGate
from actors.engine_actor import UnknownMessage
from actors.http_tracker import HttpTracker
from actors.tracker_announcer import ANNOUNCE_SECONDS, GOODBYE_SECONDS, TrackerAnnouncer
from protocol.bencoding import encode
from protocol.peer_address import PeerAddress
from protocol.tracker_messages import AnnounceResponse
from scheduler.announce_budget import AnnounceBudget
from scheduler.settings import Settings
from tests.actors.loopback_tracker import answer, loopback_tracker
from tests.actors.pump import RecordingLog, RecordingRef, VirtualTime, pump

INFO_HASH = b"\xff" * 20
PEERS = (PeerAddress("127.0.0.1", 6881), PeerAddress("::1", 6882))
A, B, C = "http://a.example/announce?passkey=secret", "https://b.example/announce", "http://c.example/announce"


@dataclass
class AnnounceUnderWay:
    """What HttpTracker was asked for."""

    url: str
    deadline: float
    on_end: Callable[[AnnounceResponse | None, str], None]
    is_killed: bool = False

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.url).query, encoding="latin-1").items()}

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname[0]

    def kill(self, *, block: bool) -> None:
        assert not block
        self.is_killed = True


class FakeHttp:
    """Stands for HttpTracker: remembers announces, which a test ends."""

    def __init__(self) -> None:
        self.announces: list[AnnounceUnderWay] = []

    def start(self, url: str, deadline: float, on_end) -> AnnounceUnderWay:
        self.announces.append(AnnounceUnderWay(url, deadline, on_end))
        return self.announces[-1]


class Unmoved:
    """A random source without surprises."""

    def random(self) -> float:
        return 0.0

    def randrange(self, stop: int, /) -> int:
        return 0xBADCAFE

    def shuffle(self, items, /) -> None:
        pass


class World:
    """One announcer in virtual time, between a torrent that remembers and trackers that a test plays."""

    def __init__(self, *tiers: tuple[str, ...], most: int = 30, settings: Settings | None = None) -> None:
        self.time, self.http, self.log, self.torrent, self.session = VirtualTime(), FakeHttp(), RecordingLog(), RecordingRef(), RecordingRef()
        times = {"clock": self.time.clock, "call_later": self.time.call_later}
        self.gate = AnnounceGate(AnnounceBudget(most_under_way=most), **times)
        self.announcer = TrackerAnnouncer(
            self.session, torrent=self.torrent, info_hash=INFO_HASH, tiers=tiers, peer_id=b"-EW0100-123456789012",
            settings=settings or Settings(), gate=self.gate, http=self.http, rng=Unmoved(), log=self.log, **times,
        )

    def tell(self, *messages) -> None:
        for message in messages:
            self.announcer.actor_ref.tell(message)
        pump(self.announcer)

    def start(self, left: int = 1_000, port: int = 6881) -> None:
        self.tell(m.StartAnnouncing(port, left))

    def stop(self) -> None:
        self.tell(m.StopAnnouncing(self.torrent))

    def advance(self, seconds: float) -> None:
        self.time.advance(seconds, self.announcer)

    @property
    def asked(self) -> list[tuple[str, str]]:
        """(first letter of the host, event) of each announce so far."""
        return [(announce.host, announce.query.get("event", "")) for announce in self.http.announces]

    def end(self, response: AnnounceResponse | None, error: str = "", index: int = -1) -> None:
        """The tracker answers an announce, the last one by default."""
        self.http.announces[index].on_end(response, error)
        pump(self.announcer)

    def answer(self, index: int = -1, **fields) -> None:
        self.end(AnnounceResponse(**{"interval": 1800, **fields}), index=index)

    def fail(self, error: str = "did not answer", index: int = -1) -> None:
        self.end(None, error, index)

    @property
    def reports(self) -> list[m.TrackerReported]:
        return self.torrent.take(m.TrackerReported)

    @property
    def num_stopped(self) -> int:
        return len(self.torrent.take(m.AnnouncerStopped))


def started(*tiers: tuple[str, ...], **options) -> World:
    world = World(*tiers, **options)
    world.start()
    return world


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


def test_a_seed_asks_for_no_peers():
    world = World((A,))
    world.start(left=0)
    assert world.http.announces[0].query["numwant"] == "0"


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


# ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


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
