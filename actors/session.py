"""Session: settings, adds and removes torrents, restarts actors that failed.

It is the only one that knows every torrent. It hands each to a daemon (the one with the fewest torrents), makes its TorrentActor
and its TrackerAnnouncer, and tells whoever runs the engine what became of it through `on_change`, a plain function.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from actors import messages as m
from actors import snapshots
from actors.announce_gate import AnnounceGate
from actors.data_removal import DataRemoval
from actors.engine_actor import EngineActor
from actors.http_tracker import HttpTracker
from actors.session_commands import SessionCommands, UserCommand
from actors.torrent import TorrentActor
from actors.tracker_announcer import TrackerAnnouncer
from protocol import daemon_messages as dm
from protocol.web_messages import CONFLICT, NOT_FOUND, STORAGE
from scheduler.connect_timeout import ConnectTimeout
from scheduler.own_address import OwnAddress
from scheduler.settings import Settings

MAX_RESTARTS = 3                                        # of one torrent's actor, and of its announcer: a fault that comes back is shown, not repeated for ever


@dataclass(slots=True)
class SessionTorrent:
    """What the session knows of one torrent."""

    order: m.AddTorrent
    daemon_index: int
    actor: Any = None
    announcer: Any = None                               # None: it has no trackers
    state: str = snapshots.STOPPED
    error: str = ""
    restarts: int = 0
    announcer_restarts: int = 0

    @property
    def actors(self) -> list[Any]:
        """Those that run for it."""
        return [actor for actor in (self.actor, self.announcer) if actor is not None]


class Session(EngineActor):
    """Owns the settings and the list of torrents."""

    def __init__(
        self, settings: Settings, peer_id: bytes, rng: random.Random,
        on_change: Callable[[m.TorrentStateChanged | m.DaemonListening], None], announce_gate: AnnounceGate | None = None, **engine: Any,
    ) -> None:
        super().__init__(session=None, **engine)
        self._settings = settings
        self._peer_id = peer_id
        self._rng = rng
        self._on_change = on_change
        self._broker = self._ui_feed = None             # until PartsStarted
        self._daemons: tuple[Any, ...] = ()
        self._store: Any = None                         # None: nothing is remembered
        self._torrents_of_daemon: list[int] = []        # how many each has
        self._torrents: dict[bytes, SessionTorrent] = {}
        self._leaving: dict[bytes, SessionTorrent] = {}     # removed, and on their way to rest
        self._removals: dict[bytes, m.RemoveTorrent] = {}   # … whoever wants to know when they are gone
        self._commands = SessionCommands(self._torrents, self.post)
        self._connect_timeout = ConnectTimeout(settings.connect_timeout)    # these two are shared by all torrents
        self._own_address = OwnAddress()
        self._announce_gate = announce_gate or AnnounceGate(settings)   # these two are shared by all announcers
        self._http_tracker = HttpTracker()
        self._obstacles: dict[tuple[int, str], str] = {}    # daemon and what keeps it from dialling → the reason of a pause
        self._awaited: set[bytes] = set()               # torrents that StopAllTorrents waits for
        self._all_stopped: Callable[[], None] | None = None

    def on_receive(self, message: Any) -> Any:
        self.give_way()
        match message:
            case m.AddTorrent():           return self._add_torrent(message)
            case m.RemoveTorrent():        self._remove_torrent(message)
            case _ if isinstance(message, UserCommand):  self._user_command(message)
            case m.TorrentRemoved():       self._removed(message)
            case m.WebPageServed():        self._on_change(message)
            case m.TorrentStateChanged():  self._torrent_state_changed(message)
            case m.MetadataKnown():        self._metadata_known(message)
            case m.TorrentStoppedFully():  self._torrent_stopped_fully(message)
            case m.StopAllTorrents():      self._stop_all_torrents(message)
            case m.DaemonListening():      self._on_change(message)
            case m.DialsObstructed():      self._dials_obstructed(message)
            case m.PartsStarted():         self._parts_started(message)
            case m.ActorFailed():          self._actor_failed(message)
            case m.ApplySettings():        self._apply_settings(message)
            case m.LimitDials():           self._limit_dials(message)
            case m.Ping():                 return True
            case _:                        self.unknown(message)
        return None

    def _parts_started(self, message: m.PartsStarted) -> None:
        self._broker, self._ui_feed, self._daemons, self._store = message.broker, message.ui_feed, message.daemons, message.store
        self._torrents_of_daemon = [0] * len(self._daemons)

    def _apply_settings(self, message: m.ApplySettings) -> None:
        """Broker and torrents get the whole; the daemons hear of their limits by the broker."""
        self._settings = message.settings
        self._announce_gate.apply(message.settings)
        self.post(self._broker, message)
        for entry in self._torrents.values():
            for actor in entry.actors:
                self.post(actor, message)

    def _dials_obstructed(self, message: m.DialsObstructed) -> None:
        """Pause or resume everybody. Several daemons may find the same obstacle: it is one pause, until the last of them is over it."""
        key = (message.index, message.obstacle)
        if message.reason:
            self._obstacles[key] = message.reason
            self.post(self._broker, m.PauseConnecting(message.reason))
        elif (reason := self._obstacles.pop(key, "")) and reason not in self._obstacles.values():
            self.post(self._broker, m.ResumeConnecting(reason))

    def _limit_dials(self, message: m.LimitDials) -> None:
        for daemon in self._daemons:
            self.post(daemon, message)

    # ── torrents ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _add_torrent(self, message: m.AddTorrent) -> bool:
        info_hash = message.metainfo.info.info_hash
        deletes_data = info_hash in self._removals and self._removals[info_hash].delete_data
        if info_hash in self._torrents or deletes_data:
            self._answer(message, CONFLICT, f"{message.metainfo.info.name} is " + ("being removed with its data" if deletes_data else "there already"))
            return False
        entry = SessionTorrent(message, self._least_used_daemon())
        self._torrents[info_hash] = entry
        self._torrents_of_daemon[entry.daemon_index] += 1
        if message.resume is None:
            self._remember(m.RememberTorrent(message))
        self._log.info("torrent_added", info_hash=info_hash, name=message.metainfo.info.name, source=message.source)
        self._start_actors(info_hash, entry)
        self._answer(message)
        return True

    def _user_command(self, message: UserCommand) -> None:
        entry = None if isinstance(message, m.GetSettings | m.ChangeSettings) else self._torrents.get(message.info_hash)
        before = entry and entry.order
        if settings := self._commands.handle(message, self._settings, self._broker):
            self._apply_settings(m.ApplySettings(settings))
            self._remember(m.RememberSettings(message.values))
        if entry is not None and entry.order is not before:
            self._remember(m.RememberTorrent(entry.order))

    def _remember(self, fact: Any) -> None:
        if isinstance(fact, m.RememberTorrent) and not fact.order.metainfo.info.is_known:
            return                                      # there is nothing yet that a .torrent could be made of
        if self._store is not None:
            self.post(self._store, fact)

    def _answer(self, message: m.AddTorrent | m.RemoveTorrent, kind: str = "", sentence: str = "") -> None:
        if message.reply_to is not None:
            self.post(message.reply_to, m.CommandDone(message.number, kind, sentence))

    def _least_used_daemon(self) -> int:
        return self._torrents_of_daemon.index(min(self._torrents_of_daemon))

    def _start_actors(self, info_hash: bytes, entry: SessionTorrent) -> None:
        entry.actor = TorrentActor.start(
            session=self.actor_ref, broker=self._broker, ui_feed=self._ui_feed, daemon=self._daemons[entry.daemon_index],
            order=entry.order, settings=self._settings, connect_timeout=self._connect_timeout, own_address=self._own_address,
            rng=random.Random(self._rng.random()), store=self._store,
        )
        if entry.order.metainfo.tiers:                  # an actor that has nothing to do costs 20 KiB all the same
            self._start_announcer(info_hash, entry)
        if entry.order.start:
            self.post(entry.actor, m.StartTorrent())

    def _start_announcer(self, info_hash: bytes, entry: SessionTorrent) -> None:
        entry.announcer = TrackerAnnouncer.start(
            session=self.actor_ref, torrent=entry.actor, info_hash=info_hash, tiers=entry.order.metainfo.tiers, peer_id=self._peer_id,
            settings=self._settings, gate=self._announce_gate, http=self._http_tracker, rng=random.Random(self._rng.random()),
        )
        self.post(entry.actor, m.AnnouncerStarted(entry.announcer))

    def _remove_torrent(self, message: m.RemoveTorrent) -> None:
        entry = self._torrents.pop(message.info_hash, None)
        if entry is None:
            self._answer(message, NOT_FOUND, f"there is no torrent {message.info_hash.hex()}")
            return
        self._torrents_of_daemon[entry.daemon_index] -= 1
        self._remember(m.ForgetTorrent(message.info_hash))
        self._removed(m.TorrentRemoved(message.info_hash))          # an earlier one, after which it was added again
        self._removals[message.info_hash] = message
        self._leaving[message.info_hash] = entry
        if not self.post(entry.actor, m.StopTorrent(reply_to=self.actor_ref, forget=True)):
            self._torrent_stopped_fully(m.TorrentStoppedFully(message.info_hash))

    def _removed(self, message: m.TorrentRemoved) -> None:
        removal = self._removals.pop(message.info_hash, None)
        if removal is not None:
            self._answer(removal, STORAGE if message.error else "", message.error)

    def _begin_removal(self, info_hash: bytes, entry: SessionTorrent) -> None:
        """The torrent is gone; its files may have to follow."""
        if self._removals[info_hash].delete_data and self._all_stopped is None and entry.order.metainfo.info.is_known:
            DataRemoval.start(session=self.actor_ref, daemon=self._daemons[entry.daemon_index], order=entry.order)
        else:
            self._removed(m.TorrentRemoved(info_hash))

    # ── failures ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _actor_failed(self, message: m.ActorFailed) -> None:
        """A torrent's actor is made anew, a few times; without one of those that all share there is no engine: whoever runs it hears of it."""
        if message.actor_urn in [part.actor_urn for part in (self._broker, self._ui_feed, *self._daemons)]:
            self._on_change(message)
            return
        for info_hash, entry in [*self._torrents.items(), *self._leaving.items()]:
            if message.actor_urn == entry.actor.actor_urn:
                self._torrent_actor_failed(info_hash, entry, message)
                return
            if entry.announcer is not None and message.actor_urn == entry.announcer.actor_urn:
                self._announcer_failed(info_hash, entry, message)
                return

    def _announcer_failed(self, info_hash: bytes, entry: SessionTorrent, message: m.ActorFailed) -> None:
        """The torrent keeps its peers and its pieces: only its trackers are asked anew, or in the end not any more."""
        if entry is self._leaving.get(info_hash):
            return
        entry.announcer_restarts += 1
        if entry.announcer_restarts > MAX_RESTARTS:
            error = f"no tracker is asked any more: {message.name} failed {entry.announcer_restarts} times, last of {message.error}"
            self.post(entry.actor, m.TrackerReported("", error, None, None, None))
            return
        self._start_announcer(info_hash, entry)

    def _torrent_actor_failed(self, info_hash: bytes, entry: SessionTorrent, message: m.ActorFailed) -> None:
        for actor in entry.actors:
            actor.stop(block=False)
        entry.announcer = None
        self.post(self._broker, m.TorrentGone(info_hash))
        daemon = self._daemons[entry.daemon_index]
        self.post(daemon, m.DetachTorrent(info_hash))
        self.post(daemon, m.SendToDaemon(dm.RemoveTorrent(info_hash)))
        if entry is self._leaving.get(info_hash) or self._all_stopped is not None:
            self.post(self._ui_feed, m.UnwatchTorrent(info_hash))
            self._torrent_stopped_fully(m.TorrentStoppedFully(info_hash))       # it was to end anyway
            return
        entry.restarts += 1
        if entry.restarts > MAX_RESTARTS:
            error = f"{message.name} failed {entry.restarts} times, last of {message.error}"
            self._torrent_state_changed(m.TorrentStateChanged(info_hash, snapshots.ERROR, error))
            return
        self._start_actors(info_hash, entry)

    def _torrent_state_changed(self, message: m.TorrentStateChanged) -> None:
        entry = self._torrents.get(message.info_hash)
        if entry is not None:
            entry.state, entry.error = message.state, message.error
            self._on_change(message)

    def _metadata_known(self, message: m.MetadataKnown) -> None:
        entry = self._torrents.get(message.info_hash)
        if entry is not None:
            entry.order = replace(entry.order, metainfo=message.metainfo, selection=message.selection)
            self._remember(m.RememberTorrent(entry.order))
            self._on_change(message)

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _stop_all_torrents(self, message: m.StopAllTorrents) -> None:
        self._all_stopped = message.done
        self._awaited = {
            info_hash for info_hash, entry in self._torrents.items()
            if self.post(entry.actor, m.StopTorrent(reply_to=self.actor_ref))
        }
        self._say_when_all_stopped()

    def _torrent_stopped_fully(self, message: m.TorrentStoppedFully) -> None:
        leaving = self._leaving.pop(message.info_hash, None)
        if leaving is not None:
            for actor in leaving.actors:                # the torrent ends by itself, its announcer does not
                actor.stop(block=False)
            if message.info_hash in self._removals:
                self._begin_removal(message.info_hash, leaving)
        self._awaited.discard(message.info_hash)
        self._say_when_all_stopped()

    def _say_when_all_stopped(self) -> None:
        if self._all_stopped is not None and not self._awaited:
            self._all_stopped()
            self._all_stopped = None
