"""A small HTTP tracker for the demo: `python -m ui.commands.demo_swarm.tracker` prints its port and serves until its stdin ends (BEP 3, 23).

It also hands out addresses that never announced, those of the demo's dead peers: real swarms are full of them. And in front of each seed it puts a
line of bounded speed, whose address it hands out instead.
"""

import gevent.monkey

gevent.monkey.patch_all()

import random  # noqa: E402
import sys  # noqa: E402
from urllib.parse import parse_qs  # noqa: E402

import gevent.os  # noqa: E402
from gevent.pywsgi import WSGIServer  # noqa: E402

from protocol.bencoding import encode  # noqa: E402
from protocol.errors import EvenswarmError  # noqa: E402
from protocol.peer_address import PeerAddress  # noqa: E402
from ui.commands.demo_swarm.slow_line import SlowLine  # noqa: E402

INTERVAL_SECONDS = 60
LINE_BYTES_PER_SECOND = 400_000                         # of one connection to a seed


class Tracker:
    """Swarms by info hash: who announced, and the addresses that everybody is told besides."""

    def __init__(self, dead: list[PeerAddress], dead_each: int, refusing: list[PeerAddress], refusing_each: int) -> None:
        self._dead, self._dead_each = dead, dead_each
        self._refusing, self._refusing_each = refusing, refusing_each
        self._swarms: dict[bytes, dict[PeerAddress, int]] = {}      # address → bytes left
        self._lines: dict[int, SlowLine] = {}           # port of a seed → the line in front of it

    def __call__(self, environ: dict, start_response) -> list[bytes]:
        """WSGI: one announce."""
        if environ["PATH_INFO"] != "/announce":
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"announce at /announce"]
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            return [encode(self.announce(parse_qs(environ["QUERY_STRING"], encoding="latin-1"), environ["REMOTE_ADDR"]))]
        except (KeyError, ValueError, EvenswarmError) as error:
            return [encode({b"failure reason": f"bad announce: {error}".encode()})]

    def announce(self, query: dict[str, list[str]], ip: str) -> dict[bytes, object]:
        """Take the peer in (or out, when it stopped) and return the answer."""
        info_hash = query["info_hash"][0].encode("latin-1")
        left = int(query["left"][0])
        peer = PeerAddress(ip, self._reached_at(int(query["port"][0]), is_seed=left == 0))
        swarm = self._swarms.setdefault(info_hash, {})
        if query.get("event") == ["stopped"]:
            swarm.pop(peer, None)
        else:
            swarm[peer] = left
        others = [other for other in swarm if other != peer]
        if swarm.get(peer):                             # somebody who downloads
            others += self._never_announced(info_hash)
        random.Random(info_hash).shuffle(others)
        return {
            b"complete": sum(left == 0 for left in swarm.values()), b"incomplete": sum(left > 0 for left in swarm.values()),
            b"interval": INTERVAL_SECONDS, b"peers": b"".join(other.compact() for other in others),
        }


    def _reached_at(self, port: int, is_seed: bool) -> int:
        if is_seed and port not in self._lines:
            self._lines[port] = SlowLine(port, LINE_BYTES_PER_SECOND)
        return self._lines[port].port if port in self._lines else port

    def _never_announced(self, info_hash: bytes) -> list[PeerAddress]:
        """The same for a torrent each time."""
        rng = random.Random(info_hash)
        return rng.sample(self._dead, self._dead_each) + rng.sample(self._refusing, self._refusing_each)


def main() -> None:
    """Arguments: dead and refusing peers for each torrent, how many addresses are dead, then these and the refusing ones."""
    dead_each, refusing_each, num_dead = map(int, sys.argv[1:4])
    addresses = [PeerAddress.parse(text) for text in sys.argv[4:]]
    tracker = Tracker(addresses[:num_dead], dead_each, addresses[num_dead:], refusing_each)
    server = WSGIServer(("127.0.0.1", 0), tracker, log=None, error_log=None)
    server.start()
    print(server.server_port, flush=True)
    gevent.os.tp_read(sys.stdin.fileno(), 1)            # ends with whoever started us; sys.stdin itself would block the loop


if __name__ == "__main__":
    main()
