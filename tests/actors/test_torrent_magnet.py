"""A torrent of a magnet link: it takes part in the swarm for its metadata, shows what it waits for, then goes on like any other."""

import hashlib
from dataclasses import replace

import pytest

from actors import messages as m
from actors.snapshots import CHECKING, DOWNLOADING, ERROR, METADATA, STOPPED
from protocol import daemon_messages as dm
from protocol.bencoding import encode
from protocol.metainfo import unknown_metainfo
from scheduler.file_selection import FileSelection
from tests.actors.torrent_world import TorrentWorld, address

RAW = encode({b"name": b"x.bin", b"length": 40_000, b"piece length": 16_384, b"pieces": bytes(60)})
HASH = hashlib.sha1(RAW).digest()
BAD = encode({b"name": b"..", b"length": 40_000, b"piece length": 16_384, b"pieces": bytes(60)})
PEERS = tuple(address(number) for number in range(5))


def order(info_hash: bytes = HASH, **changes) -> m.AddTorrent:
    return replace(m.AddTorrent(unknown_metainfo(info_hash, "a name", ("http://a/",), ()), "/downloads", "magnet:?…", hints=PEERS), **changes)


def fetching(**options) -> TorrentWorld:
    world = TorrentWorld(order=order(**options))
    world.tell(m.StartTorrent())
    world.daemon_is_ready()
    return world


def part(raw: bytes, info_hash: bytes = HASH, begin: int = 0, end: int | None = None) -> dm.MetadataPart:
    return dm.MetadataPart(info_hash, len(raw), begin, raw[begin:end])


def test_it_takes_part_in_the_swarm_for_its_metadata():
    world = fetching()
    assert [type(message) for message in world.to_daemon()] == [dm.FetchMetadata]
    assert world.announcer.take(m.StartAnnouncing)[0].left == 16_384, "a tracker names no seeds to who says that it has everything"
    assert world.broker.take(m.RequestConnections)[-1].count == len(PEERS)
    assert world.states()[-1] == METADATA
    assert {peer.swarm_peer.source for peer in world.snapshot().peers} == {"magnet"}


def test_it_shows_what_it_waits_for():
    world = fetching()
    assert world.snapshot().why.startswith("no peer has sent the metadata yet: 0 connected, 5 queued")
    world.connect()
    assert world.snapshot().why.startswith("no peer has sent the metadata yet: 1 connected, 4 queued")
    world.tell(dm.MetadataProgress(HASH, 16_384, 20_000, 1))
    assert world.snapshot().why.startswith("metadata: 16384 of 20000 bytes, 1 peer offers it")
    assert world.snapshot().name == "a name"


def test_with_the_metadata_it_is_checked_and_downloads_and_keeps_its_connections():
    world = fetching()
    world.connect()
    world.forget()
    world.tell(part(RAW, end=50))
    assert world.states() == []
    world.tell(part(RAW, begin=50))
    given = world.to_daemon()
    assert [type(message) for message in given] == [dm.MetadataPart, dm.AddTorrent]
    assert given[0].data == RAW
    assert world.snapshot().peers_by_state["connected"] == 1
    assert world.broker.take(m.CancelRequests), "no new peers while what is on disk is checked"
    known = world.session.take(m.MetadataKnown)[0]
    assert (known.metainfo.info.raw, known.metainfo.tiers) == (RAW, (("http://a/",),))
    world.tell(dm.TorrentChecked(HASH, bytes(1)))
    assert world.states() == [CHECKING, DOWNLOADING]
    snapshot = world.snapshot()
    assert (snapshot.name, snapshot.total_bytes, snapshot.num_pieces, snapshot.peers_by_state["connected"]) == ("x.bin", 40_000, 3, 1)
    assert [type(message) for message in world.to_daemon()] == [dm.StartTorrent]
    assert world.broker.take(m.RequestConnections)


