"""ResumeStore: an actor whose records only remember, or fail as a test says."""

import pytest

from actors import messages as m
from actors.resume_store import FIRST_RETRY_SECONDS, WRITE_SECONDS, ResumeStore
from actors.store_facts import StoreFacts
from protocol.daemon_messages import FileState
from protocol.errors import StorageError
from tests.actors.pump import RecordingLog, RecordingRef, VirtualTime, pump
from tests.actors.torrent_world import INFO_HASH, add_order

OTHER = bytes(20)


class Records:
    """Stands for ResumeRecords."""

    def __init__(self):
        self.written, self.error, self.orders, self.num_writes = [], "", [], 0

    def load(self):
        yield from self.orders
        if self.error:
            raise StorageError(self.error)

    def notices(self):
        return ()

    def write(self, facts):
        self.num_writes += 1
        if self.error:
            raise StorageError(self.error)
        self.written += facts

    def close(self):
        pass


class World:
    def __init__(self):
        self.time, self.session, self.records, self.log, self.jobs = VirtualTime(), RecordingRef(), Records(), RecordingLog(), []
        self.store = ResumeStore(
            self.session, records=self.records, in_thread=self.jobs.append, clock=self.time.clock, call_later=self.time.call_later, log=self.log,
        )

    def tell(self, *messages):
        for message in messages:
            self.store.actor_ref.tell(message)
            pump(self.store)

    def work(self):
        """Let the thread do what it was given."""
        while self.jobs:
            self.tell(self.jobs.pop(0)())

    def pass_time(self, seconds):
        self.time.advance(seconds, self.store)
        self.work()


@pytest.fixture
def world():
    return World()


def totals(downloaded, info_hash=INFO_HASH):
    return m.RememberTotals(info_hash, downloaded, 0, 0)


def test_facts_wait_for_others_and_are_written_at_once(world):
    world.tell(totals(1), totals(2), totals(3, OTHER))
    assert not world.jobs
    world.pass_time(WRITE_SECONDS)
    assert world.records.written == [totals(2), totals(3, OTHER)] and world.records.num_writes == 1
    assert world.time.timers == []                      # rest costs nothing


def test_while_a_write_is_under_way_no_other_begins_and_nothing_is_lost(world):
    world.tell(totals(1))
    world.time.advance(WRITE_SECONDS, world.store)
    world.tell(totals(2))
    world.time.advance(10 * WRITE_SECONDS, world.store)
    assert len(world.jobs) == 1
    world.work()
    world.pass_time(WRITE_SECONDS)
    assert world.records.written == [totals(1), totals(2)]


def test_what_could_not_be_written_is_tried_again_and_what_is_newer_wins(world):
    world.records.error = "the disk is full"
    world.tell(totals(1), totals(5, OTHER))
    world.pass_time(WRITE_SECONDS)
    assert world.log.named("store_failed") == [{"error": "the disk is full", "retry_in": FIRST_RETRY_SECONDS}]
    world.tell(totals(2))
    world.pass_time(FIRST_RETRY_SECONDS)
    assert len(world.log.named("store_failed")) == 2
    world.records.error = ""
    world.pass_time(2 * FIRST_RETRY_SECONDS)
    assert world.records.written == [totals(2), totals(5, OTHER)]
    assert len(world.log.named("store_recovered")) == 1


def test_a_fault_of_ours_while_writing_is_told_and_tried_again_too(world):
    world.records.write = lambda facts: 1 / 0
    world.tell(totals(1))
    world.pass_time(WRITE_SECONDS)
    assert "ZeroDivisionError" in world.log.named("store_failed")[0]["error"]


def test_at_the_end_everything_is_written_and_then_that_is_said(world):
    done = []
    world.tell(totals(1))
    world.time.advance(WRITE_SECONDS, world.store)      # a write is under way
    world.tell(totals(2), m.FlushStore(lambda: done.append(list(world.records.written))))
    world.work()
    assert done == [[totals(1), totals(2)]]
    world.tell(m.FlushStore(lambda: done.append("nothing to write")))
    assert done[1:] == ["nothing to write"]


def test_an_end_does_not_wait_for_a_disk_that_takes_nothing(world):
    done = []
    world.records.error = "the disk is full"
    world.tell(totals(1), m.FlushStore(lambda: done.append(True)))
    world.work()
    assert done == [True]


@pytest.mark.parametrize("count", [0, 1, 100, 101, 350])
def test_all_torrents_go_to_the_session_and_then_that_is_said(world, count):
    said = []
    world.records.orders = [add_order()] * count
    world.tell(m.LoadTorrents(lambda notices, error: said.append((len(world.session.messages), error))))
    world.work()
    assert said == [(count, "")]
    assert world.log.named("torrents_loaded") == [{"count": count}]


def test_what_cannot_be_read_is_said(world):
    said = []
    world.records.error = "cannot open the database"
    world.tell(m.LoadTorrents(lambda notices, error: said.append(error)))
    world.work()
    assert said == ["cannot open the database"]


# ── facts ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def pieces(verified, *files, is_all=False):
    return m.RememberPieces(INFO_HASH, verified, 1, False, files, is_all)


def facts(*given):
    waiting = StoreFacts()
    for fact in given:
        waiting.add(fact)
    return waiting


A, B, C = FileState(0, 1, 1), FileState(0, 2, 2), FileState(1, 3, 3)


@pytest.mark.parametrize(("given", "left"), [
    ([pieces(b"1", A), pieces(b"2", C)], [pieces(b"2", A, C)]),
    ([pieces(b"1", A), pieces(b"2", B)], [pieces(b"2", B)]),
    ([pieces(b"1", A, is_all=True), pieces(b"2", C)], [pieces(b"2", A, C, is_all=True)]),
    ([pieces(b"1", A), pieces(b"2", C, is_all=True)], [pieces(b"2", C, is_all=True)]),
    ([totals(1), m.ForgetTorrent(INFO_HASH)], [m.ForgetTorrent(INFO_HASH)]),
    ([m.RememberTorrent(add_order()), totals(1), m.ForgetTorrent(INFO_HASH), m.RememberTorrent(add_order())],
     [m.ForgetTorrent(INFO_HASH), m.RememberTorrent(add_order())]),
    ([m.RememberSettings((("a", 1), ("b", 1))), m.RememberSettings((("b", 2),))], [m.RememberSettings((("a", 1), ("b", 2)))]),
])
def test_the_newest_of_each_kind_is_left(given, left):
    assert list(facts(*given)) == left
    again = facts(given[-1])
    again.put_back(facts(*given[:-1]))
    assert list(again) == left


def test_nothing_is_nothing():
    assert not facts() and facts(totals(1)) and facts(m.RememberSettings((("a", 1),))) and facts(m.ForgetTorrent(OTHER))
