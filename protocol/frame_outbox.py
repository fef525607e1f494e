"""FrameOutbox: what waits to be sent to the other process, merged so that a slow reader costs little memory.

While the reader is slow, of one torrent's TorrentStats, CheckProgress and MetadataProgress only the newest is kept, and its PiecesVerified and
PiecesDurable are joined. Everything else is kept, in order; there is little of it. What may be merged never passes a message that
could change what it means:

- pieces are joined only with earlier ones that no other message of their torrent follows (a TorrentChecked in between would make the
  engine forget them), and durable ones come after the verified ones that wait;
- newer statistics take the place of the older ones in the queue. At its end they could be replaced before their turn for ever. So
  they may name a connection a little before its PeerConnected comes.
"""

from collections import OrderedDict
from typing import Final

from protocol.daemon_frames import MAX_MESSAGE_BYTES, build_frame, pack_message
from protocol.daemon_messages import (
    CheckProgress,
    DaemonMessage,
    MetadataProgress,
    PiecesDurable,
    PiecesVerified,
    TorrentStats,
)

REPLACED: Final = frozenset((TorrentStats, CheckProgress, MetadataProgress))
JOINED: Final = frozenset((PiecesVerified, PiecesDurable))
FRAME_BYTES: Final = 1 << 18                            # a frame ends with the message that reaches this: the rest may still be merged


class FrameOutbox:
    """`add` messages, `next_bytes` to send; true while something waits."""

    def __init__(self) -> None:
        # Number → message, in the order in which they go out. A plain dict would look for its first key among all that were deleted.
        self._waiting: OrderedDict[int, DaemonMessage] = OrderedDict()
        self._last_number = 0
        self._mergeable: dict[tuple[type, bytes], int] = {}     # kind and torrent → number of the message that a newer one may join

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, message: DaemonMessage) -> None:
        """Never blocks, never yields."""
        kind = type(message)
        if kind in REPLACED:
            self._replace(message)
        elif kind in JOINED:
            self._join(message)
        else:
            self._append(message)
            info_hash = getattr(message, "info_hash", None)
            for joined in JOINED:
                self._mergeable.pop((joined, info_hash), None)

    def next_bytes(self) -> bytes:
        """One frame of what waits, about FRAME_BYTES of it; empty when nothing does. Raises LocalProtocolError for a message that fits into none."""
        packed: list[bytes] = []
        size = 0
        while self._waiting and size < FRAME_BYTES:
            number = next(iter(self._waiting))
            item = pack_message(self._waiting[number])
            if size + len(item) > MAX_MESSAGE_BYTES:
                break
            self._sent(number)
            packed.append(item)
            size += len(item)
        return build_frame(packed) if packed else b""

    def _append(self, message: DaemonMessage) -> int:
        self._last_number += 1
        self._waiting[self._last_number] = message
        return self._last_number

    def _replace(self, message: DaemonMessage) -> None:
        key = type(message), message.info_hash
        number = self._mergeable.get(key)
        if number is None:
            self._mergeable[key] = self._append(message)
        else:
            self._waiting[number] = message

    def _join(self, message: DaemonMessage) -> None:
        kind, info_hash = key = type(message), message.info_hash
        number = self._mergeable.get(key)
        if number is None:
            self._mergeable[key] = self._append(kind(info_hash, list(message.piece_indices)))
            return
        earlier = self._waiting[number]
        earlier.piece_indices.extend(message.piece_indices)
        if kind is PiecesDurable:                       # to the end, behind the verified ones
            del self._waiting[number]
            self._mergeable[key] = self._append(earlier)

    def _sent(self, number: int) -> None:
        message = self._waiting.pop(number)
        key = type(message), getattr(message, "info_hash", None)
        if self._mergeable.get(key) == number:
            del self._mergeable[key]
