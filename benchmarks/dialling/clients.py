"""The clients whose way of dialling is compared, as command lines. Each is as it comes, but for this:

- no DHT, LSD, PEX or port mapping: the tracker names all peers there are;
- no µTP: TCP connects are compared, and all have these;
- every torrent starts at once: those that queue torrents (Transmission, aria2, libtorrent) are told not to;
- all listen at one address and have their torrents from the moment they start.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Final

from benchmarks import contestants
from benchmarks.dialling.plan import CLIENT_HOST
from scheduler.settings import PROFILES

LISTEN_PORT: Final = 51_413
OURS: Final = tuple(f"Evenswarm {profile}" for profile in PROFILES)
TRANSMISSION: Final = "Transmission"
NAMES: Final = (*OURS, contestants.LIBTORRENT, TRANSMISSION, contestants.ARIA2)


def check(names: list[str]) -> None:
    """Raises contestants.Missing for the first that is not installed."""
    contestants.check(names)
    if TRANSMISSION in names and shutil.which("transmission-daemon") is None:
        raise contestants.Missing("transmission-daemon is not installed: apt-get install transmission-daemon")


def profile_of(name: str) -> str | None:
    """The profile of one of ours."""
    return name.removeprefix("Evenswarm ") if name in OURS else None


def command(name: str, torrents: list[Path], folder: Path) -> list[str]:
    """What starts `name` with all torrents; `folder` is its own, and empty."""
    downloads = folder / "downloads"
    downloads.mkdir()
    if (profile := profile_of(name)) is not None:
        listen = f"{CLIENT_HOST}:{LISTEN_PORT}"
        return [*contestants.evenswarm_command("download", torrents, downloads, listen), "--profile", profile, "--log", str(folder / "events.log")]
    match name:
        case contestants.LIBTORRENT:
            return contestants.libtorrent_command(torrents, downloads, f"{CLIENT_HOST}:{LISTEN_PORT}")
        case contestants.ARIA2:
            return [
                "aria2c", *map(str, torrents), f"--dir={downloads}", f"--listen-port={LISTEN_PORT}", "--no-conf=true", "--enable-dht=false",
                "--enable-dht6=false", "--enable-peer-exchange=false", "--bt-enable-lpd=false", "--file-allocation=none", "--show-console-readout=false",
                "--summary-interval=0", f"--max-concurrent-downloads={len(torrents)}",
            ]
    return transmission_command(torrents, folder, downloads)


def transmission_command(torrents: list[Path], folder: Path, downloads: Path) -> list[str]:
    """Its torrents lie where it keeps them, as after a restart, so that it needs not be told of each."""
    kept = folder / "torrents"
    kept.mkdir()
    for torrent in torrents:
        shutil.copy(torrent, kept)
    settings = {
        "rpc-enabled": False, "peer-port": LISTEN_PORT, "download-dir": str(downloads), "dht-enabled": False, "lpd-enabled": False,
        "pex-enabled": False, "utp-enabled": False, "port-forwarding-enabled": False, "download-queue-enabled": False,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    return ["transmission-daemon", "--foreground", "--config-dir", str(folder)]


def version(name: str) -> str:
    """Name and version, for the report."""
    if name == TRANSMISSION:
        said = subprocess.run(["transmission-daemon", "--version"], capture_output=True, text=True, check=True)
        return "Transmission " + (said.stdout + said.stderr).split()[1]
    return contestants.version("Evenswarm" if name in OURS else name)
