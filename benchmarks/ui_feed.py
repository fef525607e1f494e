"""What it costs to show 10,000 rows that all change twice a second: python -m benchmarks.ui_feed [--document docs/performance.md]

Real are the torrents' records and rows, UIFeed, and the encoding of what goes to the web process; five torrents of 2,000 connected peers
each, all of whose figures are new at each gathering, because that is the most that one page can look at. Time is virtual: two gatherings
stand for a second, so seconds of CPU for each simulated second are the share of a core. Making up the figures
is no part of it. The memory is looked at over an hour of one of these torrents.
"""

import argparse
import gc
import random
import statistics
import time
from pathlib import Path

import msgspec
from gevent import monkey

monkey.patch_all()

from actors import messages as m  # noqa: E402
from actors.feed_streams import FeedStreams  # noqa: E402
from actors.peer_rows import PeerRows  # noqa: E402
from actors.snapshots import ConnectionQueueStats, FeedDifference, TorrentSnapshot  # noqa: E402
from actors.torrent_peers import PeerConnection  # noqa: E402
from actors.ui_feed import UIFeed  # noqa: E402
from benchmarks.report import machine, table, write_section  # noqa: E402
from protocol import daemon_messages as dm  # noqa: E402
from protocol.peer_address import PeerAddress  # noqa: E402
from scheduler.swarm import Swarm  # noqa: E402

NUM_TORRENTS, NUM_PEERS = 5, 2_000
SECONDS_MEASURED = 20
HOUR_STEPS = 7_200
STEPS_OF_MEMORY = (600, 1_200, 3_600, 7_200)
QUEUE = ConnectionQueueStats(
    tokens=20.0, burst=20, rate_per_second=10.0, pending=1, half_open=0, half_open_limit=30, leases=0, connected=0, global_limit=200,
    torrent_limit=50, granted=0, connected_total=0, declined={}, failed={}, expired=0, cancelled=0, oldest_wait=0.0, paused="", next_up=(),
)


class Torrent:
    """Stands for a TorrentActor: records and rows are real, what the daemon says is made up."""

    def __init__(self, number: int, feed: UIFeed) -> None:
        self.info_hash, self._feed = bytes([number]) * 20, feed
        self.swarm = Swarm(random.Random(number))
        self.swarm.add("tracker", [PeerAddress(f"80.{number}.{index >> 8}.{index & 255}", 6881) for index in range(NUM_PEERS)], 0.0)
        self.connections: dict[int, PeerConnection] = {}
        for connection_id, peer in enumerate(list(self.swarm)):
            self.swarm.attempt_started(peer, 0.0, 10.0)
            self.swarm.connected(peer, "qBittorrent 5.0", 0.1)
            self.connections[connection_id] = PeerConnection(connection_id, connection_id, peer, False, 0.1, True)
        self.rows = PeerRows(self.swarm, self, 1_000)   # which asks its `connections` alone
        self.downloaded = 0
        self.questions: list[m.GetTorrentSnapshot] = []

    def figures(self, step: int) -> None:
        """The daemon's next figures, of every connection."""
        self.downloaded = step
        for connection_id, connection in self.connections.items():
            connection.stats = dm.PeerStats(connection_id, step % 1_000, 100_000 + step, 5_000 + step, 1_000_000 * step, 1_000 * step, "DU", 20)

    def tell(self, question: m.GetTorrentSnapshot) -> None:
        """It lies in the inbox."""
        self.questions.append(question)

    def answer(self, question: m.GetTorrentSnapshot) -> None:
        """Answer as the actor does."""
        snapshot = TorrentSnapshot(
            info_hash=self.info_hash, name="debian-12.iso", state="downloading", error="", total_bytes=1 << 32, verified_bytes=self.downloaded,
            pieces_checked=0, num_pieces=1_000, downloaded=self.downloaded, uploaded=0, wasted=0, download_rate=self.downloaded, upload_rate=0,
            peers_by_state=dict(self.swarm.counts), known_peers=len(self.swarm), tracker_error="", why="",
        )
        rows = None if question.rows_from is None else self.rows.difference(question.rows_from, self._feed.clock(), True)
        self._feed.on_receive(m.SnapshotTaken(snapshot, False, rows))


class Broker:
    """Stands for the ConnectionBroker."""

    def __init__(self) -> None:
        self.questions: list[m.GetConnectionQueueStats] = []

    def tell(self, question: m.GetConnectionQueueStats) -> None:
        self.questions.append(question)


