"""The peers that a torrent knows: who is a candidate, in which order, who waits, who is never dialled again."""

import random

import pytest

from actors import snapshots
from protocol.daemon_messages import (
    CANCELLED,
    DUPLICATE_PEER,
    HANDSHAKE_FAILED,
    LOCAL_BUSY,
    OWN_ADDRESS,
    REFUSED,
    TIMED_OUT,
    UNREACHABLE,
)
from protocol.limits import MAX_OWN_ADDRESSES, MAX_SWARM_PEERS
from protocol.peer_address import PeerAddress
from scheduler import swarm_peer
from scheduler.swarm import SAME_PEER_TEXT, Swarm
from scheduler.swarm_peer import CONNECTED, CONNECTING, FAILED, HANDSHAKING, QUEUED, UNKNOWN_PORT, SwarmPeer

TIMEOUT = 10.0


def address(number: int, port: int = 6881) -> PeerAddress:
    """Return a public address of its own for each number."""
    return PeerAddress(f"80.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", port)


def swarm_of(*numbers: int, now: float = 0.0, max_peers: int = MAX_SWARM_PEERS) -> Swarm:
    swarm = Swarm(random.Random(1), max_peers)
    swarm.add("tracker", [address(number) for number in numbers], now)
    return swarm


def dial(swarm: Swarm, now: float) -> SwarmPeer:
    """Start an attempt at the best candidate."""
    swarm.wake(now)
    peer = swarm.best_candidate()
    swarm.attempt_started(peer, now, TIMEOUT)
    return peer


def fail(swarm: Swarm, now: float, outcome: str = TIMED_OUT, reason: str = "") -> SwarmPeer:
    peer = dial(swarm, now)
    swarm.attempt_failed(peer, outcome, reason, now)
    swarm.check_invariants()
    return peer


def connect(swarm: Swarm, now: float) -> SwarmPeer:
    peer = dial(swarm, now)
    swarm.handshake_started(peer, now, TIMEOUT)
    swarm.connected(peer, "libtorrent 2.1", now)
    swarm.check_invariants()
    return peer


def disconnect(swarm: Swarm, peer: SwarmPeer, now: float, seconds: float = 60.0, reason: str = "end of file", blame: bool = True) -> None:
    swarm.disconnected(peer, now, reason, seconds=seconds, downloaded=100, uploaded=10, blame=blame)
    swarm.check_invariants()


def come_in(swarm: Swarm, peer_address: PeerAddress, now: float = 0.0) -> SwarmPeer:
    peer = swarm.incoming(peer_address, now, TIMEOUT)
    swarm.connected(peer, "", now)
    swarm.check_invariants()
    return peer


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


# ── never again ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_dial_that_reached_ourselves_is_never_tried_again():
    swarm = swarm_of(1)
    peer = fail(swarm, 0.0, HANDSHAKE_FAILED, OWN_ADDRESS)
    swarm.add("manual", [address(1)], 1.0)
    assert (peer.reason, swarm.wake(1e9), swarm.num_candidates) == ("our own address", 0, 0)


def test_own_addresses_are_bounded():
    swarm = swarm_of()
    swarm.set_own([address(number) for number in range(MAX_OWN_ADDRESSES + 1)], 0.0)
    assert swarm.add("pex", [address(0)], 0.0) == 1 and swarm.add("pex", [address(1)], 0.0) == 0


def test_a_banned_ip_address_is_not_dialled_not_taken_and_known_by_its_reason():
    swarm = swarm_of(1, 2)
    swarm.add("pex", [address(1, port=7000)], 0.0)
    swarm.ban(address(1), "sent bad data", 0.0)
    swarm.check_invariants()
    assert swarm.num_candidates == 1 and swarm.add("pex", [address(1, port=8000)], 0.0) == 0
    assert {peer.ban_reason for peer in swarm if peer.address.ip == address(1).ip} == {"sent bad data"}
    assert swarm.ban_reason(address(1, port=9)) == "sent bad data" and swarm.ban_reason(address(2)) == ""


def test_on_loopback_where_many_programs_share_an_address_a_ban_names_the_port():
    swarm = swarm_of()
    good, bad = PeerAddress("127.0.0.1", 7000), PeerAddress("127.0.0.1", 7001)
    swarm.add("manual", [good, bad], 0.0)
    swarm.ban(bad, "sent bad data", 0.0)
    assert swarm.best_candidate().address == good and swarm.num_candidates == 1


def test_a_connected_peer_that_is_banned_is_not_dialled_when_it_has_left():
    swarm = swarm_of(1)
    peer = connect(swarm, 0.0)
    swarm.ban(address(1), "sent bad data", 1.0)
    disconnect(swarm, peer, 100.0, seconds=100.0)
    assert (peer.state, peer.next_try, peer.ban_reason) == (FAILED, None, "sent bad data")


def test_a_ban_outlives_the_record():
    swarm = swarm_of(1, max_peers=1)
    swarm.ban(address(1), "sent bad data", 0.0)
    swarm.add("pex", [address(2)], 1.0)
    assert swarm.get(address(1)) is None and swarm.add("pex", [address(1)], 2.0) == 0


