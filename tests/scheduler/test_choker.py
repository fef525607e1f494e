"""Choker: tit for tat with an optimistic place (BEP 3); turns when seeding. Minutes are played in virtual time."""

import random
from dataclasses import dataclass, field, replace

import pytest

from scheduler.choker import (
    INCUMBENT_BONUS,
    LONGEST_TURN_SECONDS,
    NEWCOMER_WEIGHT,
    OPTIMISTIC_SECONDS,
    ROUND_SECONDS,
    TURN_BYTES,
    TURN_SECONDS,
    ChokePeer,
    Choker,
)


def a_peer(key, *, rate=0.0, interested=True, snubbed=False, to_it=0.0, uploaded=0):
    return ChokePeer(key, interested, snubbed, rate, to_it, uploaded)


@dataclass
class Swarm:
    """A choker, its peers and the time; `line` is what we send, shared by those who are unchoked and take at most `takes`."""

    slots: int
    peers: dict = field(default_factory=dict)
    seeding: bool = False
    line: float = 0.0
    takes: dict = field(default_factory=dict)

    def __post_init__(self):
        self.choker, self.rng, self.now = Choker(self.slots), random.Random(1), 1_000.0
        self.unchoked_seconds, self.turns, self.optimistic_turns, self.chokes, self.decision = {}, {}, {}, 0, None

    def join(self, *peers):
        self.peers.update((peer.key, peer) for peer in peers)

    def change(self, key, **values):
        self.peers[key] = replace(self.peers[key], **values)

    def decide(self):
        before, self.decision = self.decision, self.choker.rechoke(list(self.peers.values()), self.now, self.rng, self.seeding)
        old = before.unchoked if before else frozenset()
        self.chokes += len(old - self.decision.unchoked)
        for key in self.decision.unchoked - old:
            self.turns[key] = self.turns.get(key, 0) + 1
        if self.decision.optimistic is not None and (before is None or before.optimistic != self.decision.optimistic):
            self.optimistic_turns[self.decision.optimistic] = self.optimistic_turns.get(self.decision.optimistic, 0) + 1
        return self.decision

    def play(self, seconds, step=ROUND_SECONDS):
        for _ in range(round(seconds / step)):
            unchoked = self.decide().unchoked
            for key in unchoked:
                rate = min(self.line / len(unchoked), self.takes.get(key, self.line))
                self.change(key, upload_rate=rate, uploaded=self.peers[key].uploaded + int(rate * step))
                self.unchoked_seconds[key] = self.unchoked_seconds.get(key, 0) + step
            self.now += step
        return self.decision


# ── Downloading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_peers_that_send_most_are_unchoked_and_one_more():
    swarm = Swarm(slots=4)
    swarm.join(*(a_peer(number, rate=1_000 * number) for number in range(10)))
    decision = swarm.play(60)
    assert decision.unchoked - {decision.optimistic} == {7, 8, 9}
    assert decision.optimistic in range(7)


def test_with_places_for_all_everybody_is_unchoked():
    swarm = Swarm(slots=4)
    swarm.join(*(a_peer(number) for number in range(4)))
    assert swarm.decide().unchoked == {0, 1, 2, 3}


def test_only_interested_peers_hold_a_place():
    swarm = Swarm(slots=2)
    swarm.join(a_peer("rich", rate=1e6, interested=False), a_peer("a"), a_peer("b"))
    assert swarm.decide().unchoked == {"a", "b"}


def test_a_snubbed_peer_gets_nothing_back_but_the_optimistic_place():
    swarm = Swarm(slots=3)
    swarm.join(a_peer("snubbed", rate=1e6, snubbed=True), a_peer("a"), a_peer("b"), a_peer("c"))
    for _ in range(30):
        decision = swarm.play(ROUND_SECONDS)
        assert "snubbed" not in decision.unchoked or decision.optimistic == "snubbed"
    assert swarm.optimistic_turns["snubbed"] > 0


