"""ResumeData: what a torrent was before this start of the client, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from protocol.daemon_messages import FileState
    from protocol.peer_address import PeerAddress


@dataclass(frozen=True, slots=True)
class ResumeData:
    """Of one torrent. Only what was durable when it was recorded."""

    verified: bytes = b""                               # bitfield; empty = nothing is known
    recorded_at: int = 0                                # when that was durable, as dm.FilesSeen said
    is_settled: bool = False                            # nothing was written after that
    files: tuple[FileState, ...] = ()                   # how they looked then
    downloaded: int = 0                                 # payload bytes, ever
    uploaded: int = 0
    wasted: int = 0
    peers: tuple[PeerAddress, ...] = ()                 # that we were connected to


NOTHING_KNOWN = ResumeData()
