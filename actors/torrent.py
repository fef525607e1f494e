"""TorrentActor: one torrent's life cycle, and the way of each message to the part that it is for.

The parts are plain objects: what to do next (scheduler/torrent_life.py), whom it knows (scheduler/swarm.py), attempts and connections
(torrent_peers.py), when to ask the broker (torrent_maintenance.py), pieces and bytes (torrent_progress.py), what a viewer sees
(torrent_snapshot.py). It reads no payload, opens no socket and holds no limit but its own number of connections.
"""

from typing import Any

import pykka

from actors import messages as m
from actors.engine_actor import DelayedMessage, EngineActor
from actors.snapshots import STOPPED, TorrentSnapshot
from actors.torrent_announcing import TorrentAnnouncing
from actors.torrent_grants import TorrentGrants
from actors.torrent_maintenance import TorrentMaintenance
from actors.torrent_memory import TorrentMemory
from actors.torrent_metadata import TorrentMetadata, known_order
from actors.torrent_peers import TorrentPeers
from actors.torrent_progress import TorrentProgress
from actors.torrent_snapshot import TorrentSnapshots
from actors.torrent_stop import TorrentStop
from actors.torrent_surroundings import TorrentSurroundings
from protocol import daemon_messages as dm
from protocol.errors import MetainfoError
from protocol.metainfo import Info
from scheduler.connect_timeout import ConnectTimeout
from scheduler.own_address import OwnAddress
from scheduler.random_source import RandomSource
from scheduler.settings import Settings
from scheduler.swarm import Swarm
from scheduler.swarm_peer import MAGNET, MANUAL, REMEMBERED
from scheduler.torrent_life import Step, TorrentLife


