"""A complete torrent dials, too, unless the user does not want that; it says that it is finished, so that it gets fewer turns."""

import pytest

from actors import messages as m
from protocol import daemon_messages as dm
from scheduler.settings import settings_from
from tests.actors.torrent_world import ALL_PIECES, INFO_HASH, NUM_PIECES, SEEDS_WAIT, TorrentWorld, address, bitfield

PEERS = tuple(map(address, range(1, 6)))
SEEDS_DIAL = settings_from({"seeds_dial": True})


def asked(world: TorrentWorld) -> list[tuple[int, bool]]:
    """Return and forget what the broker was asked for: (count, is finished)."""
    return [(message.count, message.is_finished) for message in world.broker.take(m.RequestConnections)]


def world_of(seeds_dial: bool, verified: bytes) -> TorrentWorld:
    world = TorrentWorld(peers=PEERS, settings=SEEDS_DIAL if seeds_dial else SEEDS_WAIT)
    world.tell(m.StartTorrent())
    world.daemon_is_ready()
    world.checked(verified)
    return world


@pytest.mark.parametrize(("seeds_dial", "verified", "expected"), [
    (False, bitfield(), [(5, False)]), (True, bitfield(), [(5, False)]), (False, ALL_PIECES, []), (True, ALL_PIECES, [(5, True)]),
])
def test_who_asks_says_whether_it_is_finished(seeds_dial, verified, expected):
    world = world_of(seeds_dial, verified)
    assert asked(world) == expected
    world.grant()
    assert len(world.to_daemon(dm.Dial)) == len(expected)
    assert [declined.reason for declined in world.broker.take(m.SlotDeclined)] == ["complete"] * (1 - len(expected))


def test_a_torrent_that_becomes_complete_goes_on_with_its_dials_and_says_that_it_is_finished():
    world = world_of(True, bitfield(*range(1, NUM_PIECES)))
    world.grant()
    world.forget()
    world.tell(dm.PiecesVerified(INFO_HASH, [0]))
    assert asked(world) == [(4, True)]
    assert world.broker.take(m.CancelRequests) == [] and world.to_daemon(dm.CancelDials) == []


def test_the_user_may_change_his_mind_while_it_seeds():
    world = world_of(False, ALL_PIECES)
    world.tell(m.ApplySettings(SEEDS_DIAL))
    assert asked(world) == [(5, True)]
    world.grant()
    world.tell(m.ApplySettings(SEEDS_WAIT))
    assert world.broker.take(m.CancelRequests) == [m.CancelRequests(INFO_HASH)]
    assert world.to_daemon(dm.CancelDials) == [dm.CancelDials(INFO_HASH)]
    world.advance(100)
    assert asked(world) == []


def test_settings_start_nothing_in_a_torrent_that_does_not_run():
    world = TorrentWorld(peers=PEERS)
    world.tell(m.ApplySettings(SEEDS_DIAL))
    assert asked(world) == [] and world.to_daemon() == []


def test_another_seed_is_not_dialled_again_until_we_lack_something():
    world = world_of(True, ALL_PIECES)
    for _ in PEERS:
        world.disconnect(world.connect(), dm.BOTH_SEEDS, seconds=0.1)
    assert {peer.next_try - world.time.now for peer in world.actor._swarm} == {3_600.0}
    world.tell(m.RecheckTorrent(), dm.TorrentStopped(INFO_HASH))
    world.forget()
    world.checked(bitfield(1, 2))
    assert asked(world) == [(5, False)]
