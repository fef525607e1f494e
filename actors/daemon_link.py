"""DaemonLink: one I/O daemon's process, its socketpair, its restart.

The daemon is started with `subprocess` and inherits one end of a socketpair; the death of either side is an end of file for the
other. A reader greenlet turns frames into one message to this actor and waits until that one was handled, so a busy engine makes
the daemon merge its statistics instead of filling an inbox. A writer greenlet sends what the outbox holds. When the daemon dies,
every torrent attached here hears DaemonLost; a new daemon is started after a backoff and they hear DaemonReady.
"""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import gevent
import gevent.event
import msgspec

from actors import messages as m
from actors.engine_actor import EngineActor
from protocol import daemon_messages as dm
from protocol.daemon_frames import FrameReader
from protocol.errors import LocalProtocolError
from protocol.frame_outbox import FrameOutbox

RECEIVE_BYTES = 1 << 18
FIRST_RESTART_SECONDS = 0.1                             # then twice as long each time, up to the last one
LAST_RESTART_SECONDS = 10.0
STEADY_SECONDS = 30.0                                   # a daemon that lived this long starts the backoff anew
TREE = Path(__file__).resolve().parent.parent           # where the package `daemon` lies


class DaemonLink(EngineActor):
    """Owns the process of one I/O daemon and the way to it."""

    def __init__(self, session: Any, index: int, configure: dm.Configure, **engine: Any) -> None:
        super().__init__(session=session, **engine)
        self._session = session
        self._index = index
        self._configure = configure
        self._log = self._log.bind(daemon=index)
        self._torrents: dict[bytes, Any] = {}
        self._generation = 0                            # of the process: what an earlier one said late is not heard
        self._process: subprocess.Popen | None = None
        self._socket: socket.socket | None = None
        self._greenlets: list[gevent.Greenlet] = []
        self._outbox = FrameOutbox()
        self._something_to_send = gevent.event.Event()
        self._handled = gevent.event.Event()
        self._port: int | None = None                   # None until Listening or ListenFailed
        self._obstacles: set[str] = set()               # to dialling, as the daemon said
        self._restarts = 0
        self._started_at = 0.0
        self._ending = False

    def on_start(self) -> None:
        self.actor_ref.tell(m.Begin())

    def on_receive(self, message: Any) -> Any:
        self.give_way()
        match message:
            case m.SendToDaemon():     self._send_to_daemon(message.message)
            case m.DaemonSaid():       self._daemon_said(message)
            case m.DaemonEnded():      self._daemon_ended(message)
            case m.AttachTorrent():    self._attach_torrent(message)
            case m.DetachTorrent():    self._torrents.pop(message.info_hash, None)
            case m.LimitDials():       self._limit_dials(message)
            case m.Begin():            self._start_daemon()
            case m.ShutDownDaemon():   self._shut_down_daemon(message)
            case m.Ping():             return True
            case _:                    self.unknown(message)

    # ── its process ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _start_daemon(self) -> None:
        if self._ending or self._process is not None:
            return
        self._generation += 1
        ours, theirs = socket.socketpair()
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, [str(TREE), os.environ.get("PYTHONPATH")])))
        try:
            self._process = subprocess.Popen(           # a session of its own: Ctrl-C in the terminal is for the engine to handle
                [sys.executable, "-P", "-m", "daemon", "--fd", str(theirs.fileno())],
                pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL, start_new_session=True,
            )
        except OSError as error:
            ours.close()
            self._log.error("daemon_ended", pid=0, reason=f"cannot start {sys.executable}: {error}", exit_status=None)
            self._restart_later()
            return
        finally:
            theirs.close()
        self._socket = ours
        self._started_at = self.clock()
        self._outbox = FrameOutbox()
        self._greenlets = [gevent.spawn(self._read, ours, self._generation), gevent.spawn(self._write, ours, self._generation, self._outbox)]
        self._log.info("daemon_started", pid=self._process.pid)
        self._send_to_daemon(self._configure)

    def _read(self, connection: socket.socket, generation: int) -> None:
        reader, reason = FrameReader(dm.TO_ENGINE), "end of file"
        try:
            while data := connection.recv(RECEIVE_BYTES):
                reader.receive_data(data)
                messages = list(reader.messages())
                if messages:
                    self._handled.clear()
                    if not self.post(self.actor_ref, m.DaemonSaid(generation, tuple(messages))):
                        return
                    self._handled.wait()
        except (OSError, LocalProtocolError) as error:
            reason = str(error)
        self.post(self.actor_ref, m.DaemonEnded(generation, reason))

    def _write(self, connection: socket.socket, generation: int, outbox: FrameOutbox) -> None:
        try:
            while True:
                while data := outbox.next_bytes():
                    connection.sendall(data)
                self._something_to_send.clear()
                if not outbox:
                    self._something_to_send.wait()
        except OSError:
            return                                      # the reader sees the end of file and tells it
        except LocalProtocolError as error:             # a message that fits into no frame: nothing can follow it
            self.post(self.actor_ref, m.DaemonEnded(generation, str(error)))

    def _daemon_ended(self, message: m.DaemonEnded) -> None:
        if message.generation != self._generation or self._process is None:
            return
        exit_status = self._end_process()
        if self._ending:
            return
        self._log.error("daemon_ended", pid=self._process_id, reason=message.reason, exit_status=exit_status)
        if self.clock() - self._started_at > STEADY_SECONDS:
            self._restarts = 0
        for obstacle in sorted(self._obstacles):        # the next one finds out by itself
            self._dials_obstructed(obstacle, "")
        for torrent in self._torrents.values():
            self.post(torrent, m.DaemonLost())
        self._restart_later()

    def _restart_later(self) -> None:
        delay = min(FIRST_RESTART_SECONDS * 2 ** self._restarts, LAST_RESTART_SECONDS)
        self._restarts += 1
        self.call_later(delay, m.Begin())

    def _end_process(self) -> int | None:
        """Close our end, kill what is left of the process and return its exit status."""
        gevent.killall(self._greenlets, block=False)
        self._greenlets = []
        self._socket.close()
        self._port = None
        process, self._process = self._process, None
        self._process_id = process.pid
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        return process.wait()

    def _shut_down_daemon(self, message: m.ShutDownDaemon) -> None:
        """Let the daemon end by itself; after the deadline it is killed. Blocks this actor: it has nothing else to do any more."""
        self._ending = True
        if self._process is not None:
            self._send_to_daemon(dm.Shutdown(deadline=message.deadline))
            try:
                self._process.wait(timeout=message.deadline)
            except subprocess.TimeoutExpired:
                self._log.warning("daemon_killed", pid=self._process.pid, deadline=message.deadline)
            self._end_process()
        message.done()

    def on_stop(self) -> None:
        self._ending = True
        if self._process is not None:
            self._end_process()
        super().on_stop()

    def on_failure(self, exception_type: Any, exception_value: Any, traceback: Any) -> None:
        self.on_stop()
        super().on_failure(exception_type, exception_value, traceback)

    # ── what passes ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _send_to_daemon(self, message: msgspec.Struct) -> None:
        if self._process is None:
            return                                      # the torrent will hear DaemonLost or DaemonReady and say it anew
        self._outbox.add(message)
        self._something_to_send.set()

    def _limit_dials(self, message: m.LimitDials) -> None:
        limits = dm.LimitDials(message.half_open, 2 * message.half_open)
        self._configure = msgspec.structs.replace(              # for the next process
            self._configure, max_connects_under_way=limits.max_connects_under_way, max_connects_pending=limits.max_connects_pending,
        )
        self._send_to_daemon(limits)

    def _attach_torrent(self, message: m.AttachTorrent) -> None:
        self._torrents[message.info_hash] = message.torrent
        if self._port is not None:
            self.post(message.torrent, m.DaemonReady(self.actor_ref, self._port))

    def _daemon_said(self, message: m.DaemonSaid) -> None:
        if message.generation == self._generation:
            for said in message.messages:
                self._pass_on(said)
        self._handled.set()

    def _pass_on(self, said: Any) -> None:
        match said:
            case dm.Listening():        self._listening(said.host, said.port)
            case dm.ListenFailed():     self._listening(said.host, 0, said.error)
            case dm.DialsObstructed():  self._dials_obstructed(said.obstacle, said.reason)
            case _:
                torrent = self._torrents.get(said.info_hash)
                if torrent is not None:
                    self.post(torrent, said)

    def _dials_obstructed(self, obstacle: str, reason: str) -> None:
        if reason:
            self._obstacles.add(obstacle)
        else:
            self._obstacles.discard(obstacle)
        self.post(self._session, m.DialsObstructed(self._index, obstacle, reason))

    def _listening(self, host: str, port: int, error: str = "") -> None:
        self._port = port
        if port:                                        # after a restart peers find us where we were
            self._configure = msgspec.structs.replace(self._configure, listen_port=port)
            self._log.info("daemon_listening", host=host, port=port)
        else:
            self._log.error("listen_failed", host=host, port=self._configure.listen_port, reason=error)
        self.post(self._session, m.DaemonListening(self._index, host, port, error))
        for torrent in self._torrents.values():
            self.post(torrent, m.DaemonReady(self.actor_ref, port))
