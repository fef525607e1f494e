"""MetadataIo: one torrent in the daemon as long as only its info hash is known: its connections, and the metadata that they send.

    FetchMetadata ──▶ asking ──MetadataPart…──▶ holding its connections ──AddTorrent, check, StartTorrent──▶ they go on in a TorrentIo

It stands in the place of a TorrentIo for whom PeerEntrance brings in. What the metadata says is not judged here, only its hash.
"""

from collections import OrderedDict
from typing import Any, Final

from daemon.idle_peers import IdlePeers
from daemon.metadata_peer import MetadataPeer
from daemon.shared_parts import SharedParts
from protocol import daemon_messages as dm
from protocol.handshake import Handshake
from protocol.limits import MAX_LATE_HAVES, METADATA_PART_BYTES
from protocol.metadata_messages import MetadataData, MetadataReject, MetadataRequest
from scheduler.metadata_download import Judged, MetadataDownload

MOST_DEPARTED: Final = 1_000                            # whose address is remembered after they left: a liar may be found out later
REASON: Final = "sent wrong metadata"


class MetadataIo:
    """Owned by IoDaemon, which calls `tick` twice a second."""

    def __init__(self, parts: SharedParts, info_hash: bytes) -> None:
        self._parts = parts
        self.clock = parts.clock
        self.info_hash = info_hash
        self.peers: dict[int, MetadataPeer] = {}
        self._download: MetadataDownload | None = MetadataDownload(info_hash)   # None: it is here
        self._departed: OrderedDict[int, tuple[str, int]] = OrderedDict()
        self._idle_peers = IdlePeers(self, parts.configure.idle_seconds)
        self._told = (0, 0, 0)
        self._has_news = False                          # of metadata: others may be asked now

    # ── for MetadataPeer and peer_greeting ───────────────────────────────────────────────────────────────────────────────

    @property
    def client_version(self) -> str:
        return self._parts.configure.client_version

    @property
    def listen_port(self) -> int:
        return self._parts.listen_port

    def wants_of(self, key: int) -> bool:
        """This connection may be of use."""
        return self._download is None or self._download.offers(key)

    # ── peers ────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def add_peer(self, key: int, sock: Any, handshake: Handshake, ip: str, port: int, incoming: bool, grant_id: int) -> MetadataPeer:
        """A handshake is complete. The caller tells the engine, then starts it."""
        peer = self.peers[key] = MetadataPeer(self, key, sock, handshake, ip, port, incoming, grant_id)
        return peer

    def peer_closed(self, peer: MetadataPeer, reason: str) -> None:
        """Called by the connection, once."""
        del self.peers[peer.key]
        self._idle_peers.peer_left(peer.key)
        if self._download is not None:
            self._has_news = True
            if self._download.offers(peer.key):
                self._departed[peer.key] = peer.ip, peer.port
                if len(self._departed) > MOST_DEPARTED:
                    self._departed.popitem(last=False)
            self._download.peer_left(peer.key)
        self.send(dm.PeerDisconnected(self.info_hash, peer.key, reason, self.clock() - peer.connected_at, 0, 0))

    def close_duplicate(self, peer: MetadataPeer) -> None:
        """The other connection to the same peer is alive."""
        peer.close(dm.DUPLICATE_PEER)

    def close_idle(self, key: int) -> None:
        """The engine needs its place."""
        self._idle_peers.close(key)

    def peer_named(self, peer: MetadataPeer, our_ip: str) -> None:
        """Its extension handshake came."""
        self.send(dm.PeerNamed(self.info_hash, peer.key, peer.client_name, peer.listen_port, our_ip))

    def close(self, reason: str) -> None:
        """All connections end."""
        for peer in list(self.peers.values()):
            peer.close(reason)

    def hand_over(self, torrent: Any) -> None:
        """The torrent is known and has started: its connections go on as those of `torrent`, a TorrentIo."""
        if torrent.verified.count > MAX_LATE_HAVES:
            self.close("it came before the metadata, and we have more pieces than can be told one by one")
        peers, self.peers = self.peers, {}
        for peer in peers.values():
            sock, rest, unsent = peer.hand_over()
            connection = torrent.add_peer(peer.key, sock, peer.handshake, peer.ip, peer.port, peer.incoming, peer.grant_id)
            connection.go_on(self._parts.loop, self._parts.receive_loop, peer, rest, unsent)

    # ── metadata ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def metadata_offered(self, peer: MetadataPeer, size: int) -> None:
        """It has metadata of so many bytes. Raises RemoteProtocolError when it said another size before."""
        if self._download is not None:
            self._has_news = True
            self._download.peer_offers(peer.key, size)

    def metadata_rejected(self, peer: MetadataPeer, message: MetadataReject) -> None:
        """It does not send a piece. Raises RemoteProtocolError."""
        if self._download is not None:
            self._has_news = True
            self._download.rejected(peer.key, message.piece_index, self.clock())

    def metadata_received(self, peer: MetadataPeer, message: MetadataData) -> None:
        """A piece came. Raises RemoteProtocolError."""
        if self._download is None:
            return
        self._has_news = True
        judged = self._download.received(peer.key, message.piece_index, message.total_size, message.data, self.clock())
        if judged is not None:
            self._judged(judged)

    def _judged(self, judged: Judged) -> None:
        if judged.metadata is None:
            self.send(dm.MetadataFailed(self.info_hash, judged.num_senders))
        else:
            self._download = None
            for offset in range(0, len(judged.metadata), METADATA_PART_BYTES):
                part = judged.metadata[offset:offset + METADATA_PART_BYTES]
                self.send(dm.MetadataPart(self.info_hash, len(judged.metadata), offset, part))
        for key in judged.liars:
            self._ban(key)

    def _ban(self, key: int) -> None:
        peer = self.peers.get(key)
        address = (peer.ip, peer.port) if peer is not None else self._departed.pop(key, None)
        if address is not None:
            self.send(dm.PeerBanned(self.info_hash, key, *address, REASON))
        if peer is not None:
            peer.close(REASON)

    def request_metadata(self) -> None:
        """Ask for what can be asked for since there was news of metadata."""
        if self._download is not None and self._has_news:
            self._has_news = False
            for key, piece_index in self._download.requests(self.clock()):
                peer = self.peers.get(key)              # sending to one may have closed another
                if peer is not None:
                    peer.say(MetadataRequest(piece_index))

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def tick(self, now: float) -> None:
        """Twice a second."""
        for peer in list(self.peers.values()):
            if not peer.is_closed:
                peer.tick(now)
        self._idle_peers.tick(now)
        self._has_news = True                           # time has passed
        self.request_metadata()
        if self._download is not None:
            told = (*self._download.progress, self._download.num_peers)
            if told != self._told:
                self._told = told
                self.send(dm.MetadataProgress(self.info_hash, *told))

    def send(self, message: dm.DaemonMessage) -> None:
        """To the engine."""
        self._parts.send(message)
