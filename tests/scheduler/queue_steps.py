"""A connection queue step by step: torrents named by letters, a clock moved by hand, timers as the broker sets them."""

from collections import Counter
from typing import Any, NamedTuple

from protocol import daemon_messages as dm
from scheduler.connection_queue import ConnectionQueue
from scheduler.settings import settings_from

NO_OTHER_LIMIT = {
    "connection_rate": 0, "half_open_limit": 1_000, "unanswered_limit": 10_000, "global_connection_limit": 10_000,
    "torrent_connection_limit": 1_000, "incoming_reserve": 0,
}


class Given(NamedTuple):
    """A slot that was given."""

    name: str
    grant_id: int
    when: float
    waited: float


def name_of(info_hash: bytes) -> str:
    return info_hash.rstrip(b"\0").decode()


class QueueSteps:
    """Everything that is told is followed by a drain; what the drains gave is in `given`."""

    def __init__(self, *names: str, **settings: Any) -> None:
        self.settings = settings_from(settings)
        self.now = 1_000.0
        self.queue = ConnectionQueue(self.settings, self.now)
        self.given: list[Given] = []
        self._due: float | None = None
        self.dials_at_once = False                      # whether torrents use their grants by themselves
        for name in names:
            self.register(name)

    @staticmethod
    def hash_of(name: str) -> bytes:
        return name.encode().ljust(20, b"\0")

    def register(self, name: str, weight: float = 1.0) -> None:
        self.queue.register(self.hash_of(name), weight)

    def ask(self, name: str, count: int = 1, *, is_finished: bool = False) -> None:
        self.queue.request(self.hash_of(name), count, self.now, is_finished=is_finished)
        self.drain()

    def cancel(self, name: str) -> int:
        dropped = self.queue.cancel(self.hash_of(name))
        self.drain()
        return dropped

    def gone(self, name: str) -> Any:
        freed = self.queue.forget(self.hash_of(name), self.now)
        self.drain()
        return freed

    def start(self, given: Given) -> None:
        self.queue.attempt_started(given.grant_id, self.now)
        self.drain()

    def decline(self, given: Given, retry_after: float | None = None) -> None:
        self.queue.decline(given.grant_id, "no_candidate", retry_after, self.now)
        self.drain()

    def end(self, given: Given, outcome: str = dm.TIMED_OUT) -> None:
        self.queue.attempt_ended(given.grant_id, outcome, self.now)
        self.drain()

    def close(self, given: Given) -> None:
        self.queue.connection_closed(given.grant_id, self.now)
        self.drain()

    def connect(self, given: Given) -> None:
        self.start(given)
        self.end(given, dm.CONNECTED)

    def offer_idle(self, name: str, grant_id: int | None, idle_seconds: float = 0.0) -> None:
        self.queue.offer_idle(self.hash_of(name), grant_id, idle_seconds, self.now)
        self.drain()

    def idle_to_close(self) -> int | None:
        offer = self.queue.idle_to_close(self.now)
        return offer.grant_id if offer else None

    def incoming(self, name: str) -> Any:
        answer = self.queue.reserve_incoming(self.hash_of(name))
        self.drain()
        return answer

    def drain(self) -> None:
        while slots := self.queue.drain(self.now):
            self.given += [Given(name_of(slot.info_hash), slot.grant_id, self.now, slot.waited) for slot in slots]
            if not self.dials_at_once:
                break
            for slot in slots:
                self.queue.attempt_started(slot.grant_id, self.now)
        delay = self.queue.next_drain(self.now)
        self._due = None if delay is None else min(self._due or self.now + delay, self.now + delay)
        self.queue.check_invariants()

    def pass_time(self, seconds: float) -> list[Given]:
        """Let time pass; return what was given in it."""
        end, before = self.now + seconds, len(self.given)
        while self._due is not None and self._due <= end:
            self.now, due, self._due = self._due, self._due, None
            self.queue.expire_leases(self.now, told_until=due)
            self.drain()
        self.now = end
        return self.given[before:]

    def take(self, seconds: float = 0.1) -> list[Given]:
        """Let time pass; return what was given since the last `take`, and forget it."""
        self.pass_time(seconds)
        taken, self.given = self.given, []
        return taken

    def dial(self, seconds: float) -> list[Given]:
        """As `take`, but what is given is started at once."""
        before, self.dials_at_once = self.dials_at_once, True
        taken = self.take(seconds)
        self.dials_at_once = before
        return taken

    @property
    def has_timer(self) -> bool:
        return self._due is not None

    def binding(self, name: str) -> str:
        refusal = self.queue.refusal_of(self.queue.torrents[self.hash_of(name)], self.now)
        return refusal.rule if refusal else ""

    def why(self, name: str, turn_in: float = 0.0) -> str:
        refusal = self.queue.refusal_of(self.queue.torrents[self.hash_of(name)], self.now)
        return refusal.sentence(turn_in, self.queue.num_waiting) if refusal else ""


def grants_by_name(given: list[Given]) -> Counter[str]:
    return Counter(slot.name for slot in given)


def steps_with(*names: str, **settings: Any) -> QueueSteps:
    """Return steps of a queue in which only the limits that are given bind."""
    return QueueSteps(*names, **{**NO_OTHER_LIMIT, **settings})
