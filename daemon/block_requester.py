"""BlockRequester: what we request from one peer, and what becomes of it.

Requests are made by runs of blocks, a good part of the pipeline at a time, so that a fast peer costs one send for many blocks.
A peer that sends nothing for STALL_SECONDS though asked loses its blocks to others; after SNUB_SECONDS it is snubbed: it gets one
request at a time until it sends a block again.
"""

from typing import Any

from daemon.request_window import Received, RequestWindow
from protocol.errors import RemoteProtocolError
from protocol.limits import BLOCK_BYTES, MAX_FAST_PIECES
from protocol.peer_messages import build_cancel, encode_requests, expected_piece_headers
from scheduler.request_pipeline import RequestPipeline

STALL_SECONDS = 15.0
SNUB_SECONDS = 60.0
SKIPPED_SECONDS = 30.0                                  # a peer that sends others first may have forgotten what it skipped
ENOUGH_BLOCKS = 16                                      # outstanding: who waits for a buffer then does not look for blocks besides
LARGEST_BATCH = 32                                      # blocks asked for in one go while others are outstanding
USUAL_REQUEST_QUEUE = 250                               # requests that a peer keeps if it does not say how many (BEP 10 `reqq`)
UNREQUESTED_ALLOWANCE = 64                              # blocks on their way when we took back their requests, and a few by mistake
LOWAT_SECONDS = 0.1                                     # bytes may wait this long in the kernel
LOWAT_MOST_BYTES = 256 << 10
REACTION_SECONDS = 0.02                                 # from a wake-up to the requests that follow it, when we are busy


