"""TorrentIo: one torrent in the daemon: its files, its connections, and what becomes of its pieces.

    checking ──TorrentChecked──▶ resting ──start──▶ started ──stop──▶ stopping ──TorrentStopped──▶ resting
    any state ──this machine's fault──▶ failed, which is told by TorrentFailed; only stop, check and remove are possible then

What is verified is announced to peers and engine; what was synced to disk since is told as durable. The duties beside that have
their own files: piece_downloads.py, peer_choking.py, stats_reporter.py, idle_peers.py, bad_data.py.
"""

from collections.abc import Callable
from typing import Any

from daemon.bad_data import BadData
from daemon.file_history import files_seen
from daemon.idle_peers import IdlePeers
from daemon.peer_choking import PeerChoking
from daemon.peer_connection import PeerConnection
from daemon.piece_downloads import PieceDownloads
from daemon.piece_store import PieceStore
from daemon.shared_parts import SharedParts
from daemon.stats_reporter import StatsReporter
from protocol import daemon_messages as dm
from protocol.bitfield import Bitfield
from protocol.errors import StorageError
from protocol.handshake import Handshake
from protocol.metainfo import Info
from protocol.peer_messages import build_have
from scheduler.file_selection import FileSelection, piece_wishes
from scheduler.piece_picker import PiecePicker

CHECKING, RESTING, STARTED, STOPPING, FAILED = "checking", "resting", "started", "stopping", "failed"
SYNC_SECONDS = 5.0                                      # verified pieces become durable at most this often


