"""Peers that dial us, by hand over real sockets: honest ones are served, whatever the others do."""

import contextlib
import errno
import re
import socket
import struct

import pytest

from tests.processes.evenswarm_process import EvenswarmProcess
from tests.processes.fake_peer import BITFIELD, BLOCK_BYTES, CANCEL, INTERESTED, PIECE, REQUEST, UNCHOKE, frame
from tests.processes.torrent_files import make_torrent

DEADLINE_SECONDS = 8                                    # shorter than the handshake's own timer, which is not what ends these
PROTOCOL = b"\x13BitTorrent protocol"


class Leech:
    """Dials, shakes hands and reads messages, one after the other."""

    def __init__(self, port: int, info_hash: bytes, peer_id: bytes = b"-XX0000-leech.......", source: str = "127.0.7.1") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS, (source, 0))
        self._stream = self.socket.makefile("rb")
        self.socket.sendall(PROTOCOL + bytes(8) + info_hash + peer_id)
        self.handshake = self._stream.read(68)

    def send(self, *messages: bytes) -> None:
        self.socket.sendall(b"".join(messages))

    def next_message(self) -> bytes:
        """Id and payload; empty at the end of the connection. Keep-alives are skipped."""
        while header := self._stream.read(4):
            if length := int.from_bytes(header, "big"):
                return self._stream.read(length)
        return b""

    def wait_for(self, message_id: int) -> bytes:
        """The payload of the next message of this kind."""
        while message := self.next_message():
            if message[0] == message_id:
                return message[1:]
        raise AssertionError(f"the connection ended before message {message_id} came")

    def read_until_closed(self) -> None:
        """The other side ends it within the deadline, or this raises TimeoutError."""
        with contextlib.suppress(ConnectionError):
            while self.next_message():
                pass

    def close(self) -> None:
        self._stream.close()
        self.socket.close()


def end_words(connection: socket.socket) -> None:
    """Say no more, but listen. The other side may have reset the connection before: then there is nothing to end."""
    try:
        connection.shutdown(socket.SHUT_WR)
    except OSError as error:
        if error.errno != errno.ENOTCONN:
            raise


def request(piece_index: int, begin: int, length: int = BLOCK_BYTES) -> bytes:
    return frame(REQUEST, struct.pack(">III", piece_index, begin, length))


def download_a_block(leech: Leech, torrent, piece_index: int, begin: int) -> None:
    leech.send(request(piece_index, begin))
    payload = leech.wait_for(PIECE)
    start = piece_index * torrent.piece_length + begin
    assert payload == struct.pack(">II", piece_index, begin) + torrent.data[start:start + BLOCK_BYTES]


@pytest.fixture(scope="module")
def torrent(tmp_path_factory):
    return make_torrent(tmp_path_factory.mktemp("incoming"), 1 << 20)


@pytest.fixture(scope="module")
def seed(torrent):
    """One for all tests of this file: whatever one of them did, the next one is served."""
    folder = torrent.path.parent
    (folder / torrent.name).write_bytes(torrent.data)
    with EvenswarmProcess(folder, "seed", str(torrent.path), "--dir", str(folder), "--listen", "127.0.0.1:0", "--offline") as client:
        client.wait_for("torrent_started")
        client.port = client.wait_for("daemon_listening")["port"]
        yield client
        assert client.process.poll() is None
        assert not client.named("daemon_ended")
    assert "Traceback" not in client.said()


def assert_serves(seed, torrent, source: str = "127.0.7.99") -> None:
    leech = Leech(seed.port, torrent.info_hash, b"-XX0000-honest......", source)
    assert leech.handshake[28:48] == torrent.info_hash
    assert leech.wait_for(BITFIELD) == b"\xff" * 2
    leech.send(frame(INTERESTED))
    leech.wait_for(UNCHOKE)
    download_a_block(leech, torrent, 15, torrent.piece_length - BLOCK_BYTES)
    leech.close()


