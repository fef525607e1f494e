"""FrameOutbox: what waits to be sent to the other process, merged so that a slow reader costs little memory.

All that was added since the last read goes into one frame. While the reader is slow: of one torrent's TorrentStats and CheckProgress
only the newest is kept, its PiecesVerified and PiecesDurable are joined. Everything else is kept, in order; there is little of it.
"""

from typing import Final

from protocol.daemon_frames import encode_frames
from protocol.daemon_messages import CheckProgress, DaemonMessage, PiecesDurable, PiecesVerified, TorrentStats

REPLACED: Final = (TorrentStats, CheckProgress)
JOINED: Final = (PiecesVerified, PiecesDurable)
FRAME_MESSAGES: Final = 1_000                           # encoded at once; the rest may still be merged


class FrameOutbox:
    """`add` messages, `next_bytes` to send; true while something waits."""

    def __init__(self) -> None:
        self._waiting: dict[object, DaemonMessage] = {}     # key → message, in the order in which they go out
        self._number = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, message: DaemonMessage) -> None:
        """Never blocks, never yields."""
        if isinstance(message, REPLACED):
            self._waiting[type(message), message.info_hash] = message
            return
        if isinstance(message, JOINED):
            key = type(message), message.info_hash
            earlier = self._waiting.get(key)
            if earlier is not None:
                message = type(message)(message.info_hash, earlier.piece_indices + message.piece_indices)
            self._waiting[key] = message
            return
        self._number += 1
        self._waiting[self._number] = message

    def next_bytes(self) -> bytes:
        """Whole frames of what waits now, at most FRAME_MESSAGES of it; empty when nothing does."""
        keys = list(self._waiting)[:FRAME_MESSAGES]
        return encode_frames([self._waiting.pop(key) for key in keys])
