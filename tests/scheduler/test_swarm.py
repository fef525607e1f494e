"""The peers that a torrent knows: who is a candidate, in which order, and who waits for how long."""

import random

import pytest

from actors import snapshots
from protocol.daemon_messages import (
    BOTH_SEEDS,
    CANCELLED,
    HANDSHAKE_FAILED,
    LOCAL_BUSY,
    REFUSED,
    TIMED_OUT,
    UNREACHABLE,
)
from protocol.limits import MAX_SWARM_PEERS
from protocol.peer_address import PeerAddress
from scheduler import swarm_peer
from scheduler.swarm import Swarm
from scheduler.swarm_peer import CONNECTED, CONNECTING, FAILED, HANDSHAKING, QUEUED, SwarmPeer
from tests.scheduler.swarm_steps import TIMEOUT, address, connect, dial, disconnect, fail, swarm_of

# ── sources ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_empty_swarm_has_no_candidate_and_no_next_try():
    swarm = swarm_of()
    assert (swarm.best_candidate(), swarm.num_candidates, swarm.next_try(), len(swarm)) == (None, 0, None, 0)


def test_a_peer_that_two_sources_name_is_one_record():
    swarm = swarm_of(1)
    assert swarm.add("pex", [address(1), address(1)], 5.0) == 0
    assert [peer.source for peer in swarm] == ["tracker, pex"]


@pytest.mark.parametrize("peer_address", [
    PeerAddress("80.0.0.1", 0), PeerAddress("0.0.0.0", 6881), PeerAddress("224.0.0.1", 6881), PeerAddress("255.255.255.255", 6881),
    PeerAddress("::", 6881),
])
def test_what_cannot_be_dialled_is_not_taken(peer_address):
    swarm = Swarm(random.Random(1))
    assert swarm.add("pex", [peer_address], 0.0) == 0 and len(swarm) == 0


def test_our_own_address_is_not_taken_and_not_dialled():
    swarm = swarm_of(1, 2)
    swarm.set_own([address(1), address(3)], 0.0)
    swarm.add("dht", [address(3)], 0.0)
    swarm.check_invariants()
    assert swarm.num_candidates == 1 and swarm.best_candidate().address == address(2)
    assert swarm.get(address(1)).reason == "our own address" and swarm.get(address(3)) is None


def test_a_peer_that_the_user_names_is_tried_at_once_though_it_waits():
    swarm = swarm_of(1)
    fail(swarm, 0.0)
    assert swarm.add("pex", [address(1)], 1.0) == 0
    assert swarm.add("manual", [address(1)], 1.0) == 1
    assert swarm.best_candidate().address == address(1)


# ── order ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_candidates_come_never_tried_then_succeeded_before_then_least_recently_failed():
    swarm = swarm_of(1, 2, 3)
    fail(swarm, 0.0)
    fail(swarm, 1.0)
    disconnect(swarm, connect(swarm, 2.0), 100.0)
    swarm.add("pex", [address(4), address(5)], 100.0)
    order = []
    for _ in range(5):
        order.append(dial(swarm, 500.0).address)
    assert order == [address(number) for number in (4, 5, 3, 1, 2)]


def test_a_dial_of_ours_that_was_cancelled_comes_after_those_never_tried():
    swarm = swarm_of(1, 2)
    swarm.attempt_failed(dial(swarm, 0.0), CANCELLED, "stopped", 1.0)
    assert [dial(swarm, 1.0).address, dial(swarm, 1.0).address] == [address(2), address(1)]


def test_a_dial_of_ours_that_was_cancelled_comes_before_those_that_succeeded_before():
    swarm = swarm_of(1)
    disconnect(swarm, connect(swarm, 0.0), 100.0)
    swarm.add("pex", [address(2)], 200.0)
    swarm.attempt_failed(dial(swarm, 200.0), CANCELLED, "stopped", 201.0)
    assert dial(swarm, 201.0).address == address(2)


