"""Frames between engine and daemon: 4-byte length, then a msgpack array of messages `[[name, field, …], …]`. Decoded strictly.

Both ends are ours, so every fault is a LocalProtocolError: an unknown name, a wrong type, a field too many, a frame too long.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgpack
import msgspec

from protocol.daemon_messages import DaemonMessage
from protocol.errors import LocalProtocolError
from protocol.limits import MAX_FRAME_BYTES

LENGTH_BYTES: Final = 4
ARRAY_HEADER_BYTES: Final = 5                           # at most: of the array of messages
MAX_MESSAGE_BYTES: Final = MAX_FRAME_BYTES - ARRAY_HEADER_BYTES


def pack_message(message: DaemonMessage) -> bytes:
    """One message as it stands in a frame. Raises LocalProtocolError if it fits into none."""
    packed = msgpack.packb(msgspec.to_builtins(message, builtin_types=(bytes,)))
    if len(packed) > MAX_MESSAGE_BYTES:
        raise LocalProtocolError(f"{type(message).__name__} of {len(packed)} bytes, a frame takes {MAX_MESSAGE_BYTES}")
    return packed


def build_frame(packed: Sequence[bytes]) -> bytes:
    """One frame of packed messages; together they are at most MAX_MESSAGE_BYTES long."""
    body = msgpack.Packer().pack_array_header(len(packed)) + b"".join(packed)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def encode_frames(messages: Iterable[DaemonMessage]) -> bytes:
    """One frame, or several when one would be longer than MAX_FRAME_BYTES. Raises LocalProtocolError for a message that fits into none."""
    frames, waiting, size = [], [], 0
    for packed in map(pack_message, messages):
        if size + len(packed) > MAX_MESSAGE_BYTES:
            frames.append(build_frame(waiting))
            waiting, size = [], 0
        waiting.append(packed)
        size += len(packed)
    if waiting:
        frames.append(build_frame(waiting))
    return b"".join(frames)


class FrameReader:
    """Bytes in any portions → messages of the kinds in `allowed` (a union)."""

    def __init__(self, allowed: Any) -> None:
        self._kind = list[allowed]
        self._received = bytearray()
        self._failed = False

    def receive_data(self, data: bytes) -> None:
        """Take what came."""
        self._received += data

    def messages(self) -> Iterator[DaemonMessage]:
        """Yield the messages of the frames that are whole. Raises LocalProtocolError, and after that always."""
        while True:
            if self._failed:
                raise LocalProtocolError("the frames before this were wrong already")
            length = int.from_bytes(self._received[:LENGTH_BYTES], "big")
            if length > MAX_FRAME_BYTES:
                self._failed = True
                raise LocalProtocolError(f"frame of {length} bytes, at most {MAX_FRAME_BYTES}")
            end = LENGTH_BYTES + length
            if len(self._received) < max(end, LENGTH_BYTES + 1):
                return
            body = bytes(self._received[LENGTH_BYTES:end])
            del self._received[:end]
            yield from self._decoded(body)

    def _decoded(self, body: bytes) -> list[DaemonMessage]:
        try:
            unpacked = msgpack.unpackb(body, strict_map_key=True, max_ext_len=0, max_map_len=0)
            return msgspec.convert(unpacked, self._kind, strict=True)
        except (ValueError, msgspec.ValidationError) as error:
            self._failed = True
            raise LocalProtocolError(f"frame of {len(body)} bytes: {str(error) or type(error).__name__}") from None
