"""Under which address others see us: believed when several hosts agree, and only by those of the same scope."""

import pytest

from protocol.limits import MAX_ADDRESS_VOTES
from scheduler.own_address import MIN_VOTES, OwnAddress

OURS, LIE = "81.2.3.4", "99.9.9.9"


def voters(count: int, first: int = 1) -> list[str]:
    return [f"80.0.{number >> 8}.{number & 255}" for number in range(first, first + count)]


def told(*votes: tuple[str, str]) -> OwnAddress:
    own = OwnAddress()
    for voter, address in votes:
        own.seen_by(voter, address)
    return own


def test_nobody_knows_it_at_first():
    assert told().as_seen_by("80.0.0.1") == ""


def test_it_is_believed_once_several_hosts_name_it():
    own = told(*((voter, OURS) for voter in voters(MIN_VOTES - 1)))
    assert (own.as_seen_by("80.9.9.9"), own.version) == ("", 0)
    own.seen_by("80.0.9.9", OURS)
    assert (own.as_seen_by("80.9.9.9"), own.version) == (OURS, 1)


def test_one_host_has_one_vote_however_often_it_speaks():
    assert told(*[("80.0.0.1", LIE)] * 100).as_seen_by("80.9.9.9") == ""


def test_the_majority_is_believed_and_a_tie_changes_nothing():
    own = told(*((voter, OURS) for voter in voters(2)), *((voter, LIE) for voter in voters(2, 100)))
    assert own.as_seen_by("80.9.9.9") == ""
    own.seen_by("80.7.7.7", OURS)
    assert (own.as_seen_by("80.9.9.9"), own.version) == (OURS, 1)


def test_another_address_takes_its_place_only_when_twice_as_many_name_it():
    own = told(*((voter, OURS) for voter in voters(4)), *((voter, LIE) for voter in voters(7, 100)))
    assert (own.as_seen_by("80.9.9.9"), own.version) == (OURS, 1)
    own.seen_by("80.7.7.7", LIE)
    assert (own.as_seen_by("80.9.9.9"), own.version) == (LIE, 2)


def test_a_few_hosts_that_change_their_minds_all_the_time_change_nothing():
    own = told(*((voter, OURS) for voter in voters(10)), *((voter, LIE) for voter in voters(9, 100)))
    for number in range(100):
        own.seen_by(voters(1)[0], (OURS, LIE)[number % 2])
    assert (own.as_seen_by("80.9.9.9"), own.version) == (OURS, 1)


def test_a_host_may_change_its_mind():
    own = told(*((voter, LIE) for voter in voters(3)), *((voter, OURS) for voter in voters(3)))
    assert own.as_seen_by("80.9.9.9") == OURS


def test_our_own_network_and_the_other_family_see_another_address():
    own = told(*((voter, OURS) for voter in voters(3)))
    for number in (1, 2, 3):
        own.seen_by(f"192.168.0.{number}", "192.168.0.77")
        own.seen_by(f"2a00::{number}", "2a01::77")
    assert [own.as_seen_by(ip) for ip in ("80.9.9.9", "192.168.0.9", "2a00::9", "fd00::9")] == [OURS, "192.168.0.77", "2a01::77", ""]


@pytest.mark.parametrize("said", ["2a01::1", "0.0.0.0", "239.1.1.1"])
def test_what_cannot_be_ours_is_no_vote(said):
    assert told(*((voter, said) for voter in voters(5))).as_seen_by("80.9.9.9") == ""


def test_votes_are_bounded_and_the_oldest_are_forgotten():
    own = told(*((voter, LIE) for voter in voters(MAX_ADDRESS_VOTES)))
    for voter in voters(MAX_ADDRESS_VOTES, first=10_000):
        own.seen_by(voter, OURS)
    assert own.as_seen_by("80.9.9.9") == OURS and sum(map(len, own._votes.values())) == MAX_ADDRESS_VOTES
