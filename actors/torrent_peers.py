"""TorrentPeers: the attempts and connections of one torrent, from the grant to the end.

Every grant is answered exactly once: an attempt that started ends, a connection that was counted is closed, whatever the daemon says,
says twice, says late or never says. What it says of a grant or connection that is not known any more (stopped, daemon restarted) is
not believed; a connection that comes of it is closed.
"""

from dataclasses import dataclass
from typing import Final

from actors import messages as m
from actors.idle_offers import IdleOffers
from actors.torrent_surroundings import TorrentSurroundings
from protocol import daemon_messages as dm
from protocol.peer_address import PeerAddress
from scheduler.connect_timeout import ConnectTimeout
from scheduler.own_address import OwnAddress
from scheduler.swarm import Swarm
from scheduler.swarm_peer import SwarmPeer

WILDCARD_HOSTS: Final = ("", "0.0.0.0", "::")
OVERDUE_SECONDS: Final = 60.0                           # more than its timers allow, then the daemon has forgotten a dial


@dataclass(slots=True, eq=False)
class Attempt:
    """A dial under way."""

    grant_id: int
    peer: SwarmPeer
    started: float                                      # moment
    timeout: float                                      # seconds
    answered_in: float | None = None                    # seconds from the dial to TCP's answer; None: there was none yet


@dataclass(slots=True, eq=False)
class PeerConnection:
    """A connection, or an incoming one that has a place and completes its handshake."""

    connection_id: int
    grant_id: int
    peer: SwarmPeer
    incoming: bool
    since: float                                        # moment
    is_complete: bool                                   # the handshake is
    stats: dm.PeerStats | None = None                   # None until the first figures come
    told_stats: dm.PeerStats | None = None              # those that viewers have