# ── failures ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("outcome", [REFUSED, TIMED_OUT, UNREACHABLE, HANDSHAKE_FAILED])
def test_a_failed_attempt_is_booked_and_the_wait_doubles(outcome):
    swarm, now, waits = swarm_of(1), 0.0, []
    for failures in (1, 2, 3):
        peer = fail(swarm, now, outcome, "why")
        assert (peer.state, peer.failures, peer.attempts, peer.last_error, peer.reason) == (FAILED, failures, failures, "why", "why")
        waits.append(peer.next_try - now)
        assert swarm.wake(peer.next_try - 0.001) == 0 and swarm.best_candidate() is None
        now = swarm.next_try()
        assert swarm.wake(now) == 1
    assert 15 <= waits[0] < 20 and 30 <= waits[1] < 40 and 60 <= waits[2] < 80


def test_a_failure_without_a_reason_is_named_after_its_outcome():
    assert fail(swarm_of(1), 0.0, REFUSED).last_error == REFUSED


def test_local_busy_is_not_the_peers_fault():
    peer = fail(swarm_of(1), 0.0, LOCAL_BUSY, "too many files are open")
    assert (peer.state, peer.failures, peer.reason, peer.next_try) == (FAILED, 0, "too many files are open", 2.0)


def test_a_cancelled_dial_is_not_the_peers_fault():
    peer = fail(swarm_of(1), 0.0, CANCELLED, "stopped")
    assert (peer.state, peer.failures, peer.last_error) == (QUEUED, 0, "")


def test_a_success_forgets_the_failures():
    swarm = swarm_of(1)
    fail(swarm, 0.0)
    assert connect(swarm, 100.0).failures == 0


@pytest.mark.parametrize(("seconds", "quick"), [(0.0, 1), (29.9, 1), (30.0, 0), (3_600.0, 0)])
def test_a_peer_that_drops_us_within_30_s_has_a_quick_disconnect(seconds, quick):
    swarm = swarm_of(1)
    peer = connect(swarm, 0.0)
    disconnect(swarm, peer, seconds, seconds)
    assert (peer.state, peer.quick_disconnects, peer.reason) == (FAILED, quick, "end of file")


def test_a_peer_that_stays_has_its_quick_disconnects_forgotten():
    swarm = swarm_of(1)
    for start, seconds in ((0.0, 1.0), (100.0, 1.0), (300.0, 60.0)):
        peer = connect(swarm, start)
        disconnect(swarm, peer, start + seconds, seconds)
    assert peer.quick_disconnects == 0 and peer.next_try - 360 < 20


def test_a_seed_that_has_nothing_to_give_to_a_seed_is_not_to_blame():
    swarm = swarm_of(1)
    peer = connect(swarm, 0.0)
    disconnect(swarm, peer, 1.0, seconds=1.0, reason=BOTH_SEEDS)
    assert (peer.state, peer.quick_disconnects, peer.reason) == (FAILED, 0, BOTH_SEEDS)


def test_a_peer_that_takes_us_and_drops_us_is_dialled_less_and_less():
    swarm, now, dials = swarm_of(1), 0.0, 0
    while now < 3_600:
        swarm.wake(now)
        if swarm.best_candidate():
            disconnect(swarm, connect(swarm, now), now, seconds=0.1)
            dials += 1
        now += 1.0
    assert 5 <= dials <= 9


@pytest.mark.parametrize("outcome", [REFUSED, TIMED_OUT, UNREACHABLE, HANDSHAKE_FAILED, LOCAL_BUSY])
def test_no_peer_is_dialled_ten_times_in_ten_seconds(outcome):
    swarm, dials = swarm_of(1), 0
    for tenth in range(101):
        swarm.wake(tenth / 10)
        if swarm.best_candidate():
            fail(swarm, tenth / 10, outcome)
            dials += 1
    assert dials < 10


