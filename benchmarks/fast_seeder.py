"""A seed that is never the bottleneck: one process, one thread, every answer laid out in memory before the first request.

    python -m benchmarks.fast_seeder FILE.torrent FILE --addresses 50 --port 0 [--rate BYTES_PER_SECOND]

It listens on 127.0.0.1, 127.0.0.2, … and prints one line each time: `listening HOST:PORT …` (all of them), then
`connected` at the handshake of a peer while there is no other. It ends when its stdin does.

All `piece` messages of the torrent lie in one buffer, headers included, in the order of the file. A request is a slice of it,
requests in sequence are one longer slice, and an answer is one `send`. So it serves blocks of 16 KiB at offsets that are
multiples of that, which is what every client asks for, and closes the connection of one that asks for something else.

With --rate it hands out blocks one by one, to each connection in turn, so many bytes a second for all together: as many peers
of equal speed would. The clock runs in steps of a millisecond, which is 12 blocks at 200 MB/s.
"""

import argparse
import contextlib
import hashlib
import mmap
import select
import socket
import struct
import sys
import time
from collections import deque
from pathlib import Path

from protocol.bencoding import decode, encode, raw_span

BLOCK_BYTES = 16_384
HEADER = struct.Struct(">IBII")                         # length, id, piece, offset; then the block
MESSAGE_BYTES = HEADER.size + BLOCK_BYTES
REQUEST = struct.Struct(">IBIII")                       # length, id, piece, offset, length of the block
REQUEST_LENGTH, REQUEST_ID, CANCEL_ID, PIECE_ID, REJECT_ID = 13, 6, 8, 7, 16
HANDSHAKE_BYTES = 68
RECEIVE_BYTES = 1 << 16
LARGEST_SEND_BYTES = 1 << 20                            # one connection's turn, so that the others get theirs
LARGEST_MESSAGE_BYTES = RECEIVE_BYTES // 2              # nothing that a downloader says is longer
REQUEST_QUEUE = 2_000                                   # what libtorrent tells its peers, too
TICK_SECONDS = 0.001
LARGEST_DEBT_SECONDS = 0.01                             # a pause of ours is not made up for by a burst


class UnservableRequest(Exception):
    """The peer asked for what this seed does not have ready, or does not speak BEP 3."""