@pytest.mark.parametrize(("challenge", "wins"), [(INCUMBENT_BONUS - 0.02, False), (INCUMBENT_BONUS + 0.02, True)])
def test_a_challenger_must_be_clearly_better_than_an_incumbent(challenge, wins):
    swarm = Swarm(slots=2)
    swarm.join(a_peer("incumbent", rate=1_000), a_peer("challenger", rate=500))
    swarm.join(a_peer("third"))
    swarm.play(ROUND_SECONDS)
    swarm.change("challenger", download_rate=1_000 * challenge)
    decision = swarm.play(ROUND_SECONDS)
    assert ("incumbent" not in decision.unchoked - {decision.optimistic}) == wins


def test_peers_with_noisy_equal_rates_do_not_swap_places():
    swarm = Swarm(slots=5)
    swarm.join(*(a_peer(number) for number in range(10)))
    noise = random.Random(2)
    chokes_of_the_optimistic = 600 / OPTIMISTIC_SECONDS
    for _ in range(60):
        for number in range(10):
            swarm.change(number, download_rate=(100_000 if number < 4 else 1_000) * noise.uniform(0.97, 1.03))
        swarm.play(ROUND_SECONDS)
    assert swarm.chokes <= chokes_of_the_optimistic
    assert swarm.decision.unchoked - {swarm.decision.optimistic} == {0, 1, 2, 3}


def test_between_rounds_only_free_places_are_given_away():
    swarm = Swarm(slots=3)
    swarm.join(a_peer("a", rate=10), a_peer("b", rate=20), a_peer("c"), a_peer("d"))
    first = swarm.decide()
    swarm.now += 1
    swarm.change("c", download_rate=1_000)
    swarm.change("d", download_rate=1_000)
    assert swarm.decide() == first                      # not before the round is over
    swarm.now += 1
    del swarm.peers["a"]
    second = swarm.decide()
    assert second.unchoked > first.unchoked - {"a"} and len(second.unchoked) == 3


def test_somebody_who_becomes_interested_gets_a_free_place_at_once():
    swarm = Swarm(slots=3)
    swarm.join(a_peer("a"), a_peer("b", interested=False))
    swarm.decide()
    swarm.now += 1
    swarm.change("b", interested=True)
    assert swarm.decide().unchoked == {"a", "b"}


def test_the_optimistic_peer_changes_each_thirty_seconds():
    swarm = Swarm(slots=2)
    swarm.join(a_peer("best", rate=1e6), *(a_peer(number) for number in range(5)))
    optimistic = []
    for _ in range(15):
        optimistic.append(swarm.play(ROUND_SECONDS).optimistic)
    assert len({*optimistic[0:3]}) == len({*optimistic[3:6]}) == 1
    assert {*optimistic} == set(range(5)) and len({*optimistic[0::3]}) == 5


def test_an_optimistic_peer_that_earns_a_place_makes_room_for_the_next():
    swarm = Swarm(slots=2)
    swarm.join(a_peer("best", rate=1_000), a_peer("b"), a_peer("c"))
    tried = swarm.play(ROUND_SECONDS).optimistic
    swarm.change(tried, download_rate=5_000)
    decision = swarm.play(ROUND_SECONDS)
    assert tried in decision.unchoked and decision.optimistic not in (None, tried)


def test_twenty_peers_that_send_nothing_are_unchoked_equally_long_in_thirty_minutes():
    """As libtorrent's simulation of the optimistic unchoke."""
    swarm = Swarm(slots=4)
    swarm.join(*(a_peer(number) for number in range(20)))
    swarm.play(1_800)
    mean = 4 * 1_800 / 20
    assert all(abs(swarm.unchoked_seconds[number] - mean) <= 2 * OPTIMISTIC_SECONDS for number in range(20))


def test_with_one_place_it_is_the_optimistic_one():
    swarm = Swarm(slots=1)
    swarm.join(*(a_peer(number, rate=number) for number in range(6)))
    swarm.play(1_800)
    assert set(swarm.optimistic_turns) == set(range(6))
    assert max(swarm.optimistic_turns.values()) - min(swarm.optimistic_turns.values()) <= 1