def test_a_peer_whose_connection_we_closed_may_be_dialled_at_once():
    swarm = swarm_of(1)
    peer = connect(swarm, 0.0)
    disconnect(swarm, peer, 1.0, seconds=1.0, reason="stopped", blame=False)
    assert (peer.state, peer.quick_disconnects, peer.last_error, peer.downloaded) == (QUEUED, 0, "", 100)


def test_the_bytes_of_all_connections_are_counted():
    swarm = swarm_of(1)
    for start in (0.0, 100.0):
        peer = connect(swarm, start)
        disconnect(swarm, peer, start + 60)
    assert (peer.downloaded, peer.uploaded) == (200, 20)


# ── bounds ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_full_swarm_of_untried_peers_takes_no_more():
    swarm = swarm_of(1, 2, 3, max_peers=3)
    assert swarm.add("pex", [address(4), address(5)], 0.0) == 0 and len(swarm) == 3


def test_a_full_swarm_forgets_the_most_useless_first():
    swarm = swarm_of(1, 2, 3, 4, 5, 6, max_peers=6)
    banned, never_reached, reached, busy = dial(swarm, 0), dial(swarm, 0), dial(swarm, 0), dial(swarm, 0)
    swarm.connected(reached, "", 0.0)
    disconnect(swarm, reached, 60.0)
    swarm.attempt_failed(never_reached, TIMED_OUT, "", 60.0)
    swarm.attempt_failed(banned, TIMED_OUT, "", 60.0)
    swarm.ban(banned.address, "sent bad data", 60.0)
    swarm.add("pex", [address(7)], 60.0)
    assert banned.address not in {peer.address for peer in swarm}
    assert swarm.add("pex", [address(8), address(9)], 60.0) == 1
    swarm.check_invariants()
    assert {peer.address for peer in swarm} == {reached.address, busy.address, *map(address, (5, 6, 7, 8))}


def test_a_table_full_of_untried_addresses_keeps_nobody_from_dialling_us():
    swarm = swarm_of(*range(2_000))
    assert swarm.incoming(address(5_000), 0.0, TIMEOUT) is not None
    swarm.check_invariants()


def test_a_table_full_of_busy_peers_has_no_room_for_anybody():
    swarm = swarm_of(1, max_peers=1)
    dial(swarm, 0.0)
    assert swarm.incoming(address(2), 0.0, TIMEOUT) is None and swarm.add("pex", [address(3)], 0.0) == 0


def test_the_size_is_bounded_whatever_the_trackers_say():
    swarm = swarm_of(*range(10 * MAX_SWARM_PEERS))
    assert len(swarm) == MAX_SWARM_PEERS


def test_the_best_of_2000_is_found_without_looking_at_all_of_them():
    swarm, looked_at = swarm_of(*range(2_000)), 0

    def rank(peer, original=SwarmPeer.candidate_rank):
        nonlocal looked_at
        looked_at += 1
        return original(peer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SwarmPeer, "candidate_rank", rank)
        for _ in range(500):
            swarm.attempt_failed(dial(swarm, 0.0), CANCELLED, "", 0.0)
    assert looked_at <= 500


def test_the_states_are_those_that_viewers_know():
    assert swarm_peer.STATES == snapshots.PEER_STATES


def test_counts_follow_a_peer_through_its_states():
    swarm = swarm_of(1)
    assert swarm.counts == {QUEUED: 1, CONNECTING: 0, HANDSHAKING: 0, CONNECTED: 0, FAILED: 0}
    peer = connect(swarm, 0.0)
    assert swarm.counts == {QUEUED: 0, CONNECTING: 0, HANDSHAKING: 0, CONNECTED: 1, FAILED: 0}
    disconnect(swarm, peer, 60.0)
    assert swarm.counts == {QUEUED: 0, CONNECTING: 0, HANDSHAKING: 0, CONNECTED: 0, FAILED: 1}
