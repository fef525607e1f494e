"""An I/O daemon without sockets, and the DaemonLink before it: what the engine tells is done to the simulated network.

It speaks the real messages, each through the real frames, and has the real limits: so many connects under way, twice as many that
wait, beyond that local_busy. It never decides whom to dial.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from actors import messages as m
from actors.daemon_link import FIRST_RESTART_SECONDS
from daemon.dial_obstacles import DESCRIPTORS, LOOK_AGAIN_SECONDS, NETWORK, NETWORK_TEXT
from protocol import daemon_messages as dm
from protocol.daemon_frames import FrameReader, encode_frames
from protocol.peer_address import PeerAddress
from tests.simulation import network as net
from tests.simulation.network import Network, SimulatedPeer
from tests.simulation.router import Flow
from tests.simulation.world import DueCall, World

SYN_MOMENTS = (0.0, 1.0, 3.0, 7.0, 15.0)                # Linux sends a SYN again so long after the first
LONGEST_TIMEOUT = 30.0
HANDSHAKE_SECONDS = 10.0
PORT = 6881
PEER_ID = b"-EW0100-123456789012"


class SimulatedDial:
    """From the engine's message to its outcome."""

    def __init__(self, order: dm.Dial, peer: SimulatedPeer, began: float) -> None:
        self.order, self.peer, self.began = order, peer, began
        self.is_under_way = False                       # False: it waits for one that is
        self.is_handshaking = False
        self.timeout = min(order.timeout, LONGEST_TIMEOUT)
        self.sent_at = 0.0                              # moment of the first SYN
        self.flow: Flow | None = None
        self.deadline: DueCall | None = None            # of TCP's answer
        self.timers: list[DueCall] = []                 # the others


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
        self.max_under_way, self.max_pending = max_under_way, 2 * max_under_way
        self.latency = 0.001                            # of a message, each way
        self.is_alive = True
        self.says_busy = False                          # each dial: the machine's own table of flows is full
        self.has_descriptors = True
        self.is_mute = False                            # it acts, and tells nobody
        self.verified: dict[bytes, bytes] = {}          # what is on disk: a bitfield by info hash
        self.num_pieces: dict[bytes, int] = {}
        self.dials: dict[int, SimulatedDial] = {}       # by grant id: waiting, connecting, handshaking
        self.connections: dict[int, SimulatedConnection] = {}
        self.torrents: dict[bytes, bool] = {}           # that it was given → it takes part in the swarm
        self.most_under_way = 0
        self._pending: deque[SimulatedDial] = deque()
        self._num_connecting = 0
        self._attached: dict[bytes, Any] = {}
        self._generation = 0
        self._last_connection_id = 0
        self._obstacles: set[str] = set()
        self._on_dial, self._on_event, self._on_obstacle = on_dial, on_event, on_obstacle

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
        for dial in self.dials.values():
            self._end_timers(dial)
        for connection in self.connections.values():
            if connection.flow is not None:
                self.network.router.closed(connection.flow, self.world.now)
        self.dials, self.connections, self.torrents, self._pending, self._num_connecting = {}, {}, {}, deque(), 0
        for obstacle in sorted(self._obstacles):
            self._obstacle_ended(obstacle)
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
            case dm.ChangeDialTimeouts(): self._change_timeouts(message)
            case dm.CancelDials():     self._cancel_dials(message.info_hash)
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

    def _add_torrent(self, order: dm.AddTorrent) -> None:
        self.torrents[order.info_hash] = False
        self._checked(order.info_hash)

    def _checked(self, info_hash: bytes) -> None:
        self._send(dm.TorrentChecked(info_hash, self.verified[info_hash]))

    def _stop(self, info_hash: bytes, *, forget: bool) -> None:
        self._cancel_dials(info_hash)
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
        self._cancel_dials(info_hash)
        for connection in [connection for connection in self.connections.values() if connection.info_hash == info_hash]:
            self.close(connection.connection_id, "the torrent failed")
        self.torrents[info_hash] = False
        self._send(dm.TorrentFailed(info_hash, error))

    # ── dials ────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def num_dials(self, info_hash: bytes) -> int:
        """Dials and handshakes under way, waiting ones too, of one torrent."""
        return sum(dial.order.info_hash == info_hash for dial in self.dials.values())

    def _dial(self, order: dm.Dial) -> None:
        if not self.torrents.get(order.info_hash):
            self._send(dm.DialFailed(order.info_hash, order.grant_id, dm.CANCELLED, "the torrent is stopped", 0.0))
            return
        dial = SimulatedDial(order, self.network.peer_at(PeerAddress(order.ip, order.port)), self.world.now)
        self.dials[order.grant_id] = dial
        self._on_dial(dial)
        if self._num_connecting < self.max_under_way:
            self._connect(dial)
        elif len(self._pending) < self.max_pending:
            self._pending.append(dial)
        else:
            self._end(dial, dm.LOCAL_BUSY, "too many dials wait already")

    def _connect(self, dial: SimulatedDial) -> None:
        if self.says_busy or not self.has_descriptors:
            if not self.has_descriptors:
                self._obstacle_came(DESCRIPTORS, "too many open files", lambda: self.has_descriptors)
            self._end(dial, dm.LOCAL_BUSY, "this machine can open no connection now")
            return
        if not self.network.is_up:
            self._network_is_lost()
            if dial.order.grant_id in self.dials:
                self._end(dial, dm.UNREACHABLE, dm.NO_ROUTE)
            return
        dial.is_under_way, dial.sent_at = True, self.world.now
        self._num_connecting += 1
        self.most_under_way = max(self.most_under_way, self._num_connecting)
        dial.peer.num_dialled += 1
        dial.peer.last_dialled = self.world.now
        if dial.peer.kind == net.UNREACHABLE:
            self._after(dial, dial.peer.round_trip, lambda: self._answered_by_nobody(dial, dm.UNREACHABLE, "host unreachable"))
        self._set_deadline(dial)
        self._send_syn(dial, 0)

    def _set_deadline(self, dial: SimulatedDial) -> None:
        if dial.deadline is not None:
            dial.deadline.kill()
        dial.deadline = self.world.later(dial.sent_at + dial.timeout - self.world.now, lambda: self._timed_out(dial))

    def _timed_out(self, dial: SimulatedDial) -> None:
        if self.network.is_up:
            self._end(dial, dm.TIMED_OUT, f"no answer within {dial.timeout:g} s")
        else:
            self._network_is_lost()

    def _change_timeouts(self, order: dm.ChangeDialTimeouts) -> None:
        for dial in [dial for dial in self.dials.values() if dial.order.info_hash == order.info_hash]:
            dial.timeout = min(order.timeout, LONGEST_TIMEOUT)
            if dial.is_under_way and not dial.is_handshaking:
                self._set_deadline(dial)

    def _send_syn(self, dial: SimulatedDial, number: int) -> None:
        """Send it, and again until something answers; the first one that finds room in the router arrives."""
        router, is_first = self.network.router, dial.flow is None
        if is_first:
            dial.flow = router.open(self.world.now)
            if dial.flow is not None:
                self._arrived(dial)
        elif not dial.flow.answered:
            router.sent_again(dial.flow, self.world.now)
        if number + 1 < len(SYN_MOMENTS):
            self._after(dial, SYN_MOMENTS[number + 1] - SYN_MOMENTS[number], lambda: self._send_syn(dial, number + 1))

    def _arrived(self, dial: SimulatedDial) -> None:
        if dial.peer.kind == net.REFUSES:
            self._after(dial, dial.peer.round_trip, lambda: self._answered_by_nobody(dial, dm.REFUSED, "connection refused"))
        elif dial.peer.kind not in (net.DEAD, net.UNREACHABLE):
            self._after(dial, dial.peer.round_trip, lambda: self._tcp_connected(dial))

    def _answered_by_nobody(self, dial: SimulatedDial, outcome: str, reason: str) -> None:
        if dial.flow is not None:
            self.network.router.refused(dial.flow, self.world.now)
        self._end(dial, outcome, reason)

    def _tcp_connected(self, dial: SimulatedDial) -> None:
        self._end_timers(dial)
        self.network.router.answered(dial.flow)
        dial.is_handshaking = True
        self._num_connecting -= 1
        self._send(dm.Dialled(dial.order.info_hash, dial.order.grant_id, self.world.now - dial.sent_at))
        if dial.peer.kind == net.SILENT:
            self._after(dial, HANDSHAKE_SECONDS, lambda: self._end(dial, dm.HANDSHAKE_FAILED, "no handshake within 10 s"))
        else:
            self._after(dial, dial.peer.round_trip, lambda: self._connected(dial))
        self._connect_next()

    def _connected(self, dial: SimulatedDial) -> None:
        order = dial.order
        self._end_timers(dial)
        del self.dials[order.grant_id]
        connection = self._new_connection(order.info_hash, dial.peer, dial.flow, incoming=False)
        self._on_event("connected", order.info_hash, str(dial.peer.address), order.grant_id)
        self._send(dm.PeerConnected(
            order.info_hash, connection.connection_id, order.grant_id, order.ip, order.port, False, bytes(20), "", self.world.now - dial.began,
        ))
        self._stay(connection)

    def _end(self, dial: SimulatedDial, outcome: str, reason: str) -> None:
        order = dial.order
        self._end_timers(dial)
        del self.dials[order.grant_id]
        if dial.is_handshaking:
            self.network.router.closed(dial.flow, self.world.now)
        elif dial.is_under_way:
            self._num_connecting -= 1
        self._on_event(outcome, order.info_hash, str(dial.peer.address), order.grant_id)
        self._send(dm.DialFailed(order.info_hash, order.grant_id, outcome, reason, self.world.now - dial.began))
        self._connect_next()

    def _cancel_dials(self, info_hash: bytes) -> None:
        mine = [dial for dial in self.dials.values() if dial.order.info_hash == info_hash]
        self._pending = deque(dial for dial in self._pending if dial not in mine)
        for dial in mine:
            self._end(dial, dm.CANCELLED, "cancelled")

    def _connect_next(self) -> None:
        while self._pending and self._num_connecting < self.max_under_way:
            self._connect(self._pending.popleft())

    def _after(self, dial: SimulatedDial, seconds: float, call: Callable[[], None]) -> None:
        dial.timers.append(self.world.later(seconds, call))

    @staticmethod
    def _end_timers(dial: SimulatedDial) -> None:
        for timer in (*dial.timers, *filter(None, [dial.deadline])):
            timer.kill()
        dial.timers.clear()

    # ── obstacles ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _network_is_lost(self) -> None:
        """No route to anybody: what is under way ends, by nobody's fault."""
        self._obstacle_came(NETWORK, NETWORK_TEXT, lambda: self.network.is_up)
        for other in [other for other in self.dials.values() if other.is_under_way and not other.is_handshaking]:
            self._end(other, dm.CANCELLED, "the network was lost")

    def _obstacle_came(self, obstacle: str, reason: str, is_gone: Callable[[], bool]) -> None:
        """Tell it once, and look each second whether it is gone."""
        if obstacle in self._obstacles:
            return
        self._obstacles.add(obstacle)
        self._on_obstacle(obstacle, reason)

        def look_again() -> None:
            if is_gone():
                self._obstacle_ended(obstacle)
            elif obstacle in self._obstacles:
                self._soon(LOOK_AGAIN_SECONDS, look_again)

        self._soon(LOOK_AGAIN_SECONDS, look_again)

    def _obstacle_ended(self, obstacle: str) -> None:
        self._obstacles.discard(obstacle)
        self._on_obstacle(obstacle, "")

    # ── connections ──────────────────────────────────────────────────────────────────────────────────────────────────────

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
