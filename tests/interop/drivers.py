"""The other clients as processes: start, wait until ready or complete, stop by process id.

Each runs in a `LoopbackNetwork`, in a folder of its own, speaks to nobody but there, and writes what it says into a file that a
failure quotes. None of them can tell us when something happens, so they are asked, until a deadline.
"""

import abc
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import gevent
import pytest

from tests.interop.loopback_network import ROOT, LoopbackNetwork
from tests.interop.payloads import INSTALL, missing_libtorrent
from tests.processes.evenswarm_process import EvenswarmProcess

POLL_SECONDS = 0.1
READY_SECONDS = 30.0
# Transmission unchokes every 10 s. It takes one handshake at a time from an address and resets the others, who then back off.
TRANSFER_SECONDS = 150.0
STOP_SECONDS = 10.0
QUOTED_CHARACTERS = 2_000


class NotInTime(AssertionError):
    """Names the client, what was waited for, and what it said last."""


def wait_until(condition: Callable[[], bool], what: Callable[[], str], timeout: float) -> None:
    """Ask until it is so. Raises NotInTime with `what()`."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise NotInTime(what())
        gevent.sleep(POLL_SECONDS)


class ForeignClient(abc.ABC):
    """A context manager around one process. Subclasses say how it is started and how it is asked."""

    name = ""
    knows_padding = False                               # BEP 47: padding files are not on its disk
    writes_empty_files = True

    def __init__(self, network: LoopbackNetwork, folder: Path, torrents: list[Path], port: int | None = None) -> None:
        self.network, self.torrents = network, torrents
        self.folder, self.content = folder, folder / "content"
        self.content.mkdir(parents=True, exist_ok=True)
        self.port = port or network.free_port()
        self._process: subprocess.Popen | None = None
        self._output = folder / "output"

    @classmethod
    @abc.abstractmethod
    def missing(cls) -> str | None:
        """How to install it, if it is not there."""

    @abc.abstractmethod
    def command(self) -> list[str]:
        """What starts it."""

    def begin(self) -> None:                            # noqa: B027 most are told nothing
        """What is to be told to it once it runs."""

    @abc.abstractmethod
    def is_ready(self) -> bool:
        """It listens, and has checked what it found on disk."""

    @abc.abstractmethod
    def is_complete(self) -> bool:
        """It has all of all torrents."""

    @property
    def address(self) -> str:
        """HOST:PORT where it listens."""
        return f"{self.network.host}:{self.port}"

    def __enter__(self) -> "ForeignClient":
        with open(self._output, "wb") as output:
            self._process = subprocess.Popen(
                [*self.network.under, *self.command()], stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, cwd=self.folder,
            )
        try:
            self.begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._process.stdin.close()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait_ready(self) -> None:
        """Raises NotInTime."""
        self._wait(self.is_ready, "ready", READY_SECONDS)

    def wait_complete(self, timeout: float = TRANSFER_SECONDS) -> None:
        """Raises NotInTime."""
        self._wait(self.is_complete, "complete", timeout)

    def said(self) -> str:
        """All that it printed until now."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    def _wait(self, condition: Callable[[], bool], what: str, timeout: float) -> None:
        def is_so() -> bool:
            if self._process.poll() is not None:
                raise NotInTime(f"{self.name} ended with {self._process.returncode}: {self.said()[-QUOTED_CHARACTERS:]}")
            return condition()

        wait_until(is_so, lambda: f"{self.name} was not {what} after {timeout:.0f} s: {self.said()[-QUOTED_CHARACTERS:]}", timeout)


class Libtorrent(ForeignClient):
    """benchmarks/libtorrent_client.py."""

    name = "libtorrent"
    knows_padding = True

    def __init__(self, *arguments, peers: tuple[str, ...] = (), options: tuple[str, ...] = (), **keywords) -> None:
        super().__init__(*arguments, **keywords)
        self._options = [*options, *(part for peer in peers for part in ("--peer", peer))]

    @classmethod
    def missing(cls) -> str | None:
        return missing_libtorrent()

    def command(self) -> list[str]:
        script = ROOT / "benchmarks" / "libtorrent_client.py"
        return [sys.executable, str(script), *map(str, self.torrents), "--dir", str(self.content), "--listen", self.address, *self._options]

    def is_ready(self) -> bool:
        return len(re.findall("^(?:started|complete) ", self.said(), re.MULTILINE)) >= len(self.torrents)

    def is_complete(self) -> bool:
        return "\nall complete\n" in self.said()

    def peers(self) -> list[dict]:
        """What it knows of its peers now."""
        before = self.said().count("\nthat is all\n")
        self._process.stdin.write(b"peers\n")
        self._process.stdin.flush()
        self._wait(lambda: self.said().count("\nthat is all\n") > before, "answering", READY_SECONDS)
        answer = self.said().split("\nthat is all\n")[before]
        return [json.loads(line.removeprefix("peer ")) for line in answer.splitlines() if line.startswith("peer ")]


