"""Engine: starts the actors in the order of their dependencies and stops them in reverse.

A plain object for whoever runs an engine (a command, a test): the only place that asks actors, always with a timeout.
"""

import os
import random
import sys
import time
from collections.abc import Callable
from typing import Any

import gevent
import gevent.event
import pykka
import structlog

from actors import messages as m
from actors import snapshots
from actors.announce_gate import AnnounceGate
from actors.api_commands import ApiCommands
from actors.connection_broker import ConnectionBroker
from actors.daemon_link import DaemonLink
from actors.download_roots import DownloadRoots
from actors.resume_records import ResumeRecords
from actors.resume_store import ResumeStore
from actors.session import Session
from actors.ui_feed import UIFeed
from actors.web_link import WebLink
from protocol import daemon_messages as dm
from protocol.errors import EvenswarmError
from protocol.version import CLIENT_VERSION, PEER_ID_PREFIX, VERSION
from protocol.web_messages import ConfigureWeb
from scheduler.settings import Settings

ASK_TIMEOUT = 10.0                                      # an actor that does not answer in this time hangs
MAX_VIEW_AGE = 1.0                                      # seconds; while somebody looks all the time it is younger
FRESH_VIEW_TIMEOUT = 0.5                                # gathering takes milliseconds; after this the old one must do
DAEMON_START_TIMEOUT = 20.0                             # a cold Python on a slow disk
WEB_START_TIMEOUT = 20.0
LOAD_TIMEOUT = 600.0                                    # of the torrents that are remembered: a slow disk, 100,000 of them
STOP_STORE_TIMEOUT = 2.0
STOP_TORRENTS_TIMEOUT = 2.2                             # `stopped` to the trackers has 2 s of it
STOP_DAEMON_TIMEOUT = 2.0


class EngineNotStarted(EvenswarmError):
    """A part of the engine did not come up."""


