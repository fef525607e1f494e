"""Outflow: what waits to be sent on one connection: messages, and at most one chunk of blocks.

Messages go before the rest of a chunk, but never into the middle of a block. So a request or a choke is not held up behind a
megabyte of payload.
"""

from typing import Any

from daemon.request_window import HEADER_BYTES
from protocol.limits import BLOCK_BYTES

WIRE_BLOCK_BYTES = HEADER_BYTES + BLOCK_BYTES


class Outflow:
    """`chunk` holds whole `piece` messages of one length, except that the last one may be shorter."""

    __slots__ = ("_at", "_chunk", "_messages", "_unit", "bytes_out", "payload_out")

    def __init__(self) -> None:
        self._messages = bytearray()
        self._chunk: memoryview | None = None
        self._at = 0                                    # bytes of the chunk that are sent
        self._unit = WIRE_BLOCK_BYTES                   # bytes of a message in the chunk
        self.bytes_out = 0
        self.payload_out = 0                            # of blocks, counted when a block is sent to its end

    @property
    def has_chunk(self) -> bool:
        """No other chunk can be taken now."""
        return self._chunk is not None

    @property
    def is_empty(self) -> bool:
        return self._chunk is None and not self._messages

    @property
    def waiting_bytes(self) -> int:
        """Of messages."""
        return len(self._messages)

    def add(self, messages: bytes) -> None:
        """Whole messages, to be sent as soon as possible."""
        self._messages += messages

    def take_messages(self) -> bytes:
        """What is left of them; somebody else sends it. Only while there is no chunk."""
        messages, self._messages = bytes(self._messages), bytearray()
        return messages

    def set_chunk(self, chunk: memoryview, unit: int = WIRE_BLOCK_BYTES) -> None:
        """Only when there is none. The memory must stay as it is until the chunk is sent or cut."""
        self._chunk = chunk
        self._unit = unit
        self._at = 0

    def cut_chunk(self) -> int:
        """Send the block under way to its end and no further; return how many blocks will not be sent."""
        if self._chunk is None:
            return 0
        end = self._boundary()
        dropped = -(-(len(self._chunk) - end) // self._unit)
        self._chunk = self._chunk[:end] if end > self._at else None
        return dropped

    def send(self, sock: Any) -> bool:
        """Send what the kernel takes; False if something is left. Raises OSError."""
        while not self.is_empty:
            buffers = self._in_order()
            try:
                sent = sock.sendmsg(buffers) if len(buffers) > 1 else sock.send(buffers[0])
            except BlockingIOError:
                return False
            self.bytes_out += sent
            self._account(buffers, sent)
            if sent < sum(map(len, buffers)):
                return False
        return True

    def _in_order(self) -> list[Any]:
        if self._chunk is None:
            return [bytes(self._messages)]
        if not self._messages:
            return [self._chunk[self._at:] if self._at else self._chunk]
        boundary = self._boundary()
        parts = (self._chunk[self._at:boundary], bytes(self._messages), self._chunk[boundary:])
        return [part for part in parts if len(part)]

    def _boundary(self) -> int:
        """The end of the block under way."""
        return min(-(-self._at // self._unit) * self._unit, len(self._chunk))

    def _account(self, buffers: list[Any], sent: int) -> None:
        for buffer in buffers:
            part = min(sent, len(buffer))
            sent -= part
            if isinstance(buffer, bytes):
                del self._messages[:part]
            elif part:
                self._chunk_sent(part)

    def _chunk_sent(self, part: int) -> None:
        before, self._at = self._at, self._at + part
        self.payload_out += (self._at // self._unit - before // self._unit) * (self._unit - HEADER_BYTES)
        if self._at == len(self._chunk):
            self.payload_out += max(self._at % self._unit - HEADER_BYTES, 0)
            self._chunk = None
