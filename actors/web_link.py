"""WebLink: the engine's end of the web process. Starts it again when it dies, has calls done, and gives viewers their events.

The web process holds nothing of the engine; what it must not lose when it dies (who is logged in, whether the printed address was used,
its port) is kept here and given to the next one.
"""

import secrets
from typing import Any, Final

import msgspec
import pykka

from actors import messages as m
from actors.api_commands import ApiCommands
from actors.engine_actor import DelayedMessage, EngineActor
from actors.feed_streams import FeedStreams
from actors.snapshots import ConnectionQueueStats, FeedDifference, FeedView
from actors.web_process import WebProcess
from protocol import web_messages as wm
from protocol.body_parts import PartJoiner, cut_body
from protocol.errors import LocalProtocolError
from protocol.limits import MAX_API_BODY_BYTES, MAX_WEB_SESSIONS

FIRST_RESTART_SECONDS: Final = 0.1                      # then twice as long each time, up to the last one
LAST_RESTART_SECONDS: Final = 10.0
STEADY_SECONDS: Final = 30.0                            # one that lived this long starts the backoff anew
LOOK_SECONDS: Final = 0.5                               # between two looks of a call that the first answer was too old for
TOKEN_BYTES: Final = 24


class WebLink(EngineActor):
    """Owns the process that serves the page and the API. `session` hears WebPageServed."""

    def __init__(self, session: pykka.ActorRef, *, ui_feed: pykka.ActorRef, configure: wm.ConfigureWeb, commands: ApiCommands, **engine: Any) -> None:
        super().__init__(session, **engine)
        self._ui_feed = ui_feed
        self._configure = configure
        self._commands = commands
        self._streams = FeedStreams(self._send_event, lambda message: self.post(self._ui_feed, message), self.actor_ref)
        self._parts = PartJoiner(MAX_API_BODY_BYTES)
        self._sessions = dict.fromkeys(configure.sessions)
        self._process: WebProcess | None = None
        self._generation = 0                            # of the process: what an earlier one said late is not heard
        self._restarts = 0
        self._started_at = 0.0
        self._look: DelayedMessage | None = None
        self._ending = False
        commands.connect(self.actor_ref, self.post, self._answer, self._log)

    def on_start(self) -> None:
        self.actor_ref.tell(m.Begin())

    def on_receive(self, message: Any) -> Any:
        self.give_way()
        match message:
            case m.WebSaid():               self._web_said(message)
            case m.WebEnded():              self._web_ended(message)
            case FeedDifference():          self._streams.difference(message)
            case FeedView():                self._commands.view(message)
            case m.LookDue():               self._look_due()
            case m.CommandDone():           self._commands.done(message)
            case m.MetainfoRead():          self._commands.metainfo_read(message)
            case m.SnapshotTaken():         self._commands.snapshot(message.snapshot)
            case ConnectionQueueStats():    self._commands.queue_stats(message)
            case m.Begin():                 self._start_process()
            case m.Ping():                  return True
            case _:                         self.unknown(message)
        return None

    # ── its process ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _start_process(self) -> None:
        if self._ending or self._process is not None:
            return
        self._generation = generation = self._generation + 1
        try:
            self._process = WebProcess(
                heard=lambda messages: self.post(self.actor_ref, m.WebSaid(generation, messages)),
                ended=lambda reason: self.post(self.actor_ref, m.WebEnded(generation, reason)),
            )
        except OSError as error:
            self._log.error("web_ended", pid=0, reason=f"cannot be started: {error}", exit_status=None)
            self._restart_later()
            return
        self._started_at = self.clock()
        self._log.info("web_started", pid=self._process.pid)
        self._process.send(msgspec.structs.replace(self._configure, sessions=list(self._sessions)))

    def _web_ended(self, message: m.WebEnded) -> None:
        if message.generation != self._generation or self._process is None:
            return
        process, self._process = self._process, None
        self._forget_callers()
        self._log.error("web_ended", pid=process.pid, reason=message.reason, exit_status=process.end())
        if self.clock() - self._started_at > STEADY_SECONDS:
            self._restarts = 0
        self._restart_later()

    def _forget_callers(self) -> None:
        self._commands.forget_all()
        self._streams.close_all()
        self._parts = PartJoiner(MAX_API_BODY_BYTES)

    def _restart_later(self) -> None:
        delay = min(FIRST_RESTART_SECONDS * 2 ** self._restarts, LAST_RESTART_SECONDS)
        self._restarts += 1
        if not self._ending:
            self.call_later(delay, m.Begin())

    def on_stop(self) -> None:
        self._ending = True
        self._commands.close()
        if self._process is not None:
            self._process.end()
            self._process = None
        super().on_stop()

    def on_failure(self, exception_type: Any, exception_value: Any, traceback: Any) -> None:
        self.on_stop()
        super().on_failure(exception_type, exception_value, traceback)

    # ── what it says ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _web_said(self, message: m.WebSaid) -> None:
        if message.generation != self._generation or self._process is None:
            return
        try:
            for said in message.messages:
                self._handle(said)
        except LocalProtocolError as error:
            self.post(self.actor_ref, m.WebEnded(self._generation, str(error)))
        self._process.handled()

    def _handle(self, said: wm.WebMessage) -> None:
        match said:
            case wm.BodyPart():          self._parts.add(said)
            case wm.Call():              self._commands.call(said, self._parts.join(said.number, said.data))
            case wm.FeedSubscribe():     self._streams.open(said.number, said.peers_of, said.last_event_id)
            case wm.FeedTaken():         self._streams.taken(said.number)
            case wm.FeedUnsubscribe():   self._streams.close(said.number)
            case wm.SessionOpened():     self._session_opened(said.digest)
            case wm.SessionClosed():     self._sessions.pop(said.digest, None)
            case wm.LoginTokenUsed():    self._configure = msgspec.structs.replace(self._configure, login_token="")
            case wm.WebListening():      self._listening(said)
            case wm.WebListenFailed():   self._listen_failed(said)

    def _session_opened(self, digest: bytes) -> None:
        self._sessions[digest] = None
        if len(self._sessions) > MAX_WEB_SESSIONS:
            del self._sessions[next(iter(self._sessions))]

    def _listening(self, said: wm.WebListening) -> None:
        self._configure = msgspec.structs.replace(self._configure, port=said.port)      # the next one serves the same address
        self._log.info("web_listening", host=said.host, port=said.port)
        self.post(self._session, m.WebPageServed(said.host, said.port, self._configure.login_token))

    def _listen_failed(self, said: wm.WebListenFailed) -> None:
        self._log.error("web_listen_failed", host=self._configure.host, port=self._configure.port, reason=said.error)
        self.post(self._session, m.WebPageServed(self._configure.host, 0, "", said.error))
        if self._restarts:                              # it was there before: whoever took its place may go
            self.post(self.actor_ref, m.WebEnded(self._generation, f"cannot listen: {said.error}"))

    # ── what it gets ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _answer(self, number: int, kind: str, body: bytes) -> None:
        if self._process is not None:
            parts, last = cut_body(number, body)
            self._process.send(*parts, wm.Answer(number, kind, last))

    def _send_event(self, number: int, name: str, event_id: str, body: bytes) -> None:
        if self._process is not None:
            parts, last = cut_body(number, body)
            self._process.send(*parts, wm.FeedEvent(number, name, event_id, last))

    def _look_due(self) -> None:
        """Look as long as a call waits for what the feed gathers."""
        self._look = None
        if self._commands.awaits_view:
            self.post(self._ui_feed, m.GetView(reply_to=self.actor_ref))
            self._look = self.call_later(LOOK_SECONDS, m.LookDue())


def new_token() -> str:
    """A secret that fits into an address and a header."""
    return secrets.token_urlsafe(TOKEN_BYTES)
