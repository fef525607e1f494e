"""While much is outstanding the kernel gathers bytes before it wakes the daemon. Whatever the peer then does, it is heard soon."""

import struct
from collections import deque

import gevent
import pytest

from protocol import daemon_messages as dm
from tests.processes.daemon_process import DaemonProcess
from tests.processes.fake_peer import BITFIELD, CHOKE, INTERESTED, REQUEST, UNCHOKE, frame
from tests.processes.test_daemon_transfers import num_pieces, raw_info, wait_for_all
from tests.processes.torrent_files import make_torrent
from tests.processes.wire_peer import REJECT, WirePeer, block, listen

SECONDS_PER_BLOCK = 0.004                               # 4 MB/s: fast enough that bytes are gathered, slow enough to last


class PacedSeed:
    """Serves at a moderate rate; `requests` are those that it has not answered, `served` counts the bytes of those that it has."""

    def __init__(self, listener, torrent, fast: bool) -> None:
        self.torrent = torrent
        self.peer = WirePeer.answer(listener, torrent.info_hash, fast=fast)
        bits = (1 << num_pieces(torrent)) - 1 << -num_pieces(torrent) % 8
        self.peer.send(frame(BITFIELD, bits.to_bytes(-(-num_pieces(torrent) // 8), "big")), frame(UNCHOKE))
        self.requests: deque[bytes] = deque()
        self.served = 0
        self.reader = gevent.spawn(self._read)

    def _read(self) -> None:
        while (message := self.peer.next()) is not None:
            if message[0] == REQUEST:
                self.requests.append(message[1])

    def serve(self, most: int) -> None:
        for _ in range(most):
            with gevent.Timeout(10):
                while not self.requests:
                    if self.reader.ready():
                        return
                    gevent.sleep(SECONDS_PER_BLOCK)
            piece_index, begin, length = struct.unpack(">III", self.requests.popleft())
            answer = block(self.torrent.data, self.torrent.piece_length, piece_index, begin, length)
            self.served += length
            try:
                self.peer.send(answer)
            except OSError:
                return
            gevent.sleep(SECONDS_PER_BLOCK)


@pytest.fixture
def torrent(tmp_path):
    return make_torrent(tmp_path, 12_000_000, piece_length=1 << 18)


@pytest.fixture
def daemon(tmp_path, torrent):
    with DaemonProcess() as daemon:
        daemon.add(torrent.info_hash, raw_info(torrent), tmp_path / "d")
        daemon.start(torrent.info_hash)
        yield daemon


def seed_of(daemon, torrent, fast: bool) -> PacedSeed:
    listener = listen()
    daemon.dial(torrent.info_hash, *listener.getsockname())
    return PacedSeed(listener, torrent, fast)


@pytest.mark.parametrize("fast", [True, False])
def test_a_choke_in_the_middle_of_a_fast_transfer_is_heard_and_so_is_the_unchoke(daemon, torrent, fast, tmp_path):
    seed = seed_of(daemon, torrent, fast)
    seed.serve(400)
    seed.peer.send(frame(CHOKE))
    if fast:
        seed.peer.send(b"".join(frame(REJECT, request) for request in seed.requests))
    seed.requests.clear()
    daemon.wait_for(dm.TorrentStats, lambda message: any("d" in peer.flags and not peer.num_requests for peer in message.peers), timeout=5)
    seed.peer.send(frame(UNCHOKE))
    seed.serve(10_000)
    wait_for_all(daemon, torrent)
    assert (tmp_path / "d" / torrent.name).read_bytes() == torrent.data


def test_a_short_message_of_a_peer_that_owes_us_much_is_heard(daemon, torrent):
    seed = seed_of(daemon, torrent, fast=True)
    seed.serve(400)
    assert seed.requests
    seed.peer.send(frame(INTERESTED))
    daemon.wait_for(dm.TorrentStats, lambda message: any("U" in peer.flags for peer in message.peers), timeout=5)


def test_a_fast_peer_that_becomes_slow_is_served_block_by_block(daemon, torrent):
    seed = seed_of(daemon, torrent, fast=True)
    seed.serve(400)
    for _ in range(3):
        seed.serve(1)
        daemon.wait_for(dm.TorrentStats, lambda message: message.downloaded == seed.served, timeout=5)