def test_who_dials_us_gets_blocks(seed, torrent):
    assert_serves(seed, torrent)
    connected = seed.wait_for("peer_connected", incoming=True)
    assert connected["peer"].startswith("127.0.7.99:")


@pytest.mark.parametrize("says", [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + bytes(60), bytes(68), PROTOCOL + bytes(8) + b"x" * 20 + b"-XX0000-............", b"\x13Bit", b"",
], ids=["http", "zeros", "unknown torrent", "half", "nothing"])
def test_who_speaks_no_bittorrent_or_of_another_torrent_is_sent_away_without_a_word(seed, torrent, says):
    with socket.create_connection(("127.0.0.1", seed.port), DEADLINE_SECONDS) as stranger:
        stranger.sendall(says)
        end_words(stranger)
        with contextlib.suppress(ConnectionError):
            assert stranger.recv(100) == b""
    assert_serves(seed, torrent)


@pytest.mark.parametrize("message", [
    struct.pack(">I", 0xFFFF_FFFF), struct.pack(">I", 1 << 20) + b"\x05", request(1 << 31, 0), request(16, 0), request(0, 1 << 31), request(0, 65_536),
    request(0, 65_535, 2), request(0, 0, 1 << 20), request(0, 0, 0), frame(BITFIELD, b"\xff"), frame(BITFIELD, b"\xff" * 3), frame(4, b"\0\0\0"),
    frame(UNCHOKE, b"x"),
], ids=range(13))
def test_a_message_that_cannot_be_meant_ends_its_connection_alone(seed, torrent, message):
    leech = Leech(seed.port, torrent.info_hash)
    address = "{}:{}".format(*leech.socket.getsockname())
    leech.send(frame(INTERESTED), message)
    leech.read_until_closed()
    leech.close()
    assert re.search("message|request|piece|bitfield|extension", seed.wait_for("peer_disconnected", peer=address, timeout=DEADLINE_SECONDS)["reason"])
    assert_serves(seed, torrent)


def test_a_peer_that_asks_for_much_and_reads_nothing_does_not_stop_others(seed, torrent):
    greedy = Leech(seed.port, torrent.info_hash)
    greedy.send(frame(INTERESTED))
    greedy.wait_for(UNCHOKE)
    greedy.socket.settimeout(1)
    with contextlib.suppress(TimeoutError, ConnectionError):    # until it stops reading, or ends this
        for _ in range(100):
            greedy.send(*(request(piece_index, 0) for piece_index in range(16)), *[request(0, 0)] * 200)
    assert_serves(seed, torrent)
    greedy.close()


def test_messages_byte_by_byte_and_cancels_are_served_alike(seed, torrent):
    leech = Leech(seed.port, torrent.info_hash)
    leech.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in bytes(4) + frame(INTERESTED) + frame(CANCEL, struct.pack(">III", 3, 0, BLOCK_BYTES)) + bytes(8):
        leech.send(bytes([byte]))
    leech.wait_for(UNCHOKE)
    for byte in request(2, BLOCK_BYTES):
        leech.send(bytes([byte]))
    assert leech.wait_for(PIECE)[8:] == torrent.data[2 * torrent.piece_length + BLOCK_BYTES:][:BLOCK_BYTES]
    leech.close()


def test_silent_connections_do_not_keep_an_honest_one_out(seed, torrent):
    silent = [socket.create_connection(("127.0.0.1", seed.port), DEADLINE_SECONDS) for _ in range(300)]
    assert_serves(seed, torrent)
    for connection in silent:
        connection.close()


def test_many_peers_of_one_address_leave_room_for_others(seed, torrent):
    leeches = []
    for number in range(60):                                    # more than a torrent's connections
        with contextlib.suppress(ConnectionError, AssertionError):
            leeches.append(Leech(seed.port, torrent.info_hash, b"-XX0000-%012d" % number))
    accepted = [leech for leech in leeches if len(leech.handshake) == 68]
    assert 40 <= len(accepted) <= 50
    assert seed.wait_for("incoming_refused")["reason"]
    for leech in leeches:
        leech.close()
    assert_serves(seed, torrent)
