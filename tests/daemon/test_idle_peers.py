"""Which connections are of no use to either side: told when they become it and when they are useful again, closed only while they are it."""

from types import SimpleNamespace

import pytest

from daemon.idle_peers import IdlePeers
from protocol import daemon_messages as dm

HASH = b"t" * 20
IDLE_SECONDS = 300.0


class FakeTorrent:
    """Peers by key, which only know who is interested; what is sent and closed is kept."""

    info_hash = HASH

    def __init__(self, *keys: int) -> None:
        self.sent, self.closed = [], []
        self.peers = {key: SimpleNamespace(am_interested=False, peer_interested=False, close=self.closed.append) for key in keys}
        self.send = self.sent.append
        self.idle = IdlePeers(self, IDLE_SECONDS)

    def tick_until(self, end: float, start: float = 0.0) -> list[tuple[int, float | None]]:
        """Let time pass in half seconds; return what was told."""
        self.sent.clear()
        for half_second in range(round(start * 2), round(end * 2) + 1):
            self.idle.tick(half_second / 2)
        return [(message.connection_id, message.idle_seconds) for message in self.sent]


def test_a_connection_is_idle_once_neither_side_was_interested_for_so_long_and_that_is_told_once():
    torrent = FakeTorrent(1, 2)
    assert torrent.tick_until(299.5) == []
    assert torrent.tick_until(1_000, start=300) == [(1, 300.0), (2, 300.0)]


@pytest.mark.parametrize("side", ["am_interested", "peer_interested"])
def test_interest_of_either_side_begins_the_time_anew_and_ends_what_was_told(side):
    torrent = FakeTorrent(1)
    torrent.tick_until(200)
    setattr(torrent.peers[1], side, True)
    assert torrent.tick_until(900, start=200.5) == []
    setattr(torrent.peers[1], side, False)
    assert torrent.tick_until(1_300, start=900.5) == [(1, 300.0)]
    setattr(torrent.peers[1], side, True)
    assert torrent.tick_until(1_400, start=1_300.5) == [(1, None)]


def test_an_idle_connection_is_closed_by_that_name():
    torrent = FakeTorrent(1)
    torrent.tick_until(300)
    torrent.idle.close(1)
    assert torrent.closed == [dm.IDLE]


def test_one_that_became_useful_meanwhile_is_kept_and_that_is_told():
    torrent = FakeTorrent(1)
    torrent.tick_until(300)
    torrent.peers[1].peer_interested = True             # after the last tick
    torrent.sent.clear()
    torrent.idle.close(1)
    torrent.idle.close(1)
    assert (torrent.closed, torrent.sent) == ([], [dm.PeerIdle(HASH, 1, None)])


@pytest.mark.parametrize("key", [1, 7])
def test_one_that_was_never_told_idle_or_is_gone_is_not_closed(key):
    torrent = FakeTorrent(1)
    torrent.tick_until(100)
    torrent.idle.close(key)
    assert torrent.closed == []


def test_a_peer_that_left_is_forgotten():
    torrent = FakeTorrent(1)
    torrent.tick_until(300)
    torrent.idle.peer_left(1)
    torrent.idle.close(1)
    assert torrent.closed == [] and torrent.tick_until(599.5, start=300.5) == []
