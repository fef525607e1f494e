"""Whatever user, broker, trackers and daemon say, in any order, twice or late: every grant is answered exactly once, counts are records.

The daemon here mostly does what it was told, and sometimes lies: it speaks of grants and connections that were never, or are no more.
Events have weights, so that a torrent runs most of the time; a failure names its seed and the last events.
"""

import random
from collections import Counter

import pytest

from actors import messages as m
from actors.snapshots import DOWNLOADING, QUEUED
from protocol import daemon_messages as dm
from scheduler.settings import settings_from
from scheduler.torrent_life import Phase
from tests.actors.torrent_world import ALL_PIECES, INFO_HASH, NUM_PIECES, TorrentWorld, address, bitfield

NUM_SEEDS = 200
NUM_EVENTS = 120
LIMIT = 6                                               # connections of the torrent
ANY_ID = range(1, 60)                                   # of grants and connections, most of them unknown


class GrantBook:
    """What the broker was told of each grant; raises AssertionError for an answer that is not due."""

    def __init__(self) -> None:
        self.given: set[int] = set()                    # neither started nor declined
        self.dialling: set[int] = set()
        self.connected: set[int] = set()
        self.ended: Counter[str] = Counter()

    def hear(self, message) -> None:
        match message:
            case m.SlotDeclined():
                self.given.remove(message.grant_id)
                self.ended["declined"] += 1
            case m.AttemptStarted():
                self.given.remove(message.grant_id)
                self.dialling.add(message.grant_id)
            case m.AttemptEnded():
                self.dialling.remove(message.grant_id)
                if message.outcome == dm.CONNECTED:
                    self.connected.add(message.grant_id)
                self.ended[message.outcome] += 1
            case m.ConnectionClosed():
                self.connected.remove(message.grant_id)
            case m.IdleConnectionOffered():
                assert message.grant_id is None or message.grant_id in self.connected, "only what is connected can be closed"


