"""Which class of torrents has the next turn."""

from collections import Counter
from dataclasses import dataclass

import pytest

from scheduler.torrent_turns import EVERYBODY, NEWCOMERS, WITHOUT_PEERS, TorrentTurns


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


def serve(turns, number, who=EVERYBODY):
    served = []
    for _ in range(number):
        member = turns.head(who)
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
    assert not any(member.has_peers for member in serve(turns, 20, WITHOUT_PEERS))
    assert turns_of(0, 3).head(WITHOUT_PEERS) is None


def test_nobody_starves():
    served = Counter(member.info_hash for member in serve(turns_of(50, 5), 5_000))
    assert len(served) == 55 and min(served.values()) >= 20


def test_turns_left_out_are_not_saved_up():
    turns = turns_of(1, 1)
    serve(turns, 1_000, WITHOUT_PEERS)
    assert sum(member.has_peers for member in serve(turns, 8)) == 2


@pytest.mark.parametrize(("without_peers", "with_peers"), [(3, 3), (2, 9), (9, 2), (4, 0), (0, 4), (1, 1)])
def test_the_order_that_is_shown_is_the_order_in_which_first_turns_come(without_peers, with_peers):
    turns = turns_of(without_peers, with_peers)
    shown = [member.info_hash for member in turns]
    assert shown == list(dict.fromkeys(member.info_hash for member in serve(turns, 400)))


def test_nobody_has_a_turn_when_nobody_waits():
    assert turns_of(0, 0).head() is None and len(turns_of(0, 0)) == 0


def test_newcomers_can_be_the_only_ones_and_take_their_turns_with_the_others_otherwise():
    turns = TorrentTurns()
    members = [Member(name.encode(), has_peers=name == "p") for name in "abcdp"]
    for member in members:
        turns.ring_of(member).join(member, is_newcomer=member.info_hash in b"bd")
    assert [turns.has_members(who) for who in (EVERYBODY, WITHOUT_PEERS, NEWCOMERS)] == [True] * 3
    assert "".join(member.info_hash.decode() for member in serve(turns, 4, NEWCOMERS)) == "bdbd"
    assert "".join(member.info_hash.decode() for member in serve(turns, 6, WITHOUT_PEERS)) == "acbdac"
    for member in members:
        turns.ring_of(member).is_no_newcomer_any_more(member)
    assert turns.head(NEWCOMERS) is None and not turns.has_members(NEWCOMERS)
    assert "".join(member.info_hash.decode() for member in serve(turns, 4, WITHOUT_PEERS)) == "bdac"
