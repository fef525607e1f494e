"""Who gets how much: torrents that behave in some way for some minutes of virtual time."""

import math
from collections import Counter

import pytest

from protocol import daemon_messages as dm
from tests.scheduler.queue_steps import Given, QueueSteps

STEP_SECONDS = 0.05


class Swarms:
    """Torrents that always ask for what they can still use. `outcome_of` tells of a grant (seconds until it ends, outcome)."""

    def __init__(self, steps: QueueSteps, outcome_of) -> None:
        self.steps = steps
        self.steps.dials_at_once = True
        self._outcome_of = outcome_of
        self._candidates: dict[str, int] = {}
        self._under_way: list[tuple[float, str, Given]] = []
        self.grants: Counter[str] = Counter()
        self.first_grant: dict[str, float] = {}
        self.most_half_open = 0

    def join(self, name: str, candidates: int, weight: float = 1.0) -> None:
        self.steps.register(name, weight)
        self._candidates[name] = candidates
        self.steps.ask(name, candidates)

    def leave(self, name: str) -> None:
        self._candidates[name] = 0
        self.steps.cancel(name)

    def run(self, seconds: float, after_each=lambda: None) -> None:
        for _ in range(math.ceil(seconds / STEP_SECONDS)):
            for slot in self.steps.take(STEP_SECONDS):
                self._dial(slot)
            self.most_half_open = max(self.most_half_open, self.steps.queue.ledger.count.in_flight)
            due = [attempt for attempt in self._under_way if attempt[0] <= self.steps.now]
            self._under_way = [attempt for attempt in self._under_way if attempt[0] > self.steps.now]
            for _, outcome, slot in due:
                self.steps.end(slot, outcome)
            after_each()

    def _dial(self, slot: Given) -> None:
        self.grants[slot.name] += 1
        self.first_grant.setdefault(slot.name, slot.when)
        self._candidates[slot.name] -= 1
        seconds, outcome = self._outcome_of(slot)
        self._under_way.append((slot.when + seconds, outcome, slot))
        if self._candidates[slot.name] > 0:             # as torrents do: the level is what it can use from now on
            self.steps.ask(slot.name, self._candidates[slot.name])


def quickly_refused(slot):
    return 0.2, dm.HANDSHAKE_FAILED                           # nothing that a router remembers: only turns and tokens are looked at


def dead(slot):
    return 10.0, dm.TIMED_OUT


def spread(counts):
    return max(counts) - min(counts)


@pytest.mark.parametrize("num_torrents", [2, 3, 7, 50])
def test_equal_torrents_that_ask_again_at_once_never_differ_by_more_than_one_grant(num_torrents):
    swarms = Swarms(QueueSteps(), quickly_refused)
    names = [f"t{number}" for number in range(num_torrents)]
    for name in names:
        swarms.join(name, 100_000)
    swarms.run(60, after_each=lambda: [] if spread([swarms.grants[name] for name in names]) <= 1 else pytest.fail(str(swarms.grants)))
    assert sum(swarms.grants.values()) == pytest.approx(20 + 600, abs=3)


def test_equal_torrents_with_dead_peers_share_the_half_open_slots_equally():
    swarms = Swarms(QueueSteps(unanswered_limit=100_000), dead)
    names = [f"t{number}" for number in range(7)]
    for name in names:
        swarms.join(name, 100_000)
    swarms.run(300)
    assert spread([swarms.grants[name] for name in names]) <= 5     # half-open slots: 7 × 5 > 30, so somebody has one less
    assert swarms.most_half_open == 30


@pytest.mark.parametrize(("weight", "expected"), [(3.0, 3.0), (1 / 3, 1 / 3)])
def test_priorities_are_weights(weight, expected):
    swarms = Swarms(QueueSteps(), quickly_refused)
    swarms.join("a", 100_000)
    swarms.join("b", 100_000, weight)
    swarms.run(200)
    assert swarms.grants["b"] / swarms.grants["a"] == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("num_torrents", [1, 20, 21, 50, 200])
def test_the_last_of_n_that_start_together_with_one_candidate_each_is_served_in_time(num_torrents):
    steps = QueueSteps()
    swarms = Swarms(steps, quickly_refused)
    began = steps.now
    for number in range(num_torrents):
        swarms.join(f"t{number}", 1)
    swarms.run(60)
    settings = steps.settings
    in_time = max(num_torrents - settings.connection_burst, 0) / settings.connection_rate + 2 * settings.drain_interval
    assert len(swarms.first_grant) == num_torrents
    assert max(swarms.first_grant.values()) - began <= in_time + 1e-6


def test_a_late_joiner_waits_at_most_one_ring_cycle():
    steps = QueueSteps()
    swarms = Swarms(steps, quickly_refused)
    for number in range(49):
        swarms.join(f"t{number}", 100_000)
    swarms.run(30.33)
    swarms.join("late", 100_000)
    joined = steps.now
    swarms.run(10)
    assert swarms.first_grant["late"] - joined <= 50 / 10 + 2 * 0.1


