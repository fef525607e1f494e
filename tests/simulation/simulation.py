"""Simulation: a whole engine in virtual time, and a few words to write scenarios with.

    swarm = Simulation(profile="conservative")
    hog, others = swarm.add(dead=2_000), swarm.add_many(10, alive=2, dead=3)
    swarm.run(60)
    assert max(torrent.first_peer_after for torrent in others) < 20

Real: ConnectionBroker, TorrentActor, TrackerAnnouncer and everything below them. Simulated: time, peers, router, I/O daemons, trackers,
and the few things that a session does. After every message to the broker all invariants are checked (broker_watch.py), after every dial
and every outcome those that can be seen from outside (dial_watch.py).
"""

import functools
import hashlib
import random
from collections import Counter
from typing import Any

from actors import messages as m
from actors.announce_gate import AnnounceGate
from actors.connection_broker import ConnectionBroker
from actors.snapshots import ConnectionQueueStats
from actors.torrent import TorrentActor
from actors.tracker_announcer import TrackerAnnouncer
from protocol import daemon_messages as dm
from scheduler.connect_timeout import ConnectTimeout
from scheduler.own_address import OwnAddress
from scheduler.settings import settings_from
from tests.simulation.broker_watch import TICK_SHARE, BrokerWatch
from tests.simulation.dial_watch import DialWatch
from tests.simulation.dialer import SimulatedDial
from tests.simulation.io_daemon import PEER_ID, SimulatedDaemon, full_bitfield
from tests.simulation.network import FOREVER, KINDS, Network, SimulatedPeer
from tests.simulation.router import Router
from tests.simulation.simulated_torrent import NUM_PIECES, SimulatedTorrent
from tests.simulation.trackers import SimulatedTracker, SimulatedTrackers
from tests.simulation.why_watch import WhyWatch
from tests.simulation.world import Outsider, SimulatedLog, World

