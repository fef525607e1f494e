"""Which class of torrents has the next turn."""

from collections import Counter
from dataclasses import dataclass

import pytest

from scheduler.torrent_turns import TorrentTurns


@dataclass
class Member:
    info_hash: bytes
    has_peers: bool
    weight: float = 1.0
    credit: float = 0.0


def turns_of(without_peers, with_peers):
    turns = TorrentTurns()
    for number in range(without_peers + with_peers):
        member = Member(number.to_bytes(2, "big"), has_peers=number >= without_peers)
        turns.ring_of(member).join(member)
    return turns


def serve(turns, number, **which):
    served = []
    for _ in range(number):
        member = turns.head(**which)
        turns.served(member)
        served.append(member)
    return served


def test_torrents_without_a_peer_have_three_turns_for_one_of_the_others():
    served = serve(turns_of(2, 2), 400)
    assert sum(member.has_peers for member in served) == 100
    assert [member.has_peers for member in served[:8]] == [False, False, False, True] * 2


@pytest.mark.parametrize(("without_peers", "with_peers", "share"), [(1, 9, 1 / 4), (5, 5, 1 / 4), (9, 1, 1 / 28), (100, 1, 1 / 301)])
def test_the_others_get_a_quarter_at_most_and_each_a_third_of_one_without_at_most(without_peers, with_peers, share):
    served = serve(turns_of(without_peers, with_peers), 30_100)
    assert sum(member.has_peers for member in served) == pytest.approx(30_100 * share, abs=2)


@pytest.mark.parametrize(("without_peers", "with_peers"), [(3, 0), (0, 3)])
def test_one_class_alone_has_every_turn(without_peers, with_peers):
    served = Counter(member.info_hash for member in serve(turns_of(without_peers, with_peers), 300))
    assert set(served.values()) == {100}


def test_the_others_can_be_left_out():
    turns = turns_of(1, 3)
    assert not any(member.has_peers for member in serve(turns, 20, with_peers_too=False))
    assert turns_of(0, 3).head(with_peers_too=False) is None


def test_nobody_starves():
    served = Counter(member.info_hash for member in serve(turns_of(50, 5), 5_000))
    assert len(served) == 55 and min(served.values()) >= 20


def test_turns_left_out_are_not_saved_up():
    turns = turns_of(1, 1)
    serve(turns, 1_000, with_peers_too=False)
    assert sum(member.has_peers for member in serve(turns, 8)) == 2


@pytest.mark.parametrize(("without_peers", "with_peers"), [(3, 3), (2, 9), (9, 2), (4, 0), (0, 4), (1, 1)])
def test_the_order_that_is_shown_is_the_order_in_which_first_turns_come(without_peers, with_peers):
    turns = turns_of(without_peers, with_peers)
    shown = [member.info_hash for member in turns]
    assert shown == list(dict.fromkeys(member.info_hash for member in serve(turns, 400)))


def test_nobody_has_a_turn_when_nobody_waits():
    assert turns_of(0, 0).head() is None and len(turns_of(0, 0)) == 0
