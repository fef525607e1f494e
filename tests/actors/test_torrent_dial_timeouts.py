"""Dials under way get the timeout that is learned from all torrents together, in one message; what is learned is told to the broker."""

import itertools

from actors import messages as m
from actors.snapshots import CONNECTING, HANDSHAKING
from protocol import daemon_messages as dm
from tests.actors.pump import pump
from tests.actors.torrent_world import INFO_HASH, TorrentWorld, address


class SharedTimeout(TorrentWorld):
    """A torrent full of peers that do not answer, and answers that another torrent gets."""

    def __init__(self, num_peers: int = 20) -> None:
        super().__init__(peers=tuple(map(address, range(1, num_peers + 1))))
        self.run()

    def others_are_answered(self, elapsed: float, times: int = 5) -> None:
        for _ in range(times):
            self.connect_timeout.observe(elapsed)
        pump(self.actor)


def test_dials_under_way_get_the_timeout_that_other_torrents_dials_taught():
    world = SharedTimeout()
    for _ in range(3):
        world.grant()
    world.advance(1.0)
    world.others_are_answered(0.1)
    assert world.to_daemon(dm.ChangeDialTimeouts) == [dm.ChangeDialTimeouts(INFO_HASH, 3.0)]
    assert {row.until for row in world.snapshot().peers if row.state == CONNECTING} == {2.0}
    assert world.log.named("connect_timeout_changed") == [{"info_hash": INFO_HASH, "timeout": 3.0, "dials": 3}]
    world.grant()
    assert [dial.timeout for dial in world.to_daemon(dm.Dial)][-1] == 3.0


def test_a_refusal_is_an_answer_that_dials_learn_from():
    world = SharedTimeout()
    for _ in range(5):
        world.fail(world.grant(), dm.REFUSED)
    world.forget()
    world.grant()
    assert [dial.timeout for dial in world.to_daemon(dm.Dial)] == [1.5 * 2.5]


def test_a_dial_that_timed_out_teaches_nothing():
    world = SharedTimeout()
    for _ in range(5):
        world.fail(world.grant(), dm.TIMED_OUT)
    world.forget()
    world.grant()
    assert [dial.timeout for dial in world.to_daemon(dm.Dial)] == [10.0]


def test_answers_that_change_little_are_no_message():
    world = SharedTimeout()
    world.others_are_answered(2.0)
    world.grant()
    world.others_are_answered(2.1, times=100)           # 5 s → 5.25 s
    assert world.to_daemon(dm.ChangeDialTimeouts) == []
    world.others_are_answered(3.0, times=100)
    assert [message.timeout for message in world.to_daemon(dm.ChangeDialTimeouts)] == [7.5]


def test_a_torrent_that_dials_nobody_is_not_woken():
    world = SharedTimeout()
    world.fail(world.grant())
    world.forget()
    world.others_are_answered(0.1)
    assert world.actor.actor_inbox.empty() and world.to_daemon() == [] and world.ui_feed.take() == []


def test_a_handshake_under_way_keeps_its_own_timer():
    world = SharedTimeout()
    grant_id = world.grant()
    world.tell(dm.Dialled(INFO_HASH, grant_id, 0.5))
    world.others_are_answered(0.1)
    assert world.to_daemon(dm.ChangeDialTimeouts) == []
    row = next(row for row in world.snapshot().peers if row.state == HANDSHAKING)
    assert row.until == 10.0


def test_a_torrent_with_many_candidates_gives_its_dials_half_the_time():
    world = SharedTimeout(num_peers=200)
    world.grant()
    world.others_are_answered(8.0)                      # p95 × 2.5 = 20 s
    assert [message.timeout for message in world.to_daemon(dm.ChangeDialTimeouts)] == [10.0]


def test_a_torrent_whose_actor_died_is_not_told_for_ever():
    world = SharedTimeout()
    world.grant()
    world.actor._around.torrent = world.user            # any other ActorRef: a dead one
    world.user.is_dead = True
    world.others_are_answered(0.1)
    assert world.connect_timeout._watchers == {}


def test_what_is_said_twice_teaches_once():
    world = SharedTimeout()
    grant_id = world.grant()
    for _ in range(5):
        world.tell(dm.Dialled(INFO_HASH, grant_id, 0.1))
    assert world.connect_timeout.timeout() == 10.0


# ── how soon a peer answers ──────────────────────────────────────────────────────────────────────────────────────────────


def ended(world: TorrentWorld) -> list[tuple[str, float | None, float | None]]:
    return [(message.outcome, message.answered_in, message.answered_in_before) for message in world.broker.take(m.AttemptEnded)]


def test_the_broker_hears_how_soon_a_peer_answered_now_and_the_last_time():
    world = TorrentWorld(peers=(address(1),)).run()
    connection_ids = itertools.count(1)

    def dial(end) -> list:
        world.advance(4_000)                            # whatever wait there is, it is over
        end(world.grant(), next(connection_ids))
        return ended(world)

    def connected(grant_id, connection_id):
        world.tell(dm.Dialled(INFO_HASH, grant_id, 0.3), dm.PeerConnected(INFO_HASH, connection_id, grant_id, "80.0.0.1", 6881, False, bytes(20), "", 0.4))
        world.disconnect(connection_id)

    def silent_after_connect(grant_id, _):
        world.tell(dm.Dialled(INFO_HASH, grant_id, 0.5))
        world.fail(grant_id, dm.HANDSHAKE_FAILED)

    assert dial(lambda grant_id, _: world.fail(grant_id, dm.TIMED_OUT)) == [(dm.TIMED_OUT, None, None)]
    assert dial(connected) == [(dm.CONNECTED, 0.3, None)]
    assert dial(lambda grant_id, _: world.fail(grant_id, dm.TIMED_OUT)) == [(dm.TIMED_OUT, None, 0.3)]
    assert dial(silent_after_connect) == [(dm.HANDSHAKE_FAILED, 0.5, 0.3)]
    assert dial(lambda grant_id, _: world.fail(grant_id, dm.REFUSED)) == [(dm.REFUSED, 1.5, 0.5)]
    assert dial(lambda grant_id, _: world.fail(grant_id, dm.CANCELLED)) == [(dm.CANCELLED, None, 1.5)]