class Answers:
    """Every `piece` message of a torrent, one after the other."""

    def __init__(self, torrent: Path, file: Path) -> None:
        metainfo = torrent.read_bytes()
        info = decode(metainfo)[b"info"]
        start, end = raw_span(metainfo, b"info")
        self.info_hash = hashlib.sha1(metainfo[start:end]).digest()
        self.piece_length = info[b"piece length"]
        self.num_pieces = len(info[b"pieces"]) // 20
        if info[b"length"] % self.piece_length or self.piece_length % BLOCK_BYTES:
            sys.exit("fast_seeder: the file must be whole pieces, and these whole blocks of 16 KiB")
        self.blocks_each = self.piece_length // BLOCK_BYTES
        memory = mmap.mmap(-1, self.num_pieces * self.blocks_each * MESSAGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory.madvise(mmap.MADV_HUGEPAGE)              # 512 times fewer page faults
        self.memory = memoryview(memory)
        self._lay_out(file)

    def _lay_out(self, file: Path) -> None:
        place = 0
        with open(file, "rb", buffering=0) as stream:
            for piece_index in range(self.num_pieces):
                for block_offset in range(0, self.piece_length, BLOCK_BYTES):
                    HEADER.pack_into(self.memory, place, 9 + BLOCK_BYTES, PIECE_ID, piece_index, block_offset)
                    stream.readinto(self.memory[place + HEADER.size:place + MESSAGE_BYTES])
                    place += MESSAGE_BYTES

    def place(self, piece_index: int, block_offset: int, length: int) -> int:
        """Return where the answer begins. Raises UnservableRequest."""
        if length != BLOCK_BYTES or block_offset % BLOCK_BYTES or block_offset >= self.piece_length or piece_index >= self.num_pieces:
            raise UnservableRequest(f"{length} bytes at {block_offset} of piece {piece_index}")
        return (piece_index * self.blocks_each + block_offset // BLOCK_BYTES) * MESSAGE_BYTES

    def greeting(self, reserved: bytes, peer_id: bytes) -> bytes:
        """Our handshake and what follows it; `reserved` are the bits of the other side."""
        speaks_extensions, speaks_fast = reserved[5] & 0x10, reserved[7] & 0x04
        said = b"\x13BitTorrent protocol" + bytes([0, 0, 0, 0, 0, 0x10, 0, 0x04]) + self.info_hash + peer_id
        if speaks_extensions:
            said += message(20, b"\0" + encode({b"m": {}, b"reqq": REQUEST_QUEUE, b"v": b"fast seeder"}))
        if speaks_fast:
            said += message(14)                         # have all
        else:
            every_piece = (1 << self.num_pieces) - 1 << -self.num_pieces % 8
            said += message(5, every_piece.to_bytes((self.num_pieces + 7) // 8, "big"))
        return said + message(1)                        # unchoke


def message(message_id: int, payload: bytes = b"") -> bytes:
    """Length, id, payload (BEP 3)."""
    return struct.pack(">IB", 1 + len(payload), message_id) + payload


class Connection:
    """One peer: what it asked for and did not get yet, as slices of the answers."""

    def __init__(self, connection: socket.socket, peer_id: bytes) -> None:
        self.socket = connection
        self.peer_id = peer_id
        self.received = b""                             # less than a message
        self.speaks_fast = False
        self.is_greeted = False
        self.is_counted = False
        self.begun: tuple[int, int] | None = None       # the rest of a message of which a part is sent
        self.said = b""                                 # what is not an answer, sent before the next one
        self.asked: deque[list[int]] = deque()          # [begin, end) of whole answers
        self.wants_to_send = False
        self.is_waiting = False                         # paced: it has a place in the row

    def read(self, data: memoryview, answers: Answers) -> None:
        """Take what came. Raises UnservableRequest."""
        if self.received:
            data = memoryview(self.received + data)
            self.received = b""
        place, end = 0, len(data)
        if not self.is_greeted:
            if end < HANDSHAKE_BYTES:
                self.received = bytes(data)
                return
            self._greet(bytes(data[:HANDSHAKE_BYTES]), answers)
            place = HANDSHAKE_BYTES
        asked = self.asked
        while end - place >= 4:
            if end - place >= REQUEST.size:
                length, message_id, piece_index, block_offset, block_length = REQUEST.unpack_from(data, place)
                if length == REQUEST_LENGTH and message_id == REQUEST_ID:
                    begin = answers.place(piece_index, block_offset, block_length)
                    if asked and asked[-1][1] == begin:
                        asked[-1][1] += MESSAGE_BYTES
                    else:
                        asked.append([begin, begin + MESSAGE_BYTES])
                    place += REQUEST.size
                    continue
            length = int.from_bytes(data[place:place + 4], "big")
            if length > LARGEST_MESSAGE_BYTES:
                raise UnservableRequest(f"a message of {length} bytes")
            if end - place < 4 + length:
                break
            if length == REQUEST_LENGTH and data[place + 4] == CANCEL_ID:
                self._cancel(bytes(data[place + 5:place + 4 + length]), answers)
            place += 4 + length
        self.received = bytes(data[place:])

    def _greet(self, handshake: bytes, answers: Answers) -> None:
        if handshake[:20] != b"\x13BitTorrent protocol" or handshake[28:48] != answers.info_hash:
            raise UnservableRequest("no plain handshake for this torrent")
        self.speaks_fast = bool(handshake[27] & 0x04)
        self.is_greeted = True
        self.said = answers.greeting(handshake[20:28], self.peer_id)

    def _cancel(self, request: bytes, answers: Answers) -> None:
        """Take a request back unless its answer has begun; say so to who knows BEP 6."""
        begin = answers.place(*struct.unpack(">III", request))
        for index, (first, end) in enumerate(self.asked):
            if first <= begin < end:
                del self.asked[index]
                for rest in ([begin + MESSAGE_BYTES, end], [first, begin]):
                    if rest[0] < rest[1]:
                        self.asked.insert(index, rest)
                if self.speaks_fast:
                    self.said += message(REJECT_ID, request)
                return

    def has_answers(self) -> bool:
        """Something is left to be sent."""
        return bool(self.begun or self.said or self.asked)

    def send(self, answers: Answers, most: int) -> int:
        """Send once, at most about `most` bytes of answers, and return how many went. BlockingIOError is the caller's."""
        if self.begun:
            begin, end = self.begun
            sent = self.socket.send(answers.memory[begin:end])
            self.begun = (begin + sent, end) if begin + sent < end else None
            return sent
        if self.said:
            self.said = self.said[self.socket.send(self.said):]
            return 0
        first = self.asked[0]
        begin = first[0]
        sent = self.socket.send(answers.memory[begin:min(first[1], begin + most)])
        whole, part = divmod(sent, MESSAGE_BYTES)
        if part:
            self.begun = (begin + sent, begin + (whole + 1) * MESSAGE_BYTES)
        first[0] = begin + (whole + bool(part)) * MESSAGE_BYTES
        if first[0] == first[1]:
            self.asked.popleft()
        return sent


class FastSeeder:
    """The loop: listens on `addresses`, serves whoever comes."""

    def __init__(self, answers: Answers, hosts: list[str], port: int) -> None:
        self._answers = answers
        self._epoll = select.epoll()
        self._shared = memoryview(bytearray(RECEIVE_BYTES))
        self._connections: dict[int, Connection] = {}
        self._waiting: deque[Connection] = deque()      # paced: connections with answers to send, in turn
        self._num_peers = 0
        self._listeners: dict[int, socket.socket] = {}
        for host in hosts:
            listener = socket.create_server((host, port), backlog=128)
            listener.setblocking(False)
            port = port or listener.getsockname()[1]
            self._listeners[listener.fileno()] = listener
            self._epoll.register(listener, select.EPOLLIN)
        self.addresses = [f"{host}:{port}" for host in hosts]

    def serve(self, rate: float) -> None:
        """Until stdin ends. `rate` in bytes a second, 0: as fast as it goes."""
        stdin = sys.stdin.fileno()
        self._epoll.register(stdin, select.EPOLLIN)
        owed, last = 0.0, time.monotonic()
        while True:
            for number, event in self._epoll.poll(TICK_SECONDS if self._waiting else None):
                if number == stdin:
                    return
                if number in self._listeners:
                    self._accept(self._listeners[number])
                elif (connection := self._connections.get(number)) is not None:
                    self._attend(connection, event, paced=bool(rate))
            now = time.monotonic()
            owed = min(owed + (now - last) * rate, LARGEST_DEBT_SECONDS * rate)
            last = now
            while owed > 0 and self._waiting:
                owed -= self._send_a_block(self._waiting.popleft())

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            accepted, _ = listener.accept()
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer_id = b"-FS0001-" + listener.getsockname()[0].encode().rjust(12, b".")
            self._connections[accepted.fileno()] = Connection(accepted, peer_id)
            self._epoll.register(accepted, select.EPOLLIN)

    def _attend(self, connection: Connection, event: int, paced: bool) -> None:
        """Read what came and, unless paced, answer until the socket is full."""
        try:
            if event & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                received = connection.socket.recv_into(self._shared)
                if not received:
                    return self._close(connection)
                connection.read(self._shared[:received], self._answers)
                if connection.is_greeted and not connection.is_counted:
                    connection.is_counted = True
                    self._num_peers += 1
                    if self._num_peers == 1:
                        print("connected", flush=True)
            if paced:
                if connection.has_answers() and not connection.is_waiting:
                    connection.is_waiting = True
                    self._waiting.append(connection)
                return None
            while connection.has_answers():
                connection.send(self._answers, LARGEST_SEND_BYTES)
            self._want_to_send(connection, False)
        except BlockingIOError:
            self._want_to_send(connection, True)
        except (OSError, UnservableRequest) as error:
            self._close(connection, error)
        return None

    def _send_a_block(self, connection: Connection) -> int:
        """Paced: one send, then the next connection's turn. Return its bytes."""
        connection.is_waiting = False
        if connection.socket.fileno() < 0:
            return 0
        sent = 0
        try:
            sent = connection.send(self._answers, MESSAGE_BYTES)
        except BlockingIOError:
            pass                                        # its buffer is full: it loses this turn
        except OSError as error:
            self._close(connection, error)
            return 0
        if connection.has_answers():
            connection.is_waiting = True
            self._waiting.append(connection)
        return sent

    def _want_to_send(self, connection: Connection, wanted: bool) -> None:
        if connection.wants_to_send != wanted:
            connection.wants_to_send = wanted
            self._epoll.modify(connection.socket, select.EPOLLIN | select.EPOLLOUT * wanted)

    def _close(self, connection: Connection, error: Exception | None = None) -> None:
        if isinstance(error, UnservableRequest) and connection.is_greeted:
            print(f"fast_seeder: cannot serve {error}", file=sys.stderr, flush=True)
        self._num_peers -= connection.is_counted
        del self._connections[connection.socket.fileno()]
        connection.socket.close()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("torrent", type=Path, metavar="FILE.torrent")
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--addresses", type=int, default=1, metavar="N", help="how many, from 127.0.0.1 on")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--rate", type=float, default=0, metavar="BYTES_PER_SECOND", help="0: as fast as it goes")
    arguments = parser.parse_args()
    answers = Answers(arguments.torrent, arguments.file)
    seeder = FastSeeder(answers, [f"127.0.0.{number}" for number in range(1, arguments.addresses + 1)], arguments.port)
    print("listening", *seeder.addresses, flush=True)
    seeder.serve(arguments.rate)


if __name__ == "__main__":
    main()
