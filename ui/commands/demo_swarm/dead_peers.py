"""Addresses on loopback that time out and addresses that refuse: what most of a real swarm looks like.

A listening socket whose backlog is full makes an address dead: the kernel drops the SYN, as a firewall does. A socket that is
bound but does not listen refuses.
"""

import select
import socket

from protocol.peer_address import PeerAddress

FILL_SECONDS = 0.3                                      # loopback answers in microseconds: what waits longer was dropped
FILLERS = 2                                             # a backlog of 0 takes one connection; the second shows that it is full


class DeadPeers:
    """`dead` and `refusing` addresses, held until `close`."""

    def __init__(self, num_dead: int, num_refusing: int) -> None:
        self._sockets: list[socket.socket] = []
        self.dead = tuple(self._hold(f"127.1.0.{number + 1}", listens=True) for number in range(num_dead))
        self.refusing = tuple(self._hold(f"127.2.0.{number + 1}", listens=False) for number in range(num_refusing))
        self._fill_backlogs()

    def close(self) -> None:
        """Free the ports."""
        for held in self._sockets:
            held.close()

    def _hold(self, ip: str, listens: bool) -> PeerAddress:
        held = socket.socket()
        self._sockets.append(held)
        held.bind((ip, 0))
        if listens:
            held.listen(0)
        return PeerAddress(ip, held.getsockname()[1])

    def _fill_backlogs(self) -> None:
        last = []
        for address in self.dead:
            for _ in range(FILLERS):
                filler = socket.socket()
                self._sockets.append(filler)
                filler.setblocking(False)
                filler.connect_ex((address.ip, address.port))
            last.append(filler)
        answered = select.select([], last, [], FILL_SECONDS)[1]
        if answered:
            raise RuntimeError(f"{len(answered)} of {len(last)} full backlogs still take connections")
