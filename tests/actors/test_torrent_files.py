"""TorrentActor: complete means all that the user wants; trackers hear what is missing of the whole."""

from dataclasses import replace

from actors import messages as m
from actors.snapshots import DOWNLOADING, SEEDING
from protocol import daemon_messages as dm
from protocol.metainfo import FileEntry
from scheduler.file_selection import HIGH, NORMAL, SKIP, FileSelection
from tests.actors.torrent_world import (
    ALL_PIECES,
    INFO_HASH,
    LAST_PIECE_BYTES,
    NUM_PIECES,
    PIECE_BYTES,
    TorrentWorld,
    add_order,
    address,
    bitfield,
)

FIRST_HALF = FileSelection(bytes((NORMAL, SKIP)))
TOTAL = PIECE_BYTES * (NUM_PIECES - 1) + LAST_PIECE_BYTES


def two_files(selection=None) -> m.AddTorrent:
    """Pieces 0 to 4, and 4 to 9."""
    order, size = add_order(), 4 * PIECE_BYTES + 1
    files = (FileEntry(("a",), size, 0, False), FileEntry(("b",), TOTAL - size, size, False))
    info = replace(order.metainfo.info, files=files, is_single_file=False)
    return replace(order, metainfo=replace(order.metainfo, info=info), selection=selection or FileSelection())


def test_the_daemon_gets_the_choice_with_the_torrent():
    world = TorrentWorld(order=two_files(FileSelection(bytes((HIGH, SKIP)), sequential=True)))
    world.tell(m.StartTorrent())
    world.daemon_is_ready()
    [given] = world.to_daemon(dm.AddTorrent)
    assert (given.file_priorities, given.sequential, given.first_last_first) == (bytes((HIGH, SKIP)), True, False)


def test_a_torrent_with_all_wanted_pieces_is_complete_and_trackers_hear_what_is_missing_of_the_whole():
    world = TorrentWorld(order=two_files(FIRST_HALF)).run()
    world.tell(dm.PiecesVerified(INFO_HASH, [0, 1, 2, 3]))
    snapshot = world.snapshot()
    assert (snapshot.state, snapshot.wanted_bytes, snapshot.wanted_verified_bytes) == (DOWNLOADING, 5 * PIECE_BYTES, 4 * PIECE_BYTES)
    world.tell(dm.PiecesVerified(INFO_HASH, [4]), dm.PiecesDurable(INFO_HASH, [0, 1, 2, 3, 4]))
    assert world.states() == [SEEDING] and world.snapshot().state == SEEDING
    assert world.log.named("torrent_completed")[0]["total_bytes"] == 5 * PIECE_BYTES
    assert world.announcer.take(m.TransferReported)[-1].left == TOTAL - 5 * PIECE_BYTES     # so no `completed` is sent


def test_files_that_become_wanted_make_a_complete_torrent_download_again_and_seeds_are_dialled_again():
    world = TorrentWorld(order=two_files(FIRST_HALF), peers=()).run(bitfield(0, 1, 2, 3, 4))
    world.tell(m.PeersFound("tracker", (address(1),)))
    assert world.snapshot().state == SEEDING and not world.broker.take(m.RequestConnections)
    chosen = FileSelection(bytes((NORMAL, HIGH)), first_last_first=True)
    world.tell(m.SetFilePriorities(chosen))
    assert world.to_daemon(dm.SetFilePriorities) == [dm.SetFilePriorities(INFO_HASH, chosen.priorities, False, True)]
    assert world.snapshot().state == DOWNLOADING
    assert world.broker.take(m.RequestConnections)


def test_files_that_are_skipped_make_a_torrent_complete():
    world = TorrentWorld(order=two_files()).run(bitfield(0, 1, 2, 3, 4))
    assert world.snapshot().state == DOWNLOADING
    world.tell(m.SetFilePriorities(FIRST_HALF))
    assert world.states() == [SEEDING]
    assert world.snapshot().wanted_verified_bytes == world.snapshot().wanted_bytes == 5 * PIECE_BYTES


def test_a_new_daemon_gets_the_newest_choice():
    world = TorrentWorld(order=two_files()).run()
    world.tell(m.SetFilePriorities(FIRST_HALF), m.DaemonLost())
    world.forget()
    world.daemon_is_ready()
    assert world.to_daemon(dm.AddTorrent)[0].file_priorities == FIRST_HALF.priorities
    world.checked(bitfield(0, 1, 2, 3, 4))
    assert world.snapshot().state == SEEDING


def test_a_choice_for_another_number_of_files_changes_nothing():
    world = TorrentWorld(order=two_files()).run(ALL_PIECES)
    world.tell(m.SetFilePriorities(FileSelection(bytes((SKIP, SKIP, SKIP)))))
    assert world.to_daemon(dm.SetFilePriorities) == [] and world.snapshot().wanted_bytes == TOTAL
