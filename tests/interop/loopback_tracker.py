"""A small HTTP tracker as a process of its own (BEP 3, 23, 48): `python -m tests.interop.loopback_tracker HOST:PORT [--give HOST:PORT]…`.

It prints `listening URL` and serves until its stdin ends. Peers get each other; with --give everybody gets these addresses too,
whatever the torrent (aria2 learns of peers from trackers only). It takes nothing of the product: a fault of ours cannot hide here.
"""

import argparse
import ipaddress
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

INTERVAL_SECONDS = 5                                    # who came first soon hears of who came later


def bencode(value: object) -> bytes:
    """Bytes, ints, lists and dictionaries with bytes as keys."""
    match value:
        case bytes():  return b"%d:%s" % (len(value), value)
        case int():    return b"i%de" % value
        case list():   return b"l" + b"".join(map(bencode, value)) + b"e"
        case dict():   return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"
    raise TypeError(f"cannot bencode {value!r}")


def compact(host: str, port: int) -> bytes:
    """Four bytes and two, big-endian."""
    return ipaddress.IPv4Address(host).packed + port.to_bytes(2, "big")


class Swarms:
    """Who announced what: info hash → (host, port) → bytes left."""

    def __init__(self, given: list[tuple[str, int]]) -> None:
        self._given = given
        self._swarms: dict[bytes, dict[tuple[str, int], int]] = {}
        self._lock = threading.Lock()

    def announce(self, query: dict[str, list[str]], host: str) -> dict[bytes, object]:
        """Take the peer in, or out when it stopped, and return the answer. Raises KeyError or ValueError."""
        info_hash = query["info_hash"][0].encode("latin-1")
        peer = (host, int(query["port"][0]))
        if len(info_hash) != 20 or not 0 < peer[1] < 65_536:
            raise ValueError("info_hash of 20 bytes and a port, please")
        with self._lock:
            swarm = self._swarms.setdefault(info_hash, {})
            if query.get("event") == ["stopped"]:
                swarm.pop(peer, None)
            else:
                swarm[peer] = int(query["left"][0])
            others = [other for other in [*swarm, *self._given] if other != peer]
            if query.get("compact") == ["0"]:
                peers: object = [{b"ip": other[0].encode(), b"port": other[1]} for other in others]
            else:
                peers = b"".join(compact(*other) for other in others)
            return {b"interval": INTERVAL_SECONDS, b"peers": peers, **self._counts(swarm)}

    def scrape(self, query: dict[str, list[str]]) -> dict[bytes, object]:
        """The counts of each torrent asked for."""
        with self._lock:
            asked = [text.encode("latin-1") for text in query.get("info_hash", [])]
            return {b"files": {key: {**self._counts(self._swarms.get(key, {})), b"downloaded": 0} for key in asked}}

    @staticmethod
    def _counts(swarm: dict[tuple[str, int], int]) -> dict[bytes, object]:
        return {b"complete": sum(left == 0 for left in swarm.values()), b"incomplete": sum(left > 0 for left in swarm.values())}


class Handler(BaseHTTPRequestHandler):
    """GET /announce and /scrape."""

    swarms: Swarms

    def do_GET(self) -> None:
        """Answer one request."""
        url = urlsplit(self.path)
        query = parse_qs(url.query, encoding="latin-1")
        try:
            match url.path:
                case "/announce": answer = self.swarms.announce(query, self.client_address[0])
                case "/scrape":   answer = self.swarms.scrape(query)
                case _:           return self.send_error(404)
        except (KeyError, ValueError) as error:
            answer = {b"failure reason": f"bad announce: {error}".encode()}
        body = bencode(answer)
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return None

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def host_and_port(text: str) -> tuple[str, int]:
    """'127.0.0.1:80' → its parts."""
    host, _, port = text.rpartition(":")
    return host, int(port)


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("listen", type=host_and_port, metavar="HOST:PORT")
    parser.add_argument("--give", type=host_and_port, action="append", default=[], metavar="HOST:PORT")
    arguments = parser.parse_args()
    Handler.swarms = Swarms(arguments.give)
    server = ThreadingHTTPServer(arguments.listen, Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"listening http://{arguments.listen[0]}:{server.server_port}/announce", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
