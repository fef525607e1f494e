"""Turns by last served, by weight."""

import random
from collections import Counter
from dataclasses import dataclass

import pytest

from scheduler.round_robin_ring import RoundRobinRing


@dataclass
class Member:
    info_hash: bytes
    weight: float = 1.0
    credit: float = 0.0


def ring_of(**weights):
    ring = RoundRobinRing()
    for name, weight in weights.items():
        ring.join(Member(name.encode(), weight))
    return ring


def serve(ring, turns):
    served = ""
    for _ in range(turns):
        member = ring.head()
        ring.served(member)
        served += member.info_hash.decode()
    return served


def member_of(ring, name):
    return next(member for member in ring if member.info_hash == name.encode())


def test_members_of_one_weight_rotate():
    assert serve(ring_of(a=1, b=1, c=1), 7) == "abcabca"


def test_who_is_passed_over_while_only_newcomers_have_turns_is_the_first_afterwards():
    ring = RoundRobinRing()
    for name in "abcd":
        ring.join(Member(name.encode()), is_newcomer=name in "bd")
    served = ""
    for _ in range(3):
        member = ring.head(newcomers_only=True)
        ring.served(member)
        served += member.info_hash.decode()
    assert served == "bdb"
    assert serve(ring, 4) == "acdb"


def test_newcomers_of_low_weight_are_passed_over_among_all_too():
    ring = RoundRobinRing()
    for name, weight in (("a", 1 / 3), ("b", 1), ("c", 1)):
        ring.join(Member(name.encode(), weight), is_newcomer=name != "c")
    assert ring.head(newcomers_only=True).info_hash == b"b"
    assert [member.info_hash for member in ring] == [b"b", b"c", b"a"]


def test_an_empty_ring_has_no_head():
    assert RoundRobinRing().head() is None


def test_three_that_ask_again_at_once_are_served_equally():
    ring = ring_of(a=1, b=1, c=1)
    served = Counter()
    for _ in range(3_000):                              # each leaves when it is served and comes back at once
        member = ring.head()
        ring.served(member)
        ring.leave(member)
        ring.join(member)
        served[member.info_hash] += 1
    assert max(served.values()) - min(served.values()) <= 1


@pytest.mark.parametrize(("weights", "turns", "expected"), [
    ({"a": 3, "b": 1}, 8, "aaabaaab"),
    ({"a": 1, "b": 1 / 3}, 8, "aaabaaab"),
    ({"a": 3, "b": 1, "c": 1 / 3}, 13, "aaabaaabaaabc"),
    ({"a": 1 / 3, "b": 1 / 3}, 4, "abab"),
])
def test_weights_are_grants_a_turn(weights, turns, expected):
    assert serve(ring_of(**weights), turns) == expected


def test_who_joins_late_waits_at_most_one_cycle():
    ring = ring_of(**dict.fromkeys("abcdefgh", 1))
    serve(ring, 3)
    ring.join(Member(b"z"))
    assert "z" in serve(ring, 9)


def test_who_leaves_changes_nobody_elses_place():
    ring = ring_of(a=1, b=1, c=1, d=1)
    serve(ring, 1)
    ring.leave(member_of(ring, "c"))
    assert serve(ring, 4) == "bdab"


def test_who_comes_to_the_front_is_next():
    ring = ring_of(a=1, b=1)
    ring.join(Member(b"z"), in_front=True)
    assert serve(ring, 3) == "zab"


def test_looking_at_the_head_again_and_again_gives_nobody_more():
    ring = ring_of(a=3, b=1)
    for _ in range(10):
        ring.head()
    assert serve(ring, 4) == "aaab"


def test_leaving_and_coming_back_earns_no_credit():
    ring = ring_of(a=1, b=1 / 3)
    served = Counter()
    for _ in range(400):
        member = ring.head()
        ring.served(member)
        ring.leave(member)
        ring.join(member)
        served[member.info_hash] += 1
    assert served == {b"a": 300, b"b": 100}


@pytest.mark.parametrize("seed", range(20))
def test_members_that_stay_differ_by_at_most_one_grant_whoever_comes_and_goes(seed):
    rng = random.Random(seed)
    ring, served, guests = ring_of(a=1, b=1, c=1), Counter(), {}
    for step in range(2_000):
        if rng.random() < 0.3:
            guests[step] = Member(step.to_bytes(4, "big"), rng.choice((3, 1, 1 / 3)))
            ring.join(guests[step])
        if guests and rng.random() < 0.3:
            ring.leave(guests.pop(rng.choice(list(guests))))
        member = ring.head()
        ring.served(member)
        served[member.info_hash] += 1
        counts = [served[name] for name in (b"a", b"b", b"c")]
        assert max(counts) - min(counts) <= 1
