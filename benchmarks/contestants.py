"""The clients that are compared, as command lines: how each downloads, how it seeds, and what it says when it is done.

Each runs as it comes, but for what would make it speak to the world (DHT, LSD, port mapping) and for what is said here.
Every one is told to be silent about progress, and says the moment at which it holds the torrent to be complete:
libtorrent by its alert, aria2 by the hook that it runs then, Evenswarm by its line.
"""

import importlib.util
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HERE = Path(__file__).resolve().parent
LIBTORRENT, ARIA2, EVENSWARM = "libtorrent", "aria2", "Evenswarm"
NAMES = (LIBTORRENT, ARIA2, EVENSWARM)


class Missing(Exception):
    """A program that is not installed, and how to install it."""


@dataclass(frozen=True, slots=True)
class Running:
    """A command; what its lines contain once it is ready to seed, or complete."""

    command: list[str]
    says: str


def check(names: list[str]) -> None:
    """Raises Missing for the first that is not there."""
    if importlib.util.find_spec("libtorrent") is None:      # it is also the other side of two cases
        raise Missing("libtorrent is not installed: python3 run.py test --version makes .venv with it; use .venv/bin/python")
    if ARIA2 in names and shutil.which("aria2c") is None:
        raise Missing("aria2c is not installed: apt-get install aria2")


def version(name: str) -> str:
    """Name and version, for the report."""
    match name:
        case "libtorrent":
            import libtorrent

            return f"libtorrent {libtorrent.__version__}"
        case "aria2":
            first = subprocess.run(["aria2c", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
            return first.replace("version ", "")
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    return f"Evenswarm {commit}" if commit else "Evenswarm"


def download(name: str, torrent: Path, folder: Path, peers: list[str], tracker: str) -> Running:
    """Download into `folder` from `peers`; aria2 hears of these from `tracker`, which gives just them."""
    match name:
        case "libtorrent":
            return Running(libtorrent_command([torrent], folder, "127.0.0.1:0", *with_option("--peer", peers)), "all complete")
        case "aria2":
            return Running(aria2_command(torrent, folder, free_port(), f"--bt-tracker={tracker}"), "aria2-is-complete")
    return Running([*evenswarm_command("download", [torrent], folder, "127.0.0.1:0"), *with_option("--peer", peers)], ": complete")


def seed(name: str, torrent: Path, folder: Path) -> tuple[Running, str]:
    """Seed what is in `folder`, which is checked first. Return its address, too."""
    address = f"127.0.0.1:{free_port()}"
    match name:
        case "libtorrent":
            return Running(libtorrent_command([torrent], folder, address), "all complete"), address
        case "aria2":
            port = int(address.rpartition(":")[2])
            return Running(aria2_command(torrent, folder, port, "--check-integrity=true", "--seed-ratio=0"), "Verification finished"), address
    return Running(evenswarm_command("seed", [torrent], folder, address), "listening"), address


def libtorrent_command(torrents: list[Path], folder: Path, listen: str, *options: str) -> list[str]:
    """libtorrent's wheel in a small script."""
    return [sys.executable, str(HERE / "libtorrent_client.py"), *map(str, torrents), "--dir", str(folder), "--listen", listen, *options]


def aria2_command(torrent: Path, folder: Path, port: int, *options: str) -> list[str]:
    """Without preallocation: it would touch the file's pages before the clock starts, which no other does."""
    hook = folder.parent / "say-complete"
    hook.write_text("#!/bin/sh\necho aria2-is-complete\n")
    hook.chmod(0o755)
    return [
        "aria2c", str(torrent), f"--dir={folder}", f"--listen-port={port}", "--no-conf=true", "--enable-dht=false", "--enable-dht6=false",
        "--bt-enable-lpd=false", "--file-allocation=none", "--show-console-readout=false", "--summary-interval=0",
        "--seed-time=525600" if "--seed-ratio=0" in options else "--seed-time=0", f"--on-bt-download-complete={hook}", *options,
    ]


def evenswarm_command(command: str, torrents: list[Path], folder: Path, listen: str) -> list[str]:
    """Through the launcher, as users start it."""
    return [sys.executable, str(ROOT / "run.py"), command, *map(str, torrents), "--dir", str(folder), "--listen", listen, "--offline"]


def with_option(option: str, values: list[str]) -> list[str]:
    """`--peer A --peer B …`"""
    return [part for value in values for part in (option, value)]


def free_port() -> int:
    """A TCP port of loopback that nobody has now, for those who cannot pick one and say which."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
