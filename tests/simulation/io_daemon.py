"""An I/O daemon without sockets, and the DaemonLink before it: what the engine tells is done to the simulated network.

It speaks the real messages, each through the real frames, and has the real limits: so many connects under way, twice as many that
wait, beyond that local_busy. It never decides whom to dial.
"""

from collections.abc import Callable
from typing import Any

from actors import messages as m
from actors.daemon_link import FIRST_RESTART_SECONDS
from protocol import daemon_messages as dm
from protocol.daemon_frames import FrameReader, encode_frames
from tests.simulation import network as net
from tests.simulation.dialer import SimulatedDial, SimulatedDialer
from tests.simulation.network import Network, SimulatedPeer
from tests.simulation.router import Flow
from tests.simulation.world import World

PORT = 6881
PEER_ID = b"-EW0100-123456789012"


class SimulatedConnection:
    """A connection, or an incoming one at the door."""

    def __init__(self, connection_id: int, info_hash: bytes, peer: SimulatedPeer, since: float, flow: Flow | None, incoming: bool) -> None:
        self.connection_id, self.info_hash, self.peer, self.since, self.flow, self.incoming = (
            connection_id, info_hash, peer, since, flow, incoming,
        )
        self.is_complete = not incoming


class SimulatedDaemon:
    """The ActorRef of its link. `on_dial(dial)` is called when a dial begins, `on_event(what, info_hash, peer, number)` for each thing
    that happens, `on_obstacle(obstacle, reason)` for what keeps it from dialling, with '' when that is over.
    """

    def __init__(
        self, world: World, network: Network, max_under_way: int, on_dial: Callable[[SimulatedDial], None], on_event: Callable[..., None],
        on_obstacle: Callable[[str, str], None],
    ) -> None:
        self.world, self.network = world, network
        self.dialer = SimulatedDialer(
            world, network, max_under_way, send=self._send, soon=self._soon, began=on_dial, connected=self._connected, happened=on_event,
            obstructed=on_obstacle,
        )
        self.latency = 0.001                            # of a message, each way
        self.is_alive = True
        self.is_mute = False                            # it acts, and tells nobody
        self.verified: dict[bytes, bytes] = {}          # what is on disk: a bitfield by info hash
        self.num_pieces: dict[bytes, int] = {}
        self.connections: dict[int, SimulatedConnection] = {}
        self.torrents: dict[bytes, bool] = {}           # that it was given → it takes part in the swarm
        self._attached: dict[bytes, Any] = {}
        self._generation = 0
        self._last_connection_id = 0
        self._on_event = on_event

    # ── its link ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def tell(self, message: Any) -> None:
        """As ActorRef.tell."""
        match message:
            case m.SendToDaemon():
                if self.is_alive:
                    heard = _through_frames(message.message, dm.TO_DAEMON)
                    self._soon(self.latency, lambda: self._handle(heard))
            case m.AttachTorrent():
                self._attached[message.info_hash] = message.torrent
                if self.is_alive:
                    self._post(message.torrent, m.DaemonReady(self, PORT))
            case m.DetachTorrent():
                self._attached.pop(message.info_hash, None)
            case _:
                raise AssertionError(f"a DaemonLink is not told {message!r}")

    def die(self) -> None:
        """Its process ends; the link notices and starts another one."""
        self.is_alive = False
        self._generation += 1
        for connection in self.connections.values():
            if connection.flow is not None:
                self.network.router.closed(connection.flow, self.world.now)
        self.dialer.die()
        self.connections, self.torrents = {}, {}
        self._on_event("daemon died")
        for torrent in self._attached.values():
            self._post(torrent, m.DaemonLost())
        self._soon(FIRST_RESTART_SECONDS, self._born)

    def _born(self) -> None:
        self.is_alive = True
        for torrent in self._attached.values():
            self._post(torrent, m.DaemonReady(self, PORT))

    def _soon(self, seconds: float, call: Callable[[], None]) -> None:
        generation = self._generation
        self.world.later(seconds, lambda: call() if generation == self._generation else None)

    def _send(self, message: dm.DaemonMessage) -> None:
        """To the torrent that this is about."""
        if self.is_mute:
            return
        heard = _through_frames(message, dm.TO_ENGINE)
        self._soon(self.latency, lambda: self._pass_on(heard))

    def _pass_on(self, message: Any) -> None:
        torrent = self._attached.get(message.info_hash)
        if torrent is not None:
            self._post(torrent, message)

    @staticmethod
    def _post(ref: Any, message: Any) -> None:
        if ref.is_alive():
            ref.tell(message)

    # ── torrents ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _handle(self, message: Any) -> None:
        match message:
            case dm.Dial():            self._dial(message)
            case dm.ChangeDialTimeouts(): self.dialer.change_timeouts(message)
            case dm.CancelDials():     self.dialer.cancel(message.info_hash)
            case dm.MetadataPart():    pass
            case dm.AddTorrent():      self._add_torrent(message)
            case dm.CheckTorrent():    self._checked(message.info_hash)
            case dm.StartTorrent():    self.torrents[message.info_hash] = True
            case dm.StopTorrent():     self._stop(message.info_hash, forget=False)
            case dm.RemoveTorrent():   self._stop(message.info_hash, forget=True)
            case dm.AcceptIncoming():  self._accept(message)
            case dm.RefuseIncoming():  self.close(message.connection_id, message.reason)
            case dm.ClosePeer():       self.close(message.connection_id, message.reason)
            case dm.CloseIdlePeer():   self.close(message.connection_id, dm.IDLE)
            case _:                    raise AssertionError(f"this daemon does not know {message!r}")

    def _dial(self, order: dm.Dial) -> None:
        if self.torrents.get(order.info_hash):
            self.dialer.dial(order)
        else:
            self._send(dm.DialFailed(order.info_hash, order.grant_id, dm.CANCELLED, "the torrent is stopped", 0.0))

    def _add_torrent(self, order: dm.AddTorrent) -> None:
        self.torrents[order.info_hash] = False
        self._checked(order.info_hash)

    def _checked(self, info_hash: bytes) -> None:
        self._send(dm.TorrentChecked(info_hash, self.verified[info_hash]))

    def _stop(self, info_hash: bytes, *, forget: bool) -> None:
        self.dialer.cancel(info_hash)
        for connection in [connection for connection in self.connections.values() if connection.info_hash == info_hash]:
            self.close(connection.connection_id, "the torrent was stopped")
        if info_hash in self.torrents:
            self.torrents[info_hash] = False
        if forget:
            self.torrents.pop(info_hash, None)
        self._send(dm.TorrentStopped(info_hash))

    def complete(self, info_hash: bytes) -> None:
        """The last piece came: verified, then durable."""
        num_pieces = self.num_pieces[info_hash]
        self.verified[info_hash] = full_bitfield(num_pieces)
        self._send(dm.PiecesVerified(info_hash, list(range(num_pieces))))
        self._soon(0.05, lambda: self._send(dm.PiecesDurable(info_hash, list(range(num_pieces)))))

    def fail(self, info_hash: bytes, error: str) -> None:
        """The disk is full, or the like."""
        self.dialer.cancel(info_hash)
        for connection in [connection for connection in self.connections.values() if connection.info_hash == info_hash]:
            self.close(connection.connection_id, "the torrent failed")
        self.torrents[info_hash] = False
        self._send(dm.TorrentFailed(info_hash, error))

    # ── connections ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _connected(self, dial: SimulatedDial) -> None:
        order = dial.order
        connection = self._new_connection(order.info_hash, dial.peer, dial.flow, incoming=False)
        self._on_event("connected", order.info_hash, str(dial.peer.address), order.grant_id)
        self._send(dm.PeerConnected(
            order.info_hash, connection.connection_id, order.grant_id, order.ip, order.port, False, bytes(20), "", self.world.now - dial.began,
        ))
        self._stay(connection)

    def knock(self, info_hash: bytes, peer: SimulatedPeer) -> int:
        """A peer dials us; return the connection id."""
        connection = self._new_connection(info_hash, peer, None, incoming=True)
        address = peer.address
        self._send(dm.IncomingPeer(info_hash, connection.connection_id, address.ip, address.port, bytes(20)))
        return connection.connection_id

    def say_idle(self, info_hash: bytes, seconds: float) -> None:
        """All connections of a torrent have been of no use to either side for so long."""
        for connection in self.connections.values():
            if connection.info_hash == info_hash and connection.is_complete:
                self._send(dm.PeerIdle(info_hash, connection.connection_id, seconds))

    def close(self, connection_id: int, reason: str) -> None:
        """A connection ends, or somebody at the door is sent away."""
        connection = self.connections.pop(connection_id, None)
        if connection is None:
            return
        if connection.flow is not None:
            self.network.router.closed(connection.flow, self.world.now)
        if connection.is_complete:
            self._on_event("closed", connection.info_hash, str(connection.peer.address), connection_id)
        seconds = self.world.now - connection.since
        self._send(dm.PeerDisconnected(connection.info_hash, connection_id, reason, seconds, 0, 0))

    def _accept(self, order: dm.AcceptIncoming) -> None:
        connection = self.connections.get(order.connection_id)
        if connection is None or not self.torrents.get(order.info_hash):
            self.close(order.connection_id, "the torrent is stopped")
            return
        connection.is_complete = True
        address = connection.peer.address
        self._on_event("connected", order.info_hash, str(address), order.grant_id)
        self._send(dm.PeerConnected(
            order.info_hash, order.connection_id, order.grant_id, address.ip, address.port, True, bytes(20), "", 0.1,
        ))
        self._stay(connection)

    def _new_connection(self, info_hash: bytes, peer: SimulatedPeer, flow: Flow | None, incoming: bool) -> SimulatedConnection:
        self._last_connection_id += 1
        connection = SimulatedConnection(self._last_connection_id, info_hash, peer, self.world.now, flow, incoming)
        self.connections[connection.connection_id] = connection
        return connection

    def _stay(self, connection: SimulatedConnection) -> None:
        """For as long as the peer likes."""
        stays = net.DROPS_AFTER_SECONDS if connection.peer.kind == net.DROPS else connection.peer.stays
        if stays != net.FOREVER:
            self._soon(stays, lambda: self.close(connection.connection_id, "end of file"))


def _through_frames(message: Any, kinds: Any) -> Any:
    """Return what comes out at the other end of the socket."""
    reader = FrameReader(kinds)
    reader.receive_data(encode_frames([message]))
    (heard,) = reader.messages()
    return heard


def full_bitfield(num_pieces: int) -> bytes:
    """All pieces."""
    bits = (1 << num_pieces) - 1 << -num_pieces % 8
    return bits.to_bytes(-(-num_pieces // 8), "big")
