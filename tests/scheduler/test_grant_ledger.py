"""The one count of every connection."""

import pytest

from protocol import daemon_messages as dm
from scheduler.grant_ledger import (
    CONNECTED,
    FIRST_PEER,
    FIRST_PEER_STILL,
    HALF_OPEN,
    LEASED,
    MAX_EXPIRED_REMEMBERED,
    MORE_PEERS,
    GrantLedger,
)

TORRENT, OTHER = b"t" * 20, b"o" * 20


@pytest.fixture
def ledger():
    ledger = GrantLedger()
    ledger.open_account(TORRENT)
    ledger.open_account(OTHER)
    yield ledger
    ledger.check_invariants()


def counted(ledger):
    return ledger.count.leased, ledger.count.half_open, ledger.count.connected


def test_a_grant_is_leased_then_half_open_then_connected_then_gone(ledger):
    grant = ledger.lease(TORRENT, deadline=10.0)
    seen = [counted(ledger)]
    for step in (lambda: ledger.start(grant), lambda: ledger.end_attempt(grant, dm.CONNECTED), lambda: ledger.close(grant)):
        step()
        seen.append(counted(ledger))
    assert seen == [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0)]
    assert ledger.get(grant.grant_id) is None
    assert (ledger.granted, ledger.connected_ever) == (1, 1)


@pytest.mark.parametrize("outcome", [outcome for outcome in dm.OUTCOMES if outcome not in (dm.CONNECTED, dm.CANCELLED)])
def test_a_failed_attempt_is_counted_by_its_outcome(ledger, outcome):
    grant = ledger.lease(TORRENT, 10.0)
    ledger.start(grant)
    ledger.end_attempt(grant, outcome)
    assert ledger.failed == {outcome: 1} and counted(ledger) == (0, 0, 0)


def test_cancelled_and_declined_and_expired_are_no_failures(ledger):
    cancelled, declined, expired = (ledger.lease(TORRENT, 10.0) for _ in range(3))
    ledger.start(cancelled)
    ledger.end_attempt(cancelled, dm.CANCELLED)
    ledger.decline(declined, "no_candidate")
    assert ledger.expire(until=10.0) == [expired]
    assert (ledger.cancelled, ledger.declined, ledger.expired, ledger.failed) == (1, {"no_candidate": 1}, 1, {})


def test_leases_expire_at_their_deadline_and_not_before(ledger):
    first, second = ledger.lease(TORRENT, 10.0), ledger.lease(TORRENT, 11.0)
    assert ledger.next_deadline() == 10.0
    assert ledger.expire(until=9.99) == []
    assert ledger.expire(until=10.5) == [first]
    assert ledger.next_deadline() == 11.0 and ledger.get(second.grant_id) is second


def test_a_dial_has_no_lease_that_could_expire(ledger):
    grant = ledger.lease(TORRENT, 10.0)
    ledger.start(grant)
    assert ledger.next_deadline() is None and ledger.expire(until=1e9) == []


def test_a_lease_that_expired_and_is_used_all_the_same_is_counted(ledger):
    grant = ledger.lease(TORRENT, 10.0)
    ledger.expire(until=10.0)
    assert ledger.revive(grant.grant_id) is grant
    assert (counted(ledger), ledger.expired, grant.state) == ((0, 1, 0), 0, HALF_OPEN)
    assert ledger.revive(grant.grant_id) is None        # once


def test_a_lease_that_expired_does_not_come_back_for_a_torrent_that_is_gone_or_new(ledger):
    grants = [ledger.lease(TORRENT, 10.0), ledger.lease(TORRENT, 10.0)]
    ledger.expire(until=10.0)
    ledger.close_account(TORRENT)
    assert ledger.revive(grants[0].grant_id) is None
    ledger.open_account(TORRENT)
    assert ledger.revive(grants[1].grant_id) is None


def test_only_so_many_expired_leases_are_remembered(ledger):
    grants = [ledger.lease(TORRENT, 10.0) for _ in range(MAX_EXPIRED_REMEMBERED + 1)]
    ledger.expire(until=10.0)
    assert ledger.revive(grants[0].grant_id) is None and ledger.revive(grants[1].grant_id) is not None


def test_an_incoming_connection_is_counted_but_not_as_granted(ledger):
    grant = ledger.reserve_incoming(TORRENT)
    assert (counted(ledger), ledger.incoming, ledger.granted, ledger.connected_ever) == ((0, 0, 1), 1, 0, 0)
    ledger.close(grant)
    assert (counted(ledger), ledger.incoming) == ((0, 0, 0), 0)


def test_a_torrent_that_is_gone_frees_all_that_it_held_and_only_that(ledger):
    leased, half_open, connected = (ledger.lease(TORRENT, 10.0) for _ in range(3))
    kept = ledger.lease(OTHER, 10.0)
    incoming = ledger.reserve_incoming(TORRENT)
    ledger.start(half_open)
    ledger.end_attempt(connected, dm.CONNECTED)
    ended = ledger.close_account(TORRENT)
    assert {(grant.grant_id, state) for grant, state in ended} == {
        (leased.grant_id, LEASED), (half_open.grant_id, HALF_OPEN), (connected.grant_id, CONNECTED), (incoming.grant_id, CONNECTED),
    }
    assert (counted(ledger), ledger.cancelled, ledger.get(kept.grant_id)) == ((1, 0, 0), 2, kept)


def test_grant_ids_are_never_used_again(ledger):
    ids = []
    for _ in range(5):
        grant = ledger.lease(TORRENT, 10.0)
        ledger.decline(grant, "stopped")
        ids += [grant.grant_id, ledger.reserve_incoming(OTHER).grant_id]
    assert len(set(ids)) == len(ids)


def test_dials_for_each_purpose_are_also_counted_by_themselves(ledger):
    ledger.lease(TORRENT, 10.0)
    ledger.reserve_incoming(TORRENT)
    grant = ledger.lease(TORRENT, 10.0, MORE_PEERS)
    assert ledger.in_flight_for == {FIRST_PEER: 1, FIRST_PEER_STILL: 0, MORE_PEERS: 1}
    ledger.start(grant)
    ledger.end_attempt(grant, dm.REFUSED)
    assert ledger.in_flight_for == {FIRST_PEER: 1, FIRST_PEER_STILL: 0, MORE_PEERS: 0}