class World:
    """The feed, what it watches, and `num_viewers` viewers, of whom the last ones do not read."""

    def __init__(self, num_viewers: int, num_deaf: int = 0, num_torrents: int = NUM_TORRENTS) -> None:
        self.now, self.sent, self.num_deaf = 0.0, 0, num_deaf
        self.broker = Broker()
        self.feed = UIFeed(self.broker, clock=lambda: self.now, call_later=lambda delay, function: Timer())
        self.torrents = [Torrent(number + 1, self.feed) for number in range(num_torrents)]
        for torrent in self.torrents:
            self.feed.on_receive(m.WatchTorrent(torrent.info_hash, torrent))
        self.streams = FeedStreams(self._send, self.feed.on_receive, self)
        for number in range(num_viewers + num_deaf):
            self.streams.open(number, [torrent.info_hash for torrent in self.torrents], "")
        self._reading = range(num_viewers)

    def tell(self, difference: FeedDifference) -> None:
        """The web link gets what changed."""
        self.streams.difference(difference)

    def _send(self, number: int, name: str, event_id: str, body: bytes) -> None:
        self.sent += len(body)

    def step(self, step: int) -> None:
        """Half a second."""
        self.now += 0.5
        for torrent in self.torrents:
            torrent.figures(step)
        for number in self._reading:
            self.streams.taken(number)
        self.feed.on_receive(m.GatherDue())
        for torrent in self.torrents:
            while torrent.questions:
                torrent.answer(torrent.questions.pop())
        while self.broker.questions:
            self.broker.questions.pop()
            self.feed.on_receive(QUEUE)


class Timer:
    """A timer that the benchmark fires itself."""

    def kill(self, *, block: bool) -> None:
        pass


def measure(world: World) -> tuple[float, float]:
    """Return the share of a core in per cent, the median of seconds, and bytes sent a second."""
    for step in range(4):
        world.step(step)
    shares, before = [], world.sent
    for second in range(SECONDS_MEASURED):
        began = time.process_time()
        for half in range(2):
            world.step(10 + 2 * second + half)
        shares.append(100 * (time.process_time() - began))
    return statistics.median(shares), (world.sent - before) / SECONDS_MEASURED


def figures_alone() -> float:
    """Return what making up the daemon's figures costs by itself, in per cent: it is no part of the feed."""
    world = World(0)
    began = time.process_time()
    for step in range(2 * SECONDS_MEASURED):
        for torrent in world.torrents:
            torrent.figures(step)
    return 100 * (time.process_time() - began) / SECONDS_MEASURED


def memory_over_an_hour() -> list[tuple[int, float]]:
    """Return (minutes, MiB of the process) with one viewer who reads and one who does not."""
    world, seen = World(1, 1, num_torrents=1), []
    for step in range(1, HOUR_STEPS + 1):
        world.step(step)
        if step in STEPS_OF_MEMORY:
            gc.collect()
            resident = next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
            seen.append((step // 120, resident / 1024))
    return seen


def ways_to_say_it() -> list[tuple[str, float, float]]:
    """Return for each way in which 10,000 changed rows can be said: its name, bytes a row, microseconds a row to encode."""
    world = World(1)
    for step in range(4):
        world.step(step)
    rows = [row for torrent in world.torrents for row in torrent.rows.all(world.now, True)]
    live = ("progress", "download_rate", "upload_rate", "downloaded", "uploaded")
    from actors.api_views import figures_row
    ways = {
        "whole rows": lambda: msgspec.json.encode(rows),
        "fields by name": lambda: msgspec.json.encode([{"key": row.key, **{name: getattr(row.connection, name) for name in live}} for row in rows]),
        "figures in a fixed order (used)": lambda: msgspec.json.encode([figures_row(row) for row in rows]),
    }
    result = []
    for name, encode in ways.items():
        seconds = []
        for _ in range(5):
            began = time.process_time()
            body = encode()
            seconds.append(time.process_time() - began)
        result.append((name, len(body) / len(rows), min(seconds) / len(rows) * 1e6))
    return result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--document", type=Path)
    parser.add_argument("--no-hour", action="store_true", help="leave out the memory over an hour")
    arguments = parser.parse_args()
    made_up = figures_alone()
    lines = []
    for name, viewers, deaf in (("nobody looks", 0, 0), ("1 viewer", 1, 0), ("4 viewers of the same", 4, 0), ("1 viewer, 10 that stopped reading", 1, 10),
                                ("10 that stopped reading", 0, 10)):
        share, sent = measure(World(viewers, deaf))
        lines.append((name, f"{max(share - made_up, 0.0):.1f}", f"{sent / 1e6:.2f}"))
    text = [
        "## What it costs to show everything", "",
        f"{machine()}. {NUM_TORRENTS * NUM_PEERS:,} rows of connected peers, all with new figures twice a second (`python -m benchmarks.ui_feed`).", "",
        table(("who looks", "% of a core", "MB/s of JSON"), lines), "",
        table(("a changed row as", "bytes", "µs to encode"), [(name, f"{size:.0f}", f"{cost:.2f}") for name, size, cost in ways_to_say_it()]),
    ]
    if not arguments.no_hour:
        memory = memory_over_an_hour()
        text += ["", table(("minutes", "MiB"), [(str(minutes), f"{mebibytes:.1f}") for minutes, mebibytes in memory]), "",
                 f"Memory of the whole benchmark, {NUM_PEERS:,} rows, one viewer who reads and one who does not."]
    print("\n".join(text))
    if arguments.document:
        write_section(arguments.document, "ui_feed", "\n".join(text))


if __name__ == "__main__":
    main()
