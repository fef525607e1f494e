"""What a router remembers of dials that have ended."""

import pytest

from protocol import daemon_messages as dm
from scheduler.grant_ledger import FIRST_PEER, MORE_PEERS
from scheduler.router_memory import RouterMemory


@pytest.mark.parametrize(("outcome", "seconds"), [
    (dm.TIMED_OUT, 120), (dm.CANCELLED, 120), (dm.REFUSED, 10), (dm.UNREACHABLE, 10), (dm.CONNECTED, 0), (dm.HANDSHAKE_FAILED, 0), (dm.LOCAL_BUSY, 0),
])
def test_how_long_a_dial_is_remembered(outcome, seconds):
    memory = RouterMemory()
    memory.dial_ended(outcome, FIRST_PEER, 1_000.0)
    if seconds:
        assert memory.num_entries(1_000.0 + seconds - 0.01) == 1
    assert memory.num_entries(1_000.0 + seconds) == 0


def test_every_outcome_has_an_answer():
    memory = RouterMemory()
    for outcome in dm.OUTCOMES:
        memory.dial_ended(outcome, FIRST_PEER, 0.0)
    assert memory.num_entries(0.0) == 4


def test_dials_for_each_purpose_are_also_counted_by_themselves():
    memory = RouterMemory()
    memory.dial_ended(dm.TIMED_OUT, MORE_PEERS, 0.0)
    memory.dial_ended(dm.TIMED_OUT, FIRST_PEER, 1.0)
    memory.dial_ended(dm.REFUSED, MORE_PEERS, 1.0)
    assert (memory.num_entries(2.0), memory.num_entries_for(MORE_PEERS, 2.0)) == (3, 2)
    assert (memory.num_entries(12.0), memory.num_entries_for(MORE_PEERS, 12.0)) == (2, 1)
    assert (memory.num_entries(120.5), memory.num_entries_for(MORE_PEERS, 120.5)) == (1, 0)
    assert memory.num_entries_for(FIRST_PEER, 120.5) == 1


def test_it_says_when_the_next_entry_is_forgotten():
    memory = RouterMemory()
    assert memory.next_forgotten() is None
    memory.dial_ended(dm.TIMED_OUT, FIRST_PEER, 0.0)
    memory.dial_ended(dm.REFUSED, FIRST_PEER, 5.0)
    assert memory.next_forgotten() == 15.0
    memory.num_entries(20.0)
    assert memory.next_forgotten() == 120.0
