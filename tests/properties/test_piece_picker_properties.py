"""PiecePicker under random swarms: whatever peers do, no block is lost or picked twice, and what can be finished is finished."""

import random
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.bitfield import Bitfield
from protocol.limits import BLOCK_BYTES
from protocol.piece_layout import PieceLayout
from scheduler.file_selection import PieceWishes
from scheduler.piece_picker import ENDGAME_DEPTH, ENDGAME_PEERS, PiecePicker

MOST_PEERS = 8
Block = tuple[int, int]                                 # piece, block


class World:
    """A picker, its peers, and a model of what is outstanding to whom. Pieces have buffers for `room` of them."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        piece_length = self.rng.choice((1_000, BLOCK_BYTES, 40_000, 8 * BLOCK_BYTES, 64 * BLOCK_BYTES))
        num_pieces = self.rng.randrange(1, 40)
        self.layout = PieceLayout(piece_length, piece_length * num_pieces - self.rng.randrange(piece_length))
        self.verified = self.pieces(0.1)
        self.picker = PiecePicker(self.layout, self.verified, self.rng)
        self.room = self.rng.choice((1, 4, 100))
        self.begun: set[int] = set()
        self.received: set[Block] = set()
        self.peers: dict[int, Bitfield] = {}
        self.outstanding: dict[int, list[Block]] = {}
        self.late: list[tuple[int, Block]] = []         # (peer, block): no longer outstanding, and may come all the same
        self.bad = {piece_index for piece_index in range(num_pieces) if self.rng.random() < 0.1}
        self.keys = count()
        self.levels = b"\1" * num_pieces

    def pieces(self, share: float) -> Bitfield:
        bitfield = Bitfield(self.layout.num_pieces)
        for piece_index in range(self.layout.num_pieces):
            if self.rng.random() < share:
                bitfield.add(piece_index)
        return bitfield

    def step(self) -> None:
        kind = self.rng.random()
        if kind < 0.04 and len(self.peers) < MOST_PEERS:
            self.join(self.pieces(self.rng.choice((0, 0.3, 0.9, 1))))
        elif not self.peers:
            return
        elif kind < 0.05:
            self.leave(self.any_peer())
        elif kind < 0.2:
            self.have(self.any_peer())
        elif kind < 0.45:
            self.pick(self.any_peer(), self.rng.randrange(1, 80))
        elif kind < 0.47:
            key = self.any_peer()
            self.picker.release_all(key)
            self.late += [(key, block) for block in self.outstanding[key]]
            self.outstanding[key].clear()
        elif kind < 0.5:
            self.give_back(self.any_peer())
        elif kind < 0.51:
            self.drop()
        elif kind < 0.52:
            self.wish()
        elif kind < 0.55 and self.late:
            key, block = self.late.pop(self.rng.randrange(len(self.late)))
            if key in self.peers:
                self.arrived(key, block)
        else:
            self.receive(self.any_peer(), self.rng.randrange(1, 40))

    def any_peer(self) -> int:
        return self.rng.choice(list(self.peers))

    def join(self, bitfield: Bitfield) -> int:
        key = next(self.keys)
        self.peers[key], self.outstanding[key] = bitfield.copy(), []
        self.picker.peer_joined(key, bitfield)
        return key

    def leave(self, key: int) -> None:
        self.picker.peer_left(key)
        del self.peers[key], self.outstanding[key]

    def have(self, key: int) -> None:
        piece_index = self.rng.randrange(self.layout.num_pieces)
        self.peers[key].add(piece_index)
        self.picker.peer_has(key, piece_index)

    def can_open(self, piece_index: int) -> bool:
        if len(self.begun) >= self.room:
            return False
        assert piece_index not in self.begun and piece_index not in self.verified and self.levels[piece_index]
        self.begun.add(piece_index)
        return True

    def pick(self, key: int, most: int) -> int:
        others_of = {block for other, blocks in self.outstanding.items() if other != key for block in blocks}
        missing_unasked = self.obtainable() - others_of - set(self.outstanding[key])
        runs = self.picker.pick(key, most, self.can_open)
        assert sum(run.num_blocks for run in runs) <= most
        for run in runs:
            assert run.piece_index in self.peers[key] and run.piece_index in self.begun
            for block_index in range(run.first_block, run.first_block + run.num_blocks):
                block = run.piece_index, block_index
                assert block not in self.received and block not in self.outstanding[key]
                assert run.shared == (block in others_of)
                self.outstanding[key].append(block)
                assert sum(block in blocks for blocks in self.outstanding.values()) <= ENDGAME_PEERS
        if any(run.shared for run in runs):
            assert all(run.shared for run in runs) and not missing_unasked and len(self.outstanding[key]) <= ENDGAME_DEPTH
        return len(runs)

    def wish(self) -> None:
        """The user wants other pieces, or in another order."""
        share = self.rng.choice((0, 0.3, 0.9, 1))
        levels = bytes(self.rng.randrange(1, 7) if self.rng.random() < share else 0 for _ in self.levels)
        if self.rng.random() < 0.2:
            levels = b""
        self.levels = levels or b"\1" * len(self.levels)
        to_drop = self.picker.wish(PieceWishes(self.layout.num_pieces, levels, self.rng.random() < 0.3))
        for piece_index in to_drop:
            assert piece_index in self.begun and not self.levels[piece_index]
            for key, blocks in self.outstanding.items():
                for block in [block for block in blocks if block[0] == piece_index]:
                    blocks.remove(block)
                    self.picker.released(key, *block, 1)
                    self.late.append((key, block))
            self.picker.drop_piece(piece_index)
            self.received = {block for block in self.received if block[0] != piece_index}
            self.forget(piece_index)
        for piece_index in self.begun:
            here = sum(block[0] == piece_index for block in self.received)
            assert self.levels[piece_index] or 2 * here >= self.layout.num_blocks(piece_index)

    def is_wanted(self, piece_index: int) -> bool:
        return bool(self.levels[piece_index]) or piece_index in self.begun

    @property
    def is_complete(self) -> bool:
        assert self.picker.is_finished == (not any(map(self.is_wanted, self.verified.missing())))
        return self.picker.is_finished

    def obtainable(self) -> set[Block]:
        """The blocks that are not here, are wanted, and that somebody connected has."""
        return {
            (piece_index, block_index)
            for piece_index in self.verified.missing() if self.is_wanted(piece_index) and any(piece_index in pieces for pieces in self.peers.values())
            for block_index in range(self.layout.num_blocks(piece_index)) if (piece_index, block_index) not in self.received
        }

    def give_back(self, key: int) -> None:
        if self.outstanding[key]:
            block = self.outstanding[key].pop(self.rng.randrange(len(self.outstanding[key])))
            self.picker.released(key, *block, 1)
            self.late.append((key, block))

    def receive(self, key: int, most: int) -> None:
        for _ in range(most):
            if not self.outstanding[key]:
                return
            self.arrived(key, self.outstanding[key].pop(0))

    def arrived(self, key: int, block: Block) -> None:
        is_wanted = block not in self.received and block[0] in self.begun
        if block in self.outstanding[key]:
            self.outstanding[key].remove(block)         # it was late, and had been requested again
        assert self.picker.received(key, *block) == is_wanted
        if not is_wanted:
            return
        self.received.add(block)
        rivals = [other for other, blocks in self.outstanding.items() if block in blocks]
        assert sorted(self.picker.endgame_rivals(*block)) == sorted(rivals)
        for rival in rivals:
            if self.rng.random() < 0.5:                 # the others send it, too
                self.outstanding[rival].remove(block)
                self.picker.released(rival, *block, 1)
        self.finish(block[0])

    def finish(self, piece_index: int) -> None:
        blocks = {(piece_index, block_index) for block_index in range(self.layout.num_blocks(piece_index))}
        assert self.picker.piece_complete(piece_index) == (blocks <= self.received)
        if not blocks <= self.received:
            return
        assert None not in self.picker.senders(piece_index)
        self.forget(piece_index)
        if piece_index in self.bad:
            self.bad.discard(piece_index)
            self.received -= blocks
            self.picker.piece_failed(piece_index)
        else:
            self.verified.add(piece_index)
            self.picker.piece_verified(piece_index)

    def forget(self, piece_index: int) -> None:
        """A piece is not under way any more: what is outstanding of it does not count."""
        self.begun.discard(piece_index)
        for key, blocks in self.outstanding.items():
            self.late += [(key, block) for block in blocks if block[0] == piece_index]
            blocks[:] = [block for block in blocks if block[0] != piece_index]

    def drop(self) -> None:
        for idle in self.picker.idle_pieces()[:1]:
            blocks = {block for block in self.received if block[0] == idle.piece_index}
            assert not any(block[0] == idle.piece_index for blocks in self.outstanding.values() for block in blocks)
            assert idle.is_available == any(idle.piece_index in pieces for pieces in self.peers.values())
            assert idle.num_received == len(blocks) == self.picker.drop_piece(idle.piece_index)
            self.received -= blocks
            self.forget(idle.piece_index)


@settings(deadline=None, max_examples=60)
@given(st.integers(min_value=0))
def test_random_swarms_keep_the_picker_consistent_and_end_complete(seed):
    world = World(seed)
    for number in range(600):
        world.step()
        if number % 20 == 0:
            world.picker.check_invariants()
    seed_key = world.join(Bitfield.full(world.layout.num_pieces))
    for _ in range(10_000):                             # from here on everybody does his duty
        if world.is_complete:
            break
        progress = 0
        for key in list(world.peers):
            progress += world.pick(key, world.rng.choice((2, 30)))
            progress += len(world.outstanding[key])
            world.receive(key, 20)
        assert progress, "somebody has what we lack, and nothing is requested"
    world.picker.check_invariants()
    assert world.is_complete
    assert not world.begun
    assert not world.picker.is_interesting(seed_key)
