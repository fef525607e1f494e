"""CandidateOrder: which candidate is dialled before which.

Never tried, then succeeded before, then least recently failed (SwarmPeer.candidate_rank); where that says nothing, as of all the
addresses that a tracker just named, the greater canonical priority (BEP 40). It is computed once, when a peer becomes a candidate, and
anew only when we learn another address of our own.
"""

from protocol.peer_address import PeerAddress
from protocol.peer_priority import MIDDLE_PRIORITY, peer_priority
from scheduler.own_address import OwnAddress
from scheduler.swarm_peer import SwarmPeer


class CandidateOrder:
    """Of one torrent. `own_port` is where it is reached."""

    def __init__(self, own_address: OwnAddress) -> None:
        self.own_port = 0
        self._own_address = own_address
        self._version = own_address.version
        self._own: dict[tuple[str, int], PeerAddress] = {}  # made once: one for each way in which we are seen

    def has_changed(self) -> bool:
        """Tell, once, that all keys given so far are old."""
        if self._version == self._own_address.version:
            return False
        self._version = self._own_address.version
        self._own.clear()
        return True

    def key(self, peer: SwarmPeer) -> tuple[int, float, int]:
        """Return a key: the smallest is dialled first."""
        own_ip = self._own_address.as_seen_by(peer.address.ip)
        if not own_ip:
            return (*peer.candidate_rank(), -MIDDLE_PRIORITY)
        own = self._own.get((own_ip, self.own_port))
        if own is None:
            own = self._own[own_ip, self.own_port] = PeerAddress(own_ip, self.own_port)
        return (*peer.candidate_rank(), -peer_priority(own, peer.address))