class Aria2(ForeignClient):
    """Hears of peers from trackers only; may be dialled, too. `has_content`: it is to check what lies in its folder."""

    name = "aria2"

    def __init__(self, *arguments, has_content: bool = False, **keywords) -> None:
        super().__init__(*arguments, **keywords)
        self._has_content = has_content

    @classmethod
    def missing(cls) -> str | None:
        return None if shutil.which("aria2c") else INSTALL["aria2"]

    def command(self) -> list[str]:
        hook = self.folder / "say-complete"
        hook.write_text("#!/bin/sh\necho; echo a-torrent-is-complete\n")
        hook.chmod(0o755)
        return [
            "aria2c", *map(str, self.torrents), f"--dir={self.content}", f"--listen-port={self.port}", "--no-conf=true", "--enable-dht=false",
            "--enable-dht6=false", "--bt-enable-lpd=false", "--file-allocation=none", "--show-console-readout=false", "--summary-interval=0",
            "--max-concurrent-downloads=100", f"--check-integrity={str(self._has_content).lower()}", "--seed-ratio=0",
            f"--on-bt-download-complete={hook}",
        ]

    def is_ready(self) -> bool:
        said = self.said()
        checked = len(re.findall("Verification finished|Checksum error detected", said))
        return "listening on TCP port" in said and (not self._has_content or checked >= len(self.torrents))

    def is_complete(self) -> bool:
        return self.said().count("\na-torrent-is-complete\n") >= len(self.torrents)


class Transmission(ForeignClient):
    """transmission-daemon, asked by transmission-remote."""

    name = "Transmission"
    writes_empty_files = False

    @classmethod
    def missing(cls) -> str | None:
        return None if shutil.which("transmission-daemon") and shutil.which("transmission-remote") else INSTALL["transmission"]

    def command(self) -> list[str]:
        self._rpc_port = self.network.free_port()
        settings = {
            "rpc-bind-address": self.network.host, "rpc-port": self._rpc_port, "rpc-whitelist-enabled": False, "rpc-host-whitelist-enabled": False,
            "bind-address-ipv4": self.network.host, "peer-port": self.port, "download-dir": str(self.content), "incomplete-dir-enabled": False,
            "dht-enabled": False, "lpd-enabled": False, "pex-enabled": False, "utp-enabled": False, "port-forwarding-enabled": False,
            "download-queue-enabled": False, "seed-queue-enabled": False, "upload-slots-per-torrent": 100,
        }
        (self.folder / "settings.json").write_text(json.dumps(settings))
        return ["transmission-daemon", "--foreground", "--log-info", "--config-dir", str(self.folder)]

    def begin(self) -> None:
        self._wait(lambda: self._remote("--session-info") is not None, "answering", READY_SECONDS)
        for torrent in self.torrents:
            answer = self._remote("--add", str(torrent))
            assert answer is not None and "success" in answer, f"Transmission did not take {torrent.name}: {answer} {self.said()}"

    def is_ready(self) -> bool:
        listed = self._listed()
        return len(listed) == len(self.torrents) and not any("Verify" in line for line in listed)

    def is_complete(self) -> bool:
        listed = self._listed()
        return len(listed) == len(self.torrents) and all("100%" in line.split() for line in listed)

    def said(self) -> str:
        return super().said() + "\n".join(self._listed())

    def _listed(self) -> list[str]:
        """A line for each torrent: number, per cent, …, name."""
        return (self._remote("--list") or "").splitlines()[1:-1]

    def _remote(self, *arguments: str) -> str | None:
        """What transmission-remote prints; None when it fails."""
        command = [*self.network.under, "transmission-remote", f"{self.network.host}:{self._rpc_port}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=READY_SECONDS, check=False)
        return done.stdout if done.returncode == 0 else None


def evenswarm(network: LoopbackNetwork, folder: Path, command: str, *arguments: str) -> EvenswarmProcess:
    """`run.py download|seed …` in the network, files in `folder`/content, listening on any port of its host."""
    content = folder / "content"
    content.mkdir(parents=True, exist_ok=True)
    options = ("--dir", str(content), "--listen", f"{network.host}:0", "--offline")
    return EvenswarmProcess(folder, command, *arguments, *options, under=network.under)


def listening_address(client: EvenswarmProcess) -> str:
    """HOST:PORT that `seed` prints once it has checked all."""
    wait_until(lambda: "\nlistening " in f"\n{client.said()}" or client.process.poll() is not None,
               lambda: f"seed did not listen: {client.said()}", READY_SECONDS)
    match = re.search(r"^listening (\S+)$", client.said(), re.MULTILINE)
    assert match is not None, f"seed ended with {client.process.returncode}: {client.said()}"
    return match[1]



class Tracker:
    """tests/interop/loopback_tracker.py; `url` is where to announce."""

    def __init__(self, network: LoopbackNetwork, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._output = open(folder / "tracker.out", "w+b")      # noqa: SIM115 closed in __exit__
        self._process = subprocess.Popen(
            [*network.under, sys.executable, "-m", "tests.interop.loopback_tracker", f"{network.host}:0"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=self._output, stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> "Tracker":
        def said() -> str:
            return Path(self._output.name).read_text()

        wait_until(lambda: said().startswith("listening "), lambda: f"the tracker said {said()!r}", READY_SECONDS)
        self.url = said().split()[1]
        return self

    def __exit__(self, *error: object) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._output.close()


CLIENTS = {client.name: client for client in (Libtorrent, Aria2, Transmission)}


def needs(client: type[ForeignClient], network: LoopbackNetwork, by_tracker: bool = False) -> None:
    """Skip the test, with what to do, when it cannot run here."""
    if (reason := client.missing()) is not None:
        pytest.skip(reason)
    if client is Transmission and by_tracker and not network.is_namespace:
        pytest.skip("Transmission takes no peers in 127.0.0.0/8 from a tracker, and this kernel gives no network namespace: "
                    "allow them (sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns=0) or run as root")
