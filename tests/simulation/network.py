"""The peers out there, and the way to them.

A peer is an address and what happens when it is dialled; a scenario may change that at any time. The way leads through a router, and
may be cut.
"""

import random
from dataclasses import dataclass

from protocol.peer_address import PeerAddress
from tests.simulation.router import Router

ALIVE, DEAD, REFUSES, SILENT, DROPS, UNREACHABLE = "alive", "dead", "refuses", "silent", "drops", "unreachable"
KINDS = (ALIVE, DEAD, REFUSES, SILENT, DROPS, UNREACHABLE)
DROPS_AFTER_SECONDS = 0.5
FOREVER = float("inf")


@dataclass(slots=True)
class SimulatedPeer:
    """One address. What it does:

    alive: answers, completes the handshake, stays for `stays` seconds. dead: no answer. refuses: reset. silent: TCP is connected, no
    handshake comes. drops: hangs up half a second after the handshake. unreachable: there is no route.
    """

    address: PeerAddress
    kind: str
    round_trip: float                                   # seconds, of one packet and its answer
    stays: float = FOREVER
    num_dialled: int = 0


class Network:
    """All addresses. `is_up` False: the machine has no network, every dial fails at once as unreachable."""

    def __init__(self, rng: random.Random, router: Router) -> None:
        self.router = router
        self.is_up = True
        self.peers: dict[PeerAddress, SimulatedPeer] = {}
        self._rng = rng
        self._num_addresses = 0

    def new_peer(self, kind: str, round_trip: tuple[float, float], stays: float = FOREVER) -> SimulatedPeer:
        """Return a peer at an address of its own, as far away as chance says between the two bounds (seconds)."""
        self._num_addresses += 1
        number = self._num_addresses
        address = PeerAddress(f"{20 + (number >> 16)}.{number >> 8 & 255}.{number & 255}.1", 6881)
        peer = self.peers[address] = SimulatedPeer(address, kind, self._rng.uniform(*round_trip), stays)
        return peer

    def peer_at(self, address: PeerAddress) -> SimulatedPeer:
        """Return who is there; nobody answers where nobody was put."""
        return self.peers.setdefault(address, SimulatedPeer(address, DEAD, 0.1))