class Engine:
    """One engine: broker, feed, session and the daemons. Use it as a context manager."""

    def __init__(
        self, settings: Settings, on_change: Callable[[Any], None] = lambda change: None, records: ResumeRecords | None = None,
    ) -> None:
        self.settings = settings
        self.notices: tuple[str, ...] = ()              # what the user should know of what was remembered
        self._records = records                         # None: nothing is remembered
        self._store: pykka.ActorRef | None = None
        self.addresses: list[m.DaemonListening] = []    # where the daemons listen
        self._on_change = on_change
        self._peer_id = PEER_ID_PREFIX + os.urandom(12)
        self._started: list[pykka.ActorRef] = []        # in order
        self._all_listening = gevent.event.Event()
        self._page: gevent.event.AsyncResult[m.WebPageServed] = gevent.event.AsyncResult()

    def __enter__(self) -> "Engine":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and wait until the daemons listen. Raises EngineNotStarted."""
        settings, announce_gate = self.settings, AnnounceGate(self.settings)
        self._log_start()
        self.session = self._start(Session, settings=settings, peer_id=self._peer_id, rng=random.SystemRandom(), on_change=self._changed,
                                   announce_gate=announce_gate)
        self.broker = self._start(ConnectionBroker, settings=settings, session=self.session, flow_stats=announce_gate.stats)
        self.ui_feed = self._start(UIFeed, broker=self.broker, session=self.session)
        self.daemons = tuple(
            self._start(DaemonLink, session=self.session, index=index, configure=self._configure(index)) for index in range(settings.daemons)
        )
        if self._records is not None:
            self._store = self._start(ResumeStore, session=self.session, records=self._records)
        self.session.tell(m.PartsStarted(self.broker, self.ui_feed, self.daemons, self._store))
        for actor in self._started:
            self._ask(actor, m.Ping())
        if not self._all_listening.wait(DAEMON_START_TIMEOUT):
            raise EngineNotStarted(f"{settings.daemons - len(self.addresses)} of {settings.daemons} I/O daemons did not start in {DAEMON_START_TIMEOUT:.0f} s")
        self._load_torrents()

    def _load_torrents(self) -> None:
        """Add what is remembered. Raises EngineNotStarted when that cannot be read: to begin without would be to forget it."""
        if self._store is None:
            return
        loaded: gevent.event.AsyncResult[tuple[tuple[str, ...], str]] = gevent.event.AsyncResult()
        self._store.tell(m.LoadTorrents(lambda *result: loaded.set(result)))
        late = ((), f"the torrents could not be read in {LOAD_TIMEOUT:.0f} s")
        self.notices, error = loaded.get() if loaded.wait(LOAD_TIMEOUT) is not None else late
        if error:
            raise EngineNotStarted(error)
        self._ask(self.session, m.Ping())               # they are added

    def serve_page(self, configure: ConfigureWeb, roots: DownloadRoots) -> m.WebPageServed:
        """Start the web process and return where the page is. Raises EngineNotStarted."""
        commands = ApiCommands(session=self.session, broker=self.broker, ui_feed=self.ui_feed, roots=roots)
        self._start(WebLink, session=self.session, ui_feed=self.ui_feed, configure=configure, commands=commands)
        page = self._page.get() if self._page.wait(WEB_START_TIMEOUT) else None
        if page is None or page.error:
            reason = page.error if page else f"the web process did not start in {WEB_START_TIMEOUT:.0f} s"
            raise EngineNotStarted(f"the page cannot be served at {configure.host} port {configure.port}: {reason}")
        return page

    def add(self, order: m.AddTorrent) -> bool:
        """Add and start a torrent; False when it is there already."""
        return self._ask(self.session, order)

    def view(self) -> snapshots.FeedView:
        """What a viewer draws; keeps the feed gathering. Who has not looked for a while waits a moment until it is fresh."""
        view, deadline = self._ask(self.ui_feed, m.GetView()), time.monotonic() + FRESH_VIEW_TIMEOUT
        while view.age > MAX_VIEW_AGE and time.monotonic() < deadline:
            gevent.sleep(0.01)
            view = self._ask(self.ui_feed, m.GetView())
        return view

    def stop(self) -> None:
        """Stop torrents (trackers told, data durable), daemons and actors, each with a deadline."""
        if self._started:
            self._until_done(self.session, m.StopAllTorrents, STOP_TORRENTS_TIMEOUT)
            ends = [gevent.spawn(self._until_done, link, self._shut_down, STOP_DAEMON_TIMEOUT + 0.5) for link in getattr(self, "daemons", ())]
            if self._store is not None:                 # torrents told it everything before they said that they have stopped
                ends.append(gevent.spawn(self._until_done, self._store, m.FlushStore, STOP_STORE_TIMEOUT))
            gevent.joinall(ends)
        while self._started:
            actor = self._started.pop()
            try:
                actor.stop(timeout=1.0)
            except pykka.Timeout:
                print(f"evenswarm: {actor} did not stop", file=sys.stderr)
        pykka.ActorRegistry.stop_all(timeout=1.0)       # the torrents' actors: started by the session, all told to stop above

    def _log_start(self) -> None:
        """Say by which limits the lines that follow are to be judged: the log is all that is left of a run."""
        settings = self.settings
        structlog.get_logger().info(
            "engine_started", version=VERSION, profile=settings.profile, per_second=settings.connection_rate, burst=settings.connection_burst,
            half_open=settings.half_open_limit, global_connections=settings.global_connection_limit,
            torrent_connections=settings.torrent_connection_limit, incoming_reserve=settings.incoming_reserve,
            unanswered=settings.unanswered_limit, lease_seconds=settings.lease_seconds, drain_interval=settings.drain_interval,
        )

    @staticmethod
    def _shut_down(done: Callable[[], None]) -> m.ShutDownDaemon:
        return m.ShutDownDaemon(STOP_DAEMON_TIMEOUT, done)

    def _start(self, actor_class: type[pykka.ThreadingActor], **arguments: Any) -> pykka.ActorRef:
        actor = actor_class.start(**arguments)
        self._started.append(actor)
        return actor

    def _ask(self, actor: pykka.ActorRef, message: Any) -> Any:
        try:
            return actor.ask(message, timeout=ASK_TIMEOUT)
        except (pykka.Timeout, pykka.ActorDeadError) as error:
            raise EngineNotStarted(f"{actor.actor_class.__name__} does not answer: {error!r}") from None

    def _until_done(self, actor: pykka.ActorRef, message: Callable[[Callable[[], None]], Any], timeout: float) -> None:
        """Tell a message that carries a `done` function and wait until it was called, or the actor is dead, or time is up."""
        done = gevent.event.Event()
        try:
            actor.tell(message(done.set))
        except pykka.ActorDeadError:
            return
        done.wait(timeout)

    def _changed(self, change: Any) -> None:
        if isinstance(change, m.DaemonListening):
            self.addresses = [*(known for known in self.addresses if known.index != change.index), change]
            if len(self.addresses) == self.settings.daemons:
                self._all_listening.set()
        elif isinstance(change, m.WebPageServed):
            self._page.set(change)
        self._on_change(change)

    def _configure(self, index: int) -> dm.Configure:
        settings = self.settings
        return dm.Configure(
            peer_id=self._peer_id, listen_host=settings.listen_host, listen_port=settings.listen_port and settings.listen_port + index,
            max_connects_under_way=settings.half_open_limit, max_connects_pending=2 * settings.half_open_limit,
            connect_timeout=30.0, handshake_timeout=settings.handshake_timeout, piece_buffer_bytes=settings.piece_buffer_bytes,
            read_cache_bytes=settings.read_cache_bytes, upload_slots=settings.upload_slots,
            max_pipeline_depth=settings.max_pipeline_depth, client_version=CLIENT_VERSION, idle_seconds=settings.idle_seconds,
        )
