"""DialObstacles: what keeps this machine from dialling anybody, and when that is over.

- **No network.** A dial that finds no route says something about its address only: a machine without IPv6 has none to any IPv6 peer. So
  then the kernel is asked (has_route, nothing is sent) about the address of each family that was dialled last with success, and about
  one address of each family that stands for the whole internet. Only when there is no route to any of them the network is lost.
- **No descriptors.** The process, or the machine, has as many open as it may.

An obstacle is told once when it comes and once when it is gone; only in between there is a timer.
"""

import contextlib
from collections.abc import Callable
from typing import Any, Final

from daemon.raw_socket import RawSocket, has_route

NETWORK: Final = "network"
DESCRIPTORS: Final = "descriptors"
NETWORK_TEXT: Final = "the network is down: this machine has no route to anybody"
LOOK_AGAIN_SECONDS: Final = 1.0                         # a few system calls
NEEDED_DESCRIPTORS: Final = 8                           # a single free one would be gone with the next dial, and all pause again
THE_INTERNET: Final = ("192.0.2.1", "2001:db8::1")      # documentation addresses (RFC 5737, 3849): they take the default route


class DialObstacles:
    """`obstructed(obstacle, reason)` is called for each one that comes, and with '' when it is gone."""

    def __init__(self, loop: Any, obstructed: Callable[[str, str], None]) -> None:
        self._loop = loop
        self._obstructed = obstructed
        self._reached: dict[bool, str] = {}             # is it IPv6 → the address dialled last that had a route
        self._present: set[str] = set()
        self._timer: Any = None

    def found_route(self, ip: str) -> None:
        """A first packet left for this address."""
        self._reached[":" in ip] = ip

    def no_route(self, ip: str) -> bool:
        """There is none to this address. Return whether the network is lost, which was not known before."""
        if NETWORK in self._present or self._has_network():
            return False
        self._came(NETWORK, NETWORK_TEXT)
        return True

    def no_descriptors(self, reason: str) -> None:
        """A socket could not be opened."""
        if DESCRIPTORS not in self._present:
            self._came(DESCRIPTORS, reason)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None

    def _came(self, obstacle: str, reason: str) -> None:
        self._present.add(obstacle)
        self._obstructed(obstacle, reason)
        if self._timer is None:
            self._timer = self._loop.timer(LOOK_AGAIN_SECONDS, LOOK_AGAIN_SECONDS)
            self._timer.start(self._look_again)

    def _look_again(self) -> None:
        for obstacle, is_gone in ((NETWORK, self._has_network), (DESCRIPTORS, _has_descriptors)):
            if obstacle in self._present and is_gone():
                self._present.discard(obstacle)
                self._obstructed(obstacle, "")
        if not self._present:
            self.close()

    def _has_network(self) -> bool:
        return any(map(has_route, (*self._reached.values(), *THE_INTERNET)))


def _has_descriptors() -> bool:
    with contextlib.ExitStack() as stack:
        try:
            for _ in range(NEEDED_DESCRIPTORS):
                stack.enter_context(RawSocket())
        except OSError:
            return False
    return True
