"""A network namespace with nothing but loopback, in which 198.18.0.0/15 is local, with a connection table as a router has one.

The table is netfilter's: a rule that looks at the state of connections switches its tracking on for that namespace, with Linux's
own timeouts (120 s for a SYN without an answer; a connection that is refused is forgotten at once, one that was closed after up to 120 s).
127.0.0.0/8 is not tracked: clients are controlled over it. A SYN to a dead peer is dropped where it would arrive, behind the table.
Root is not needed where the kernel lets everybody make user namespaces.
"""

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Final

from benchmarks.dialling.plan import CLIENT_HOST, DEAD_PORT, NETWORK

TABLE_COUNT: Final = Path("/proc/sys/net/netfilter/nf_conntrack_count")
INSTALL: Final = "apt-get install iproute2 nftables util-linux"
RULES: Final = f"""
table ip fair_start {{
    chain untracked_out {{ type filter hook output priority raw; policy accept; ip daddr 127.0.0.0/8 notrack; }}
    chain untracked_in {{ type filter hook prerouting priority raw; policy accept; ip daddr 127.0.0.0/8 notrack; }}
    chain tracked {{ type filter hook output priority filter; policy accept; ct state new counter; }}
    chain firewall {{ type filter hook input priority filter; policy accept; ip daddr {NETWORK} tcp dport {DEAD_PORT} drop; }}
}}
"""


class NoNamespace(Exception):
    """Why this machine cannot make one, and what to do."""


def environment() -> dict[str, str]:
    """Ours, with the folders in which `ip` and `nft` are also for those who are not root."""
    return os.environ | {"PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}


def enter_command() -> list[str]:
    """What a command is started with to be in a namespace of its own."""
    if os.geteuid() == 0:
        return ["unshare", "--net"]
    return ["unshare", "--user", "--map-root-user", "--net"]


def set_up() -> None:
    """Make this process's namespace, a new one, what the module's text says. Raises NoNamespace."""
    if len(socket.if_nameindex()) > 1 or _run("ip", "-oneline", "address", "show").strip():
        raise NoNamespace("this network namespace is in use: its firewall is not ours to change")
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "address", "add", f"{CLIENT_HOST}/32", "dev", "lo")
    _run("ip", "route", "add", "local", NETWORK, "dev", "lo", "src", CLIENT_HOST)
    _run("nft", "-f", "-", text=RULES)
    if not TABLE_COUNT.exists():
        raise NoNamespace(f"this kernel has no connection tracking ({TABLE_COUNT} is missing): load the module nf_conntrack")


def num_table_entries() -> int:
    """How many connections the table of this namespace holds now."""
    return int(TABLE_COUNT.read_text())


def why_not() -> str | None:
    """Why there can be no such namespace here; None when there can."""
    missing = [program for program in ("unshare", "ip", "nft") if shutil.which(program, path=environment()["PATH"]) is None]
    if missing:
        return f"{', '.join(missing)} missing: {INSTALL}"
    tried = subprocess.run([*enter_command(), "nft", "-c", "-f", "-"], input=RULES, capture_output=True, text=True, check=False, env=environment())
    if tried.returncode:
        return f"no network namespace with a firewall here: {tried.stderr.strip()[:200]}; run as root, or allow user namespaces (sysctl user.max_user_namespaces)"
    return None


def _run(*command: str, text: str = "") -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, env=environment())
    if done.returncode:
        raise NoNamespace(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
