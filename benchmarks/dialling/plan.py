"""The swarm that a client is given: torrents, and what each of their peers does when it is dialled.

What an address does is told by its port alone, so that one listening socket and one firewall rule make thousands of them:
live ones answer, nobody listens at those that refuse (the kernel resets), and a SYN to a dead one is dropped where it arrives,
as a firewall does. The addresses lie scattered over 198.18.0.0/15, the range for benchmarks (RFC 2544); none is used twice.
"""

import hashlib
import ipaddress
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from protocol.bencoding import encode

NETWORK: Final = "198.18.0.0/15"
CLIENT_HOST, TRACKER_HOST = "198.18.0.1", "198.18.0.2"
TRACKER_PORT: Final = 6969
LIVE_PORT, REFUSING_PORT, DEAD_PORT = 6881, 6882, 6883
PIECE_BYTES, NUM_PIECES = 1 << 18, 64                   # 16 MiB of nothing that exists: no byte of it is ever sent


@dataclass(frozen=True, slots=True)
class SwarmShape:
    """How many torrents, and how many peers of each kind a torrent has; `hog_peers` dead ones are those of one torrent more."""

    num_torrents: int
    num_live: int
    num_refusing: int
    num_dead: int
    hog_peers: int = 0


FULL: Final = SwarmShape(num_torrents=50, num_live=15, num_refusing=5, num_dead=30, hog_peers=2_000)


@dataclass(frozen=True, slots=True)
class PlannedTorrent:
    """A torrent and its peers, in the order in which its tracker names them."""

    info: dict[bytes, object]
    peers: tuple[tuple[str, int], ...]

    @property
    def info_hash(self) -> bytes:
        """20 bytes."""
        return hashlib.sha1(encode(self.info)).digest()

    @property
    def name(self) -> str:
        """What clients call it."""
        return self.info[b"name"].decode()

    @property
    def has_live_peers(self) -> bool:
        """Whether one can be found at all."""
        return any(port == LIVE_PORT for _, port in self.peers)


def make_plan(shape: SwarmShape, seed: int) -> tuple[PlannedTorrent, ...]:
    """The same for the same arguments; the torrent with only dead peers stands in the middle."""
    rng = random.Random(seed)
    kinds = [(LIVE_PORT,) * shape.num_live + (REFUSING_PORT,) * shape.num_refusing + (DEAD_PORT,) * shape.num_dead] * shape.num_torrents
    if shape.hog_peers:
        kinds.insert(shape.num_torrents // 2, (DEAD_PORT,) * shape.hog_peers)
    network = ipaddress.ip_network(NETWORK)
    # the first /24 is for the client and the tracker
    numbers = iter(rng.sample(range(int(network.network_address) + 256, int(network.broadcast_address)), sum(map(len, kinds))))
    torrents = []
    for number, ports in enumerate(kinds):
        peers = [(str(ipaddress.ip_address(next(numbers))), port) for port in ports]
        rng.shuffle(peers)
        info = {b"name": b"torrent-%02d.bin" % number, b"length": PIECE_BYTES * NUM_PIECES, b"piece length": PIECE_BYTES,
                b"pieces": rng.randbytes(20 * NUM_PIECES)}
        torrents.append(PlannedTorrent(info, tuple(peers)))
    return tuple(torrents)


def write_torrents(plan: tuple[PlannedTorrent, ...], folder: Path) -> list[Path]:
    """One .torrent each, with the benchmark's tracker."""
    paths = [folder / f"{torrent.name}.torrent" for torrent in plan]
    for torrent, path in zip(plan, paths, strict=True):
        path.write_bytes(encode({b"announce": f"http://{TRACKER_HOST}:{TRACKER_PORT}/announce".encode(), b"info": torrent.info}))
    return paths
