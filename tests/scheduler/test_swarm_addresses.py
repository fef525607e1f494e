"""Who is never dialled again, the same peer at two addresses, and who dials us."""

import pytest

from protocol.daemon_messages import DUPLICATE_PEER, HANDSHAKE_FAILED, OWN_ADDRESS, TIMED_OUT
from protocol.limits import MAX_OWN_ADDRESSES
from protocol.peer_address import PeerAddress
from scheduler.swarm import SAME_PEER_TEXT
from scheduler.swarm_peer import CONNECTED, FAILED, HANDSHAKING, UNKNOWN_PORT
from tests.scheduler.swarm_steps import TIMEOUT, address, come_in, connect, dial, disconnect, fail, swarm_of

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
