"""Choker: never more than the slots, never a place unused, whatever the peers do."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.choker import OPTIMISTIC_SECONDS, ROUND_SECONDS, ChokePeer, Choker


@settings(deadline=None, max_examples=60)
@given(st.integers(min_value=0), st.integers(1, 9))
def test_places_are_never_exceeded_and_never_wasted(seed, slots):
    rng = random.Random(seed)
    choker, now, peers = Choker(slots), 0.0, {}
    before, optimistic_since, uploaded = frozenset(), 0.0, {}
    next_round, optimistic = 0.0, None
    for number in range(300):
        now += rng.choice((0.0, 0.1, 1.0, ROUND_SECONDS))
        if rng.random() < 0.3 and len(peers) < 15:
            peers[number] = None
        if rng.random() < 0.1 and peers:
            del peers[rng.choice(list(peers))]
        for key in peers:
            uploaded[key] = uploaded.get(key, 0) + rng.randrange(1 << 24)
            if rng.random() < 0.3 or peers[key] is None:
                peers[key] = ChokePeer(key, rng.random() < 0.7, rng.random() < 0.2, rng.choice((0, 1e3, 1e6)), rng.choice((0, 1e3)), uploaded[key])
        seeding = number > 200
        decision = choker.rechoke(list(peers.values()), now, rng, seeding)
        interested = {key for key, peer in peers.items() if peer.interested}
        snubbed = {key for key, peer in peers.items() if peer.snubbed}
        assert decision.unchoked <= interested
        assert len(decision.unchoked) <= slots
        assert decision.optimistic is None or decision.optimistic in decision.unchoked
        if seeding:
            assert decision.optimistic is None
            assert len(decision.unchoked) == min(slots, len(interested))
        else:
            assert not (decision.unchoked - {decision.optimistic}) & snubbed
            eligible = min(slots - 1, len(interested - snubbed))
            assert len(decision.unchoked) >= min(slots, len(interested), eligible + bool(interested - decision.unchoked))
        if now < next_round and number != 201:          # between rounds nobody loses a place that he could keep
            lost = (before & interested) - decision.unchoked
            assert all(key in snubbed or (key == optimistic and now - optimistic_since >= OPTIMISTIC_SECONDS) for key in lost), lost
        if now >= next_round:
            next_round = now + ROUND_SECONDS
        if decision.optimistic != optimistic:
            optimistic_since = now
        before, optimistic = decision.unchoked, decision.optimistic