class RandomTorrent:
    """One torrent, one seed: `step` lets one thing happen and checks what must hold after it."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.world = TorrentWorld(peers=tuple(map(address, range(1, 20))), settings=settings_from({"torrent_connection_limit": LIMIT}))
        self.book = GrantBook()
        self.happened: list[str] = []
        self.world.run()
        weights = {
            self.slot_is_granted: 20, self.dial_is_answered: 8, self.dial_fails: 8, self.peer_connects: 14, self.peer_leaves: 8,
            self.peer_knocks: 5, self.place_is_reserved: 5, self.place_is_refused: 1, self.peer_is_named: 4, self.peer_is_banned: 1,
            self.peer_is_idle: 3, self.place_is_needed: 1, self.peers_are_found: 4, self.time_passes: 8, self.pieces_come: 2, self.figures_come: 2, self.daemon_answers: 12,
            self.daemon_lies: 1, self.daemon_dies: 1, self.daemon_fails: 1, self.user_wishes: 4, self.others_speak: 3,
        }
        self.choices, self.weights = list(weights), list(weights.values())

    def step(self) -> None:
        event = self.rng.choices(self.choices, self.weights)[0]
        self.happened.append(event.__name__)
        event()
        self.check()

    @property
    def peers(self):
        return self.world.actor._peers

    def one_of(self, known) -> int:
        """Return an id that is known, mostly, or any."""
        known = sorted(known)
        return self.rng.choice(known if known and self.rng.random() < 0.8 else ANY_ID)

    # ── user, session, trackers ──────────────────────────────────────────────────────────────────────────────────────────

    def user_wishes(self) -> None:
        self.world.tell(self.rng.choice([m.StartTorrent(), m.StartTorrent(), m.StartTorrent(), m.StopTorrent(), m.RecheckTorrent()]))

    def peers_are_found(self) -> None:
        numbers = self.rng.sample(range(1, 40), 5)
        self.world.tell(m.PeersFound(self.rng.choice(["tracker", "pex", "manual"]), tuple(map(address, numbers))))

    def others_speak(self) -> None:
        self.world.tell(self.rng.choice([
            m.ConnectTimeoutChanged(), m.AnnouncerStopped(INFO_HASH), m.TrackerReported("http://t", "", 20.0, 1, 1), m.StopOverdue(), m.MaintenanceDue(),
        ]))

    def time_passes(self) -> None:
        self.world.advance(self.rng.choice([0.1, 1.0, 3.0, 20.0, 60.0]))

    # ── broker ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    def slot_is_granted(self) -> None:
        grant_id = next(self.world._grant_ids)
        self.book.given.add(grant_id)
        self.world.tell(m.ConnectOnePeer(grant_id, self.world.time.now + self.rng.choice([10.0, 10.0, 10.0, 0.0])))

    def place_is_reserved(self) -> None:
        grant_id = next(self.world._grant_ids)
        self.book.connected.add(grant_id)
        self.world.tell(m.IncomingReserved(self.one_of(self.peers._knocking), grant_id))

    def place_is_refused(self) -> None:
        self.world.tell(m.IncomingRefused(self.one_of(self.peers._knocking), "global limit"))

    # ── daemon ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    def daemon_answers(self) -> None:
        if self.world.actor._around.daemon is None:
            self.world.daemon_is_ready()
        match self.world.actor._life.phase:
            case Phase.CHECKING: self.world.checked(bitfield(1, 2))
            case Phase.STOPPING: self.world.tell(dm.TorrentStopped(INFO_HASH))

    def daemon_lies(self) -> None:
        self.world.tell(self.rng.choice([
            dm.TorrentChecked(INFO_HASH, ALL_PIECES), dm.TorrentStopped(INFO_HASH), dm.CheckProgress(INFO_HASH, 3),
            m.DaemonReady(self.world.link, 6881),
        ]))

    def daemon_dies(self) -> None:
        self.world.tell(m.DaemonLost())
        assert self.peers.num_places == 0

    def daemon_fails(self) -> None:
        self.world.tell(dm.TorrentFailed(INFO_HASH, "no room"))
        assert self.peers.num_places == 0

    def dial_fails(self) -> None:
        outcome, reason = self.rng.choice(dm.OUTCOMES[1:]), self.rng.choice(["", "", dm.DUPLICATE_PEER, dm.OWN_ADDRESS, dm.NO_ROUTE])
        self.world.fail(self.one_of(self.book.dialling), outcome, reason)

    def dial_is_answered(self) -> None:
        self.world.tell(dm.Dialled(INFO_HASH, self.one_of(self.book.dialling), 0.5))

    def peer_connects(self) -> None:
        accepted = [connection.connection_id for connection in self.peers.connections.values() if not connection.is_complete]
        incoming = bool(accepted) and self.rng.random() < 0.5
        connection_id = self.one_of(accepted) if incoming else self.rng.choice(ANY_ID)
        grant_id = self.one_of(self.book.dialling)
        self.world.tell(dm.PeerConnected(INFO_HASH, connection_id, grant_id, "80.0.0.1", 6881, incoming, bytes(20), "rqbit 9", 0.7))

    def peer_knocks(self) -> None:
        ip, port = address(self.rng.randrange(1, 40)).ip, self.rng.choice([6881, 50_000, 50_001])
        self.world.tell(dm.IncomingPeer(INFO_HASH, self.rng.choice(ANY_ID), ip, port, bytes(20)))

    def peer_is_named(self) -> None:
        self.world.tell(dm.PeerNamed(INFO_HASH, self.one_of(self.peers.connections), "rqbit 9", self.rng.choice([0, 6881, 70_000])))

    def peer_leaves(self) -> None:
        connection_id = self.one_of([*self.peers.connections, *self.peers._knocking])
        self.world.disconnect(connection_id, self.rng.choice(["end of file", dm.DUPLICATE_PEER, dm.IDLE]), self.rng.choice([1.0, 60.0]))

    def peer_is_idle(self) -> None:
        self.world.tell(dm.PeerIdle(INFO_HASH, self.one_of(self.peers.connections), self.rng.choice([300.0, 400.0, None])))

    def place_is_needed(self) -> None:
        self.world.tell(m.CloseIdleConnection(self.one_of(self.book.connected)))

    def peer_is_banned(self) -> None:
        ip = address(self.rng.randrange(1, 40)).ip
        self.world.tell(dm.PeerBanned(INFO_HASH, self.one_of(self.peers.connections), ip, 6881, "sent bad data"))

    def pieces_come(self) -> None:
        pieces = self.rng.sample(range(NUM_PIECES), self.rng.choice([1, 1, 1, NUM_PIECES]))
        self.world.tell(dm.PiecesVerified(INFO_HASH, pieces))
        if self.rng.random() < 0.5:
            self.world.tell(dm.PiecesDurable(INFO_HASH, pieces))

    def figures_come(self) -> None:
        self.world.tell(dm.TorrentStats(INFO_HASH, 5, 5, 0, 1, 1, [dm.PeerStats(self.one_of(self.peers.connections), 1, 1, 1, 1, 1, "D", 1)]))

    # ── what always holds ────────────────────────────────────────────────────────────────────────────────────────────────

    def check(self) -> None:
        world, life = self.world, self.world.actor._life
        told = world.broker.take()
        for message in told:
            self.book.hear(message)
        assert not self.book.given, "each grant is answered in its turn"
        places = len(self.book.dialling) + len(self.book.connected)
        assert self.peers.num_places == places, "the torrent counts as the broker does"
        assert len(self.book.dialling) <= LIMIT
        assert not places or life.phase in (Phase.RUNNING, Phase.STOPPING), "only a torrent in the swarm has peers"
        assert life.is_running or not any(isinstance(message, m.RequestConnections) for message in told[-1:])

        world.actor._swarm.check_invariants()
        assert sum(peer.is_busy for peer in world.actor._swarm) == places, "every busy record is one place"
        snapshot = world.snapshot()
        states = Counter(row.state for row in snapshot.peers)
        assert snapshot.peers_by_state == {state: states[state] for state in snapshot.peers_by_state}
        assert snapshot.state != DOWNLOADING or life.is_running

        assert len(world.timers) <= 2, "maintenance, and the end of a stop"
        if world.actor._maintenance.is_active and snapshot.peers_by_state[QUEUED] and places < LIMIT:
            assert world.timers, "whoever could use a slot asks again"
        world.forget()


@pytest.mark.parametrize("first", range(0, NUM_SEEDS, 100))
def test_every_grant_is_answered_once_and_all_counts_agree_after_every_event(first):
    answered = Counter()
    for seed in range(first, first + 100):
        torrent = RandomTorrent(seed)
        try:
            for _ in range(NUM_EVENTS):
                torrent.step()
        except Exception as error:
            error.add_note(f"seed {seed}, after {' '.join(torrent.happened[-12:])}")
            raise
        answered += torrent.book.ended
    assert set(answered) == {"declined", *dm.OUTCOMES}, "the events lead everywhere"
