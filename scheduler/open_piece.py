"""OpenPiece: a piece being downloaded, and which of its blocks are free, requested from whom, received from whom.

Sets of blocks are whole numbers, block b is bit b: a piece has at most 4,096 blocks, mostly 16 to 256, and picking,
requesting and receiving a run of blocks costs the same as one block.
"""

from collections.abc import Hashable

PeerKey = Hashable                                      # whatever the caller knows a connection by


def run_of(first_block: int, num_blocks: int) -> int:
    """Return the set of `num_blocks` blocks from `first_block` on."""
    return ((1 << num_blocks) - 1) << first_block


class OpenPiece:
    """The blocks of one piece. `owner` has it for itself while that peer works on it; None: others may join."""

    __slots__ = ("free", "full", "num_blocks", "owner", "piece_index", "received", "requested", "senders", "slow", "sole")

    def __init__(self, piece_index: int, num_blocks: int, owner: PeerKey | None, sole: bool = False) -> None:
        self.piece_index = piece_index
        self.num_blocks = num_blocks
        self.full = (1 << num_blocks) - 1
        self.free = self.full                           # neither requested nor received
        self.received = 0
        self.requested: dict[PeerKey, int] = {}         # never an empty set
        self.senders: dict[PeerKey, int] = {}           # whose blocks were accepted
        self.owner = owner
        self.slow = owner is None                       # begun by a slow peer, and not given up since
        self.sole = sole                                # it failed with several senders: not to be mixed again

    def take_first_run(self, peer_key: PeerKey, most_blocks: int) -> tuple[int, int]:
        """Request the first free blocks that lie together from this peer: (first, number). Something must be free."""
        free = self.free
        first = (free & -free).bit_length() - 1
        free >>= first
        number = min((free + 1 & ~free).bit_length() - 1, most_blocks)
        self._request(peer_key, run_of(first, number))
        return first, number

    def take_last_run(self, peer_key: PeerKey, most_blocks: int) -> tuple[int, int]:
        """As take_first_run from the other end, which leaves a long run to whoever works from the front."""
        end, number = last_run(self.free)
        number = min(number, most_blocks)
        self._request(peer_key, run_of(end - number, number))
        return end - number, number

    def take_busy_run(self, peer_key: PeerKey, most_blocks: int, most_peers: int) -> tuple[int, int]:
        """Request blocks that others were asked for, too, the last ones first; (0, 0) if none may be.

        No block is outstanding to more than `most_peers`; those with the fewest come first.
        """
        mine = self.requested.get(peer_key, 0)
        by_count = [0] * most_peers                     # at [n]: the blocks that are outstanding to more than n peers
        for blocks in self.requested.values():
            for count in range(most_peers - 1, 0, -1):
                by_count[count] |= by_count[count - 1] & blocks
            by_count[0] |= blocks
        for count in range(1, most_peers):
            eligible = by_count[count - 1] & ~by_count[count] & ~mine & ~self.received
            if eligible:
                end, number = last_run(eligible)
                number = min(number, most_blocks)
                self._request(peer_key, run_of(end - number, number))
                return end - number, number
        return 0, 0

    def receive(self, peer_key: PeerKey, blocks: int) -> tuple[int, int]:
        """Blocks came from this peer, asked for or not: (those that are new, those that had been requested from it)."""
        mine = self.requested.get(peer_key, 0)
        answered = mine & blocks
        if answered == mine:
            self.requested.pop(peer_key, None)
        else:
            self.requested[peer_key] = mine ^ answered
        new = blocks & ~self.received
        self.received |= new
        self.free &= ~new
        if new:
            self.senders[peer_key] = self.senders.get(peer_key, 0) | new
        return new, answered

    def release(self, peer_key: PeerKey, blocks: int) -> int:
        """These blocks will not come from this peer; return those that had been requested from it."""
        mine = self.requested.get(peer_key, 0)
        released = mine & blocks
        if released == mine:
            self.requested.pop(peer_key, None)
        else:
            self.requested[peer_key] = mine ^ released
        elsewhere = self.received
        for others in self.requested.values():
            elsewhere |= others
        self.free |= released & ~elsewhere
        return released

    def senders_in_order(self) -> list[PeerKey | None]:
        """Return who sent each block; None: nobody yet."""
        senders: list[PeerKey | None] = [None] * self.num_blocks
        for peer_key, blocks in self.senders.items():
            while blocks:
                last = blocks.bit_length() - 1
                senders[last] = peer_key
                blocks ^= 1 << last
        return senders

    def asked_for(self, block_index: int) -> list[PeerKey]:
        """Return the peers to which a block is outstanding."""
        return [peer_key for peer_key, blocks in self.requested.items() if blocks >> block_index & 1]

    def check_invariants(self, most_peers: int) -> None:
        """Raises AssertionError where the sets of blocks contradict each other."""
        requested = senders = 0
        for blocks in self.requested.values():
            assert blocks and not blocks & ~self.full
            requested |= blocks
        for blocks in self.senders.values():
            assert blocks and not senders & blocks
            senders |= blocks
        assert senders == self.received
        assert not self.received & self.free and not requested & self.free
        assert self.received | requested | self.free == self.full
        for block_index in range(self.num_blocks):
            assert sum(blocks >> block_index & 1 for blocks in self.requested.values()) <= most_peers

    def _request(self, peer_key: PeerKey, blocks: int) -> None:
        self.free &= ~blocks
        self.requested[peer_key] = self.requested.get(peer_key, 0) | blocks


def last_run(blocks: int) -> tuple[int, int]:
    """Return (end, number) of the last blocks of the set that lie together; `end` is the block after them."""
    end = blocks.bit_length()
    gaps = ((1 << end) - 1) ^ blocks
    return end, end - gaps.bit_length()