# ── the same peer twice ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_second_address_of_a_connected_peer_is_not_dialled_while_that_lives():
    swarm = swarm_of(1)
    first = connect(swarm, 0.0)
    swarm.add("pex", [address(1, port=7000)], 0.0)
    second = fail(swarm, 1.0, HANDSHAKE_FAILED, DUPLICATE_PEER)
    assert (second.state, second.reason, second.failures, swarm.wake(1e6)) == (FAILED, SAME_PEER_TEXT, 0, 0)
    disconnect(swarm, first, 2_000.0)
    assert 15 <= second.next_try - 2_000 < 20


def test_a_duplicate_of_nobody_that_is_known_waits_long():
    peer = fail(swarm_of(1), 0.0, HANDSHAKE_FAILED, DUPLICATE_PEER)
    assert (peer.failures, peer.next_try) == (0, 3_600.0)


def test_of_two_connections_with_one_peer_the_closed_one_is_not_dialled_again():
    swarm = swarm_of(1)
    come_in(swarm, address(1, port=50_000))
    peer = connect(swarm, 0.0)
    disconnect(swarm, peer, 1.0, seconds=1.0, reason=DUPLICATE_PEER)
    assert (peer.next_try, peer.quick_disconnects) == (None, 0)


def test_an_own_address_stays_own_when_a_connection_of_the_same_machine_ends():
    swarm = swarm_of(1)
    first = connect(swarm, 0.0)
    swarm.add("pex", [address(1, port=7000)], 0.0)
    second = fail(swarm, 1.0, HANDSHAKE_FAILED, DUPLICATE_PEER)
    swarm.set_own([second.address], 2.0)
    disconnect(swarm, first, 100.0)
    assert second.next_try is None


# ── incoming ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_who_dials_us_has_a_record_that_is_not_dialled():
    swarm = swarm_of()
    peer = come_in(swarm, address(1, port=50_000))
    assert (peer.state, peer.source) == (CONNECTED, "incoming")
    disconnect(swarm, peer, 100.0)
    assert (peer.state, peer.next_try, peer.reason) == (FAILED, None, "end of file")


def test_who_knocked_and_left_before_its_handshake_leaves_no_record():
    swarm = swarm_of()
    peer = swarm.incoming(address(1, port=50_000), 0.0, TIMEOUT)
    assert (peer.state, peer.until) == (HANDSHAKING, 10.0)
    disconnect(swarm, peer, 1.0)
    assert len(swarm) == 0


def test_who_tells_where_it_listens_is_known_there_and_may_be_dialled_later():
    swarm = swarm_of()
    peer = come_in(swarm, address(1, port=50_000))
    swarm.named(peer, "rqbit 9", 6881)
    swarm.check_invariants()
    assert (peer.address, peer.client_name) == (address(1), "rqbit 9")
    assert swarm.get(address(1)) is peer and swarm.get(address(1, port=50_000)) is None
    disconnect(swarm, peer, 100.0)
    assert 115 <= peer.next_try < 120


def test_who_listens_at_an_address_that_is_known_joins_its_record_and_is_not_dialled():
    swarm = swarm_of(1)
    fail(swarm, 0.0)
    peer = come_in(swarm, address(1, port=50_000), 1.0)
    swarm.named(peer, "", 6881)
    swarm.check_invariants()
    assert len(swarm) == 1 and swarm.wake(1e6) == 0
    assert (peer.attempts, peer.source, peer.last_error) == (1, "tracker, incoming", TIMED_OUT)


def test_who_listens_where_we_are_just_dialling_keeps_its_own_record():
    swarm = swarm_of(1)
    dial(swarm, 0.0)
    peer = come_in(swarm, address(1, port=50_000))
    swarm.named(peer, "", 6881)
    swarm.check_invariants()
    assert peer.address == address(1, port=50_000) and peer.barred == UNKNOWN_PORT


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_a_port_that_nobody_can_listen_on_is_not_believed(port):
    swarm = swarm_of()
    peer = come_in(swarm, address(1, port=50_000))
    swarm.named(peer, "", port)
    assert peer.address == address(1, port=50_000)


def test_an_incoming_peer_that_a_source_names_by_that_port_may_be_dialled():
    swarm = swarm_of()
    peer = come_in(swarm, address(1))
    swarm.add("tracker", [address(1)], 1.0)
    disconnect(swarm, peer, 100.0)
    assert peer.next_try is not None
    gone = come_in(swarm, address(2), 100.0)
    disconnect(swarm, gone, 200.0)
    assert swarm.add("pex", [address(2)], 200.0) == 1


def test_an_address_that_is_busy_cannot_come_in_again():
    swarm = swarm_of(1)
    for step in (lambda: dial(swarm, 0.0), lambda: swarm.handshake_started(swarm.get(address(1)), 0.0, TIMEOUT)):
        step()
        assert swarm.incoming(address(1), 0.0, TIMEOUT) is None
    swarm.connected(swarm.get(address(1)), "", 0.0)
    assert swarm.incoming(address(1), 0.0, TIMEOUT) is None


def test_a_known_address_that_dials_us_uses_its_record():
    swarm = swarm_of(1)
    peer = come_in(swarm, address(1))
    assert peer.sources == ("tracker",) and len(swarm) == 1
    disconnect(swarm, peer, 1.0, seconds=1.0)
    assert peer.next_try is not None


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
