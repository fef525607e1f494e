"""A download in virtual time: peers with a rate and a delay, one picker, real pipelines, a pool of buffers. No clock, no socket."""

import heapq
import itertools
import random
from collections import deque

from protocol.bitfield import Bitfield
from protocol.limits import BLOCK_BYTES
from protocol.piece_layout import PieceLayout
from scheduler.piece_picker import PiecePicker
from scheduler.request_pipeline import PipelinePool, RequestPipeline

TICK_SECONDS = 0.5
ENOUGH_BLOCKS = 16


class SimulatedPeer:
    """Sends what it is asked for in order: `rate` blocks a second, each not before `delay` seconds after its request."""

    def __init__(self, key, rate, delay=0.05, pieces=None, leaves_at=None):
        self.key, self.rate, self.delay, self.pieces, self.leaves_at = key, rate, delay, pieces, leaves_at
        self.queue = deque()                            # (piece, block, when it was requested)
        self.pipeline = None
        self.free_at = 0.0                              # when its line has sent what it is sending
        self.is_sending = False
        self.num_sent = self.num_since_tick = 0


class SimulatedDownload:
    """`bad(key, piece, block)` tells which blocks come wrong. Run it, then look at `seconds`, `wasted`, `sent`."""

    def __init__(self, num_pieces, blocks, peers, num_buffers=1_000, seed=1, bad=None):
        self.layout = PieceLayout(blocks * BLOCK_BYTES, num_pieces * blocks * BLOCK_BYTES)
        self.picker = PiecePicker(self.layout, Bitfield(num_pieces), random.Random(seed))
        self.peers, self.num_buffers, self.bad = {peer.key: peer for peer in peers}, num_buffers, bad or (lambda *_: False)
        self.begun, self.spoiled, self.verified, self.failures = set(), set(), [], []
        self.wasted = 0
        self._line = {}
        self.seconds = None                             # when it was complete
        self._now, self._due, self._order = 0.0, [], itertools.count()
        self.pool = PipelinePool(num_buffers * self.layout.piece_length)
        for peer in peers:
            peer.pipeline = RequestPipeline(500, self.pool)
            peer.pipeline.delay_seen(peer.delay)
            self.picker.peer_joined(peer.key, peer.pieces or Bitfield.full(num_pieces))
            if peer.leaves_at is not None:
                self._at(peer.leaves_at, self._leave, peer)
        self._at(0.0, self._tick)

    def run(self, most_seconds):
        while self._due and self.seconds is None and self._due[0][0] <= most_seconds:
            self._now, _, call, arguments = heapq.heappop(self._due)
            call(*arguments)
        return self

    def wish(self, wishes):
        """The user wants other pieces from now on."""
        self.seconds = None
        for piece_index in self.picker.wish(wishes):
            for peer in self.peers.values():
                for block_index in range(self.layout.num_blocks(piece_index)):
                    self.picker.released(peer.key, piece_index, block_index, 1)
                peer.queue = deque(each for each in peer.queue if each[0] != piece_index)
            self.wasted += self.picker.drop_piece(piece_index)
            self.begun.discard(piece_index)
        for peer in list(self.peers.values()):
            self._fill(peer)

    @property
    def num_blocks(self):
        return self.layout.num_pieces * self.layout.num_blocks(0)

    def _at(self, when, call, *arguments):
        heapq.heappush(self._due, (when, next(self._order), call, arguments))

    def _tick(self):
        for peer in list(self.peers.values()):
            peer.pipeline.tick(self._now, peer.num_since_tick * BLOCK_BYTES / TICK_SECONDS, False, True)
            peer.num_since_tick = 0
            self._fill(peer)
        self._at(self._now + TICK_SECONDS, self._tick)

    def _fill(self, peer):
        if peer.key not in self.peers:
            return
        if peer in self._line and len(peer.queue) >= ENOUGH_BLOCKS:
            self._send_next(peer)
            return
        self._was_refused = False
        for piece_index, first, number, _ in self.picker.pick(peer.key, peer.pipeline.depth - len(peer.queue), self._can_open):
            peer.queue.extend((piece_index, block_index, self._now) for block_index in range(first, first + number))
        if self._was_refused:
            self._line.setdefault(peer)
        self._send_next(peer)

    def _can_open(self, piece_index):
        if len(self.begun) < self.num_buffers:
            self.begun.add(piece_index)
            return True
        self._was_refused = True
        return False

    def _send_next(self, peer):
        if peer.queue and not peer.is_sending and peer.rate:
            peer.is_sending = True
            peer.free_at = max(peer.free_at, peer.queue[0][2] + peer.delay - 1 / peer.rate, self._now) + 1 / peer.rate
            self._at(peer.free_at, self._arrive, peer, *peer.queue[0][:2])

    def _arrive(self, peer, piece_index, block_index):
        if peer.key not in self.peers:
            return
        peer.is_sending = False
        if peer.queue and peer.queue[0][:2] == (piece_index, block_index):
            peer.queue.popleft()
        peer.num_sent += 1
        peer.num_since_tick += 1
        peer.pipeline.received(1)
        if self.picker.received(peer.key, piece_index, block_index):
            if self.bad(peer.key, piece_index, block_index):
                self.spoiled.add(piece_index)
            for key in self.picker.endgame_rivals(piece_index, block_index):
                self.picker.released(key, piece_index, block_index, 1)
                rival = self.peers[key]                 # what it is sending just now comes all the same
                rival.queue = deque(each for each in rival.queue if each[:2] != (piece_index, block_index))
            if self.picker.piece_complete(piece_index):
                self._complete(piece_index)
        else:
            self.wasted += 1
        self._fill(peer)

    def _complete(self, piece_index):
        self.begun.discard(piece_index)
        if piece_index in self.spoiled:
            self.spoiled.discard(piece_index)
            senders = set(self.picker.senders(piece_index))
            self.failures.append((piece_index, senders))
            self.picker.piece_failed(piece_index)
            if len(senders) == 1:
                self._leave(self.peers[next(iter(senders))])    # banned
        else:
            self.picker.piece_verified(piece_index)
            self.verified.append(piece_index)
            if self.picker.is_finished:
                self.seconds = self._now
        for _ in range(len(self._line)):                # a buffer is free
            peer = next(iter(self._line))
            del self._line[peer]
            self._fill(peer)
            if peer in self._line:
                return

    def _leave(self, peer):
        del self.peers[peer.key]
        self._line.pop(peer, None)
        peer.pipeline.close()
        self.picker.peer_left(peer.key)
