"""MetadataSender: what one peer gets of our metadata (BEP 9), and how much of it.

A piece is sent at once or rejected at once: nothing waits here for a peer that does not read, and who asks for everything again and
again gets no more than the allowance of a minute. Private torrents give nothing (BEP 27): it would lead around their tracker.
"""

from typing import Any, Final

from protocol.limits import MAX_METADATA_SERVED
from protocol.metadata_messages import (
    MetadataData,
    MetadataReject,
    MetadataRequest,
    build_metadata_message,
    metadata_piece,
    num_metadata_pieces,
    parse_metadata_message,
)
from protocol.peer_messages import build_extended

ALLOWANCE_SECONDS: Final = 60.0
MOST_WAITING_BYTES: Final = 1 << 17                     # of messages that it has not read: 8 pieces


class MetadataSender:
    """Of one PeerConnection."""

    __slots__ = ("_allowance_ends", "_left", "_peer", "their_id")

    def __init__(self, peer: Any) -> None:
        self._peer = peer
        self.their_id = 0                               # under which it wants ut_metadata; 0 = it does not speak it
        self._left = 0                                  # pieces, until the allowance ends
        self._allowance_ends = 0.0                      # moment

    def received(self, payload: bytes) -> None:
        """A message of ut_metadata. What is no request answers what was asked before all of it was here. Raises RemoteProtocolError."""
        said = parse_metadata_message(payload)
        if isinstance(said, MetadataRequest) and self.their_id and not self._peer.torrent.info.private:
            self._peer.send(build_extended(self.their_id, build_metadata_message(self._answer(said.piece_index))))

    def _answer(self, piece_index: int) -> MetadataData | MetadataReject:
        metadata, now = self._peer.torrent.info.raw, self._peer.torrent.clock()
        num_pieces = num_metadata_pieces(len(metadata))
        if now >= self._allowance_ends:
            self._allowance_ends = now + ALLOWANCE_SECONDS
            self._left = max(2 * num_pieces, MAX_METADATA_SERVED)
        if piece_index >= num_pieces or self._peer.outflow.waiting_bytes > MOST_WAITING_BYTES or not self._left:
            return MetadataReject(piece_index)
        self._left -= 1
        return metadata_piece(metadata, piece_index)
