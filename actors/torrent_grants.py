"""TorrentGrants: what a torrent does with a slot that the broker gives it: dial the best candidate now, or say why not."""

from actors import messages as m
from actors.torrent_maintenance import TorrentMaintenance
from actors.torrent_peers import TorrentPeers
from actors.torrent_surroundings import TorrentSurroundings
from scheduler.swarm import Swarm
from scheduler.torrent_life import TorrentLife


class TorrentGrants:
    """Of one torrent."""

    def __init__(self, around: TorrentSurroundings, life: TorrentLife, swarm: Swarm, peers: TorrentPeers, maintenance: TorrentMaintenance) -> None:
        self._around = around
        self._life = life
        self._swarm = swarm
        self._peers = peers
        self._maintenance = maintenance

    def use(self, grant: m.ConnectOnePeer, room: int, wants_peers: bool) -> bool:
        """Dial or decline; False for a grant that came before. `room`: places left."""
        if self._peers.holds(grant.grant_id):
            return False
        self._maintenance.granted()
        self._swarm.wake(self._around.clock())
        peer = self._swarm.best_candidate()
        if reason := self._why_declined(grant, room, wants_peers, has_candidate=peer is not None):
            self._decline(grant.grant_id, reason)
        else:
            self._peers.dial(grant.grant_id, peer)
        return True

    def _why_declined(self, grant: m.ConnectOnePeer, room: int, wants_peers: bool, has_candidate: bool) -> str:
        """Return why this grant cannot be used now, '' when it can: much may have changed since it was asked for."""
        if not self._life.is_running:
            return "checking" if self._life.wanted else "stopped"
        if not wants_peers:
            return "complete"
        if self._around.clock() >= grant.deadline:
            return "too_late"
        if room <= 0:
            return "torrent_full"
        return "" if has_candidate else "no_candidate"

    def _decline(self, grant_id: int, reason: str) -> None:
        next_try = self._swarm.next_try() if reason == "no_candidate" else None
        retry_after = None if next_try is None else max(next_try - self._around.clock(), 0.0)
        self._maintenance.declined()
        self._around.to_broker(m.SlotDeclined(grant_id, reason, retry_after))
        self._around.log.info("slot_declined", grant_id=grant_id, reason=reason, retry_after=retry_after)