NO_PIECES = bytes(-(-NUM_PIECES // 8))


class Simulation:
    """All parts of one engine. `router` is the size of the router's table (None: as large as it takes); **settings as for `--set`."""

    # Replaced by tests that show that scenarios and invariants can fail (wrong_policies/):
    broker_class: type[ConnectionBroker] = ConnectionBroker
    torrent_class: type[TorrentActor] = TorrentActor
    checks_invariants = True

    def __init__(
        self, profile: str = "conservative", *, seed: int = 1, router: int | None = None, daemons: int = 1,
        round_trip: tuple[float, float] = (0.03, 0.3), shuffled: bool = False, **settings: Any,
    ) -> None:
        self.world = World(seed, shuffled=shuffled)
        self.settings = settings_from({"profile": profile, **settings})
        self.router = Router(router)
        self.network = Network(self.world.rng, self.router)
        self.trackers = SimulatedTrackers(self.world)
        self.torrents: dict[bytes, SimulatedTorrent] = {}
        self.trace: list[str] = []                      # every decision and every outcome
        self.events: Counter[str] = Counter()           # of the log, by name
        self._round_trip = round_trip
        self._began = self.world.now
        self._engine = {"clock": self.world.clock, "call_later": self.world.call_later}
        self.session = Outsider(self._session_told)
        self._ui_feed = Outsider()
        self._shared = {"connect_timeout": ConnectTimeout(self.settings.connect_timeout), "own_address": OwnAddress()}
        self._announce_gate = AnnounceGate(**self._engine)
        self.broker = self.world.adopt(self.broker_class(self.settings, self.session, log=SimulatedLog(self._broker_logged), **self._engine))
        self.daemons = [
            SimulatedDaemon(
                self.world, self.network, self.settings.half_open_limit, self._dial_began, self._daemon_event,
                functools.partial(self._dials_obstructed, number),
            )
            for number in range(daemons)
        ]
        self.watch = BrokerWatch(self.settings, self.broker, self.world.now)
        self.dial_watch = DialWatch(self.world, self.broker, self.router, self.daemons, self.torrents)
        self.why_watch = WhyWatch(self)
        if self.checks_invariants:
            self.world.before, self.world.after = self._before, self._after
        self._tick_is_armed = False
        self._obstacles: dict[tuple[int, str], str] = {}

    # ── what a scenario does ─────────────────────────────────────────────────────────────────────────────────────────────

    def add(
        self, name: str = "", *, priority: str = "normal", complete: bool = False, started: bool = True, trackers: tuple[str, ...] = (),
        peers: list[SimulatedPeer] | None = None, stays: float = FOREVER, **kinds: int,
    ) -> SimulatedTorrent:
        """Add a torrent that knows so many peers of each kind, which stay for so long when they connect: add(alive=2, dead=30).

        With `trackers` it learns of them there, otherwise they were given by hand.
        """
        peers = self.new_peers(stays=stays, **kinds) + (peers or [])
        self.world.rng.shuffle(peers)
        torrent = SimulatedTorrent(self, name or f"torrent {len(self.torrents)}", peers)
        self.torrents[torrent.info_hash] = torrent
        torrent.daemon = self.daemons[len(self.torrents) % len(self.daemons)]
        torrent.daemon.num_pieces[torrent.info_hash] = NUM_PIECES
        torrent.daemon.verified[torrent.info_hash] = full_bitfield(NUM_PIECES) if complete else NO_PIECES
        addresses = tuple(peer.address for peer in peers)
        for url in trackers:
            self.tracker(url).peers[torrent.info_hash] = addresses
        torrent.given = torrent.order(priority, () if trackers else addresses, (trackers,) if trackers else ())
        self._start_actors(torrent)
        if started:
            torrent.start()
        return torrent

    def add_many(self, number: int, **what: Any) -> list[SimulatedTorrent]:
        """The same so many times."""
        return [self.add(**what) for _ in range(number)]

    def new_peers(self, *, stays: float = FOREVER, **kinds: int) -> list[SimulatedPeer]:
        """Return so many peers of each kind of network.KINDS, which nobody knows yet."""
        assert set(kinds) <= set(KINDS), f"peers are {', '.join(KINDS)}, not {kinds}"
        return [self.network.new_peer(kind, self._round_trip, stays) for kind, number in kinds.items() for _ in range(number)]

    def tracker(self, url: str) -> SimulatedTracker:
        """Return the tracker at this URL."""
        return self.trackers.at.setdefault(url, SimulatedTracker())

    def run(self, seconds: float) -> None:
        """Let time pass, then look at everything once."""
        self.world.run(seconds)
        if self.checks_invariants:
            self.watch.check_everything()
            self.dial_watch.check_everything()
            self.why_watch.check_everything()

    def tell_broker(self, *messages: Any) -> None:
        """As the session, or the user, tells it."""
        for message in messages:
            self.broker.actor_ref.tell(message)
        self.world.handle_all()

    def step_clock(self, seconds: float) -> None:
        """The clock that the actors see steps."""
        self.world.clock_offset += seconds
        self.watch.clock_stepped(seconds)
        self.dial_watch.time_jumped()

    def suspend(self, seconds: float) -> None:
        """The machine sleeps: peers hang up, and all timers are late."""
        self.world.sleep(seconds)
        self.watch.machine_slept()
        self.dial_watch.time_jumped()
        for daemon in self.daemons:
            for connection_id in list(daemon.connections):
                daemon.close(connection_id, "connection reset")

    def restart(self, torrent: SimulatedTorrent) -> None:
        """What the session does for a torrent whose actor died."""
        self.broker.actor_ref.tell(m.TorrentGone(torrent.info_hash))
        torrent.daemon.tell(m.DetachTorrent(torrent.info_hash))
        torrent.daemon.tell(m.SendToDaemon(dm.RemoveTorrent(torrent.info_hash)))
        self._start_actors(torrent)
        torrent.start()

    # ── what it shows ────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return self.world.now - self._began

    @property
    def stats(self) -> ConnectionQueueStats:
        """What the broker says."""
        return self.broker.on_receive(m.GetConnectionQueueStats())

    @property
    def daemon(self) -> SimulatedDaemon:
        """The first one."""
        return self.daemons[0]

    @property
    def dials(self) -> list[float]:
        """When each dial began."""
        return [moment - self._began for moment in self.dial_watch.dials]

    @property
    def digest(self) -> str:
        """SHA-256 of the trace."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()

    # ── how it is put together ───────────────────────────────────────────────────────────────────────────────────────────

    def _start_actors(self, torrent: SimulatedTorrent) -> None:
        order, log = torrent.given, SimulatedLog(self._torrent_logged)
        torrent.actor = self.world.adopt(self.torrent_class(
            self.session, broker=self.broker.actor_ref, ui_feed=self._ui_feed, daemon=torrent.daemon, order=order, settings=self.settings,
            **self._shared, rng=random.Random(self.world.rng.random()), log=log, **self._engine,
        ))
        torrent.actor.on_start()
        if order.metainfo.tiers:
            torrent.announcer = self.world.adopt(TrackerAnnouncer(
                self.session, torrent=torrent.actor.actor_ref, info_hash=torrent.info_hash, tiers=order.metainfo.tiers, peer_id=PEER_ID,
                settings=self.settings, gate=self._announce_gate, http=self.trackers, rng=random.Random(self.world.rng.random()),
                log=log, **self._engine,
            ))
            torrent.actor.actor_ref.tell(m.AnnouncerStarted(torrent.announcer.actor_ref))
        self.world.handle_all()

    def _before(self, actor: Any, message: Any) -> None:
        if actor is self.broker:
            self.watch.look_at_clock(self.world.clock(), is_event=True)
            self.watch.before(message)
            self.dial_watch.broker_heard(message)
        elif isinstance(message, dm.DialFailed):
            self.dial_watch.before(actor, message)

    def _after(self, actor: Any, message: Any) -> None:
        if actor is self.broker:
            self.watch.after(message)
            self._arm_tick()
        elif isinstance(message, dm.DialFailed):
            self.dial_watch.after(message)

    def _arm_tick(self) -> None:
        if not self._tick_is_armed and self.watch.wants_ticks:
            self._tick_is_armed = True
            self.world.later(TICK_SHARE * self.settings.drain_interval, self._tick)

    def _tick(self) -> None:
        self._tick_is_armed = False
        self.watch.look_at_clock(self.world.clock(), is_event=False)
        self.watch.look_for_idle_slots()
        self._arm_tick()

    # ── who tells what ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _session_told(self, message: Any) -> None:
        torrent = self.torrents.get(getattr(message, "info_hash", None))
        match message:
            case m.TorrentStateChanged():  torrent.states.append(message.state)
            case m.TorrentStoppedFully():  torrent.is_stopped_fully = True
            case m.ActorFailed():          self.events["actor_failed"] += 1

    def _dials_obstructed(self, daemon: int, obstacle: str, reason: str) -> None:
        """What the session does: one pause for what several daemons find, until the last of them is over it."""
        if reason:
            self._obstacles[daemon, obstacle] = reason
            self.broker.actor_ref.tell(m.PauseConnecting(reason))
        elif (reason := self._obstacles.pop((daemon, obstacle), "")) and reason not in self._obstacles.values():
            self.broker.actor_ref.tell(m.ResumeConnecting(reason))

    def _broker_logged(self, event: str, fields: dict[str, Any]) -> None:
        self.events[event] += 1
        if self.checks_invariants:
            self.watch.logged(event, fields)
        if event == "slot_granted":
            torrent = self.torrents[fields["info_hash"]]
            torrent.grants.append(self.now)
            self._record("granted", torrent.name, fields["grant_id"])

    def _torrent_logged(self, event: str, fields: dict[str, Any]) -> None:
        self.events[event] += 1

    def _dial_began(self, dial: SimulatedDial) -> None:
        torrent = self.torrents[dial.order.info_hash]
        torrent.dials.append(self.now)
        self._record("dialled", torrent.name, dial.order.grant_id, dial.peer.address)
        self.dial_watch.dial_began(dial, check=self.checks_invariants)

    def _daemon_event(self, what: str, info_hash: bytes | None = None, peer: str = "", number: int = 0) -> None:
        torrent = self.torrents.get(info_hash)
        self._record(what, torrent.name if torrent else "", number, peer)
        if torrent is not None and what in dm.OUTCOMES:
            torrent.ends.append(what)
            if what == dm.CONNECTED:
                torrent.connects.append(self.now)

    def _record(self, *what: object) -> None:
        self.trace.append(f"{self.now:.6f} {' '.join(map(str, what))}")