class TorrentPeers:
    """Who is being dialled and who is connected. What it hears from the daemon ends in the swarm, at the broker and in the log."""

    def __init__(
        self, around: TorrentSurroundings, swarm: Swarm, connect_timeout: ConnectTimeout, own_address: OwnAddress, handshake_timeout: float,
    ) -> None:
        self._around = around
        self._swarm = swarm
        self._connect_timeout = connect_timeout
        self._own_address = own_address
        self._handshake_timeout = handshake_timeout
        self._attempts: dict[int, Attempt] = {}         # by grant id
        self._knocking: dict[int, PeerAddress] = {}     # incoming, the broker is asked for a place; by connection id
        self.connections: dict[int, PeerConnection] = {}  # by connection id; read only
        self.idle = IdleOffers(around)

    @property
    def num_places(self) -> int:
        """How many of the places that the torrent may have are taken."""
        return len(self._attempts) + len(self.connections)

    def we_listen(self, host: str, port: int) -> None:
        """Nobody is dialled there. Where else we are reached is found out when we have dialled ourselves."""
        hosts = ("127.0.0.1", "::1") if host in WILDCARD_HOSTS else (host,)
        self._swarm.we_listen(port)
        if port:
            addresses = [_address_of(own, port) for own in hosts]
            self._swarm.set_own([address for address in addresses if address is not None], self._around.clock())

    def holds(self, grant_id: int) -> bool:
        """Tell whether this grant is an attempt under way."""
        return grant_id in self._attempts

    # ── we dial ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def dial(self, grant_id: int, peer: SwarmPeer) -> None:
        """Use the grant for this peer."""
        timeout = self._connect_timeout.timeout(self._swarm.num_candidates)
        now = self._around.clock()
        self._swarm.attempt_started(peer, now, timeout)
        self._attempts[grant_id] = Attempt(grant_id, peer, now, timeout)
        self._connect_timeout.watch(self._around.info_hash, self._timeout_changed)
        self._around.to_broker(m.AttemptStarted(grant_id, str(peer.address), timeout))
        self._around.log.info(
            "connect_started", grant_id=grant_id, peer=str(peer.address), source=peer.source, attempt=peer.attempts, timeout=timeout,
        )
        self._around.to_daemon(dm.Dial(self._around.info_hash, grant_id, peer.address.ip, peer.address.port, timeout))

    def _timeout_changed(self) -> bool:
        return self._around.post(self._around.torrent, m.ConnectTimeoutChanged())

    def change_timeouts(self) -> None:
        """Give the dials under way the timeout that a new one would get: one message for all of them."""
        timeout = self._connect_timeout.timeout(self._swarm.num_candidates)
        unanswered = [attempt for attempt in self._attempts.values() if attempt.answered_in is None]
        if any(attempt.timeout != timeout for attempt in unanswered):
            for attempt in unanswered:
                attempt.timeout = timeout
                self._swarm.deadline_moved(attempt.peer, attempt.started + timeout)
                self._around.to_broker(m.AttemptChanged(attempt.grant_id, is_handshaking=False, timeout=timeout))
            self._around.log.info("connect_timeout_changed", timeout=timeout, dials=len(unanswered))
            self._around.to_daemon(dm.ChangeDialTimeouts(self._around.info_hash, timeout))

    def dialled(self, message: dm.Dialled) -> None:
        """TCP is connected."""
        attempt = self._attempts.get(message.grant_id)
        if attempt is not None and attempt.answered_in is None:
            attempt.answered_in = message.elapsed
            self._connect_timeout.observe(message.elapsed)
            self._swarm.handshake_started(attempt.peer, self._around.clock(), self._handshake_timeout)
            self._around.to_broker(m.AttemptChanged(attempt.grant_id, is_handshaking=True, timeout=self._handshake_timeout))
            self._handshake_started(attempt.grant_id, attempt.peer, incoming=False)

    def _handshake_started(self, grant_id: int, peer: SwarmPeer, *, incoming: bool) -> None:
        self._around.log.info(
            "handshake_started", grant_id=grant_id, peer=str(peer.address), incoming=incoming, elapsed=peer.phases.connecting,
        )

    def dial_failed(self, message: dm.DialFailed) -> None:
        """The attempt led to no connection."""
        attempt = self._take_attempt(message.grant_id)
        if attempt is not None:
            if message.outcome == dm.REFUSED and attempt.answered_in is None:
                attempt.answered_in = message.elapsed   # there and back, too: where nearly all refuse, dials still learn
                self._connect_timeout.observe(message.elapsed)
            self._end_attempt(attempt, message.outcome, message.reason, message.elapsed)

    def _take_attempt(self, grant_id: int) -> Attempt | None:
        attempt = self._attempts.pop(grant_id, None)
        if not self._attempts:
            self._connect_timeout.unwatch(self._around.info_hash)
        return attempt

    def end_overdue(self) -> float | None:
        """Give up attempts of which the daemon says nothing, as cancelled ones: it may have sent what a router remembers, no peer is to
        blame, and that nothing is heard (after a suspend, say) is no sign that it is busy. Return the seconds until the next could be such.
        """
        now = self._around.clock()
        for attempt in [attempt for attempt in self._attempts.values() if self._overdue(attempt) <= now]:
            self._take_attempt(attempt.grant_id)
            self._end_attempt(attempt, dm.CANCELLED, "the I/O daemon does not answer", now - attempt.started)
        return min((self._overdue(attempt) - now for attempt in self._attempts.values()), default=None)

    def _overdue(self, attempt: Attempt) -> float:
        return attempt.started + attempt.timeout + self._handshake_timeout + OVERDUE_SECONDS

    def _end_attempt(self, attempt: Attempt, outcome: str, reason: str, elapsed: float) -> None:
        now, peer = self._around.clock(), attempt.peer
        self._swarm.attempt_failed(peer, outcome, reason, now)
        self._tell_end(attempt, outcome, elapsed)
        self._around.log.info(
            "connect_failed", grant_id=attempt.grant_id, peer=str(peer.address), outcome=outcome, reason=reason, elapsed=elapsed,
            next_try=None if peer.next_try is None else peer.next_try - now,
        )

    def _tell_end(self, attempt: Attempt, outcome: str, elapsed: float) -> None:
        peer = attempt.peer
        self._around.to_broker(m.AttemptEnded(attempt.grant_id, outcome, elapsed, attempt.answered_in, peer.answered_in))
        if attempt.answered_in is not None:
            peer.answered_in = attempt.answered_in

    # ── they dial ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def incoming_peer(self, message: dm.IncomingPeer, refusal: str) -> None:
        """Ask the broker for a place, unless there is a `refusal` already."""
        address = _address_of(message.ip, message.port)
        if self._is_known(message.connection_id):
            return
        if address is None:
            self._refuse(message.connection_id, message.ip, "an address that means something on one machine only")
        elif refusal := refusal or self._refusal_of(address):
            self._refuse(message.connection_id, str(address), refusal)
        else:
            self._knocking[message.connection_id] = address
            self._around.to_broker(m.ReserveIncoming(self._around.info_hash, message.connection_id))

    def incoming_reserved(self, message: m.IncomingReserved, refusal: str) -> None:
        """It has a place; give that back when it left meanwhile, or when there is a `refusal` now."""
        address = self._knocking.pop(message.connection_id, None)
        if address is None:
            self._around.to_broker(m.ConnectionClosed(message.grant_id))
            return
        now, peer = self._around.clock(), None
        if not (refusal := refusal or self._refusal_of(address)):
            peer = self._swarm.incoming(address, now, self._handshake_timeout)
        if peer is None:
            self._around.to_broker(m.ConnectionClosed(message.grant_id))
            self._refuse(message.connection_id, str(address), refusal or "every peer that we know is connected")
            return
        connection = PeerConnection(message.connection_id, message.grant_id, peer, incoming=True, since=now, is_complete=False)
        self.connections[message.connection_id] = connection
        self._around.to_daemon(dm.AcceptIncoming(self._around.info_hash, message.connection_id, message.grant_id))
        self._handshake_started(message.grant_id, peer, incoming=True)

    def incoming_refused(self, message: m.IncomingRefused) -> None:
        """No place."""
        address = self._knocking.pop(message.connection_id, None)
        if address is not None:
            self._refuse(message.connection_id, str(address), message.reason)

    def _refusal_of(self, address: PeerAddress) -> str:
        if ban_reason := self._swarm.ban_reason(address):
            return f"banned: {ban_reason}"
        peer = self._swarm.get(address)
        return dm.DUPLICATE_PEER if peer is not None and peer.is_busy else ""

    def _refuse(self, connection_id: int, peer: str, reason: str) -> None:
        self._around.to_daemon(dm.RefuseIncoming(self._around.info_hash, connection_id, reason))
        self._around.log.info("peer_refused", peer=peer, reason=reason)

    # ── connected ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def peer_connected(self, message: dm.PeerConnected) -> None:
        """A handshake is complete."""
        connection = self._incoming_of(message) if message.incoming else self._outgoing_of(message)
        if connection is None:                          # nobody knows of it any more: it came too late
            self._around.to_daemon(dm.ClosePeer(self._around.info_hash, message.connection_id, "its attempt has ended"))
            return
        now, peer = self._around.clock(), connection.peer
        connection.is_complete, connection.since = True, now
        self._swarm.connected(peer, message.client_name, now)
        self._around.log.info(
            "peer_connected", grant_id=connection.grant_id, peer=str(peer.address), incoming=message.incoming,
            client_name=peer.client_name, elapsed=message.elapsed,
        )

    def _outgoing_of(self, message: dm.PeerConnected) -> PeerConnection | None:
        if self._is_known(message.connection_id) or message.grant_id not in self._attempts:
            return None
        attempt = self._take_attempt(message.grant_id)
        self._tell_end(attempt, dm.CONNECTED, message.elapsed)
        connection = PeerConnection(message.connection_id, attempt.grant_id, attempt.peer, False, 0.0, False)
        self.connections[message.connection_id] = connection
        return connection

    def _is_known(self, connection_id: int) -> bool:
        return connection_id in self.connections or connection_id in self._knocking

    def _incoming_of(self, message: dm.PeerConnected) -> PeerConnection | None:
        connection = self.connections.get(message.connection_id)
        return connection if connection is not None and not connection.is_complete else None

    def peer_named(self, message: dm.PeerNamed) -> None:
        """Its extension handshake told a name or a port."""
        connection = self.connections.get(message.connection_id)
        if connection is not None:
            if message.our_ip:
                self._own_address.seen_by(connection.peer.address.ip, message.our_ip)
            self._swarm.named(connection.peer, message.client_name, message.listen_port if connection.incoming else 0)

    def stats(self, stats: list[dm.PeerStats]) -> None:
        """Live figures of connections."""
        for figures in stats:
            connection = self.connections.get(figures.connection_id)
            if connection is not None:
                connection.stats = figures

    def peer_disconnected(self, message: dm.PeerDisconnected, blame: bool) -> None:
        """A connection is closed; without `blame` that was our wish."""
        self._knocking.pop(message.connection_id, None)  # its place is given back when it comes
        connection = self.connections.pop(message.connection_id, None)
        if connection is not None:
            self._end_connection(connection, message.reason, message.seconds, message.downloaded, message.uploaded, blame)

    def _end_connection(
        self, connection: PeerConnection, reason: str, seconds: float, downloaded: int, uploaded: int, blame: bool,
    ) -> None:
        peer = connection.peer
        self._swarm.disconnected(
            peer, self._around.clock(), reason, seconds=seconds, downloaded=downloaded, uploaded=uploaded, blame=blame,
        )
        self._around.to_broker(m.ConnectionClosed(connection.grant_id))
        self.idle.closed(connection.grant_id)
        self._around.log.info(
            "peer_disconnected", grant_id=connection.grant_id, peer=str(peer.address), reason=reason, elapsed=seconds,
            downloaded=downloaded, uploaded=uploaded,
        )

    def peer_idle(self, message: dm.PeerIdle) -> None:
        """A connection has been of no use for a while, or is useful again."""
        connection = self.connections.get(message.connection_id)
        if connection is not None and connection.is_complete:
            self.idle.changed(connection.grant_id, message.connection_id, message.idle_seconds)

    def peer_banned(self, message: dm.PeerBanned) -> None:
        """It sent bad data."""
        connection = self.connections.get(message.connection_id)
        address = connection.peer.address if connection is not None else _address_of(message.ip, message.port)
        if address is not None:
            self._swarm.ban(address, message.reason, self._around.clock())
            self._around.log.warning("peer_banned", peer=str(address), reason=message.reason)

    def ban(self, message: m.BanPeer) -> None:
        """The user wants nothing to do with it."""
        self._swarm.ban(message.peer, message.reason, self._around.clock())
        self._around.log.warning("peer_banned", peer=str(message.peer), reason=message.reason)
        for connection in self.connections.values():
            if self._swarm.ban_reason(connection.peer.address):
                self._around.to_daemon(dm.ClosePeer(self._around.info_hash, connection.connection_id, f"banned: {message.reason}"))

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def drop_all(self, reason: str) -> None:
        """All attempts and connections are gone, by no peer's fault."""
        attempts, self._attempts = self._attempts, {}
        self._connect_timeout.unwatch(self._around.info_hash)
        connections, self.connections = self.connections, {}
        self._knocking.clear()
        now = self._around.clock()
        for attempt in attempts.values():
            self._end_attempt(attempt, dm.CANCELLED, reason, now - attempt.started)
        for connection in connections.values():
            stats = connection.stats
            downloaded, uploaded = (stats.downloaded, stats.uploaded) if stats else (0, 0)
            self._end_connection(connection, reason, now - connection.since, downloaded, uploaded, blame=False)


def _address_of(ip: str, port: int) -> PeerAddress | None:
    """Return the address, or None for a host name and for an address with a scope ("fe80::1%eth0")."""
    try:
        return PeerAddress(ip, port)
    except ValueError:
        return None
