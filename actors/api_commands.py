"""ApiCommands: the commands of the API. Each checks its arguments and tells the actors concerned; the answer follows when theirs is there.

Nothing that a client sends raises: what is wrong becomes an error of a kind and a sentence. A fault of ours becomes an error, too, and an
event in the log. How commands are called over HTTP stands in docs/api.md.
"""

import itertools
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import gevent
import msgspec
import pykka
from gevent.threadpool import ThreadPool

from actors import api_arguments as args
from actors import messages as m
from actors.api_views import file_rows, peer_row, queue_details, torrent_details, torrent_row
from actors.download_roots import DownloadRoots
from actors.settings_values import converted_settings, needs_restart
from actors.snapshots import ConnectionQueueStats, FeedView, TorrentSnapshot
from protocol import web_messages as wm
from protocol.errors import EvenswarmError, MagnetError, MetainfoError, SettingsError, StorageError
from protocol.limits import MAX_API_CALLS
from protocol.magnet import parse_magnet
from protocol.metainfo import Metainfo, parse_metainfo, unknown_metainfo
from protocol.peer_address import PeerAddress, undiallable_reason
from protocol.version import VERSION
from scheduler.settings import Settings
from scheduler.swarm_peer import MANUAL

FRESH_SECONDS: Final = 1.0                              # a view is no older than this …
PATIENCE_SECONDS: Final = 1.5                           # … unless that would take longer than three gatherings
MAX_PENDING: Final = 4 * MAX_API_CALLS                  # calls whose answers are awaited; those that nobody answered fall out, the oldest first


class Failed(Exception):
    """A command that cannot be done: its kind and the sentence."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


@dataclass(slots=True)
class Pending:
    """A call that waits for an actor's answer."""

    number: int                                         # the web process's
    finish: Callable[[Any], Any]                        # what came → the value to answer, or None if something else is awaited now
    since: float
    changes: bool = False                               # what others may ask for afterwards