class TorrentActor(EngineActor):
    """One torrent. `daemon` is the DaemonLink of the daemon that it lives in; `connect_timeout` and `own_address` are shared by all torrents."""

    def __init__(
        self, session: pykka.ActorRef | None, *, broker: pykka.ActorRef, ui_feed: pykka.ActorRef, daemon: pykka.ActorRef,
        order: m.AddTorrent, settings: Settings, connect_timeout: ConnectTimeout, rng: RandomSource, own_address: OwnAddress | None = None,
        store: pykka.ActorRef | None = None, **engine: Any,
    ) -> None:
        super().__init__(session, **engine)
        info = order.metainfo.info
        self.name = f"the torrent {info.name}"
        self._log = self._log.bind(info_hash=info.info_hash)
        self._order = order
        self._info = info
        self._info_hash = info.info_hash
        self._settings = settings
        self._ui_feed = ui_feed
        self._link = daemon
        self._life = TorrentLife(info.is_known)
        self._metadata = TorrentMetadata(info.info_hash, order.source, self._log)
        own_address = own_address or OwnAddress()
        self._swarm = Swarm(rng, own_address=own_address)
        self._progress = TorrentProgress(info.layout)
        self._around = TorrentSurroundings(info.info_hash, self.actor_ref, broker, None, self.post, self.clock, self._log)
        self._memory = TorrentMemory(self._around, order, self._progress, self._life, self._swarm, store)
        self._peers = TorrentPeers(self._around, self._swarm, connect_timeout, own_address, settings.handshake_timeout)
        self._announcing = TorrentAnnouncing(self._around, self._progress)
        self._maintenance = TorrentMaintenance(self._around, self._swarm, self._announcing.announce_now)
        self._grants = TorrentGrants(self._around, self._life, self._swarm, self._peers, self._maintenance)
        self._stopping = TorrentStop(self._around, self.call_later, self._leave)
        self._snapshots = TorrentSnapshots(info, self._life, self._swarm, self._peers, self._progress, self._announcing, self._maintenance, self._metadata)
        self._port = 0                                  # where its daemon listens
        self._maintenance_timer: DelayedMessage | None = None
        self._maintenance_is_posted = False
        self._running_since = 0.0
        self._told_state = (STOPPED, "")
        self._told_changed = False

    def on_start(self) -> None:
        self.actor_ref.tell(m.Begin())

    def on_receive(self, message: Any) -> Any:
        self.give_way()
        match message:
            case m.GetTorrentSnapshot():  return self._get_torrent_snapshot(message)
            case m.MaintenanceDue():      return self._maintenance_due()
            case m.ConnectOnePeer():      self._connect_one_peer(message)
            case dm.TorrentStats():       self._torrent_stats(message)
            case dm.Dialled():            self._peers.dialled(message)
            case dm.DialFailed():         self._dial_failed(message)
            case dm.PeerConnected():      self._peer_connected(message)
            case dm.PeerNamed():          self._peers.peer_named(message)
            case dm.PeerIdle():           self._peers.peer_idle(message)
            case dm.PeerDisconnected():   self._peer_disconnected(message)
            case dm.IncomingPeer():       self._peers.incoming_peer(message, self._refusal())
            case m.IncomingReserved():    self._peers.incoming_reserved(message, self._refusal())
            case m.IncomingRefused():     self._peers.incoming_refused(message)
            case m.CloseIdleConnection(): self._peers.idle.close(message.grant_id)
            case dm.PiecesVerified():     self._pieces_verified(message)
            case dm.PiecesDurable():      self._pieces_durable(message)
            case dm.PieceFailed():        self._log.warning("piece_failed", piece_index=message.piece_index, num_peers=message.num_peers)
            case dm.PeerBanned():         self._peers.peer_banned(message)
            case m.BanPeer():             self._peers.ban(message)
            case m.UnbanPeer():           self._unban_peer(message)
            case m.PeersFound():          self._peers_found(message)
            case m.TrackerReported():     self._announcing.reported(message)
            case dm.MetadataPart() | dm.MetadataProgress() | dm.MetadataFailed():  self._metadata_said(message)
            case dm.CheckProgress():      self._progress.pieces_checked = message.pieces_checked
            case dm.FilesSeen():          self._memory.files_seen(message)
            case dm.TorrentChecked():     self._torrent_checked(message)
            case dm.TorrentStopped():     self._torrent_stopped()
            case dm.TorrentFailed():      self._torrent_failed(message)
            case m.DaemonReady():         self._daemon_ready(message)
            case m.DaemonLost():          self._daemon_lost()
            case m.AnnouncerStarted():    self._announcing.announcer_started(message.announcer, self._port if self._life.is_running else None)
            case m.AnnouncerStopped():    self._stopping.announcer_answered()
            case m.StartTorrent():        self._start_torrent()
            case m.StopTorrent():         self._stop_torrent(message)
            case m.StopOverdue():         self._stopping.overdue()
            case m.ConnectTimeoutChanged():  self._peers.change_timeouts()
            case m.RecheckTorrent():      self._recheck_torrent()
            case m.SetFilePriorities():   self._set_file_priorities(message)
            case m.ApplySettings():       self._apply_settings(message)
            case m.Begin():               self._begin()
            case m.Ping():                return True
            case _:                       self.unknown(message)
        self._changed()
        return None

    def _begin(self) -> None:
        self._around.to_broker(m.RegisterTorrent(self._info_hash, self.actor_ref, self._order.priority))
        self.post(self._ui_feed, m.WatchTorrent(self._info_hash, self.actor_ref))
        self.post(self._link, m.AttachTorrent(self._info_hash, self.actor_ref))
        self._peers_found(m.PeersFound(MANUAL, self._order.peers))
        self._peers_found(m.PeersFound(MAGNET, self._order.hints))
        self._peers_found(m.PeersFound(REMEMBERED, self._memory.peers))

    # ── what the user wants ──────────────────────────────────────────────────────────────────────────────────────────────

    def _start_torrent(self) -> None:
        if not self._stopping.forgets:
            self._life.start()
            self._follow_life()

    def _recheck_torrent(self) -> None:
        self._life.recheck()
        self._follow_life()

    def _set_file_priorities(self, message: m.SetFilePriorities) -> None:
        self._memory.select(message.selection)
        self._swarm.seeds_are_wanted(self.clock())
        self._apply_settings(m.ApplySettings(self._settings))      # it may dial from now on, or not any more
        self._follow_life()

    def _apply_settings(self, message: m.ApplySettings) -> None:
        self._settings = message.settings
        if self._life.is_running and self._wants_peers != self._maintenance.is_active:
            self._maintenance.start() if self._wants_peers else self._stop_dialling()
        self._maintain_soon()

    def _stop_torrent(self, message: m.StopTorrent) -> None:
        self._life.stop()
        self._follow_life()
        awaits_announcer = self._announcing.stop(reply_to=self.actor_ref)
        self._stopping.begin(message, awaits_daemon=not self._life.is_at_rest, awaits_announcer=awaits_announcer)

    def _leave(self) -> None:
        """Forgotten by the user: nobody else must go on with it."""
        self._around.to_daemon(dm.RemoveTorrent(self._info_hash, delete_parts=True))
        self.post(self._link, m.DetachTorrent(self._info_hash))
        self._around.to_broker(m.TorrentGone(self._info_hash))
        self.post(self._ui_feed, m.UnwatchTorrent(self._info_hash))
        self.stop()

    # ── the daemon ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _daemon_ready(self, message: m.DaemonReady) -> None:
        if self._around.daemon is not None:             # another one: the first died unheard
            self._daemon_lost()
        self._around.daemon, self._port = message.daemon, message.port
        self._peers.we_listen(self._settings.listen_host, message.port)
        self._life.daemon_ready()
        self._follow_life()

    def _daemon_lost(self) -> None:
        self._around.daemon = None
        self._stop_asking()
        self._peers.drop_all("the I/O daemon died")
        self._progress.daemon_lost()
        self._metadata.daemon_lost()
        self._life.daemon_lost()
        self._stopping.daemon_answered()
        self._follow_life()

    def _torrent_checked(self, message: dm.TorrentChecked) -> None:
        if self._life.checked():
            self._progress.checked(message.verified)
            self._memory.pieces_changed()
            if not self._progress.is_complete:
                self._swarm.seeds_are_wanted(self.clock())
            self._log.info("torrent_checked", num_verified=self._progress.num_verified, num_pieces=self._info.layout.num_pieces)
            self._follow_life()

    def _metadata_said(self, message: dm.MetadataPart | dm.MetadataProgress | dm.MetadataFailed) -> None:
        try:
            if not self._info.is_known and (info := self._metadata.said(message)):
                self._know(info)
        except MetainfoError as error:
            self._torrent_failed(dm.TorrentFailed(self._info_hash, str(error)))

    def _know(self, info: Info) -> None:
        """Peers sent the metadata. Connections stay and dials under way go on, while what is on disk is checked."""
        self._log.info("metadata_received", name=info.name, size=len(info.raw), elapsed=self.clock() - self._running_since)
        self._info = info
        self._order = known_order(self._order, info)
        for part in (self._progress, self._memory, self._snapshots):
            part.know(self._order)
        if self._session is not None:
            self.post(self._session, m.MetadataKnown(self._info_hash, self._order.metainfo, self._order.selection))
        if self._life.metadata_known():
            self._stop_asking()
        self._follow_life()

    def _torrent_stopped(self) -> None:
        if self._life.stopped():
            self._at_rest("stopped")
            self._stopping.daemon_answered()
            self._follow_life()

    def _torrent_failed(self, message: dm.TorrentFailed) -> None:
        self._log.error("torrent_failed", error=message.error)
        self._stop_asking()
        self._at_rest("the torrent failed")
        self._announcing.stop(reply_to=self.actor_ref)
        self._life.failed(message.error)
        self._stopping.daemon_answered()
        self._follow_life()

    def _at_rest(self, reason: str) -> None:
        self._peers.drop_all(reason)
        self._progress.at_rest()
        self._memory.at_rest()

    # ── what follows from wishes and facts ───────────────────────────────────────────────────────────────────────────────

    def _follow_life(self) -> None:
        """Take the steps that are due, and tell the session in which state that ends."""
        while step := self._life.next_step():
            self._take(step)
        told = (self._life.state(self._progress.is_durable), self._life.error)
        if told != self._told_state:
            self._told_state = told
            if self._session is not None:
                self.post(self._session, m.TorrentStateChanged(self._info_hash, *told))

    def _take(self, step: Step) -> None:
        match step:
            case Step.GIVE:            self._memory.give(with_pieces=True)
            case Step.GIVE_UNCHECKED:  self._memory.give(with_pieces=False)
            case Step.CHECK:           self._around.to_daemon(dm.CheckTorrent(self._info_hash))
            case Step.FORGET:          self._around.to_daemon(dm.RemoveTorrent(self._info_hash))
            case Step.FETCH:           self._fetch()
            case Step.RUN:             self._run()
            case Step.HALT:            self._halt()

    def _run(self) -> None:
        self._running_since = self.clock()
        self._memory.pieces_changed()
        self._around.to_daemon(dm.StartTorrent(self._info_hash))
        self._log.info("torrent_started", left=self._progress.left)
        self._take_part()

    def _fetch(self) -> None:
        self._running_since = self.clock()
        self._around.to_daemon(dm.FetchMetadata(self._info_hash))
        self._log.info("metadata_wanted", name=self._info.name)
        self._take_part()

    def _take_part(self) -> None:
        self._announcing.start(self._port)
        if self._wants_peers:
            self._maintenance.start()
            self._maintain_soon()

    def _halt(self) -> None:
        self._stop_dialling()
        self._around.to_daemon(dm.StopTorrent(self._info_hash))

    def _stop_asking(self) -> None:
        self._maintenance.stop()
        self._maintain_soon()                           # which takes its timer away

    def _stop_dialling(self) -> None:
        self._stop_asking()
        self._around.to_daemon(dm.CancelDials(self._info_hash))

    # ── turns ────────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _wants_peers(self) -> bool:
        """Tell whether it dials while it runs: to get something, or to give where the user wants that."""
        return not self._progress.is_complete or self._settings.seeds_dial

    @property
    def _room(self) -> int:
        """How many connections more it may have."""
        return self._settings.torrent_connection_limit - self._peers.num_places

    def _connect_one_peer(self, message: m.ConnectOnePeer) -> None:
        if self._grants.use(message, self._room, self._wants_peers):
            self._maintain_soon()

    def _maintain_soon(self) -> None:
        """Look whether to ask the broker once what lies in the inbox is handled: fifty closed peers are one question."""
        if not self._maintenance_is_posted:
            self._maintenance_is_posted = True
            self.post(self.actor_ref, m.MaintenanceDue())

    def _maintenance_due(self) -> None:
        self._maintenance_is_posted = False
        if self._maintenance_timer is not None:
            self._maintenance_timer.cancel()
            self._maintenance_timer = None
        before = dict(self._swarm.counts)
        delays = [delay for delay in (self._peers.end_overdue(), self._maintenance.maintain(self._room, self._progress.is_complete)) if delay is not None]
        if delays:
            self._maintenance_timer = self.call_later(max(min(delays), 0.0), m.MaintenanceDue())
        if before != self._swarm.counts:
            self._changed()

    # ── peers ────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _refusal(self) -> str:
        """Return why nobody may connect to us now; '' when they may."""
        return "" if self._life.is_running else "the torrent is stopped"

    def _dial_failed(self, message: dm.DialFailed) -> None:
        self._peers.dial_failed(message)
        self._maintain_soon()

    def _peer_connected(self, message: dm.PeerConnected) -> None:
        self._peers.peer_connected(message)
        self._maintain_soon()                           # nothing may be left to watch

    def _peer_disconnected(self, message: dm.PeerDisconnected) -> None:
        self._peers.peer_disconnected(message, blame=self._life.is_running)
        self._maintain_soon()

    def _peers_found(self, message: m.PeersFound) -> None:
        if message.peers:
            num_new = self._swarm.add(message.source, message.peers, self.clock())
            self._log.info("peers_found", source=message.source, count=len(message.peers), new=num_new)
            if num_new:
                self._maintenance.candidates_came()
                self._maintain_soon()

    def _unban_peer(self, message: m.UnbanPeer) -> None:
        self._swarm.unban(message.peer, self.clock())
        self._maintenance.candidates_came()
        self._maintain_soon()

    # ── pieces ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _pieces_verified(self, message: dm.PiecesVerified) -> None:
        self._progress.pieces_verified(message.piece_indices)
        self._log.info("piece_verified", piece_indices=message.piece_indices, num_verified=self._progress.num_verified)
        if self._progress.is_complete and self._maintenance.is_active:
            self._maintain_soon() if self._wants_peers else self._stop_dialling()

    def _pieces_durable(self, message: dm.PiecesDurable) -> None:
        was_durable = self._progress.is_durable
        self._progress.pieces_durable(message.piece_indices)
        self._memory.pieces_changed()
        if self._progress.is_durable and not was_durable:
            self._log.info("torrent_completed", elapsed=self.clock() - self._running_since, total_bytes=self._progress.wanted_bytes)
            self._announcing.report()
            self._follow_life()

    def _torrent_stats(self, message: dm.TorrentStats) -> None:
        self._progress.stats(message)
        self._peers.stats(message.peers)
        self._announcing.report_sometimes()
        self._memory.time_passed()

    # ── seeing it ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _changed(self) -> None:
        """Whoever looks must look anew; said once until somebody does."""
        self._snapshots.forget()
        if not self._told_changed:
            self._told_changed = True
            self.post(self._ui_feed, m.TorrentChanged(self._info_hash))

    def _get_torrent_snapshot(self, message: m.GetTorrentSnapshot) -> TorrentSnapshot | None:
        snapshot, changes_with_time = self._snapshots.take(
            self.clock(), self._room, self._settings.torrent_connection_limit, message.with_peers,
        )
        if message.reply_to is None:
            return snapshot
        self._told_changed = False
        rows = self._snapshots.take_rows(message.rows_from, self.clock())
        self.post(message.reply_to, m.SnapshotTaken(snapshot, changes_with_time, rows))
        return None
