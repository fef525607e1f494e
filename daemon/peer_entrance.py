"""PeerEntrance: how a dial or an incoming connection becomes a peer of a torrent, or why it does not.

    Dial → TCP → Dialled → handshake → PeerConnected                    at any point: DialFailed
    accepted → their handshake → IncomingPeer → AcceptIncoming → ours → PeerConnected       … or PeerDisconnected

Two connections between the same two peers, mostly because both dialled at once: both ends must give up the same one, or they end
with none. The rule is the one that libtorrent has: the peer with the greater peer id is who may dial, so the connection that the
other one dialled is given up. Two in the same direction: the older stays. Others have other rules, mostly "the older stays"; so
when the older one is to go, it goes only after the newer one has proved to be alive: until then both are kept.
A connection that is given up, and one to ourselves, is answered before it is closed, so that the other end knows why.
"""

from collections.abc import Mapping

from daemon.dialer import Attempt, Dialer
from daemon.handshaking import Handshaking
from daemon.listener import Listener
from daemon.metadata_io import MetadataIo
from daemon.metadata_peer import MetadataPeer
from daemon.peer_connection import PeerConnection
from daemon.shared_parts import SharedParts
from daemon.torrent_io import STARTED, TorrentIo
from protocol import daemon_messages as dm
from protocol.client_name import client_name
from protocol.handshake import Handshake, build_handshake
from protocol.limits import MAX_INCOMING_WAITING


