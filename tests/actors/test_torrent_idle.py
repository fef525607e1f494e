"""Idle connections make room: the torrent offers the one that has been of no use longest, and has it closed when it is asked to."""

import pytest

from actors import messages as m
from protocol import daemon_messages as dm
from tests.actors.torrent_world import INFO_HASH, TorrentWorld, address


class IdleWorld(TorrentWorld):
    """With some connections. `grant_of` and `ids` in the order in which they were made."""

    def __init__(self, num_connections: int = 3) -> None:
        super().__init__(peers=tuple(map(address, range(1, 20))))
        self.run()
        self.grant_of = {}
        for _ in range(num_connections):
            grant_id = self.grant()
            self.grant_of[self.connect(grant_id)] = grant_id
        self.ids = list(self.grant_of)
        self.forget()

    def idle(self, connection_id: int, seconds: float | None) -> None:
        self.tell(dm.PeerIdle(INFO_HASH, connection_id, seconds))

    def offers(self) -> list[tuple[int | None, float]]:
        """Return and forget (connection id, idle seconds) of what was offered."""
        connection_of = {grant_id: connection_id for connection_id, grant_id in self.grant_of.items()}
        return [(connection_of.get(offer.grant_id), offer.idle_seconds) for offer in self.broker.take(m.IdleConnectionOffered)]

    def closes(self) -> list[int]:
        return [order.connection_id for order in self.to_daemon(dm.CloseIdlePeer)]


def test_the_longest_idle_connection_is_offered_and_only_changes_are_told():
    world = IdleWorld()
    first, second, third = world.ids
    world.idle(second, 300.0)
    assert world.offers() == [(second, 300.0)]
    world.advance(100.0)
    world.idle(first, 300.0)
    assert world.offers() == []
    world.idle(third, 500.0)                            # of another beginning: it was told late
    assert world.offers() == [(third, 500.0)]


def test_one_that_is_useful_again_is_replaced_by_the_next_or_none():
    world = IdleWorld()
    first, second, _ = world.ids
    world.idle(first, 300.0)
    world.idle(second, 300.0)
    world.offers()
    world.idle(first, None)
    assert world.offers() == [(second, 300.0)]
    world.idle(second, None)
    assert world.offers() == [(None, 0.0)]


def test_when_the_place_is_needed_the_daemon_closes_it_unless_it_became_useful():
    world = IdleWorld()
    connection_id = world.ids[0]
    world.idle(connection_id, 300.0)
    world.tell(m.CloseIdleConnection(world.grant_of[connection_id]))
    assert world.closes() == [connection_id]
    assert world.broker.take(m.ConnectionClosed) == []  # not before it is so


def test_a_closed_idle_connection_is_nobodys_fault_and_not_dialled_again_at_once():
    world = IdleWorld()
    connection_id = world.ids[0]
    world.idle(connection_id, 300.0)
    world.forget()
    world.disconnect(connection_id, dm.IDLE, seconds=1.0)
    assert world.broker.take(m.ConnectionClosed) == [m.ConnectionClosed(world.grant_of[connection_id])]
    assert [event["reason"] for event in world.log.named("peer_disconnected")] == [dm.IDLE]
    record = next(peer for peer in world.actor._swarm if peer.reason == dm.IDLE)
    assert (record.failures, record.quick_disconnects, record.last_failure, record.last_error) == (0, 0, None, "")
    assert record.next_try - world.time.now == 300.0


def test_the_end_of_an_offered_connection_offers_the_next_one():
    world = IdleWorld()
    first, second, third = world.ids
    world.idle(first, 400.0)
    world.idle(second, 300.0)
    world.offers()
    world.disconnect(third)
    assert world.offers() == []
    world.disconnect(first, dm.IDLE)
    assert world.offers() == [(second, 300.0)]
    world.disconnect(second)
    assert world.offers() == []                         # the broker knows that it is gone


@pytest.mark.parametrize("grant_id", [0, 99])
def test_a_place_that_cannot_be_given_is_answered_by_what_is_idle_now(grant_id):
    world = IdleWorld()
    first, second, _ = world.ids
    world.tell(m.CloseIdleConnection(world.grant_of[first]))        # it became useful before that came
    assert (world.offers(), world.closes()) == ([(None, 0.0)], [])
    world.idle(second, 300.0)
    world.offers()
    world.tell(m.CloseIdleConnection(grant_id))
    assert (world.offers(), world.closes()) == ([(second, 300.0)], [])


def test_incoming_connections_are_offered_as_well():
    world = IdleWorld(num_connections=0)
    connection_id, grant_id = world.accept()
    world.grant_of[connection_id] = grant_id
    world.idle(connection_id, 300.0)
    assert world.offers() == [(connection_id, 300.0)]


def test_what_is_said_of_a_connection_that_is_gone_or_not_there_yet_offers_nothing():
    world = IdleWorld(num_connections=1)
    world.disconnect(world.ids[0])
    knocking = world.knock("80.7.7.7")
    world.reserve(knocking)
    world.idle(world.ids[0], 300.0)
    world.idle(knocking, 300.0)
    assert world.offers() == []


def test_nothing_is_offered_by_a_torrent_whose_daemon_died():
    world = IdleWorld()
    world.idle(world.ids[0], 300.0)
    world.idle(world.ids[1], 300.0)
    world.tell(m.DaemonLost())
    world.offers()
    world.tell(m.CloseIdleConnection(world.grant_of[world.ids[1]]))
    assert (world.offers(), world.closes()) == ([(None, 0.0)], [])
