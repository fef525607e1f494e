"""Availability: bit-sliced counters of who has what, compared with plain ones."""

import random
from collections import Counter

import pytest

from scheduler.availability import SINGLY, Availability


class Model:
    """Counts as anybody would."""

    def __init__(self, num_pieces):
        self.num_pieces = num_pieces
        self.availability = Availability(num_pieces)
        self.counts = Counter()

    def as_set(self, pieces):
        return sum(1 << self.availability.top - piece_index for piece_index in pieces)

    def from_set(self, pieces):
        return {index for index in range(self.num_pieces) if pieces >> self.availability.top - index & 1}

    def add(self, pieces):
        self.availability.add_set(self.as_set(pieces))
        self.counts.update(pieces)

    def remove(self, pieces):
        self.availability.remove_set(self.as_set(pieces))
        self.counts.subtract(pieces)

    def add_one(self, piece_index):
        self.availability.add_piece(piece_index)
        self.counts[piece_index] += 1

    def check(self, among):
        fewest = min((self.counts[index] for index in among), default=0)
        assert self.from_set(self.availability.rarest(self.as_set(among))) == {index for index in among if self.counts[index] == fewest}
        assert self.from_set(self.availability.without_leech(self.as_set(among))) == {index for index in among if not self.counts[index]}
        assert [self.availability.count(index) for index in range(self.num_pieces)] == [self.counts[index] for index in range(self.num_pieces)]


@pytest.mark.parametrize("num_pieces", [1, 8, 9, 100])
def test_counts_and_the_rarest_are_those_of_plain_counters(num_pieces):
    rng = random.Random(num_pieces)
    model, peers = Model(num_pieces), []
    for _ in range(400):
        kind = rng.random()
        if kind < 0.3:
            peers.append({index for index in range(num_pieces) if rng.random() < 0.5})
            model.add(peers[-1])
        elif kind < 0.5 and peers:
            model.remove(peers.pop(rng.randrange(len(peers))))
        elif peers:
            for _ in range(rng.randrange(2 * SINGLY)):
                peer, index = rng.choice(peers), rng.randrange(num_pieces)
                if index not in peer:
                    peer.add(index)
                    model.add_one(index)
        model.check({index for index in range(num_pieces) if rng.random() < 0.3})


def test_a_piece_that_many_peers_announce_between_two_picks_is_counted_each_time():
    model = Model(20)
    for piece_index in range(10):
        for _ in range(37 + piece_index):
            model.add_one(piece_index)
    model.check(set(range(20)))


def test_nothing_is_kept_of_peers_that_are_gone():
    model = Model(16)
    for _ in range(9):
        model.add(set(range(16)))
    for _ in range(9):
        model.remove(set(range(16)))
    model.check(set(range(16)))
    assert model.availability._planes == []