class BlockRequester:
    """Of one connection, `peer`. `torrent` has `picker`, `layout`, `downloads` and `pipeline_pool`."""

    __slots__ = (
        "_allowance", "_awaits_first", "_batch", "_delay", "_missing_in_last_block", "_owes_late", "_peer", "_pipeline", "_torrent",
        "allowed_fast", "asked_since", "depth", "downloaded", "is_snubbed", "is_waiting", "last_block_at", "lowat", "rate", "wasted", "window",
    )

    def __init__(self, peer: Any, torrent: Any, max_depth: int, now: float) -> None:
        self._peer = peer
        self._torrent = torrent
        self._pipeline = RequestPipeline(max_depth, torrent.pipeline_pool)
        self._pipeline.peer_keeps(USUAL_REQUEST_QUEUE)
        self._allowance = UNREQUESTED_ALLOWANCE
        self._batch = 1
        self._delay = 0.0                               # seconds from a request to its block, with nothing else outstanding
        self._missing_in_last_block = -torrent.layout.total_length % BLOCK_BYTES
        self._awaits_first = False                      # nothing came yet since `asked_since`
        self._owes_late = False                         # blocks of its window were given back: it may be asked for them again
        self.window = RequestWindow()
        self.depth = self._pipeline.depth
        self.allowed_fast: dict[int, None] = {}         # pieces that the peer sends though it chokes us, in its order
        self.last_block_at = now
        self.asked_since = now                          # the last moment when nothing was outstanding
        self.is_snubbed = False
        self.is_waiting = False                         # for a buffer
        self.downloaded = 0                             # payload bytes, wasted ones included
        self.wasted = 0
        self.rate = 0.0                                 # bytes per second
        self.lowat = 1                                  # of the socket

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    def fill(self) -> None:
        """Request as much as the pipeline is short of, if that is worth a send."""
        window, peer, torrent = self.window, self._peer, self._torrent
        room = self.depth - window.num_blocks
        if room < self._batch or not peer.am_interested or torrent.downloads is None:
            return
        if self.is_waiting and window.num_blocks >= ENOUGH_BLOCKS:
            return
        downloads = torrent.downloads
        if not peer.peer_choking:
            runs = downloads.pick(peer, room)
        elif self.allowed_fast:
            runs = downloads.pick_among(peer, room, self.allowed_fast)
        else:
            return
        if not runs:
            return
        if not window.num_blocks:
            self.asked_since = torrent.clock()
            self._awaits_first = True
        layout, messages = torrent.layout, []
        for piece_index, first_block, num_blocks, shared in runs:
            piece = downloads.arriving[piece_index]
            piece.is_shared |= shared
            headers = expected_piece_headers(layout, piece_index, first_block, num_blocks)
            in_place = not shared and not (self._owes_late and window.owes_any(piece_index, first_block, num_blocks))
            window.append(piece, first_block, num_blocks, headers, in_place)
            messages.append(encode_requests(layout, piece_index, first_block, num_blocks))
        peer.send(b"".join(messages))

    def cancel(self, piece_index: int, block_index: int) -> None:
        """Somebody else sent this block."""
        if not self.window.discard(piece_index, block_index):
            return
        self._allowance += 1
        length = self._torrent.layout.block_size(piece_index, block_index)
        self._peer.send(build_cancel(piece_index, block_index * BLOCK_BYTES, length))

    # ── receiving ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def blocks_received(self, received: list[Received]) -> None:
        """These blocks lie where they belong."""
        num_blocks = 0
        for piece, first_block, count in received:
            num_blocks += count
            last = len(piece.blocks[first_block + count - 1])
            self.downloaded += (count - 1) * BLOCK_BYTES + last
        self._progress(num_blocks)
        self._torrent.downloads.blocks_received(self._peer, received)

    def copy_received(self, piece_index: int, block_index: int, data: memoryview) -> None:
        """A block that could not be received where it belongs."""
        self.downloaded += len(data)
        self._progress(1)
        if not self._torrent.downloads.copy_received(self._peer, piece_index, block_index, data):
            self.wasted += len(data)

    def discarded(self, size: int) -> None:
        """A block that was requested, but is of no use any more."""
        self.downloaded += size
        self.wasted += size
        self._progress(1)

    def unrequested(self, piece_index: int, begin: int, size: int) -> None:
        """A block that is not outstanding. Raises RemoteProtocolError when there are more of them than we took back requests."""
        self.downloaded += size
        self.wasted += size
        self._allowance -= 1
        if self._allowance < 0:
            raise RemoteProtocolError(f"sends blocks that nobody asked for, the last one at byte {begin} of piece {piece_index}")

    def _progress(self, num_blocks: int) -> None:
        self.last_block_at = self._torrent.clock()
        self.is_snubbed = False
        if self._awaits_first:
            self._awaits_first = False
            self._delay = self.last_block_at - self.asked_since
            self._pipeline.delay_seen(self._delay)
        self._pipeline.received(num_blocks)
        self._set_depth()

    # ── choked, rejected ─────────────────────────────────────────────────────────────────────────────────────────────────

    def choked(self) -> None:
        """Without the fast extension nothing that is outstanding will come; with it, each request is answered or rejected."""
        if self._peer.fast:
            return
        self._allowance += self.window.num_blocks
        self.window.clear()
        if self._torrent.downloads is not None:
            self._torrent.downloads.released_all(self._peer)

    def rejected(self, piece_index: int, begin: int) -> None:
        """BEP 6. A reject of what was not asked for is of no consequence: our cancel may have crossed it."""
        block_index = begin // BLOCK_BYTES
        if self._peer.peer_choking:
            self.allowed_fast.pop(piece_index, None)    # it changed its mind: asking again would be rejected again
        if self.window.discard(piece_index, block_index) and self._torrent.downloads is not None:
            self._torrent.downloads.released(self._peer, piece_index, block_index)

    def allow_fast(self, piece_index: int) -> None:
        """BEP 6: this piece may be requested while we are choked."""
        if len(self.allowed_fast) < MAX_FAST_PIECES:
            self.allowed_fast[piece_index] = None
            self.fill()

    def peer_keeps(self, request_queue: int) -> None:
        """The peer said how many requests it keeps."""
        self._pipeline.peer_keeps(request_queue)
        self._set_depth()

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def tick(self, now: float, rate: float) -> None:
        """Twice a second. `rate`: bytes per second that it sends."""
        self.rate = rate
        if self.window.num_blocks:
            if self._owes_late:
                self._owes_late = not all(run.in_place for run in self.window)
            silent = now - max(self.last_block_at, self.asked_since)
            self.is_snubbed = self.is_snubbed or silent > SNUB_SECONDS
            if silent > STALL_SECONDS:
                self._give_back()
            for run in self.window.skipped():
                if run.skipped_at is None:
                    run.skipped_at = now
                elif run.in_place and now - run.skipped_at > SKIPPED_SECONDS:
                    run.in_place = False
                    self._owes_late = True
                    self._torrent.downloads.released(self._peer, run.piece.index, run.first, run.end - run.first)
        self._pipeline.tick(now, rate, self.is_snubbed, self._peer.am_interested and not self._peer.peer_choking)
        self._set_depth()
        self.fill()

    def close(self) -> None:
        """The connection is gone: others may have its part of the buffers."""
        self._pipeline.close()

    def wanted_lowat(self) -> int:
        """Bytes that the kernel may gather before it wakes us. They are outstanding for certain, and so is what the peer can send until
        our next requests reach it. Who waits for a buffer can request nothing before all is here that is outstanding.
        """
        if self._peer.peer_choking or self._torrent.layout.piece_length % BLOCK_BYTES:
            return 1                                    # rejects come instead of blocks; or each piece ends with a short block
        sure = self.window.num_blocks * BLOCK_BYTES - self._missing_in_last_block
        if not self.is_waiting:
            sure -= int(self.rate * (self._delay + REACTION_SECONDS))
        return max(min(int(self.rate * LOWAT_SECONDS), LOWAT_MOST_BYTES, sure) // BLOCK_BYTES * BLOCK_BYTES, 1)

    def _set_depth(self) -> None:
        self.depth = self._pipeline.depth
        self._batch = max(min(self.depth // 3, LARGEST_BATCH), 1)

    def _give_back(self) -> None:
        """Others may request what this peer does not send; it may still come, but not into its place."""
        runs = [run for run in self.window if run.in_place]
        for run in runs:
            run.in_place = False
        flow = self._peer.inflow
        if flow.target is not None and flow.in_place:
            flow.move_out()
        if runs:
            self._owes_late = True
            self._torrent.downloads.released_all(self._peer)
