"""One torrent of a simulation: its real actor, what a scenario does to it, and what it got."""

import hashlib
from typing import TYPE_CHECKING

from actors import messages as m
from actors.snapshots import TorrentQueueStats, TorrentSnapshot
from protocol.metainfo import FileEntry, Info, Metainfo
from protocol.peer_address import PeerAddress
from protocol.piece_layout import PieceLayout
from tests.simulation.network import SimulatedPeer

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

NUM_PIECES = 10
PIECE_BYTES = 1 << 16


class SimulatedTorrent:
    """`dials`, `grants` and `connects` are the moments, in seconds since the simulation began, at which it got one."""

    def __init__(self, swarm: "Simulation", name: str, peers: list[SimulatedPeer]) -> None:
        self._swarm = swarm
        self.name = name
        self.info_hash = hashlib.sha1(name.encode(), usedforsecurity=False).digest()
        self.peers = peers
        self.actor = None
        self.daemon = None
        self.announcer = None
        self.added_at = swarm.now
        self.dials: list[float] = []
        self.grants: list[float] = []
        self.connects: list[float] = []
        self.ends: list[str] = []                       # outcomes of attempts
        self.states: list[str] = []                     # that the session was told
        self.is_stopped_fully = False

    def order(self, priority: str, by_hand: tuple[PeerAddress, ...], tiers: tuple[tuple[str, ...], ...]) -> m.AddTorrent:
        """What the session was asked for."""
        total = NUM_PIECES * PIECE_BYTES
        info = Info(
            info_hash=self.info_hash, raw=self.name.encode(), name=self.name, layout=PieceLayout(PIECE_BYTES, total),
            files=(FileEntry((self.name,), total, 0, False),), piece_hashes=bytes(20 * NUM_PIECES), private=False,
            is_single_file=True, is_hybrid=False,
        )
        return m.AddTorrent(Metainfo(info, tiers, (), "", "", None), "/downloads", f"{self.name}.torrent", by_hand, priority)

    # ── what a scenario does ─────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """The user starts it."""
        self._tell(m.StartTorrent())

    def stop(self) -> None:
        """The user stops it."""
        self.is_stopped_fully = False
        self._tell(m.StopTorrent(reply_to=self._swarm.session))

    def remove(self) -> None:
        """The user removes it."""
        self._tell(m.StopTorrent(reply_to=self._swarm.session, forget=True))

    def recheck(self) -> None:
        """The user has all its data hashed again."""
        self._tell(m.RecheckTorrent())

    def complete(self) -> None:
        """Its last piece comes."""
        self.daemon.complete(self.info_hash)

    def fail(self, error: str = "no space left on device") -> None:
        """Its files cannot be written."""
        self.daemon.fail(self.info_hash, error)

    def find(self, source: str = "pex", **kinds: int) -> list[SimulatedPeer]:
        """A source names more peers, so many of each kind: find(alive=3, dead=10)."""
        peers = self._swarm.new_peers(**kinds)
        self.peers += peers
        self._tell(m.PeersFound(source, tuple(peer.address for peer in peers)))
        return peers

    def is_dialled_by(self, number: int = 1) -> list[int]:
        """So many unknown peers dial it; return the connection ids."""
        return [self.daemon.knock(self.info_hash, self._swarm.network.new_peer("alive", (0.1, 0.1))) for _ in range(number)]

    def freeze(self) -> None:
        """Its actor is stuck."""
        self._swarm.world.freeze(self.actor)

    def thaw(self) -> None:
        """Its actor goes on."""
        self._swarm.world.thaw(self.actor)

    def crash(self) -> None:
        """Its actor dies; the session hears of it."""
        self._swarm.world.crash(self.actor)

    def _tell(self, message: object) -> None:
        self.actor.actor_ref.tell(message)
        self._swarm.world.handle_all()

    # ── what it got ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def first_peer_after(self) -> float:
        """Seconds from when it was added to its first connection; infinite without one."""
        return self.connects[0] - self.added_at if self.connects else float("inf")

    @property
    def num_connected(self) -> int:
        """Connections that the daemon has for it, both directions."""
        return sum(each.info_hash == self.info_hash and each.is_complete for each in self.daemon.connections.values())

    @property
    def num_half_open(self) -> int:
        """Dials and handshakes that the daemon has under way for it."""
        return self.daemon.dialer.num_dials(self.info_hash)

    @property
    def snapshot(self) -> TorrentSnapshot:
        """What a viewer sees of it."""
        return self.actor.on_receive(m.GetTorrentSnapshot())

    @property
    def queue_stats(self) -> TorrentQueueStats:
        """What the broker says of it."""
        return self._swarm.stats.torrents[self.info_hash]

    def dials_between(self, begin: float, end: float) -> int:
        """How many dials began from `begin` until before `end`."""
        return sum(begin <= moment < end for moment in self.dials)
