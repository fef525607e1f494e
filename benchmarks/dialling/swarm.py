"""Everybody that a client meets, as one process: the tracker and the live peers.

    python -m benchmarks.dialling.swarm SHAPE SEED MEETINGS.json

SHAPE is the fields of SwarmShape, comma-separated. Prints `ready` and serves until its stdin ends; then it writes `greeted`, the live
addresses that were greeted with the handshake of their torrent, and `answered`, [info hash, seconds of the wall clock] of the first announce of each. The peers are seeds that never unchoke: connected is what they are here for.
"""

import asyncio
import contextlib
import ipaddress
import json
import os
import resource
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from benchmarks.dialling import obfuscated_handshake
from benchmarks.dialling.plan import (
    LIVE_PORT,
    NUM_PIECES,
    TRACKER_HOST,
    TRACKER_PORT,
    PlannedTorrent,
    SwarmShape,
    make_plan,
)
from protocol.bencoding import encode

PROTOCOL = b"\x13BitTorrent protocol"
HANDSHAKE_BYTES = 68
REQUEST_SECONDS = 30.0
INTERVAL_SECONDS = 1_800                                # nobody needs to come again during a run
BACKLOG = 4_096
BITFIELD = (NUM_PIECES // 8 + 1).to_bytes(4, "big") + b"\x05" + b"\xff" * (NUM_PIECES // 8)


class Swarm:
    """The peers by address; `greeted` are those that shook hands, `answered` is when a torrent first heard of its peers."""

    def __init__(self, plan: tuple[PlannedTorrent, ...]) -> None:
        self.greeted: set[str] = set()
        self.answered: dict[bytes, float] = {}
        self._answers = {torrent.info_hash: announce_answer(torrent) for torrent in plan}
        self._info_hashes = {ip: torrent.info_hash for torrent in plan for ip, port in torrent.peers if port == LIVE_PORT}

    async def announce(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One HTTP request of the tracker's."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError), contextlib.closing(writer):
            head = await reader.readuntil(b"\r\n\r\n")
            query = parse_qs(urlsplit(head.split()[1].decode("latin-1")).query, encoding="latin-1")
            info_hash = query.get("info_hash", [""])[0].encode("latin-1")
            body = self._answers.get(info_hash) or encode({b"failure reason": b"no such torrent"})
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
            self.answered.setdefault(info_hash, time.time())

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Be a peer: shake hands, then listen to whatever is said."""
        ip = writer.get_extra_info("sockname")[0]
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, obfuscated_handshake.NotObfuscated, TimeoutError), contextlib.closing(writer):
            if (info_hash := self._info_hashes.get(ip)) is None:
                return
            async with asyncio.timeout(REQUEST_SECONDS):
                await self._shake_hands(reader, writer, info_hash)
            self.greeted.add(ip)
            while await reader.read(1 << 16):
                pass

    async def _shake_hands(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, info_hash: bytes) -> None:
        stream = await reader.readexactly(len(PROTOCOL))
        incoming = outgoing = obfuscated_handshake.unchanged
        if stream != PROTOCOL:
            stream, incoming, outgoing = await obfuscated_handshake.answer(reader, writer, stream, info_hash)
        stream += incoming(await reader.readexactly(max(0, HANDSHAKE_BYTES - len(stream))))
        if not stream.startswith(PROTOCOL) or stream[28:48] != info_hash:
            raise obfuscated_handshake.NotObfuscated("no handshake for this torrent")
        writer.write(outgoing(PROTOCOL + bytes(8) + info_hash + b"-XX0001-" + os.urandom(12) + BITFIELD))
        await writer.drain()


def announce_answer(torrent: PlannedTorrent) -> bytes:
    """All its peers, whatever was asked for."""
    peers = b"".join(ipaddress.IPv4Address(ip).packed + port.to_bytes(2, "big") for ip, port in torrent.peers)
    return encode({b"complete": len(torrent.peers), b"incomplete": 0, b"interval": INTERVAL_SECONDS, b"peers": peers})


async def serve(plan: tuple[PlannedTorrent, ...]) -> Swarm:
    """Until stdin ends."""
    swarm = Swarm(plan)
    async with (
        await asyncio.start_server(swarm.announce, TRACKER_HOST, TRACKER_PORT, backlog=BACKLOG),
        await asyncio.start_server(swarm.meet, "0.0.0.0", LIVE_PORT, backlog=BACKLOG),
    ):
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
    return swarm


def main() -> None:
    """Read the command line and serve."""
    plan = make_plan(SwarmShape(*map(int, sys.argv[1].split(","))), int(sys.argv[2]))
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    swarm = asyncio.run(serve(plan))
    answered = [[info_hash.hex(), when] for info_hash, when in swarm.answered.items()]
    Path(sys.argv[3]).write_text(json.dumps({"greeted": sorted(swarm.greeted), "answered": answered}))


if __name__ == "__main__":
    main()
