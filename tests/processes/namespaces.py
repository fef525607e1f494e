"""A network of its own for a process, with nothing but loopback, which a test can take away and bring back."""

import shutil
import subprocess
from typing import Final

# A command in front of another one: the process is in a network namespace in which loopback is up.
ISOLATED: Final = ("unshare", "--user", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")


def why_not() -> str:
    """Return why this machine cannot do that; '' when it can."""
    missing = [name for name in ("unshare", "nsenter", "ip") if not shutil.which(name)]
    if missing:
        return f"needs {', '.join(missing)}: apt-get install util-linux iproute2"
    tried = subprocess.run([*ISOLATED, "true"], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"no network namespaces here: {tried.stderr.strip()}"


CANNOT_ISOLATE: Final = why_not()


def take_network(pid: int) -> None:
    """Take the network of the process `pid` away: addresses and routes go, as when an interface is gone."""
    _run_inside(pid, "ip addr flush dev lo && ip link set lo down")


def bring_network_back(pid: int) -> None:
    """It has loopback again."""
    _run_inside(pid, "ip link set lo up")


def _run_inside(pid: int, command: str) -> None:
    subprocess.run(["nsenter", f"--target={pid}", "--user", "--net", "--preserve-credentials", "sh", "-c", command], check=True)
