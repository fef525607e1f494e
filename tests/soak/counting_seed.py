"""A seed of many torrents that counts: which pieces were asked of it that the other side had already called verified."""

import struct
from collections import Counter

import gevent
from gevent.lock import Semaphore
from gevent.server import StreamServer

from tests.processes.fake_peer import BITFIELD, PIECE, REQUEST, UNCHOKE, frame
from tests.processes.torrent_files import TestTorrent

PEER_ID = b"-XX0000-counts_twice"


class CountingSeed:
    """Serves `torrents` on one port, all together at most `bytes_per_second` (0 = as fast as it can)."""

    def __init__(self, torrents: list[TestTorrent], bytes_per_second: float = 0.0) -> None:
        self.bytes_per_second = bytes_per_second
        self._known: dict[tuple[bytes, int], int] = {}  # pieces that must not be asked for any more → since which epoch
        self._epoch = 0                                 # begins anew with each death of the other side: what the dead one asked is no news
        self.asked_again: Counter[tuple[bytes, int]] = Counter()    # … and were
        self.bytes_served = 0
        self._torrents = {torrent.info_hash: torrent for torrent in torrents}
        self._turn = Semaphore()
        self._connections: set = set()
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.port = self._server.server_port

    def other_side_died(self, known: set[tuple[bytes, int]]) -> None:
        """Who connects from now on must not ask for these pieces."""
        self._epoch += 1
        for piece in known:
            self._known.setdefault(piece, self._epoch)

    def stop(self) -> None:
        """Close everything."""
        self._server.stop(timeout=0)
        for connection in list(self._connections):
            connection.close()

    def _serve(self, connection, _address) -> None:
        self._connections.add(connection)
        try:
            self._converse(connection, self._epoch)
        except OSError:
            pass                                        # it was killed
        finally:
            self._connections.discard(connection)
            connection.close()

    def _converse(self, connection, epoch: int) -> None:
        stream = connection.makefile("rb")
        handshake = stream.read(68)
        torrent = self._torrents.get(handshake[28:48])
        if torrent is None:
            return
        num_pieces = -(-len(torrent.data) // torrent.piece_length)
        bits = int.to_bytes((1 << num_pieces) - 1 << -num_pieces % 8, -(-num_pieces // 8), "big")
        connection.sendall(b"\x13BitTorrent protocol" + bytes(8) + torrent.info_hash + PEER_ID + frame(BITFIELD, bits) + frame(UNCHOKE))
        while header := stream.read(4):
            message = stream.read(int.from_bytes(header, "big"))
            if message and message[0] == REQUEST:
                self._answer(connection, epoch, torrent, *struct.unpack(">III", message[1:13]))

    def _answer(self, connection, epoch: int, torrent: TestTorrent, piece_index: int, begin: int, length: int) -> None:
        if epoch >= self._known.get((torrent.info_hash, piece_index), epoch + 1):
            self.asked_again[torrent.info_hash, piece_index] += 1
        if self.bytes_per_second:
            with self._turn:
                gevent.sleep(length / self.bytes_per_second if self.bytes_per_second else 0)     # it may have become fast meanwhile
        start = piece_index * torrent.piece_length + begin
        connection.sendall(frame(PIECE, struct.pack(">II", piece_index, begin) + torrent.data[start:start + length]))
        self.bytes_served += length
