"""PieceDownloads: the pieces of one torrent that are being received, from the buffer to the file.

    pick → a buffer from the pool → blocks → SHA-1 and write in the writing thread → verified, and the buffer is free

The pool is the only bound: no buffer, no new piece, no requests. Whoever could not begin a piece waits in line with all other
connections of the process and is asked again when a buffer comes back (waiting_line.py).
"""

from collections.abc import Iterable
from typing import Any

from daemon.arriving_piece import ArrivingPiece
from daemon.request_window import Received
from protocol.limits import BLOCK_BYTES
from scheduler.file_selection import PieceWishes
from scheduler.piece_picker import BlockRun, PiecePicker
from scheduler.smart_ban import block_digests


class PieceDownloads:
    """`torrent` has `layout`, `store`, `peers` (by key), `bad_data`, `stats`, and hears `piece_verified(i)`,
    `write_ended()` and `storage_failed(error)`.
    """

    def __init__(self, torrent: Any, picker: PiecePicker, buffers: Any, waiting_line: Any, submit_write: Any) -> None:
        self._torrent = torrent
        self._picker = picker
        self._buffers = buffers
        self._waiting_line = waiting_line
        self._submit_write = submit_write
        self._was_refused = False                       # the last pick wanted a buffer and got none
        self._is_closed = False
        self.arriving: dict[int, ArrivingPiece] = {}
        self.num_writes = 0                             # pieces in the writing thread

    # ── picking ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def pick(self, peer: Any, count: int) -> list[BlockRun]:
        """As PiecePicker.pick; who wanted a new piece and got none waits for a buffer."""
        self._was_refused = False
        runs = self._picker.pick(peer.key, count, self._open)
        if self._was_refused:
            self._waiting_line.join(peer.requester)
        return runs

    def pick_among(self, peer: Any, count: int, piece_indices: Iterable[int]) -> list[BlockRun]:
        """As PiecePicker.pick_among."""
        return self._picker.pick_among(peer.key, count, self._open, piece_indices)

    def _open(self, piece_index: int) -> bool:
        """Get a buffer for a new piece."""
        size = self._torrent.layout.piece_length        # the last piece takes a whole one too, so that all are alike
        buffer = self._buffers.acquire(size)
        if not buffer and (self.drop_unavailable() or self._waiting_line.reclaim()):
            buffer = self._buffers.acquire(size)
        if not buffer and not self.arriving and not self.num_writes:
            buffer = self._buffers.acquire(size, may_exceed=True)
        if not buffer:
            self._was_refused = True
            return False
        self.arriving[piece_index] = ArrivingPiece(self._torrent.layout, piece_index, buffer)
        return True

    def drop_unavailable(self) -> int:
        """Give up begun pieces that nobody connected can finish; return how many."""
        dropped = 0
        for idle in self._picker.idle_pieces():
            if not idle.is_available:
                self._drop(idle.piece_index)
                dropped += 1
        return dropped

    def _drop(self, piece_index: int) -> None:
        self._torrent.stats.wasted(self._picker.drop_piece(piece_index) * BLOCK_BYTES)
        self._buffers.release(self.arriving.pop(piece_index).take_buffer())

    def wish(self, wishes: PieceWishes) -> None:
        """The user wants other pieces. Begun ones that are dropped are cancelled where they were requested."""
        for piece_index in self._picker.wish(wishes):
            for block_index in range(self._torrent.layout.num_blocks(piece_index)):
                self._cancel_elsewhere(piece_index, block_index)
            self._drop(piece_index)
            self._buffer_is_free()

    # ── receiving ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def blocks_received(self, peer: Any, received: list[Received]) -> None:
        """Blocks that were received in their places."""
        picker = self._picker
        for piece, first_block, num_blocks in received:
            picker.received_run(peer.key, piece.index, first_block, num_blocks)
            if piece.is_shared:
                for block_index in range(first_block, first_block + num_blocks):
                    self._cancel_elsewhere(piece.index, block_index)
            if picker.piece_complete(piece.index):
                self._verify(piece)

    def copy_received(self, peer: Any, piece_index: int, block_index: int, data: memoryview) -> bool:
        """A block that was also requested from somebody else; False if it is not wanted any more."""
        piece = self.arriving.get(piece_index)
        if piece is None or not piece.is_open or not self._picker.received(peer.key, piece_index, block_index):
            return False
        self._cancel_elsewhere(piece_index, block_index)    # first: nobody may go on writing into its place
        piece.blocks[block_index][:] = data
        if self._picker.piece_complete(piece_index):
            self._verify(piece)
        return True

    def released(self, peer: Any, piece_index: int, first_block: int, num_blocks: int = 1) -> None:
        """Requests that will not be answered."""
        self._picker.released(peer.key, piece_index, first_block, num_blocks)

    def released_all(self, peer: Any) -> None:
        """None of the requests to this peer counts any more."""
        self._picker.release_all(peer.key)

    def _cancel_elsewhere(self, piece_index: int, block_index: int) -> None:
        for key in self._picker.endgame_rivals(piece_index, block_index):
            rival = self._torrent.peers[key]
            self._picker.released(key, piece_index, block_index, 1)
            if rival.inflow.holds(piece_index, block_index):
                rival.requester.discarded(rival.inflow.give_up_block())
            else:
                rival.requester.cancel(piece_index, block_index)

    # ── whole pieces ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _verify(self, piece: ArrivingPiece) -> None:
        """All of it is here: hash it, write it if it is right."""
        del self.arriving[piece.index]
        self.num_writes += 1
        store, index, data = self._torrent.store, piece.index, piece.data
        is_suspect = self._torrent.bad_data.is_suspect(index)

        def job() -> tuple[bool, list[bytes]]:
            is_right = store.verify(index, data)
            if is_right:
                store.write_piece(index, data)
            return is_right, block_digests(data) if is_suspect or not is_right else []

        self._submit_write(job, lambda result: self._verified(piece, result))

    def _verified(self, piece: ArrivingPiece, result: tuple[bool, list[bytes]] | BaseException) -> None:
        self.num_writes -= 1
        size = len(piece.data)
        self._buffers.release(piece.take_buffer())
        if isinstance(result, BaseException):
            self._torrent.storage_failed(result)
        else:
            self._settle(piece.index, size, *result)
        self._torrent.write_ended()
        self._buffer_is_free()

    def _settle(self, piece_index: int, size: int, is_right: bool, digests: list[bytes]) -> None:
        if is_right:
            if not self._is_closed:
                self._picker.piece_verified(piece_index)
            self._torrent.piece_verified(piece_index)
            if digests:
                self._torrent.bad_data.piece_verified(piece_index, digests)
        elif not self._is_closed:
            senders = self._picker.senders(piece_index)
            self._picker.piece_failed(piece_index)
            self._torrent.stats.wasted(size)
            self._torrent.bad_data.piece_failed(piece_index, senders, digests)

    def close(self) -> None:
        """No connection is left: what is not whole is given up; what is being written will be told."""
        self._is_closed = True
        self._waiting_line.in_use(self)
        for piece_index in list(self.arriving):
            self._drop(piece_index)
        self._buffer_is_free()

    def _buffer_is_free(self) -> None:
        """Let somebody else have it; after the last download of the process its memory goes back to the system."""
        self._waiting_line.buffer_is_free()
        if self._is_closed and not self._buffers.used_bytes:
            self._buffers.drop_idle()
