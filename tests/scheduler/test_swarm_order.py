"""Which candidate comes first: what never was tried, then what worked, then what failed longest ago; BEP 40 where that is equal."""

import random

import pytest

from protocol.daemon_messages import CANCELLED, LOCAL_BUSY
from protocol.peer_address import PeerAddress
from protocol.peer_priority import peer_priority
from scheduler.own_address import MIN_VOTES, OwnAddress
from scheduler.swarm import Swarm
from tests.scheduler.swarm_steps import address, connect, dial, disconnect, fail

OURS = "123.213.32.10"


def seen_as(own: OwnAddress, ip: str, voters: str) -> None:
    for number in range(MIN_VOTES):
        own.seen_by(voters.format(number + 1), ip)


def swarm_that_knows_itself(*addresses: PeerAddress) -> Swarm:
    own = OwnAddress()
    seen_as(own, OURS, "80.200.0.{}")
    swarm = Swarm(random.Random(1), own_address=own)
    swarm.we_listen(6881)
    swarm.add("tracker", addresses, 0.0)
    return swarm


def priorities(peers: list) -> list[int]:
    return [peer_priority(PeerAddress(OURS, 6881), peer.address) for peer in peers]


def test_of_those_never_tried_the_greater_canonical_priority_comes_first():
    swarm = swarm_that_knows_itself(*map(address, range(50)))
    order = priorities([dial(swarm, 0.0) for _ in range(50)])
    assert order == sorted(order, reverse=True)


def test_of_peers_at_our_own_ip_address_the_ports_decide():
    swarm = swarm_that_knows_itself(*(PeerAddress(OURS, port) for port in range(7_000, 7_010)))
    order = priorities([dial(swarm, 0.0) for _ in range(10)])
    assert order == sorted(order, reverse=True)


def test_the_canonical_priority_only_breaks_ties():
    first, second, third = sorted(map(address, range(3)), key=lambda peer: peer_priority(PeerAddress(OURS, 6881), peer))
    swarm = swarm_that_knows_itself(second, third)
    disconnect(swarm, connect(swarm, 0.0), 100.0)       # third: worked before
    fail(swarm, 100.0)                                  # second: failed
    swarm.add("pex", [first], 100.0)
    assert [dial(swarm, 500.0).address for _ in range(3)] == [first, third, second]


def test_without_an_address_of_our_own_the_order_is_that_of_arrival():
    swarm = Swarm(random.Random(1))
    swarm.add("tracker", map(address, (3, 1, 2)), 0.0)
    assert [dial(swarm, 0.0).address for _ in range(3)] == list(map(address, (3, 1, 2)))


def test_an_address_that_we_learn_later_orders_those_that_wait_already():
    own = OwnAddress()
    swarm = Swarm(random.Random(1), own_address=own)
    swarm.add("tracker", map(address, range(50)), 0.0)
    seen_as(own, OURS, "80.200.0.{}")
    assert swarm.wake(0.0) == 0
    swarm.check_invariants()
    order = [peer_priority(PeerAddress(OURS, 0), dial(swarm, 0.0).address) for _ in range(50)]
    assert order == sorted(order, reverse=True)


def test_a_family_in_which_we_do_not_know_ourselves_comes_neither_first_nor_last():
    swarm = swarm_that_knows_itself(*map(address, range(40)), *(PeerAddress(f"2a00::{number:x}", 1) for number in range(1, 41)))
    families = [":" in dial(swarm, 0.0).address.ip for _ in range(80)]
    assert families[0] is False and families[-1] is False and sum(families) == 40


@pytest.mark.parametrize("outcome", [CANCELLED, LOCAL_BUSY])
def test_a_dial_without_a_verdict_leaves_the_peer_among_the_untried_behind_those(outcome):
    swarm = swarm_that_knows_itself(*map(address, range(3)))
    tried = fail(swarm, 0.0, outcome)
    assert [dial(swarm, 5.0) for _ in range(3)][-1] is tried
