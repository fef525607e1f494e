"""Connection queues that are wrong in one way each. Every one of them was the way of some client, or of a first draft of this one."""

from typing import Any

from actors.connection_broker import ConnectionBroker
from scheduler import refusal
from scheduler.connection_queue import ConnectionQueue, GivenSlot
from scheduler.dial_rules import DialRules
from scheduler.grant_ledger import Grant
from scheduler.refusal import Refusal
from scheduler.round_robin_ring import RoundRobinRing
from scheduler.router_memory import RouterMemory
from scheduler.settings import Settings
from scheduler.steady_time import SteadyTime


def broker_with(queue_class: type[ConnectionQueue]) -> type[ConnectionBroker]:
    """Return a broker whose policy is this one."""

    class Broker(ConnectionBroker):
        def __init__(self, settings: Settings, session: Any = None, **engine: Any) -> None:
            super().__init__(settings, session, **engine)
            self._queue = queue_class(settings, self.clock())

    return Broker


class IndexIntoAChangingDict(RoundRobinRing):
    """Whose turn it is says an index into a collection that changes under it: unfair as soon as torrents ask again at once."""

    def __init__(self) -> None:
        super().__init__()
        self._index = 0

    def head(self, *, newcomers_only: bool = False) -> Any:
        members = list(self._members.values())
        return members[self._index % len(members)] if members else None

    def served(self, member: Any) -> None:
        self._members.move_to_end(member.info_hash)     # it asks again at once
        self._index += 1


class CountThatAccumulates(ConnectionQueue):
    """Asking twice for 20 is asking for 40."""

    def request(self, info_hash: bytes, count: int, *rest: Any, **more: Any) -> None:
        torrent = self.torrents.get(info_hash)
        super().request(info_hash, count + (torrent.pending if torrent else 0), *rest, **more)


class TokenSpentOnAnEmptyQueue(ConnectionQueue):
    """A timer that takes a token each time it fires, and then looks whether somebody waits."""

    def __init__(self, settings: Settings, now: float) -> None:
        super().__init__(settings, now)
        self._next_tick = 0.0

    def drain(self, now: float) -> list[GivenSlot]:
        seconds, bucket = self._time.at(now), self.rules.bucket
        while self._next_tick < seconds and not self.num_waiting and bucket.can_reserve(seconds):
            self._next_tick += self.drain_interval
            bucket.spend(seconds, reserved=False)
        self._next_tick = max(self._next_tick, seconds)
        return super().drain(now)


class OneGrantPerTick(ConnectionQueue):
    """A timer that hands out one slot each time it fires: the burst is never used."""

    def __init__(self, settings: Settings, now: float) -> None:
        super().__init__(settings, now)
        self._next_tick = now
        self._next_torrent, self._places.next_torrent = self._places.next_torrent, self._first_torrent

    def _first_torrent(self, now: float) -> Any:
        torrent = self._next_torrent(now) if self._may_grant else None
        self._may_grant = False
        return torrent

    def drain(self, now: float) -> list[GivenSlot]:
        self._may_grant = now >= self._next_tick
        slots = super().drain(now)
        if slots:
            self._next_tick = now + self.drain_interval
        return slots


class RulesWithoutHalfOpenLimit(DialRules):
    """The rate is thought to protect everything."""

    def refusal_to_all(self, now: float) -> Refusal | None:
        refused = super().refusal_to_all(now)
        if refused is None or refused.rule != refusal.HALF_OPEN:
            return refused
        return None if self.bucket.can_reserve(now) else Refusal(refusal.RATE, limit=self.bucket.rate)


class NoHalfOpenLimit(ConnectionQueue):
    """10 per second against dead peers with 10 s of timeout are 100 half-open."""

    def __init__(self, settings: Settings, now: float) -> None:
        super().__init__(settings, now)
        self.rules.__class__ = RulesWithoutHalfOpenLimit


class ForgetfulRouterMemory(RouterMemory):
    """What ended is forgotten."""

    def dial_ended(self, *what: Any) -> None:
        pass


class NoRouterMemory(ConnectionQueue):
    """What an unanswered dial leaves in the router is nobody's business."""

    def __init__(self, settings: Settings, now: float) -> None:
        super().__init__(settings, now)
        self.rules.router_memory = ForgetfulRouterMemory()


class EntryDroppedOnCannotNow(ConnectionQueue):
    """Who declines once is out of the queue, whatever he says about later."""

    def decline(self, grant_id: int, reason: str, retry_after: float | None, now: float) -> None:
        super().decline(grant_id, reason, None, now)


class NoLease(ConnectionQueue):
    """A slot that was given is gone until somebody answers."""

    def expire_leases(self, now: float, told_until: float) -> list[Grant]:
        return []


class WallClock(SteadyTime):
    """The clock is believed."""

    def advance(self, now: float) -> float:
        return now

    def at(self, now: float) -> float:
        return now


class TimeFromAWallClock(ConnectionQueue):
    """A clock that steps back freezes every deadline."""

    def __init__(self, settings: Settings, now: float) -> None:
        super().__init__(settings, now)
        self._time = WallClock(now)
        self.rules.bucket.set_rate(settings.connection_rate, settings.connection_burst, now)