def three_files() -> bytes:
    files = [{b"length": 20_000, b"path": [name]} for name in (b"a", b"b", b"c")]
    return encode({b"files": files, b"name": b"folder", b"piece length": 16_384, b"pieces": bytes(80)})


@pytest.mark.parametrize(("selected", "chosen"), [((), b""), ((1,), b"\0\2\0"), ((0, 2), b"\2\0\2"), ((2, 9), b"\0\0\2"), ((9,), b"")])
def test_the_files_that_a_link_chooses_are_wanted_and_no_others_if_there_are_any_of_them(selected, chosen):
    raw = three_files()
    info_hash = hashlib.sha1(raw).digest()
    world = fetching(metainfo=unknown_metainfo(info_hash, "a name", (), ()), selected_files=selected)
    world.tell(part(raw, info_hash))
    assert world.to_daemon(dm.AddTorrent)[0].file_priorities == chosen
    assert world.session.take(m.MetadataKnown)[0].selection.priorities == chosen


def test_the_users_own_choice_of_files_comes_before_the_links():
    raw = three_files()
    info_hash = hashlib.sha1(raw).digest()
    world = fetching(metainfo=unknown_metainfo(info_hash, "a name", (), ()), selected_files=(1,), selection=FileSelection(b"\2\0\0"))
    world.tell(part(raw, info_hash))
    assert world.to_daemon(dm.AddTorrent)[0].file_priorities == b"\2\0\0"


def test_metadata_that_cannot_be_used_is_an_error_that_says_why():
    world = fetching(metainfo=unknown_metainfo(hashlib.sha1(BAD).digest(), "a name", (), ()))
    world.tell(part(BAD, hashlib.sha1(BAD).digest()))
    assert world.states()[-1] == ERROR
    assert "'..'" in world.snapshot().error
    assert dm.RemoveTorrent(hashlib.sha1(BAD).digest()) in world.to_daemon()


@pytest.mark.parametrize("wrong", [part(RAW, begin=5), part(BAD), dm.MetadataPart(HASH, 1 << 40, 0, b"x")], ids=["a gap", "another hash", "too long"])
def test_a_daemon_that_hands_over_something_else_is_not_believed(wrong):
    world = fetching()
    world.tell(wrong)
    assert world.states()[-1] == ERROR


def test_a_stop_leaves_the_swarm_and_a_start_asks_anew():
    world = fetching()
    world.forget()
    world.tell(m.StopTorrent())
    assert dm.StopTorrent(HASH) in world.to_daemon()
    world.tell(dm.TorrentStopped(HASH))
    assert world.states() == [STOPPED]
    world.tell(m.StartTorrent())
    assert world.to_daemon()[-1] == dm.FetchMetadata(HASH)


def test_a_daemon_that_dies_is_followed_by_one_that_asks_from_the_beginning():
    world = fetching()
    world.tell(part(RAW, end=50), m.DaemonLost())
    assert world.states()[-1] == METADATA
    world.forget()
    world.daemon_is_ready()
    assert world.to_daemon() == [dm.FetchMetadata(HASH)]
    world.tell(part(RAW))
    assert world.snapshot().name == "x.bin"


def test_after_the_metadata_a_new_daemon_is_given_the_torrent():
    world = fetching()
    world.tell(part(RAW), m.DaemonLost())
    world.forget()
    world.daemon_is_ready()
    assert [type(message) for message in world.to_daemon()] == [dm.MetadataPart, dm.AddTorrent]


def test_a_recheck_of_what_nobody_knows_changes_nothing():
    world = fetching()
    world.forget()
    world.tell(m.RecheckTorrent())
    assert world.to_daemon() == []
    assert world.snapshot().state == METADATA


def test_a_wrong_whole_is_told_in_the_log():
    world = fetching()
    world.tell(dm.MetadataFailed(HASH, 3))
    assert [fields["num_peers"] for fields in world.log.named("metadata_failed")] == [3]
