"""What happens to a swarm, in one call each; after each its invariants are checked."""

import random

from protocol.daemon_messages import TIMED_OUT
from protocol.limits import MAX_SWARM_PEERS
from protocol.peer_address import PeerAddress
from scheduler.swarm import Swarm
from scheduler.swarm_peer import SwarmPeer

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
