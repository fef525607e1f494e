"""`download`: add the sources, show progress, end when all are complete."""

import argparse
import sys
from collections.abc import Callable
from typing import TypeVar

from actors import messages as m
from actors import snapshots
from protocol.errors import EvenswarmError, SettingsError
from protocol.metainfo import Info
from protocol.peer_address import PeerAddress
from scheduler.file_selection import FileSelection
from ui.commands.file_choice import chosen_files
from ui.commands.running_engine import EngineRun, download_folder, running_engine, why_not_listening
from ui.commands.sources import read_source
from ui.terminal.progress_view import progress_view
from ui.terminal.text import printable

ENDED = (snapshots.SEEDING, snapshots.ERROR)
EXIT_FAILED, EXIT_INTERRUPTED = 1, 130
Read = TypeVar("Read")


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 when all are complete, 1 when one failed, 130 after Ctrl-C."""
    peers = tuple(peer_address(text) for text in arguments.peer)
    folder = download_folder(arguments.dir)
    found, failed = read_sources(arguments.sources, read_source)
    if not found:
        return EXIT_FAILED
    selections = {metainfo.info.info_hash: selection_of(arguments, metainfo.info, len(found)) for _, (metainfo, *_) in found}
    with running_engine(arguments) as engine_run, progress_view(engine_run.engine.view, len(found)) as view:
        for address in engine_run.engine.addresses:
            if not address.port:
                view.complain(f"{why_not_listening(arguments, address)}; it goes on, but no peer can dial us")
        for source, (metainfo, hints, selected_files) in found:
            selection = selections[metainfo.info.info_hash]
            order = m.AddTorrent(metainfo, folder, source, peers, hints=hints, selected_files=selected_files, selection=selection)
            if not engine_run.engine.add(order):
                view.say(f"{printable(source)}: is the same torrent as another one here, taken once")
        await_end(engine_run, view, {metainfo.info.info_hash: metainfo.info.name for _, (metainfo, *_) in found}, seed=arguments.seed)
    if engine_run.interrupted and not arguments.seed:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if failed or errors_of(engine_run) else 0


def selection_of(arguments: argparse.Namespace, info: Info, num_sources: int) -> FileSelection:
    """Which files to download. Raises SettingsError."""
    if arguments.files or arguments.skip:
        if num_sources > 1:
            raise SettingsError("--files and --skip take the numbers of one torrent's files: download each torrent with a command of its own")
        if not info.is_known:
            raise SettingsError("--files and --skip need the .torrent: a magnet link does not say which files there are")
    return chosen_files(info, arguments.files, arguments.skip, arguments.sequential, arguments.first_last)


def peer_address(text: str) -> PeerAddress:
    """Raises SettingsError for what is not an address and a port."""
    try:
        address = PeerAddress.parse(text)
        if not address.port:
            raise ValueError("nobody listens on port 0")
        return address
    except (EvenswarmError, ValueError) as error:
        raise SettingsError(f"--peer {text!r}: must be HOST:PORT with an IP address, for example 127.0.0.1:6881 ({error})") from None


def read_sources(sources: list[str], read: Callable[[str], Read]) -> tuple[list[tuple[str, Read]], int]:
    """Return what was read of the sources that can be used, and how many cannot; each of these is said on stderr, the others go on."""
    found, failed = [], 0
    for source in sources:
        try:
            found.append((source, read(source)))
        except EvenswarmError as error:
            failed += 1
            print(f"evenswarm: {printable(str(error))}", file=sys.stderr)
    return found, failed


def await_end(engine_run: EngineRun, view, names: dict[bytes, str], seed: bool) -> None:
    """Return when every torrent is complete or failed (not while seeding), or on Ctrl-C."""
    said: dict[bytes, str] = {}
    while not engine_run.interrupted:
        for info_hash, change in list(engine_run.states.items()):
            if said.get(info_hash) != change.state:
                said[info_hash] = change.state
                say_change(view, engine_run.names.get(info_hash, names[info_hash]), change)
        view.update()
        if not seed and all(info_hash in engine_run.states and engine_run.states[info_hash].state in ENDED for info_hash in names):
            return
        engine_run.wait_for_news(view.interval)


def say_change(view, name: str, change: m.TorrentStateChanged) -> None:
    """A line for a new state; failures go to stderr."""
    if change.state == snapshots.ERROR:
        view.complain(f"{printable(name)}: {printable(change.error)}")
    else:
        view.say(f"{printable(name)}: {'complete' if change.state == snapshots.SEEDING else change.state}")


def errors_of(engine_run: EngineRun) -> list[str]:
    """What failed, for the exit code."""
    return [change.error for change in engine_run.states.values() if change.state == snapshots.ERROR]
