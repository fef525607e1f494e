"""Turns for announces, all torrents of an engine together."""

from actors.announce_gate import AnnounceGate
from scheduler.settings import Settings
from tests.actors.pump import VirtualTime


class World:
    """A gate in virtual time, and who had its turn, in order."""

    def __init__(self, rate: float = 2.0, burst: int = 2, most: int = 3) -> None:
        self.time = VirtualTime()
        self.turns: list[str] = []
        self.gate = AnnounceGate(
            Settings(announce_rate=rate, announce_burst=burst, announces_under_way=most), clock=self.time.clock, call_later=self.time.call_later,
        )

    def ask(self, name: str, *, is_goodbye: bool = False):
        return self.gate.ask(lambda: self.turns.append(name), is_goodbye=is_goodbye)


def test_the_first_have_their_turn_at_once_and_nothing_is_left_that_ticks():
    world = World()
    world.ask("a")
    assert world.turns == ["a"]
    assert world.time.timers == []


def test_the_next_have_it_when_a_token_is_there():
    world = World()
    for name in "abcd":
        world.ask(name)
    assert (world.turns, world.time.timers) == (["a", "b"], [0.5])
    world.time.advance(0.5)
    assert world.turns == ["a", "b", "c"]
    assert world.time.timers == [], "three are under way: time alone changes nothing"


def test_one_that_leaves_makes_room_and_repeated_leaving_makes_no_more():
    world = World()
    tickets = [world.ask(name) for name in "abcde"]
    world.time.advance(10.0)
    tickets[0].leave()
    tickets[0].leave()
    assert world.turns == ["a", "b", "c", "d"]


def test_one_that_leaves_the_queue_has_no_turn():
    world = World()
    tickets = [world.ask(name) for name in "abcd"]
    tickets[2].leave()
    world.time.advance(10.0)
    assert world.turns == ["a", "b", "d"]


def test_goodbyes_do_not_wait_behind_announces():
    world = World()
    for name in "abcdefgh":
        world.ask(name)
    world.ask("bye", is_goodbye=True)
    assert world.turns == ["a", "b", "bye"]


def test_another_profile_holds_at_once_and_is_shown():
    world = World(rate=1.0, burst=1, most=1)
    for name in "abcd":
        world.ask(name)
    assert world.turns == ["a"]
    world.gate.apply(Settings(announce_rate=100.0, announce_burst=10, announces_under_way=3))
    world.time.advance(0.1)
    assert world.turns == ["a", "b", "c"]
    stats = world.gate.stats()["announce"]
    assert (stats.rate_per_second, stats.under_way, stats.under_way_limit, stats.waiting, stats.begun) == (100.0, 3, 3, 1, 3)