def test_a_newcomer_waits_a_third_as_long_as_others():
    swarm = Swarm(slots=1)
    swarm.join(*(a_peer(number) for number in range(20)))
    swarm.play(20 * OPTIMISTIC_SECONDS)                 # everybody had a turn: the next to come has waited for 19 of them
    swarm.join(a_peer("new"))
    began = swarm.now
    while swarm.play(ROUND_SECONDS).optimistic != "new":
        pass
    full_cycle = 20 * OPTIMISTIC_SECONDS
    assert full_cycle / NEWCOMER_WEIGHT - OPTIMISTIC_SECONDS <= swarm.now - began <= full_cycle / NEWCOMER_WEIGHT + 2 * OPTIMISTIC_SECONDS


def test_a_stream_of_newcomers_does_not_starve_those_who_wait():
    swarm = Swarm(slots=1)
    swarm.join(*(a_peer(number) for number in range(5)))
    for newcomer in range(1_000, 1_120):
        swarm.join(a_peer(newcomer))
        if newcomer - 5 in swarm.peers:
            del swarm.peers[newcomer - 5]
        swarm.play(OPTIMISTIC_SECONDS)
    assert min(swarm.optimistic_turns.get(number, 0) for number in range(5)) >= 5


# ── Seeding ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_seed_gives_each_peer_the_same_number_of_turns():
    swarm = Swarm(slots=4, seeding=True, line=4e6)
    swarm.join(*(a_peer(number) for number in range(20)))
    swarm.play(3_600)
    assert max(swarm.turns.values()) - min(swarm.turns[number] for number in range(20)) <= 1
    assert swarm.decision.optimistic is None


def test_a_turn_of_a_fast_peer_ends_with_its_bytes_and_that_of_a_slow_one_with_the_time():
    swarm = Swarm(slots=2, seeding=True, line=2e6, takes={"slow": 100.0})
    swarm.join(a_peer("fast"), a_peer("slow"))
    swarm.play(ROUND_SECONDS)
    swarm.join(*(a_peer(number) for number in range(10)))
    ended = {}
    while len(ended) < 2:
        began = swarm.now
        unchoked = swarm.play(ROUND_SECONDS).unchoked
        for key in ("fast", "slow"):
            if key not in unchoked:
                ended.setdefault(key, began - 1_000)
    assert TURN_SECONDS <= ended["fast"] <= TURN_SECONDS + ROUND_SECONDS
    assert LONGEST_TURN_SECONDS <= ended["slow"] <= LONGEST_TURN_SECONDS + ROUND_SECONDS
    assert 1e6 * TURN_SECONDS > TURN_BYTES


def test_what_a_peer_got_in_an_earlier_turn_does_not_shorten_the_next():
    swarm = Swarm(slots=1, seeding=True, line=1e6)
    swarm.join(a_peer("a"), a_peer("b"))
    swarm.play(2 * TURN_SECONDS)                        # one turn each, ended by what they got
    assert swarm.turns == {"a": 1, "b": 1}
    swarm.line = 100.0
    swarm.unchoked_seconds.clear()
    swarm.play(LONGEST_TURN_SECONDS - 2 * ROUND_SECONDS)
    assert len(swarm.unchoked_seconds) == 1


def test_with_nobody_waiting_turns_go_on():
    swarm = Swarm(slots=4, seeding=True, line=4e6)
    swarm.join(*(a_peer(number) for number in range(4)))
    swarm.play(3_600)
    assert swarm.chokes == 0


def test_of_those_whose_turn_is_over_the_slowest_makes_room_first():
    swarm = Swarm(slots=3, seeding=True, line=9e6, takes={0: 1e6, 1: 2e6, 2: 3e6})
    swarm.join(*(a_peer(number) for number in range(3)))
    swarm.play(2 * TURN_SECONDS)
    swarm.join(a_peer("new"))
    assert swarm.play(ROUND_SECONDS).unchoked == {1, 2, "new"}


def test_from_downloading_to_seeding_nobody_is_choked_without_need():
    swarm = Swarm(slots=4)
    swarm.join(*(a_peer(number, rate=number) for number in range(10)))
    before = swarm.play(60).unchoked
    swarm.seeding = True
    assert swarm.play(ROUND_SECONDS).unchoked == before
