"""What a torrent tells the store, and what it tells the next daemon of what was remembered."""

from dataclasses import replace

import pytest

from actors import messages as m
from actors.resume_data import ResumeData
from actors.torrent_memory import TOTALS_SECONDS
from protocol import daemon_messages as dm
from protocol.limits import MAX_REMEMBERED_PEERS
from protocol.peer_address import PeerAddress
from scheduler.swarm_peer import REMEMBERED
from tests.actors.pump import RecordingRef
from tests.actors.torrent_world import ALL_PIECES, INFO_HASH, NUM_PIECES, TorrentWorld, add_order, bitfield

OLD, NEW = dm.FileState(0, 500, 1), dm.FileState(0, 600, 2)


class World(TorrentWorld):
    """With a store that only remembers what it is told."""

    def __init__(self, resume=None):
        self.store = RecordingRef()
        super().__init__(order=replace(add_order(), resume=resume), store=self.store)

    def seen(self, *files, is_all=False, at=7):
        self.tell(dm.FilesSeen(INFO_HASH, at, is_all, list(files)))

    def durable(self, *pieces):
        self.tell(dm.PiecesVerified(INFO_HASH, list(pieces)), dm.PiecesDurable(INFO_HASH, list(pieces)))

    def remembered(self):
        return self.store.take(m.RememberPieces)


@pytest.fixture
def world():
    return World()


def test_pieces_are_remembered_when_they_are_durable_and_not_before(world):
    world.run()
    world.remembered()
    world.tell(dm.PiecesVerified(INFO_HASH, [0, 1]))
    assert world.remembered() == []
    world.seen(NEW)
    world.tell(dm.PiecesDurable(INFO_HASH, [0, 1]))
    assert world.remembered() == [m.RememberPieces(INFO_HASH, bitfield(0, 1), 7, False, (NEW,), False)]


def test_a_torrent_that_runs_is_not_settled_one_that_stopped_is(world):
    world.run()
    world.seen(NEW)
    world.durable(0)
    assert [fact.is_settled for fact in world.remembered()][-1] is False
    world.tell(m.StopTorrent(), dm.TorrentStopped(INFO_HASH))
    assert [fact.is_settled for fact in world.remembered()] == [True]
    world.tell(m.StartTorrent())
    assert [fact.is_settled for fact in world.remembered()] == [False]


def test_a_complete_torrent_is_settled_while_it_runs(world):
    world.run(ALL_PIECES)
    assert [fact.is_settled for fact in world.remembered()][-1] is True


def test_a_torrent_whose_daemon_died_before_it_was_stopped_is_not_settled(world):
    world.run()
    world.durable(0)
    world.tell(m.DaemonLost(), m.StopTorrent())
    assert not any(fact.is_settled for fact in world.remembered())


def test_a_check_that_finds_what_was_known_is_no_news():
    world = World(ResumeData(ALL_PIECES, 7, True, (OLD,)))
    world.tell(m.StartTorrent())
    world.daemon_is_ready()
    world.seen(OLD, is_all=True, at=9)
    world.checked(ALL_PIECES)
    assert world.remembered() == []


def test_files_that_are_gone_are_not_remembered_any_more():
    world = World(ResumeData(bitfield(0), 7, True, (OLD, dm.FileState(1, 1, 1))))
    world.tell(m.StartTorrent())
    world.daemon_is_ready()
    world.seen(NEW, is_all=True, at=9)
    world.checked(bitfield(0))
    assert world.remembered()[0] == m.RememberPieces(INFO_HASH, bitfield(0), 9, False, (NEW,), True)


def test_a_torrent_that_was_stopped_is_shown_as_it_was_and_its_daemon_hears_nothing():
    world = World(ResumeData(bitfield(0, 1), 7, True, (OLD,)))
    world.daemon_is_ready()
    assert world.snapshot().verified_bytes == 2 << 16 and world.snapshot().state == "stopped"
    assert world.to_daemon() == [] and world.timers == [] and world.store.messages == []


def test_the_daemon_is_told_how_the_files_looked_before_it_is_given_what_is_known():
    world = World(ResumeData(bitfield(0, 1), 7, True, (OLD,)))
    world.tell(m.StartTorrent())
    world.daemon_is_ready()
    known, added = (message for message in world.to_daemon() if not isinstance(message, dm.MetadataPart))
    assert known == dm.KnownFiles(INFO_HASH, 7, True, [OLD])
    assert isinstance(added, dm.AddTorrent) and added.verified == bitfield(0, 1)


def test_the_next_daemon_is_told_what_the_last_one_saw(world):
    world.run()
    world.seen(NEW, at=8)
    world.durable(3)
    world.forget()
    world.tell(m.DaemonLost())
    world.daemon_is_ready()
    assert world.to_daemon(dm.KnownFiles) == [dm.KnownFiles(INFO_HASH, 8, False, [NEW])]


def test_a_recheck_believes_nothing(world):
    world = World(ResumeData(bitfield(0, 1), 7, True, (OLD,)))
    world.tell(m.RecheckTorrent())
    world.daemon_is_ready()
    assert world.to_daemon(dm.KnownFiles) == [] and [added.verified for added in world.to_daemon(dm.AddTorrent)] == [b""]


def stats(downloaded):
    return dm.TorrentStats(INFO_HASH, downloaded, 10, 1, 0, 0, [])


def test_bytes_add_up_over_restarts_and_are_told_now_and_then_and_at_a_stop():
    world = World(ResumeData(downloaded=1_000, uploaded=100, wasted=5))
    world.run()
    world.tell(stats(1), stats(2))
    assert world.store.take(m.RememberTotals) == []
    world.advance(TOTALS_SECONDS)
    world.tell(stats(3))
    assert world.store.take(m.RememberTotals) == [m.RememberTotals(INFO_HASH, 1_003, 110, 6)]
    world.tell(stats(4), m.StopTorrent(), dm.TorrentStopped(INFO_HASH))
    assert world.store.take(m.RememberTotals) == [m.RememberTotals(INFO_HASH, 1_004, 110, 6)]
    world.tell(m.StartTorrent(), m.StopTorrent(), dm.TorrentStopped(INFO_HASH))
    assert world.store.take(m.RememberTotals) == []


def test_peers_that_were_reached_are_remembered_at_a_stop_the_last_ones_first_and_tried_after_the_next_start():
    world = World()
    world.run()
    world.tell(m.PeersFound("tracker", (PeerAddress("80.0.0.1", 6881), PeerAddress("80.0.0.2", 6881))))
    world.connect()
    world.tell(m.StopTorrent(), dm.TorrentStopped(INFO_HASH))
    (fact,) = world.store.take(m.RememberPeers)
    assert len(fact.peers) == 1 <= MAX_REMEMBERED_PEERS
    again = World(ResumeData(peers=fact.peers))
    assert [peer.sources for peer in again.actor._swarm] == [(REMEMBERED,)]


def test_pieces_that_came_back_count_as_there(world):
    world = World(ResumeData(ALL_PIECES, 7, True, (OLD,)))
    assert world.snapshot().verified_bytes == world.snapshot().total_bytes and NUM_PIECES == 10
