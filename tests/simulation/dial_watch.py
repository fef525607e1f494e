"""DialWatch: what really happens at the sockets and in the torrents' records, whatever the broker believes.

Dials under way at the daemons within the half-open limit, SYNs without an answer in the router within the limit of the profile, no dial
of a torrent 100 ms after it cancelled its requests, and no peer blamed for what was not its fault.
"""

from collections import Counter
from typing import Any

from actors import messages as m
from actors.connection_broker import ConnectionBroker
from actors.torrent import TorrentActor
from protocol import daemon_messages as dm
from tests.simulation.dialer import SimulatedDial
from tests.simulation.io_daemon import SimulatedDaemon
from tests.simulation.router import SYN_SENT_SECONDS, Router
from tests.simulation.violations import violated
from tests.simulation.world import World

STOP_SECONDS = 0.1
BLAMELESS = (dm.LOCAL_BUSY, dm.CANCELLED)


class DialWatch:
    """`daemons` and `torrents` are the simulation's, by info hash."""

    def __init__(self, world: World, broker: ConnectionBroker, router: Router, daemons: list[SimulatedDaemon], torrents: dict[bytes, Any]) -> None:
        self.world, self.broker, self.router, self.daemons, self.torrents = world, broker, router, daemons, torrents
        self.most_half_open = 0
        self.dials: list[float] = []                    # when each began
        self._blamed: tuple[Any, int] | None = None     # a peer, and its failures before
        self._last_asked: dict[bytes, float] = {}
        self._counts_from = 0.0                         # before that moment the limits in force were others
        self._limits = (0, 0)                           # half-open, unanswered, when they were last looked at

    # ── at the sockets ───────────────────────────────────────────────────────────────────────────────────────────────────

    def dial_began(self, dial: SimulatedDial, *, check: bool) -> None:
        """A daemon takes a dial."""
        self.dials.append(self.world.now)
        half_open = sum(len(daemon.dialer.dials) for daemon in self.daemons)
        self.most_half_open = max(self.most_half_open, half_open)
        limits = self.broker._queue.rules.limits
        if limits.half_open < self._limits[0] or limits.unanswered < self._limits[1]:
            self._counts_from = self.world.now + SYN_SENT_SECONDS    # what is over a lowered limit runs out by itself
        self._limits = (limits.half_open, limits.unanswered)
        if not check or self.world.now < self._counts_from:
            return
        violated(half_open > limits.half_open, "half_open", f"{half_open} dials under way at the daemons, at most {limits.half_open}")
        self.router.forget(self.world.now)
        unanswered = self.router.num_unanswered
        violated(unanswered > limits.unanswered, "unanswered", f"{unanswered} unanswered SYNs in the router, at most {limits.unanswered}")

    def time_jumped(self) -> None:
        """The queue may believe that time has passed which has not; after a sleep all deadlines have passed at once, and torrents may give
        up dials of which their daemon knows better. For as long as a router remembers, the real dials and the counted ones differ.
        """
        self._counts_from = self.world.now + SYN_SENT_SECONDS

    # ── stop means stop ──────────────────────────────────────────────────────────────────────────────────────────────────

    def broker_heard(self, message: Any) -> None:
        """A message to the broker."""
        if isinstance(message, m.RequestConnections):
            self._last_asked[message.info_hash] = self.world.now
        elif isinstance(message, m.CancelRequests):
            cancelled_at, info_hash = self.world.now, message.info_hash
            self.world.later(STOP_SECONDS, lambda: self._has_stopped(info_hash, cancelled_at))

    def _has_stopped(self, info_hash: bytes, cancelled_at: float) -> None:
        if self._last_asked.get(info_hash, 0.0) >= cancelled_at:
            return                                      # it started again
        num_dials = sum(daemon.dialer.num_dials(info_hash) for daemon in self.daemons)
        violated(num_dials > 0, "stop", f"{num_dials} dials under way 100 ms after the torrent cancelled its requests")

    # ── blame ────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def before(self, actor: TorrentActor, message: Any) -> None:
        """A torrent is about to handle this."""
        self._blamed = None
        if isinstance(message, dm.DialFailed) and message.outcome in BLAMELESS:
            attempt = actor._peers._attempts.get(message.grant_id)
            self._blamed = None if attempt is None else (attempt.peer, attempt.peer.failures)

    def after(self, message: Any) -> None:
        """It has."""
        if self._blamed is not None:
            peer, failures = self._blamed
            violated(peer.failures > failures, "blame", f"{peer.address} is blamed for {message.outcome}: {message.reason}")

    def check_everything(self) -> None:
        """Records, attempts and counts of each torrent agree with each other and, when nothing is under way between them, with the broker."""
        for torrent in self.torrents.values():
            self._check_torrent(torrent)

    def _check_torrent(self, torrent: Any) -> None:
        actor, swarm, peers = torrent.actor, torrent.actor._swarm, torrent.actor._peers
        states = Counter(peer.state for peer in swarm)
        violated(states != Counter({state: number for state, number in swarm.counts.items() if number}), "records", "counts of states are wrong")
        busy = {attempt.peer.address for attempt in peers._attempts.values()} | {each.peer.address for each in peers.connections.values()}
        violated(busy != {peer.address for peer in swarm if peer.is_busy}, "records", "busy records are not those of attempts and connections")
        account = self.broker._queue.torrents.get(torrent.info_hash)
        if account is None or self.world.is_frozen(actor) or actor.actor_stopped.is_set():
            return
        ours = (len(peers._attempts), len(peers.connections) - sum(each.incoming for each in peers.connections.values()))
        theirs = (account.account.half_open, account.account.connected - account.account.incoming)
        violated(ours != theirs, "records", f"the broker counts {theirs} half-open and connected of {torrent.name}, it has {ours}")
