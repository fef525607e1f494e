"""`seed`: check what is on disk, then serve it until Ctrl-C. Prints 'listening HOST:PORT' when all are checked."""

import argparse

from actors import messages as m
from actors import snapshots
from protocol.errors import StorageError
from ui.commands.download import EXIT_FAILED, errors_of, read_sources, say_change
from ui.commands.running_engine import EngineRun, download_folder, running_engine, why_not_listening
from ui.commands.sources import read_metainfo
from ui.terminal.progress_view import progress_view
from ui.terminal.text import percent, printable

CHECKED = (snapshots.SEEDING, snapshots.DOWNLOADING, snapshots.ERROR)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 after Ctrl-C, 1 when nothing can be seeded."""
    folder = download_folder(arguments.dir)
    found, _ = read_sources(arguments.torrents, read_metainfo)
    if not found:
        return EXIT_FAILED
    with running_engine(arguments) as engine_run, progress_view(engine_run.engine.view, len(found)) as view:
        listening = engine_run.engine.addresses
        if all(not address.port for address in listening):
            raise StorageError(why_not_listening(arguments, listening[0]))
        names = {metainfo.info.info_hash: metainfo.info.name for _, metainfo in found}
        for source, metainfo in found:
            engine_run.engine.add(m.AddTorrent(metainfo, folder, source))
        await_checks(engine_run, view, names)
        if len(errors_of(engine_run)) == len(names):
            return EXIT_FAILED
        for address in listening:
            host = f"[{address.host}]" if ":" in address.host else address.host
            print(f"listening {host}:{address.port}", flush=True)
        while not engine_run.interrupted:
            view.update()
            engine_run.wait_for_news(view.interval)
    return 0


def await_checks(engine_run: EngineRun, view, names: dict[bytes, str]) -> None:
    """Return when every torrent is checked, or on Ctrl-C; say of each what is there."""
    said: set[bytes] = set()
    while len(said) < len(names) and not engine_run.interrupted:
        for info_hash, change in list(engine_run.states.items()):
            if change.state in CHECKED and info_hash not in said:
                said.add(info_hash)
                say_change(view, names[info_hash], change)
                if change.state == snapshots.DOWNLOADING:
                    say_incomplete(engine_run, view, info_hash, names[info_hash])
        view.update()
        if len(said) < len(names):
            engine_run.wait_for_news(view.interval)


def say_incomplete(engine_run: EngineRun, view, info_hash: bytes, name: str) -> None:
    """It is not all there: what is there is served, the rest downloaded where somebody has it."""
    for torrent in engine_run.engine.view().torrents:
        if torrent.info_hash == info_hash:
            view.complain(f"{printable(name)}: only {percent(torrent.verified_bytes, torrent.total_bytes)} % of it is there; the rest is downloaded if a peer has it")
