"""What each torrent got in the last minute, and how far it is behind or ahead."""

import pytest

from protocol import daemon_messages as dm
from tests.scheduler.queue_steps import QueueSteps

FAST = {"connection_rate": 10, "connection_burst": 1, "unanswered_limit": 100_000}


def run(steps: QueueSteps, seconds: float) -> None:
    """Every dial ends at once, by nothing that a router remembers."""
    while seconds > 0:
        seconds -= 0.1
        for slot in steps.dial(0.1):
            steps.end(slot, dm.HANDSHAKE_FAILED)


def recent(steps: QueueSteps, name: str) -> tuple[int, float]:
    steps.queue.note_time(steps.now)
    torrent = steps.queue.torrents[steps.hash_of(name)]
    return torrent.recent.granted, steps.queue.record.lag(torrent)


def test_grants_of_the_last_minute_are_counted_and_forgotten():
    steps = QueueSteps("a", **FAST)
    steps.ask("a", 100)
    run(steps, 5.0)
    granted, _ = recent(steps, "a")
    assert granted == steps.queue.record.granted == steps.queue.ledger.granted > 20
    steps.cancel("a")
    steps.pass_time(62.0)
    assert recent(steps, "a") == (0, pytest.approx(0.0)) and steps.queue.record.granted == 0


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (3.0, 1.0, 1 / 3)])
def test_torrents_that_wait_all_the_time_are_never_a_turn_behind_what_their_weight_gives_them(weights):
    steps = QueueSteps(**FAST)
    for name, weight in zip("abc", weights, strict=True):
        steps.register(name, weight)
        steps.ask(name, 10_000)
    for _ in range(150):
        run(steps, 1.0)
        lags = [recent(steps, name)[1] for name in "abc"]
        assert sum(lags) == pytest.approx(0.0, abs=1e-6)
        assert all(abs(lag) <= max(*weights, 1.0) + 1e-6 for lag in lags)
    granted = [recent(steps, name)[0] for name in "abc"]
    assert granted == pytest.approx([sum(granted) * weight / sum(weights) for weight in weights], abs=4) and sum(granted) > 300


def test_who_does_not_ask_is_not_behind():
    steps = QueueSteps("busy", "idle", **FAST)
    steps.ask("busy", 10_000)
    run(steps, 30.0)
    assert recent(steps, "idle") == (0, 0.0)
    steps.ask("idle", 10_000)
    run(steps, 1.0)
    assert abs(recent(steps, "idle")[1]) <= 1


def test_who_was_passed_over_is_behind_and_the_others_are_ahead():
    steps = QueueSteps("a", "b", **FAST)
    steps.ask("a", 10_000)
    steps.ask("b", 10_000)
    record = steps.queue.record
    for _ in range(10):                                 # a policy that always takes a
        record.was_granted(steps.queue.torrents[steps.hash_of("a")])
    assert recent(steps, "b") == (0, pytest.approx(5.0)) and recent(steps, "a") == (10, pytest.approx(-5.0))


def test_the_record_is_bounded_however_many_grants_there_are():
    steps = QueueSteps("a", "b", connection_rate=0, unanswered_limit=100_000)
    for _ in range(100):
        steps.ask("a", 50)
        steps.ask("b", 50)
        for slot in steps.dial(2.0):
            steps.end(slot, dm.HANDSHAKE_FAILED)
    record = steps.queue.record
    assert len(record._seconds) <= 61 and all(len(changes) <= 2 for _, changes in record._seconds)
    assert record.granted > 500