class ApiCommands:
    """Done in the WebLink's actor. `roots`: where downloads may go."""

    def __init__(
        self, *, session: pykka.ActorRef, broker: pykka.ActorRef, ui_feed: pykka.ActorRef, roots: DownloadRoots,
        clock: Callable[[], float] = time.monotonic, in_thread: Callable[..., Any] | None = None,
    ) -> None:
        self._session, self._broker, self._ui_feed = session, broker, ui_feed
        self._roots = roots
        self._clock = clock
        self._pool = ThreadPool(1) if in_thread is None else None
        self._in_thread = in_thread or self._run_in_thread
        self._tickets = itertools.count(1)
        self._pending: dict[int, Pending] = {}          # by ticket: what an earlier web process asked cannot be taken for a later call
        self._views: list[Pending] = []
        self._queues: list[Pending] = []
        self._snapshots: dict[bytes, list[Pending]] = {}
        self._changed_at = -math.inf                    # when a command that changes something was answered: a list must show it

    def connect(
        self, actor: pykka.ActorRef, post: Callable[[pykka.ActorRef, Any], bool], answer: Callable[[int, str, bytes], None], log: Any,
    ) -> None:
        """The actor in which all this happens."""
        self._actor, self._post, self._send, self._log = actor, post, answer, log

    def close(self) -> None:
        """The engine ends."""
        if self._pool is not None:
            self._pool.kill()

    @property
    def awaits_view(self) -> bool:
        """Tell whether a call waits for what the feed gathers."""
        return bool(self._views)

    def forget_all(self) -> None:
        """Nobody waits for the answers any more."""
        for table in (self._pending, self._views, self._queues, self._snapshots):
            table.clear()

    # ── a call and its answer ────────────────────────────────────────────────────────────────────────────────────────────

    def call(self, call: wm.Call, data: bytes) -> None:
        """Do it; the answer may follow later."""
        known = COMMANDS.get(call.command)
        try:
            if known is None:
                raise Failed(wm.NOT_FOUND, f"there is no command {call.command}")
            function, kind = known
            try:
                arguments = args.decode(call.arguments, kind)
            except ValueError as error:
                raise Failed(wm.BAD_REQUEST, str(error)) from None
            function(self, Call(call.number, call.info_hash, arguments, data))
        except Failed as error:
            self._send(call.number, error.kind, str(error).encode("utf-8", "replace"))
        except Exception as error:
            self._fault(call.number, call.command, error)

    def _answer(self, number: int, value: Any) -> None:
        self._send(number, "", msgspec.json.encode(value))

    def _fault(self, number: int, command: str, error: Exception) -> None:
        self._log.error("api_call_failed", command=command, error=f"{type(error).__name__}: {error}", exc_info=error)
        self._send(number, wm.INTERNAL, b"a fault of this client: its log has the details")

    def _await(self, number: int, finish: Callable[[Any], Any], changes: bool = False) -> int:
        """Return the ticket under which an actor's CommandDone comes back."""
        while len(self._pending) >= MAX_PENDING:
            del self._pending[next(iter(self._pending))]
        ticket = next(self._tickets)
        self._pending[ticket] = Pending(number, finish, self._clock(), changes)
        return ticket

    def done(self, message: m.CommandDone) -> None:
        """An actor's answer."""
        pending = self._pending.pop(message.number, None)
        if pending is None:
            return
        if message.kind:
            self._send(pending.number, message.kind, str(message.value).encode("utf-8", "replace"))
        else:
            self._finish(pending, message.value)

    def _finish(self, pending: Pending, value: Any) -> None:
        try:
            self._changed_at = self._clock() if pending.changes else self._changed_at
            answer = pending.finish(value)
            if answer is not None:
                self._answer(pending.number, answer)
        except Failed as error:
            self._send(pending.number, error.kind, str(error).encode("utf-8", "replace"))
        except Exception as error:
            self._fault(pending.number, "", error)

    # ── what is shown ────────────────────────────────────────────────────────────────────────────────────────────────────

    def view(self, view: FeedView) -> None:
        """What the feed gathered. What is too old for those who wait is asked for again by whoever owns us."""
        now = self._clock()
        is_fresh = view.age <= FRESH_SECONDS and now - view.age > self._changed_at
        if not is_fresh and any(now - waiting.since < PATIENCE_SECONDS for waiting in self._views):
            return
        views, self._views = self._views, []
        for waiting in views:
            self._finish(waiting, view)

    def _with_view(self, number: int, finish: Callable[[FeedView], Any]) -> None:
        self._views.append(Pending(number, finish, self._clock()))
        self._post(self._actor, m.LookDue())

    def queue_stats(self, stats: ConnectionQueueStats) -> None:
        """The broker's answer."""
        queues, self._queues = self._queues, []
        for waiting in queues:
            self._finish(waiting, stats)

    def snapshot(self, snapshot: TorrentSnapshot) -> None:
        """A torrent's answer."""
        for waiting in self._snapshots.pop(snapshot.info_hash, ()):
            self._finish(waiting, snapshot)

    def list_torrents(self, call: "Call") -> None:
        self._with_view(call.number, lambda view: {"torrents": [torrent_row(snapshot) for snapshot in view.torrents]})

    def get_torrent(self, call: "Call") -> None:
        def described(description: Any) -> None:
            self._with_view(call.number, lambda view: row_of(view) | torrent_details(description))

        def row_of(view: FeedView) -> dict[str, Any]:
            found = [snapshot for snapshot in view.torrents if snapshot.info_hash == call.info_hash]
            if not found:                               # it was added or removed a moment ago
                raise Failed(wm.NOT_FOUND, f"there is no torrent {call.info_hash.hex()} to be seen yet")
            return torrent_row(found[0])

        self._post(self._session, m.DescribeTorrent(call.info_hash, self._actor, self._await(call.number, described)))

    def get_files(self, call: "Call") -> None:
        self._describe(call, lambda description: {"files": file_rows(description.metainfo)})

    def get_trackers(self, call: "Call") -> None:
        def described(description: Any) -> None:
            tiers = [list(tier) for tier in description.metainfo.tiers]
            self._ask_torrent(call, lambda snapshot: {"tiers": tiers, "error": snapshot.tracker_error})

        self._describe(call, described)

    def get_peers(self, call: "Call") -> None:
        self._ask_torrent(call, lambda snapshot: {"peers": [peer_row(peer) for peer in snapshot.peers]})

    def get_queue(self, call: "Call") -> None:
        self._queues.append(Pending(call.number, queue_details, self._clock()))
        self._post(self._broker, m.GetConnectionQueueStats(self._actor))

    def get_client(self, call: "Call") -> None:
        self._answer(call.number, {"version": VERSION, "folders": list(self._roots.roots)})

    def _describe(self, call: "Call", finish: Callable[[Any], Any]) -> None:
        self._post(self._session, m.DescribeTorrent(call.info_hash, self._actor, self._await(call.number, finish)))

    def _ask_torrent(self, call: "Call", finish: Callable[[TorrentSnapshot], Any]) -> None:
        """Have the torrent itself say how it is: first the session passes the question on."""
        def passed_on(_: Any) -> None:
            self._snapshots.setdefault(call.info_hash, []).append(Pending(call.number, finish, self._clock()))

        question = m.GetTorrentSnapshot(reply_to=self._actor, with_peers=True)
        self._post(self._session, m.ForTorrent(call.info_hash, question, self._actor, self._await(call.number, passed_on)))

    # ── adding ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    def add_torrent(self, call: "Call") -> None:
        arguments: args.Add = call.arguments
        if arguments.magnet is not None:
            try:
                magnet = parse_magnet(arguments.magnet)
            except MagnetError as error:
                raise Failed(wm.BAD_REQUEST, str(error)) from None
        folder, peers = self._folder(arguments.folder), peer_addresses(arguments.peers)

        def read(metainfo: Metainfo, hints: tuple[PeerAddress, ...] = (), selected_files: tuple[int, ...] = ()) -> None:
            info_hash = metainfo.info.info_hash
            ticket = self._await(call.number, lambda _: {"info_hash": info_hash.hex(), "name": metainfo.info.name}, changes=True)
            self._post(self._session, m.AddTorrent(
                metainfo, folder, arguments.source, peers, arguments.priority, arguments.start, reply_to=self._actor, number=ticket, hints=hints,
                selected_files=selected_files,
            ))

        if arguments.magnet is not None:
            read(unknown_metainfo(magnet.info_hash, magnet.name, magnet.trackers, magnet.web_seeds), magnet.peer_addresses, magnet.selected_files)
            return
        self._in_thread(self._await(call.number, read), call.data, arguments.source)

    def _run_in_thread(self, ticket: int, data: bytes, source: str) -> None:
        """A large .torrent takes a while to read: not in the hub's time."""
        gevent.spawn(lambda: self._post(self._actor, self._pool.apply(read_metainfo, (ticket, data, source))))

    def metainfo_read(self, message: m.MetainfoRead) -> None:
        """The thread's answer."""
        pending = self._pending.pop(message.number, None)
        if pending is None:
            return
        if message.metainfo is None:
            self._send(pending.number, wm.BAD_REQUEST, message.error.encode("utf-8", "replace"))
        else:
            self._finish(pending, message.metainfo)

    def _folder(self, text: str | None) -> str:
        try:
            return self._roots.folder(text)
        except StorageError as error:
            raise Failed(wm.BAD_REQUEST, str(error)) from None

    # ── one torrent ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _tell_torrent(self, call: "Call", message: Any, envelope: type = m.ForTorrent) -> None:
        self._post(self._session, envelope(call.info_hash, message, self._actor, self._await(call.number, lambda _: {}, changes=True)))

    def start_torrent(self, call: "Call") -> None:
        self._tell_torrent(call, m.StartTorrent())

    def stop_torrent(self, call: "Call") -> None:
        self._tell_torrent(call, m.StopTorrent())

    def recheck_torrent(self, call: "Call") -> None:
        self._tell_torrent(call, m.RecheckTorrent())

    def announce_torrent(self, call: "Call") -> None:
        self._tell_torrent(call, m.AnnounceNow(), m.ForAnnouncer)

    def change_torrent(self, call: "Call") -> None:
        ticket = self._await(call.number, lambda _: {"priority": call.arguments.priority}, changes=True)
        self._post(self._session, m.SetTorrentPriority(call.info_hash, call.arguments.priority, self._actor, ticket))

    def remove_torrent(self, call: "Call") -> None:
        ticket = self._await(call.number, lambda _: {"data_deleted": call.arguments.data}, changes=True)
        self._post(self._session, m.RemoveTorrent(call.info_hash, call.arguments.data, self._actor, ticket))

    def add_peers(self, call: "Call") -> None:
        self._tell_torrent(call, m.PeersFound(MANUAL, peer_addresses(call.arguments.peers)))

    def ban_peer(self, call: "Call") -> None:
        self._tell_torrent(call, m.BanPeer(peer_address(call.arguments.peer), call.arguments.reason))

    def unban_peer(self, call: "Call") -> None:
        self._tell_torrent(call, m.UnbanPeer(peer_address(call.arguments.peer)))

    # ── the whole ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def pause_connecting(self, call: "Call") -> None:
        self._post(self._broker, m.PauseConnecting(call.arguments.reason))
        self._answer(call.number, {})

    def resume_connecting(self, call: "Call") -> None:
        self._post(self._broker, m.ResumeConnecting(call.arguments.reason))
        self._answer(call.number, {})

    def get_settings(self, call: "Call") -> None:
        self._post(self._session, m.GetSettings(self._actor, self._await(call.number, asdict)))

    def change_settings(self, call: "Call") -> None:
        try:
            values = converted_settings(call.arguments)
        except SettingsError as error:
            raise Failed(wm.BAD_REQUEST, str(error)) from None

        def changed(settings: Settings) -> dict[str, Any]:
            return {"settings": asdict(settings), "needs_restart": needs_restart(values)}

        self._post(self._session, m.ChangeSettings(tuple(values.items()), self._actor, self._await(call.number, changed)))


