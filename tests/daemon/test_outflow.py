"""What waits to be sent: messages go first, but never into the middle of a block."""

from hypothesis import given
from hypothesis import strategies as st

from daemon.outflow import Outflow
from protocol.limits import BLOCK_BYTES
from protocol.peer_messages import PIECE_HEADER_BYTES

UNIT = PIECE_HEADER_BYTES + BLOCK_BYTES
MESSAGE = b"\0\0\0\x05\x04\0\0\0\x09"


class Socket:
    """Takes so many bytes at each send, then none."""

    def __init__(self, *portions: int) -> None:
        self.portions = list(portions)
        self.taken = b""

    def send(self, data) -> int:
        return self.sendmsg([data])

    def sendmsg(self, buffers) -> int:
        if not self.portions:
            raise BlockingIOError
        part = b"".join(buffers)[:self.portions.pop(0)]
        self.taken += part
        return len(part)


def chunk(num_blocks: int, last: int = BLOCK_BYTES) -> bytes:
    blocks = [bytes([number]) * UNIT for number in range(1, num_blocks)]
    return b"".join(blocks) + bytes([num_blocks]) * (PIECE_HEADER_BYTES + last)


def test_a_message_does_not_wait_for_the_end_of_the_chunk_but_for_the_end_of_the_block():
    outflow, sock, data = Outflow(), Socket(100), chunk(3)
    outflow.set_chunk(memoryview(data))
    assert not outflow.send(sock)
    outflow.add(MESSAGE)
    sock.portions = [1 << 30]
    assert outflow.send(sock)
    assert sock.taken == data[:UNIT] + MESSAGE + data[UNIT:]


def test_payload_is_counted_when_its_block_is_sent_to_the_end():
    outflow, sock = Outflow(), Socket(UNIT - 1, 1, UNIT)
    outflow.set_chunk(memoryview(chunk(3, last=50)))
    payload = []
    for _ in range(3):
        sock.portions, later = sock.portions[:1], sock.portions[1:]
        outflow.send(sock)
        payload.append(outflow.payload_out)
        sock.portions = later
    assert payload == [0, BLOCK_BYTES, 2 * BLOCK_BYTES]
    sock.portions = [1 << 30]
    assert outflow.send(sock)
    assert outflow.payload_out == 2 * BLOCK_BYTES + 50


def test_a_chunk_that_is_cut_ends_with_the_block_under_way():
    outflow, sock, data = Outflow(), Socket(UNIT + 10), chunk(4)
    outflow.set_chunk(memoryview(data))
    outflow.send(sock)
    assert outflow.cut_chunk() == 2
    sock.portions = [1 << 30]
    assert outflow.send(sock)
    assert sock.taken == data[:2 * UNIT]
    assert outflow.cut_chunk() == 0


def test_a_chunk_of_which_nothing_was_sent_is_cut_as_a_whole():
    outflow = Outflow()
    outflow.set_chunk(memoryview(chunk(2, last=7)))
    assert outflow.cut_chunk() == 2
    assert outflow.is_empty


def test_a_message_never_goes_into_the_middle_of_an_odd_block():
    outflow, sock, data = Outflow(), Socket(UNIT + 5), bytes(3 * UNIT)
    outflow.set_chunk(memoryview(data), unit=len(data))
    outflow.send(sock)
    outflow.add(MESSAGE)
    sock.portions = [1 << 30]
    outflow.send(sock)
    assert sock.taken == data + MESSAGE
    assert outflow.payload_out == len(data) - PIECE_HEADER_BYTES


@given(st.data())
def test_all_bytes_arrive_once_with_messages_only_between_blocks(data):
    outflow, sock = Outflow(), Socket()
    sent_blocks, num_messages = b"", 0
    for _ in range(data.draw(st.integers(1, 12))):
        if not outflow.has_chunk and data.draw(st.booleans()):
            part = chunk(data.draw(st.integers(1, 3)), last=data.draw(st.sampled_from([1, 500, BLOCK_BYTES])))
            outflow.set_chunk(memoryview(part))
            sent_blocks += part
        for _ in range(data.draw(st.integers(0, 2))):
            outflow.add(MESSAGE)
            num_messages += 1
        sock.portions = data.draw(st.lists(st.sampled_from([1, 5, 13, UNIT - 1, UNIT, 2 * UNIT + 7]), max_size=3))
        outflow.send(sock)
    sock.portions = [1 << 30] * 3
    assert outflow.send(sock)
    assert sock.taken.count(MESSAGE) == num_messages
    assert sock.taken.replace(MESSAGE, b"") == sent_blocks
    assert outflow.bytes_out == len(sock.taken)