class TorrentIo:
    """Owned by IoDaemon, which calls `tick` twice a second while `is_active`."""

    def __init__(self, parts: SharedParts, info: Info, folder: str, selection: FileSelection | None = None) -> None:
        self.parts = parts
        self.pipeline_pool = parts.pipeline_pool
        self.clock = parts.clock
        self.info = info
        self.info_hash = info.info_hash
        self.layout = info.layout
        self._selection = selection or FileSelection()
        self._waits_for_check = False                   # `_selection` is newer than what the store knows
        self._wishes = piece_wishes(info.layout, info.files, self._selection)
        self.store = PieceStore(folder, info, parts.open_files, self._selection.skipped(info.files))
        self.state = RESTING
        self.verified = Bitfield(info.layout.num_pieces)
        self.peers: dict[int, PeerConnection] = {}
        self.picker: PiecePicker | None = None          # None while nothing is to be downloaded
        self.downloads: PieceDownloads | None = None
        self._earlier_downloads: list[PieceDownloads] = []      # whose last pieces are still being written
        self.choking = PeerChoking(self, parts.rng, parts.configure.upload_slots)
        self.bad_data = BadData(self)
        self.idle_peers = IdlePeers(self, parts.configure.idle_seconds)
        self.stats = StatsReporter(self)
        self._check: Any = None                         # under way
        self._told_checked = 0                          # pieces, of this check
        self._to_announce: list[int] = []               # pieces that peers do not know of yet
        self._to_tell: list[int] = []                   # pieces that the engine does not know of yet
        self._to_sync: list[int] = []                   # pieces that are not durable yet
        self._synced_at = self.clock()
        self._num_syncs = 0                             # under way
        self._num_arrangements = 0                      # of files, under way in the writing thread: made empty, or chosen otherwise
        self._stopped: list[Callable[[], None]] = []    # what to do when the stop is complete

    # ── for PeerGreeting ─────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def client_version(self) -> str:
        return self.parts.configure.client_version

    @property
    def listen_port(self) -> int:
        return self.parts.listen_port

    # ── its life ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def is_active(self) -> bool:
        """Time means something to it."""
        return bool(self.peers or self._to_sync or self._to_tell or self._check or self.stats.has_news)

    def check(self, known: Bitfield, known_files: dm.KnownFiles | None = None) -> None:
        """Find out what is on disk; `known` needs no look in files that nobody changed. Answered by TorrentChecked or TorrentFailed."""
        self.state = CHECKING
        self._told_checked = 0
        self._check = self.parts.checker.check(self.store, known, self._checked, known_files)

    def _checked(self, result: Bitfield | BaseException) -> None:
        check, self._check = self._check, None
        if isinstance(result, BaseException):
            self.storage_failed(result)
            return
        self.verified = result
        self.state = RESTING
        self.send(files_seen(self.info_hash, check.files_seen, is_all=True))
        self.send(dm.TorrentChecked(self.info_hash, result.to_bytes()))
        if self._waits_for_check:
            self._follow_selection()
        elif self.store.needs_sync:
            self._sync()

    def start(self) -> None:
        """Take part in the swarm."""
        if self.state != RESTING:
            return
        self.state = STARTED
        if self._lacks_something:
            self._begin_downloading()
        if not self.verified.is_complete or not self.layout.num_pieces or self._selection.priorities:
            self._num_arrangements += 1
            self.parts.disk.writer.submit(self.store.create_empty_files, self._files_created)

    @property
    def _lacks_something(self) -> bool:
        return self._wishes.wanted().has_any_not_in(self.verified)

    @property
    def wants_nothing(self) -> bool:
        """It has all that is wanted."""
        return self.picker is None

    def _begin_downloading(self) -> None:
        wishes = None if self._wishes.is_ordinary else self._wishes
        self.picker = PiecePicker(self.layout, self.verified, self.parts.rng, wishes)
        self.downloads = PieceDownloads(self, self.picker, self.parts.buffers, self.parts.waiting_line, self.parts.disk.writer.submit)

    def _files_created(self, result: Any) -> None:
        self._num_arrangements -= 1
        if isinstance(result, BaseException):
            self.storage_failed(result)
        self._stop_further()

    def stop(self, stopped: Callable[[], None]) -> None:
        """Leave the swarm, make durable what was written, then call `stopped`."""
        self._stopped.append(stopped)
        if self._check is not None:
            self._check.stop()
            self._check = None
        if self.state != FAILED:
            self.state = STOPPING
        self._leave("the torrent was stopped")
        self._stop_further()

    def _leave(self, reason: str) -> None:
        """Close all connections and give up what is not whole."""
        downloads, self.downloads, self.picker = self.downloads, None, None
        for peer in list(self.peers.values()):
            peer.close(reason)
        if downloads is not None:
            self._earlier_downloads.append(downloads)
            downloads.close()
        self._to_announce.clear()
        self.parts.span_cache.forget(self.info_hash)

    def _stop_further(self) -> None:
        """The next step of a stop: writes, then a sync, then the end."""
        self._earlier_downloads = [downloads for downloads in self._earlier_downloads if downloads.num_writes]
        if not self._stopped or self._earlier_downloads or self._num_syncs or self._num_arrangements:
            return
        if (self._to_sync or self.store.needs_sync) and self.state != FAILED:
            self._sync()
            return
        callbacks, self._stopped = self._stopped, []
        self._tell()
        self.state = RESTING if self.state == STOPPING else self.state
        self.parts.disk.syncer.submit(self.store.close, _nothing)
        for stopped in callbacks:
            stopped()

    def storage_failed(self, error: BaseException) -> None:
        """This machine's fault: nothing more can be done for this torrent until the user did something."""
        if self.state == FAILED:
            return
        self.state = FAILED
        self._leave("the torrent failed")
        self._tell()
        text = str(error) if isinstance(error, StorageError) else f"a fault of this client: {error!r}"
        self.send(dm.TorrentFailed(self.info_hash, text))
        self._stop_further()

    # ── what is wanted of it ─────────────────────────────────────────────────────────────────────────────────────────────

    def select(self, selection: FileSelection) -> None:
        """The user chose other files, or another order."""
        self._selection = selection
        self._wishes = piece_wishes(self.layout, self.info.files, selection)
        if self.state == CHECKING:
            self._waits_for_check = True
        else:
            self._follow_selection()

    def _follow_selection(self) -> None:
        self._waits_for_check = False
        skipped = self._selection.skipped(self.info.files)
        self._num_arrangements += 1
        self.parts.disk.writer.submit(lambda: self.store.skip(skipped), self._skipped)      # before the pieces that come from now on
        if self.state != STARTED:
            return
        if self.downloads is not None:
            self.downloads.wish(self._wishes)
            self._look_if_completed()
        elif self._lacks_something:
            self._begin_downloading()
            if self.peers:
                self.parts.waiting_line.in_use(self.downloads)
            for peer in self.peers.values():
                if peer.bitfield is not None:
                    self.picker.peer_joined(peer.key, peer.bitfield)
        for peer in list(self.peers.values()):
            peer.update_interest()
            peer.requester.fill()

    def _skipped(self, result: Any) -> None:
        self._num_arrangements -= 1
        if isinstance(result, BaseException):
            self.storage_failed(result)
        elif self.state != FAILED:
            self._sync()
        self._stop_further()

    # ── pieces ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    def piece_verified(self, piece_index: int) -> None:
        """It is written, and its hash is right."""
        self.verified.add(piece_index)
        self._to_announce.append(piece_index)
        self._to_tell.append(piece_index)
        self._to_sync.append(piece_index)
        self._look_if_completed()

    def write_ended(self) -> None:
        """A piece, right or wrong, is no longer being written."""
        self._stop_further()

    def _look_if_completed(self) -> None:
        if self.state == STARTED and self.picker is not None and self.picker.is_finished:
            self._completed()

    def _completed(self) -> None:
        """The last wanted piece is there: tell everybody at once, and part from those that want nothing of us."""
        self._announce()
        self._tell()
        self._sync()
        self._earlier_downloads.append(self.downloads)
        self.downloads.close()
        self.picker = self.downloads = None
        for peer in list(self.peers.values()):
            peer.update_interest()
            peer.set_lowat(1)
            self.peer_is_seed(peer)

    def _announce(self) -> None:
        """Send `have` of all new pieces in one go."""
        if self._to_announce:
            messages = b"".join(map(build_have, self._to_announce))
            self._to_announce.clear()
            for peer in list(self.peers.values()):
                peer.send(messages)
                peer.update_interest()

    def _tell(self) -> None:
        if self._to_tell:
            pieces, self._to_tell = self._to_tell, []
            self.send(dm.PiecesVerified(self.info_hash, pieces))

    def _sync(self) -> None:
        """Make durable what is verified now."""
        pieces, self._to_sync = self._to_sync, []
        self._synced_at = self.clock()
        self._num_syncs += 1
        self.parts.disk.syncer.submit(self.store.sync, lambda result: self._synced(pieces, result))

    def _synced(self, pieces: list[int], result: Any) -> None:
        self._num_syncs -= 1
        if isinstance(result, BaseException):
            self.storage_failed(result)
        else:
            self._tell()                                # verified comes before durable
            self.send(files_seen(self.info_hash, result, is_all=False))
            self.send(dm.PiecesDurable(self.info_hash, pieces))
        self._stop_further()

    # ── peers ────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def add_peer(self, key: int, sock: Any, handshake: Handshake, ip: str, port: int, incoming: bool, grant_id: int) -> PeerConnection:
        """A handshake is complete. The caller tells the engine, then starts it."""
        peer = PeerConnection(
            self, key, sock, handshake, ip, port, incoming, grant_id, self.parts.configure.max_pipeline_depth, self.parts.span_cache,
        )
        self.peers[key] = peer
        self.parts.waiting_line.in_use(self.downloads)
        return peer

    def peer_closed(self, peer: PeerConnection, reason: str) -> None:
        """Called by the connection, once."""
        del self.peers[peer.key]
        self.parts.waiting_line.leave(peer.requester)
        peer.requester.close()
        self.stats.peer_left(peer)
        self.bad_data.peer_left(peer)
        self.choking.peer_left(peer)
        self.idle_peers.peer_left(peer.key)
        if self.picker is not None and peer.bitfield is not None:
            self.picker.peer_left(peer.key)
        if self.downloads is not None and (peer.window.num_blocks or peer.inflow.target is not None):
            for other in list(self.peers.values()):     # what it had been asked for is free again
                other.requester.fill()
        if self.downloads is not None and not self.peers:
            self.parts.waiting_line.idle(self.downloads)
        self.send(dm.PeerDisconnected(
            self.info_hash, peer.key, reason, self.clock() - peer.connected_at, peer.downloaded, peer.uploaded,
        ))

    def close_duplicate(self, peer: PeerConnection) -> None:
        """The other connection to the same peer is alive."""
        peer.close(dm.DUPLICATE_PEER)

    def peer_named(self, peer: PeerConnection, our_ip: str) -> None:
        """Its extension handshake came."""
        self.send(dm.PeerNamed(self.info_hash, peer.key, peer.client_name, peer.listen_port, our_ip))

    def peer_is_seed(self, peer: PeerConnection) -> None:
        """Two seeds have nothing to say to each other; nor have a seed and we when the rest of the torrent is not wanted."""
        if self.wants_nothing and self.state == STARTED and peer.is_seed:
            peer.close(dm.BOTH_SEEDS)

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def tick(self, now: float) -> None:
        """Twice a second while it is active."""
        if self._check is not None and self._check.pieces_checked > self._told_checked:
            self._told_checked = self._check.pieces_checked
            self.send(dm.CheckProgress(self.info_hash, self._told_checked))
        if self.peers:
            self.stats.measure(now)
            for peer in list(self.peers.values()):
                if not peer.is_closed:
                    peer.tick(now)
            self.choking.tick(now)
            self.idle_peers.tick(now)
            self._announce()
            self._look_if_completed()                   # the last begun piece may have been given up, not wanted any more
        self._tell()
        if self._to_sync and not self._num_syncs and now - self._synced_at >= SYNC_SECONDS:
            self._sync()
        self.stats.report()

    def send(self, message: dm.DaemonMessage) -> None:
        """To the engine."""
        self.parts.send(message)


def _nothing(_: Any) -> None:
    """What closing files returned; there is nothing to do about it."""
