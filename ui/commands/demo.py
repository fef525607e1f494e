"""`demo`: a whole swarm on this machine, 20 torrents that take turns, and what came of it, read from the log that every user gets."""

import argparse
import shutil
import tempfile
from pathlib import Path

from actors import messages as m
from ui.commands.demo_swarm.swarm import Swarm
from ui.commands.download import EXIT_FAILED, EXIT_INTERRUPTED, await_end, errors_of
from ui.commands.running_engine import running_engine
from ui.log_report.attempts_table import lines_of
from ui.log_report.log_report import read_log
from ui.terminal.progress_view import progress_view


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 when all 20 torrents are complete."""
    folder = Path(tempfile.mkdtemp(prefix="evenswarm-demo-"))
    arguments.log = arguments.log or str(folder / "demo.log")
    swarm = Swarm(folder)
    try:
        print("starting a tracker, 3 seeds and 120 peers that do not answer, all on this machine", flush=True)
        swarm.start()
        exit_code = download_all(arguments, swarm, str(folder / "downloads"))
    finally:
        swarm.close()
        shutil.rmtree(folder / "seeds", ignore_errors=True)
        shutil.rmtree(folder / "downloads", ignore_errors=True)
    report = read_log(Path(arguments.log))
    print("\n".join(line for run in report.runs for line in lines_of(run)))
    print(f"log {arguments.log}")
    return exit_code


def download_all(arguments: argparse.Namespace, swarm: Swarm, folder: str) -> int:
    """Download the 20 torrents as `download` does."""
    names = {torrent.metainfo.info.info_hash: torrent.metainfo.info.name for torrent in swarm.torrents}
    with running_engine(arguments) as engine_run, progress_view(engine_run.engine.view, len(names)) as view:
        for torrent in swarm.torrents:
            engine_run.engine.add(m.AddTorrent(torrent.metainfo, folder, torrent.path.name))
        await_end(engine_run, view, names, seed=False)
    if engine_run.interrupted:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if errors_of(engine_run) else 0
