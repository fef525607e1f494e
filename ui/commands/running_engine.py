"""An engine with its log and signals, for the commands that run one until an event ends them."""

import argparse
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
import gevent.event

from actors import messages as m
from actors.engine import Engine
from actors.event_log import close_log, configure_logging
from actors.resume_records import ResumeRecords
from actors.settings_texts import settings_from_texts
from protocol.errors import SettingsError, StorageError
from scheduler.settings import Settings, settings_from


def settings_of(arguments: argparse.Namespace, base: Settings | None = None) -> Settings:
    """Settings from --profile, --set, --listen and --offline, laid over `base`. Raises SettingsError."""
    settings = settings_from_texts(getattr(arguments, "set", []), getattr(arguments, "profile", None), base)
    values: dict[str, object] = {"offline": True} if arguments.offline else {}
    if arguments.listen:
        values["listen_host"], values["listen_port"] = host_and_port(arguments.listen, "--listen")
    return settings_from(values, settings)


def host_and_port(text: str, option: str) -> tuple[str, int]:
    """'127.0.0.1:6881', '[::1]:6881' or ':6881' → host and port. Raises SettingsError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise SettingsError(f"{option} {text!r}: must be HOST:PORT, for example 127.0.0.1:6881 or [::1]:6881")
    return host.removeprefix("[").removesuffix("]") or "0.0.0.0", int(port)


def download_folder(text: str) -> str:
    """Make the folder if it is not there and return its absolute path. Raises StorageError."""
    if not text:                                        # mostly a shell variable that is not set; Path would take it for "."
        raise StorageError("--dir '': must name a folder")
    folder = Path(text).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make the folder {folder}: {error.strerror}") from None
    return str(folder)


def why_not_listening(arguments: argparse.Namespace, address: m.DaemonListening) -> str:
    """What a daemon that cannot listen says."""
    return f"cannot listen on {arguments.listen or address.host}: {address.error}"


class EngineRun:
    """An engine that runs until `stop_asked`; `changes` wakes whoever waits for news of it."""

    def __init__(self, settings: Settings, records: ResumeRecords | None = None) -> None:
        self.states: dict[bytes, m.TorrentStateChanged] = {}
        self.names: dict[bytes, str] = {}               # of those of magnet links, once peers have sent the metadata
        self.interrupted = False
        self._news = gevent.event.Event()
        self.engine = Engine(settings, self._changed, records)

    def wait_for_news(self, timeout: float) -> None:
        """Return when a torrent's state changed, Ctrl-C was typed, or after `timeout` seconds."""
        self._news.wait(timeout)
        self._news.clear()

    def interrupt(self) -> None:
        """Ctrl-C or SIGTERM: end cleanly."""
        self.interrupted = True
        self._news.set()

    def _changed(self, change: object) -> None:
        if isinstance(change, m.TorrentStateChanged):
            self.states[change.info_hash] = change
        if isinstance(change, m.MetadataKnown):
            self.names[change.info_hash] = change.metainfo.info.name
        self._news.set()


@contextmanager
def running_engine(
    arguments: argparse.Namespace, terminal_log: bool = False, base: Settings | None = None, records: ResumeRecords | None = None,
) -> Iterator[EngineRun]:
    """Start an engine with the options of the command line; stop it cleanly at the end, whatever happened.

    `base`: the settings that those options are laid over. `records`: what it remembers; None: nothing.
    """
    run = EngineRun(settings_of(arguments, base), records)
    configure_logging(Path(arguments.log) if arguments.log else None, terminal=terminal_log)
    handlers = [gevent.signal_handler(number, run.interrupt) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        with run.engine:
            yield run
    finally:
        for handler in handlers:
            handler.cancel()
        close_log()                                     # whoever reads it next finds all of it
