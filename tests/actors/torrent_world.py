"""A TorrentActor in a world of receivers that only remember, with a daemon that does what a test says."""

import itertools
import random
from typing import Any

from actors import messages as m
from actors.torrent import TorrentActor
from protocol import daemon_messages as dm
from protocol.metainfo import FileEntry, Info, Metainfo
from protocol.peer_address import PeerAddress
from protocol.piece_layout import PieceLayout
from scheduler.connect_timeout import ConnectTimeout
from scheduler.settings import Settings, settings_from
from tests.actors.pump import RecordingLog, RecordingRef, VirtualTime, pump

INFO_HASH = bytes(range(20))
PIECE_BYTES = 1 << 16
NUM_PIECES = 10
LAST_PIECE_BYTES = 1_000
RAW_INFO = b"the raw info dictionary"


def address(number: int, port: int = 6881) -> PeerAddress:
    """Return a public address of its own for each number below 2¹⁶."""
    return PeerAddress(f"80.0.{number >> 8}.{number & 255}", port)


def bitfield(*pieces: int, num_pieces: int = NUM_PIECES) -> bytes:
    bits = bytearray(-(-num_pieces // 8))
    for piece in pieces:
        bits[piece >> 3] |= 0x80 >> (piece & 7)
    return bytes(bits)


SEEDS_WAIT = settings_from({"seeds_dial": False})       # so that what a download does, and what it stops doing, is seen by itself
ALL_PIECES = bitfield(*range(NUM_PIECES))


def add_order(peers: tuple[PeerAddress, ...] = (), raw: bytes = RAW_INFO, num_pieces: int = NUM_PIECES) -> m.AddTorrent:
    total = PIECE_BYTES * (num_pieces - 1) + LAST_PIECE_BYTES
    info = Info(
        info_hash=INFO_HASH, raw=raw, name="debian.iso", layout=PieceLayout(PIECE_BYTES, total),
        files=(FileEntry(("debian.iso",), total, 0, False),), piece_hashes=bytes(20 * num_pieces), private=False,
        is_single_file=True, is_hybrid=False,
    )
    return m.AddTorrent(Metainfo(info, (), (), "", "", None), "/downloads", "debian.torrent", peers)


class TorrentWorld:
    """`told` messages are those that a receiver has not been asked for yet."""

    def __init__(
        self, *, peers: tuple[PeerAddress, ...] = (), settings: Settings | None = None, with_announcer: bool = True, seed: int = 1,
        order: m.AddTorrent | None = None, store: RecordingRef | None = None,
    ) -> None:
        self.time = VirtualTime()
        self.session, self.broker, self.ui_feed, self.link, self.announcer, self.user = (RecordingRef() for _ in range(6))
        self.log = RecordingLog()
        self.connect_timeout = ConnectTimeout()
        self.actor = TorrentActor(
            session=self.session, broker=self.broker, ui_feed=self.ui_feed, daemon=self.link, order=order or add_order(peers),
            settings=settings or SEEDS_WAIT, connect_timeout=self.connect_timeout, rng=random.Random(seed),
            clock=self.time.clock, call_later=self.time.call_later, log=self.log, store=store,
        )
        self._grant_ids = itertools.count(1)
        self._connection_ids = itertools.count(1)
        self.tell(m.Begin())
        if with_announcer:
            self.tell(m.AnnouncerStarted(self.announcer))

    def tell(self, *messages: Any) -> None:
        """Let the actor handle these, one after the other."""
        for message in messages:
            self.actor.actor_ref.tell(message)
            pump(self.actor)

    def advance(self, seconds: float) -> None:
        self.time.advance(seconds, self.actor)

    @property
    def timers(self) -> list[float]:
        return self.time.timers

    def to_daemon(self, kind: type = object) -> list[Any]:
        """Return and forget what the daemon was told of this kind."""
        told = [message.message for message in self.link.messages if isinstance(message, m.SendToDaemon) and isinstance(message.message, kind)]
        self.link.messages = [
            message for message in self.link.messages if not (isinstance(message, m.SendToDaemon) and isinstance(message.message, kind))
        ]
        return told

    def states(self) -> list[str]:
        """Return and forget the states that the session was told."""
        return [message.state for message in self.session.take(m.TorrentStateChanged)]

    def snapshot(self, with_peers: bool = True) -> Any:
        return self.actor.on_receive(m.GetTorrentSnapshot(with_peers=with_peers))

    # ── the daemon's part ────────────────────────────────────────────────────────────────────────────────────────────────

    def daemon_is_ready(self, port: int = 6881) -> None:
        self.tell(m.DaemonReady(self.link, port))

    def checked(self, verified: bytes = bitfield()) -> None:
        self.tell(dm.TorrentChecked(INFO_HASH, verified))

    def run(self, verified: bytes = bitfield()) -> "TorrentWorld":
        """Bring the torrent into the swarm, and forget what was said on the way."""
        self.tell(m.StartTorrent())
        self.daemon_is_ready()
        self.checked(verified)
        return self.forget()

    def forget(self) -> "TorrentWorld":
        for receiver in (self.session, self.broker, self.ui_feed, self.link, self.announcer):
            receiver.messages.clear()
        self.log.events.clear()
        return self

    def grant(self, lease: float = 10.0) -> int:
        """Give one slot; return its grant id."""
        grant_id = next(self._grant_ids)
        self.tell(m.ConnectOnePeer(grant_id, self.time.now + lease))
        return grant_id

    def fail(self, grant_id: int, outcome: str = dm.TIMED_OUT, reason: str = "") -> None:
        self.tell(dm.DialFailed(INFO_HASH, grant_id, outcome, reason, 1.5))

    def connect(self, grant_id: int | None = None, name: str = "libtorrent 2.1") -> int:
        """Let a dial lead to a connection; return its connection id."""
        grant_id = self.grant() if grant_id is None else grant_id
        connection_id = next(self._connection_ids)
        self.tell(
            dm.Dialled(INFO_HASH, grant_id, 0.1),
            dm.PeerConnected(INFO_HASH, connection_id, grant_id, "80.0.0.1", 6881, False, bytes(20), name, 0.2),
        )
        return connection_id

    def knock(self, ip: str = "80.1.1.1", port: int = 50_000) -> int:
        """Let a peer dial us; return its connection id."""
        connection_id = next(self._connection_ids)
        self.tell(dm.IncomingPeer(INFO_HASH, connection_id, ip, port, bytes(20)))
        return connection_id

    def reserve(self, connection_id: int) -> int:
        grant_id = next(self._grant_ids)
        self.tell(m.IncomingReserved(connection_id, grant_id))
        return grant_id

    def accept(self, ip: str = "80.1.1.1", port: int = 50_000) -> tuple[int, int]:
        """Let an incoming peer complete its handshake; return connection id and grant id."""
        connection_id = self.knock(ip, port)
        grant_id = self.reserve(connection_id)
        self.tell(dm.PeerConnected(INFO_HASH, connection_id, grant_id, ip, port, True, bytes(20), "", 0.2))
        return connection_id, grant_id

    def disconnect(self, connection_id: int, reason: str = "end of file", seconds: float = 60.0) -> None:
        self.tell(dm.PeerDisconnected(INFO_HASH, connection_id, reason, seconds, 1_000, 200))