@dataclass(frozen=True, slots=True)
class Call:
    """A call whose arguments were checked for their form."""

    number: int
    info_hash: bytes
    arguments: Any
    data: bytes


COMMANDS: Final[dict[str, tuple[Callable[[ApiCommands, Call], None], Any]]] = {
    "list_torrents": (ApiCommands.list_torrents, args.Nothing),
    "add_torrent": (ApiCommands.add_torrent, args.Add),
    "get_torrent": (ApiCommands.get_torrent, args.Nothing),
    "change_torrent": (ApiCommands.change_torrent, args.Change),
    "remove_torrent": (ApiCommands.remove_torrent, args.Remove),
    "start_torrent": (ApiCommands.start_torrent, args.Nothing),
    "stop_torrent": (ApiCommands.stop_torrent, args.Nothing),
    "recheck_torrent": (ApiCommands.recheck_torrent, args.Nothing),
    "announce_torrent": (ApiCommands.announce_torrent, args.Nothing),
    "get_peers": (ApiCommands.get_peers, args.Nothing),
    "add_peers": (ApiCommands.add_peers, args.AddPeers),
    "ban_peer": (ApiCommands.ban_peer, args.OnePeer),
    "unban_peer": (ApiCommands.unban_peer, args.OnePeer),
    "get_files": (ApiCommands.get_files, args.Nothing),
    "get_trackers": (ApiCommands.get_trackers, args.Nothing),
    "get_queue": (ApiCommands.get_queue, args.Nothing),
    "pause_connecting": (ApiCommands.pause_connecting, args.Pause),
    "resume_connecting": (ApiCommands.resume_connecting, args.Resume),
    "get_settings": (ApiCommands.get_settings, args.Nothing),
    "change_settings": (ApiCommands.change_settings, dict[str, bool | int | float | str]),
    "get_client": (ApiCommands.get_client, args.Nothing),
}


def read_metainfo(ticket: int, data: bytes, source: str) -> m.MetainfoRead:
    """In a thread: touches nothing but its arguments."""
    try:
        return m.MetainfoRead(ticket, parse_metainfo(data, source))
    except MetainfoError as error:
        return m.MetainfoRead(ticket, None, str(error))
    except Exception as error:                          # a fault of ours must not leave the client waiting
        return m.MetainfoRead(ticket, None, f"{source}: cannot be read: {error!r}")


def peer_addresses(texts: list[str]) -> tuple[PeerAddress, ...]:
    """Raises Failed, naming the text."""
    return tuple(map(peer_address, texts))


def peer_address(text: str) -> PeerAddress:
    """Raises Failed, naming the text."""
    try:
        address = PeerAddress.parse(text)
    except (EvenswarmError, ValueError):
        raise Failed(wm.BAD_REQUEST, f"peer {text!r} must be ip:port or [ipv6]:port, for example 192.0.2.7:6881") from None
    if reason := undiallable_reason(address):
        raise Failed(wm.BAD_REQUEST, f"peer {text!r} cannot be dialled: {reason}")
    return address