def test_a_torrent_with_2000_dead_peers_delays_the_others_by_at_most_one_ring_cycle():
    steps = QueueSteps()
    swarms = Swarms(steps, lambda slot: dead(slot) if slot.name == "hog" else quickly_refused(slot))
    swarms.join("hog", 2_000)
    for number in range(9):
        swarms.join(f"t{number}", 100_000)
    waits = []
    waited = dict.fromkeys(swarms.first_grant, 0.0)

    def measure():
        for name, torrent in ((name, steps.queue.torrents[steps.hash_of(name)]) for name in (f"t{number}" for number in range(9))):
            waited[name] = steps.queue.waited(torrent, steps.now)
        waits.append(max(waited.values()))

    swarms.run(60, after_each=measure)
    assert max(waits) <= 10 / 10 + 2 * 0.1 + 1e-6
    assert swarms.grants["hog"] >= swarms.grants["t0"] - 5          # and has its turns as long as there are free slots


def test_a_hog_that_was_alone_gives_the_newcomers_the_next_slots_that_become_free():
    steps = QueueSteps()
    swarms = Swarms(steps, lambda slot: dead(slot) if slot.name == "hog" else (5.0, dm.TIMED_OUT))
    swarms.join("hog", 2_000)
    swarms.run(8)
    assert steps.queue.ledger.count.half_open == 30
    for number in range(10):
        swarms.join(f"t{number}", 100)
    swarms.run(5)                                       # dials of the hog time out from here on
    assert all(swarms.grants[f"t{number}"] >= 1 for number in range(10))


def test_long_dials_of_ten_torrents_do_not_keep_the_eleventh_from_dialling():
    steps = QueueSteps()
    swarms = Swarms(steps, dead)
    for number in range(10):
        swarms.join(f"t{number}", 1_000)
    swarms.run(15)
    swarms.join("eleventh", 1_000)
    joined = steps.now
    swarms.run(60)
    assert swarms.first_grant["eleventh"] - joined <= 10.1          # all slots are taken until a dial ends
    assert swarms.grants["eleventh"] >= 5


def test_a_torrent_that_cancels_leaves_its_turns_to_the_others_at_once():
    swarms = Swarms(QueueSteps(), quickly_refused)
    for name in "abc":
        swarms.join(name, 100_000)
    swarms.run(10)
    before = Counter(swarms.grants)
    swarms.leave("b")
    swarms.run(20)
    assert swarms.grants["b"] == before["b"]
    assert [swarms.grants[name] - before[name] for name in "ac"] == pytest.approx([100, 100], abs=2)


def test_torrents_without_a_peer_come_before_the_others_3_to_1():
    steps = QueueSteps()
    swarms = Swarms(steps, quickly_refused)
    for name in ("poor0", "poor1", "rich0", "rich1"):
        swarms.join(name, 100_000)
    for name in ("rich0", "rich1"):
        steps.incoming(name)
    swarms.run(100)
    poor, rich = (sum(swarms.grants[f"{kind}{number}"] for number in range(2)) for kind in ("poor", "rich"))
    assert poor / rich == pytest.approx(3, rel=0.05)


def test_a_torrent_whose_peers_are_all_dead_does_not_take_the_slots_of_those_that_have_some():
    steps = QueueSteps(half_open_limit=4, connection_rate=0, unanswered_limit=100_000)
    swarms = Swarms(steps, lambda slot: dead(slot) if slot.name == "hopeless" else (0.5, dm.HANDSHAKE_FAILED))
    swarms.join("hopeless", 2_000)
    for number in range(8):
        swarms.join(f"t{number}", 100_000)
        steps.incoming(f"t{number}")
    swarms.run(20)
    assert steps.queue.torrents[steps.hash_of("hopeless")].account.in_flight == 1


def test_a_torrent_that_finds_its_first_peer_stands_behind_those_that_have_none():
    steps = QueueSteps()
    swarms = Swarms(steps, lambda slot: (0.2, dm.CONNECTED if slot.name == "lucky" else dm.HANDSHAKE_FAILED))
    for name in ("lucky", *(f"t{number}" for number in range(9))):
        swarms.join(name, 100_000)
    swarms.run(120)
    assert swarms.grants["lucky"] / swarms.grants["t0"] == pytest.approx(1 / 3, rel=0.1)


def test_nobody_with_a_candidate_starves():
    steps = QueueSteps()
    swarms = Swarms(steps, quickly_refused)
    for number in range(30):
        swarms.join(f"t{number}", 100_000, weight=(3.0, 1.0, 1 / 3)[number % 3])
    for number in range(0, 30, 2):
        steps.incoming(f"t{number}")
    swarms.run(300)
    assert all(swarms.grants[f"t{number}"] >= 10 for number in range(30))


def test_who_is_next_is_shown_in_the_order_in_which_it_comes():
    steps = QueueSteps(connection_rate=10, connection_burst=1)
    for name in "abcde":
        steps.register(name)
        steps.ask(name, 3)
    steps.dial(0.1)
    shown = [torrent.info_hash[:1].decode() for torrent in steps.queue.upcoming()]
    assert shown == [slot.name for slot in steps.dial(0.55)] == list("bcdea")