class PeerEntrance:
    """Of the process. `torrents`, and those of which only the info hash is known, are IoDaemon's; by info hash."""

    def __init__(self, parts: SharedParts, torrents: Mapping[bytes, TorrentIo], without_metadata: Mapping[bytes, MetadataIo]) -> None:
        configure = parts.configure
        self._parts = parts
        self._torrents = torrents
        self._without_metadata = without_metadata
        self._peer_id = configure.peer_id
        self._dialer = Dialer(
            parts.loop, parts.clock, configure.max_connects_under_way, configure.max_connects_pending, configure.connect_timeout,
            self._tcp_connected, self._dial_failed, lambda obstacle, reason: parts.send(dm.DialsObstructed(obstacle, reason)),
        )
        self._listener = Listener(parts.loop, parts.clock, configure.handshake_timeout, self._incoming_received, self._incoming_failed)
        self._outgoing: set[Handshaking] = set()
        self._incoming: dict[int, Handshaking] = {}     # by connection id: the engine was asked about them

    def listen(self) -> dm.DaemonMessage:
        """Listen where Configure says; return the answer."""
        host, port = self._parts.configure.listen_host, self._parts.configure.listen_port
        try:
            host, port = self._listener.listen(host, port)
        except OSError as error:
            return dm.ListenFailed(host, port, error.strerror or str(error))
        self._parts.listen_port = port
        return dm.Listening(host, port)

    def close(self) -> None:
        """Nobody comes in any more, nothing is under way any more."""
        self._listener.close()
        self._dialer.close()
        for info_hash in [*self._torrents, *self._without_metadata]:
            self.leave(info_hash, "the client ends")

    def leave(self, info_hash: bytes, reason: str) -> None:
        """The torrent is stopped: end its dials, and send away who waits at the door."""
        self.cancel_dials(info_hash)
        for connection_id, handshaking in list(self._incoming.items()):
            if handshaking.theirs.info_hash == info_hash:
                self.refuse(connection_id, reason)

    def _torrent(self, info_hash: bytes) -> TorrentIo | MetadataIo | None:
        torrent = self._torrents.get(info_hash)
        return torrent if torrent is not None and torrent.state == STARTED else self._without_metadata.get(info_hash)

    # ── we dial ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def limit_dials(self, max_under_way: int, max_pending: int) -> None:
        """So many connects may be under way and wait from now on."""
        self._dialer.set_limits(max_under_way, max_pending)

    def dial(self, order: dm.Dial) -> None:
        """Dial once."""
        if self._torrent(order.info_hash) is None:
            self._parts.send(dm.DialFailed(order.info_hash, order.grant_id, dm.CANCELLED, "the torrent is stopped", 0.0))
        else:
            self._dialer.dial(order.info_hash, order.grant_id, order.ip, order.port, order.timeout)

    def change_dial_timeouts(self, order: dm.ChangeDialTimeouts) -> None:
        """Another timeout for all dials of a torrent that have not been answered."""
        self._dialer.change_timeouts(order.info_hash, order.timeout)

    def cancel_dials(self, info_hash: bytes) -> None:
        """End all dials and outgoing handshakes of a torrent."""
        self._dialer.cancel(info_hash)
        for handshaking in [handshaking for handshaking in self._outgoing if handshaking.context.info_hash == info_hash]:
            self._end_outgoing(handshaking, dm.CANCELLED, "cancelled")

    def _tcp_connected(self, attempt: Attempt) -> None:
        self._parts.send(dm.Dialled(attempt.info_hash, attempt.grant_id, self._parts.clock() - attempt.connecting_since))
        timeout = self._parts.configure.handshake_timeout
        handshaking = Handshaking(self._parts.loop, attempt.socket, timeout, attempt, self._outgoing_received, self._outgoing_failed)
        self._outgoing.add(handshaking)
        failure = handshaking.answer(build_handshake(attempt.info_hash, self._peer_id))
        if failure:
            self._end_outgoing(handshaking, dm.HANDSHAKE_FAILED, failure)

    def _outgoing_failed(self, handshaking: Handshaking, reason: str) -> None:
        self._end_outgoing(handshaking, dm.HANDSHAKE_FAILED, reason)

    def _end_outgoing(self, handshaking: Handshaking, outcome: str, reason: str) -> None:
        handshaking.close()
        self._outgoing.discard(handshaking)
        self._dial_failed(handshaking.context, outcome, reason)

    def _dial_failed(self, attempt: Attempt, outcome: str, reason: str) -> None:
        elapsed = self._parts.clock() - attempt.began
        self._parts.send(dm.DialFailed(attempt.info_hash, attempt.grant_id, outcome, reason, elapsed))

    def _outgoing_received(self, handshaking: Handshaking) -> None:
        attempt, theirs = handshaking.context, handshaking.theirs
        torrent = self._torrent(attempt.info_hash)
        if torrent is None:
            self._end_outgoing(handshaking, dm.CANCELLED, "the torrent is stopped")
        elif theirs.info_hash != attempt.info_hash:
            self._end_outgoing(handshaking, dm.HANDSHAKE_FAILED, "answers for another torrent")
        elif theirs.peer_id == self._peer_id:
            self._end_outgoing(handshaking, dm.HANDSHAKE_FAILED, dm.OWN_ADDRESS)
        elif (older := self._duplicate_of(torrent, theirs)) is not None and not self._supersedes(older, incoming=False):
            self._end_outgoing(handshaking, dm.HANDSHAKE_FAILED, dm.DUPLICATE_PEER)
        else:
            self._outgoing.discard(handshaking)
            connection_id = next(self._parts.connection_ids)
            self._join(torrent, handshaking, connection_id, attempt.grant_id, attempt.ip, attempt.port, attempt.began, False, older)

    # ── they dial ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _incoming_received(self, handshaking: Handshaking) -> None:
        theirs, arrival = handshaking.theirs, handshaking.context
        torrent = self._torrent(theirs.info_hash)
        if torrent is None or len(self._incoming) >= MAX_INCOMING_WAITING:
            handshaking.close()
            return
        older = self._duplicate_of(torrent, theirs)
        is_own = theirs.peer_id == self._peer_id
        if is_own or (older is not None and not self._supersedes(older, incoming=True)):
            handshaking.answer(build_handshake(theirs.info_hash, self._peer_id))
            handshaking.close()
            return
        connection_id = next(self._parts.connection_ids)
        self._incoming[connection_id] = handshaking
        self._parts.send(dm.IncomingPeer(theirs.info_hash, connection_id, arrival.ip, arrival.port, theirs.peer_id))

    def _incoming_failed(self, handshaking: Handshaking, reason: str) -> None:
        for connection_id, waiting in list(self._incoming.items()):
            if waiting is handshaking:
                self.refuse(connection_id, reason)

    def accept(self, order: dm.AcceptIncoming) -> None:
        """There is a place for it."""
        handshaking = self._incoming.get(order.connection_id)
        if handshaking is None:
            return                                      # it is gone, which was told
        theirs, arrival = handshaking.theirs, handshaking.context
        torrent = self._torrent(theirs.info_hash)
        if torrent is None:
            self.refuse(order.connection_id, "the torrent is stopped")
            return
        failure = handshaking.answer(build_handshake(theirs.info_hash, self._peer_id))
        older = self._duplicate_of(torrent, theirs)
        if older is not None and not self._supersedes(older, incoming=True):
            failure = failure or dm.DUPLICATE_PEER
        if failure:
            self.refuse(order.connection_id, failure)
            return
        del self._incoming[order.connection_id]
        self._join(
            torrent, handshaking, order.connection_id, order.grant_id, arrival.ip, arrival.port, arrival.accepted_at, True, older,
        )

    def refuse(self, connection_id: int, reason: str) -> None:
        """Send it away."""
        handshaking = self._incoming.pop(connection_id, None)
        if handshaking is not None:
            handshaking.close()
            seconds = self._parts.clock() - handshaking.context.accepted_at
            self._parts.send(dm.PeerDisconnected(handshaking.theirs.info_hash, connection_id, reason, seconds, 0, 0))

    # ── connected ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _join(
        self, torrent: TorrentIo | MetadataIo, handshaking: Handshaking, connection_id: int, grant_id: int, ip: str, port: int, began: float,
        incoming: bool, older: PeerConnection | MetadataPeer | None,
    ) -> None:
        theirs, sock = handshaking.theirs, handshaking.take_socket()
        peer = torrent.add_peer(connection_id, sock, theirs, ip, port, incoming, grant_id)
        peer.client_name = client_name(theirs.peer_id)
        peer.supersedes = older
        self._parts.send(dm.PeerConnected(
            torrent.info_hash, connection_id, grant_id, ip, port, incoming, theirs.peer_id, peer.client_name, self._parts.clock() - began,
        ))
        peer.start(self._parts.loop, self._parts.receive_loop)

    def _duplicate_of(self, torrent: TorrentIo | MetadataIo, theirs: Handshake) -> PeerConnection | MetadataPeer | None:
        return next((peer for peer in torrent.peers.values() if peer.peer_id == theirs.peer_id), None)

    def _supersedes(self, older: PeerConnection | MetadataPeer, incoming: bool) -> bool:
        """Of two connections to one peer the newer one is to stay."""
        we_may_dial = self._peer_id > older.peer_id
        return older.incoming != incoming and incoming != we_may_dial
