"""A world around ConnectionQueue: torrents that do anything, time that passes, and a count of its own to compare with.

`QueueWorld` is the broker and all torrents at once: an event is told to the queue and to a model of it that is as plain as can be
(no rings, no order, everything counted anew), the queue is drained as the broker does, and after each event the invariants of
connection fairness are checked. It is driven by hypothesis (which finds the shortest way to a fault) and by `random_event` (which
gets far).
"""

import hashlib
import math
import random
from collections import deque
from dataclasses import dataclass

from protocol import daemon_messages as dm
from scheduler.connection_queue import ConnectionQueue
from scheduler.grant_ledger import Grant
from scheduler.settings import Settings, settings_from
from tests.properties.reference_bucket import ROUNDING, ReferenceBucket

NUM_ENDED_REMEMBERED = 50                               # grants that something late may be told about
FAILURES = [outcome for outcome in dm.OUTCOMES if outcome != dm.CONNECTED]


@dataclass
class ModelTorrent:
    """What the model knows of a torrent."""

    pending: int = 0
    held_until: float = 0.0
    hold_at_least_until: float = 0.0
    num_declines: int = 0
    is_finished: bool = False


class QueueWorld:
    """All events are methods; those that pick a grant take any number and do nothing when there is no grant to pick."""

    def __init__(self, settings: Settings, num_torrents: int) -> None:
        self.now = 50_000.0
        self.queue = ConnectionQueue(settings, self.now)
        self.settings = settings
        self.names = [bytes([number]) * 20 for number in range(num_torrents)]
        self.torrents: dict[bytes, ModelTorrent] = {}
        self.leased: dict[int, tuple[bytes, float]] = {}            # grant id → torrent, deadline
        self.half_open: dict[int, bytes] = {}
        self.connected: dict[int, tuple[bytes, bool]] = {}          # grant id → torrent, incoming
        self.ended: deque[tuple[int, bytes, bool]] = deque(maxlen=NUM_ENDED_REMEMBERED)    # grant id, torrent, lease expired
        self.remembered: dict[float, deque[float]] = {120.0: deque(), 10.0: deque()}    # seconds → when each dial ended
        self.bucket = ReferenceBucket(settings.connection_rate, settings.connection_burst, self.now)
        self.limits = {
            "half_open": settings.half_open_limit, "global_connections": settings.global_connection_limit,
            "torrent_connections": settings.torrent_connection_limit, "unanswered": settings.unanswered_limit,
        }
        self.is_paused = False
        self.num_granted = 0
        self.num_places_taken = self.num_closed_idle = 0
        self.num_events = 0
        self.trace = hashlib.sha256()
        self._idle_since: float | None = None
        self._timer_due: float | None = None

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    def register(self, which: int, weight: float) -> None:
        name = self._name(which)
        self.queue.register(name, weight)
        self.torrents.setdefault(name, ModelTorrent())
        self._after("register", which)

    def gone(self, which: int) -> None:
        name = self._name(which)
        freed = self.queue.forget(name, self.now)
        assert (freed is None) is (self.torrents.pop(name, None) is None)
        self.ended = deque(((grant_id, owner, expired and owner != name) for grant_id, owner, expired in self.ended), NUM_ENDED_REMEMBERED)
        counts = []
        for grants in (self.leased, self.half_open, self.connected):
            mine = [grant_id for grant_id, value in grants.items() if (value if isinstance(value, bytes) else value[0]) == name]
            counts.append(len(mine))
            for grant_id in mine:
                if grants is self.half_open:
                    self.remembered[120.0].append(self.now)
                del grants[grant_id]
                self.ended.append((grant_id, name, False))
        assert freed is None or tuple(freed) == tuple(counts)
        self._after("gone", which)

    def request(self, which: int, count: int, *, is_finished: bool = False) -> None:
        name = self._name(which)
        self.queue.request(name, count, self.now, is_finished=is_finished)
        torrent = self.torrents.get(name)
        if torrent is not None:
            torrent.is_finished = is_finished
            torrent.pending = max(count - sum(owner == name for owner, _ in self.leased.values()), 0)
            torrent.held_until = min(torrent.held_until, torrent.hold_at_least_until)
        self._after("request", which, count)

    def cancel(self, which: int) -> None:
        name = self._name(which)
        dropped = self.queue.cancel(name)
        torrent = self.torrents.get(name)
        assert dropped == (torrent.pending if torrent else 0)
        if torrent is not None:
            torrent.pending, torrent.held_until, torrent.num_declines = 0, 0.0, 0
        self._after("cancel", which)

    def decline(self, pick: int, retry_after: float | None) -> None:
        if (grant_id := self._pick(self.leased, pick)) is None:
            return
        name, _ = self.leased.pop(grant_id)
        self.queue.decline(grant_id, "no_candidate", retry_after, self.now)
        torrent = self.torrents[name]
        torrent.pending = 0 if retry_after is None else torrent.pending + 1
        torrent.num_declines += torrent.held_until <= self.now + ROUNDING    # of several at once the first one counts
        at_least = self.settings.drain_interval * 2 ** min(torrent.num_declines - 1, 6)
        torrent.hold_at_least_until = self.now + at_least
        torrent.held_until = self.now + max(retry_after or 0.0, at_least)
        self.ended.append((grant_id, name, False))
        self._after("decline", grant_id)

    def start(self, pick: int) -> None:
        if (grant_id := self._pick(self.leased, pick)) is None:
            return
        name, _ = self.leased.pop(grant_id)
        self.half_open[grant_id] = name
        self.torrents[name].num_declines = 0
        self.queue.attempt_started(grant_id, self.now)
        self.bucket.start()
        self._after("start", grant_id)

    def offer_idle(self, pick: int, idle_seconds: float) -> None:
        """A torrent offers a connection, and the broker looks whether it needs the place."""
        if (grant_id := self._pick(self.connected, pick)) is None:
            return
        self.queue.offer_idle(self.connected[grant_id][0], grant_id, idle_seconds, self.now)
        self._after("offer", grant_id)
        offer = self.queue.idle_to_close(self.now)
        if offer is None:
            return
        num_incoming = sum(incoming for _, incoming in self.connected.values())
        assert self.num_closed_idle <= self.num_places_taken, "more than one connection closed for each place that is taken"
        assert self._total() + self._kept("global_connections", num_incoming) == self.limits["global_connections"], "a place was free"
        assert any(torrent.pending and not torrent.is_finished for torrent in self.torrents.values()), "nobody who downloads waits"
        name, _ = self.connected.pop(offer.grant_id)    # KeyError: not a connection
        assert name == offer.info_hash
        self.num_closed_idle += 1
        self.queue.connection_closed(offer.grant_id, self.now)
        self.ended.append((offer.grant_id, name, False))
        self._after("idle", offer.grant_id)
        assert self.queue.idle_to_close(self.now) is None or self.num_places_taken >= self.num_closed_idle

    def end(self, pick: int, outcome: str) -> None:
        if (grant_id := self._pick(self.half_open, pick)) is None:
            return
        name = self.half_open.pop(grant_id)
        answered_in = 0.05 * (1 + grant_id % 7) if outcome in (dm.CONNECTED, dm.REFUSED, dm.HANDSHAKE_FAILED) else None
        self.queue.attempt_ended(grant_id, outcome, self.now, answered_in, (None, 0.05, 0.3)[grant_id % 3])
        self._attempt_ended(grant_id, name, outcome)
        self._after("end", grant_id, outcome)

    def close(self, pick: int) -> None:
        if (grant_id := self._pick(self.connected, pick)) is None:
            return
        name, _ = self.connected.pop(grant_id)
        self.queue.connection_closed(grant_id, self.now)
        self.ended.append((grant_id, name, False))
        self._after("close", grant_id)

    def incoming(self, which: int) -> None:
        name = self._name(which)
        answer = self.queue.reserve_incoming(name)
        if isinstance(answer, Grant):
            self.num_places_taken += 1
            self.connected[answer.grant_id] = (name, True)
            assert self._total() <= self.limits["global_connections"]
            assert self._total(name) <= self.limits["torrent_connections"]
        elif name in self.torrents:
            assert self._total() >= self.limits["global_connections"] or self._total(name) >= self.limits["torrent_connections"]
        self._after("incoming", which, isinstance(answer, Grant))

    def say_again(self, pick: int, kind: int) -> None:
        """Something about a grant that has ended: said twice, or too late."""
        if not self.ended:
            return
        grant_id, name, expired = self.ended[pick % len(self.ended)]
        outcome = (*FAILURES, dm.CONNECTED)[pick % len(dm.OUTCOMES)]
        if kind == 0:
            self.queue.decline(grant_id, "no_candidate", None, self.now)
        elif kind == 1:
            self.queue.connection_closed(grant_id, self.now)
        elif kind == 2:
            self.queue.attempt_started(grant_id, self.now)
        else:
            self.queue.attempt_ended(grant_id, outcome, self.now)
        if kind >= 2 and expired:                           # the dial is there: it counts
            self.ended.remove((grant_id, name, expired))
            self.bucket.start_unasked()
            self.torrents[name].num_declines = 0
            if kind == 2:
                self.half_open[grant_id] = name
            else:
                self._attempt_ended(grant_id, name, outcome)
        self._after("again", grant_id, kind)

    def say_too_early(self, pick: int, kind: int) -> None:
        """Something that cannot be true yet, or any more, of a living grant; or about a grant that never was."""
        unknown = 10**9 + pick
        if kind == 0:
            self.queue.attempt_ended(unknown, dm.REFUSED, self.now)
            self.queue.attempt_started(unknown, self.now)
            self.queue.connection_closed(unknown, self.now)
            self.queue.decline(unknown, "stopped", 1.0, self.now)
        elif kind == 1 and (grant_id := self._pick(self.leased, pick)) is not None:
            self.queue.connection_closed(grant_id, self.now)
        elif kind == 2 and (grant_id := self._pick(self.connected, pick)) is not None:
            self.queue.attempt_started(grant_id, self.now)
            self.queue.attempt_ended(grant_id, dm.TIMED_OUT, self.now)
            self.queue.decline(grant_id, "stopped", 1.0, self.now)
        elif kind == 3 and (grant_id := self._pick(self.half_open, pick)) is not None:
            self.queue.decline(grant_id, "stopped", 1.0, self.now)
            self.queue.attempt_started(grant_id, self.now)
        self._after("early", pick, kind)

    def set_rate(self, rate: float, burst: int) -> None:
        self.queue.set_rate(rate, burst, self.now)
        self._after("rate", rate, burst)

    def set_limits(self, **limits: int) -> None:
        self.queue.set_limits(self.now, **limits)
        self.limits.update(limits)
        self._after("limits", *limits.values())

    def pause(self) -> None:
        self.queue.pause("the network is down")
        self.is_paused = True
        self._after("pause")

    def resume(self) -> None:
        self.queue.resume()
        self.is_paused = False
        self._after("resume")

    def advance(self, seconds: float) -> None:
        """Let time pass, with the timers that the broker would have."""
        end = self.now + seconds
        while self._timer_due is not None and self._timer_due <= end:
            self._pass_time(self._timer_due)
            due, self._timer_due = self._timer_due, None
            for grant in self.queue.expire_leases(self.now, told_until=due):
                name, deadline = self.leased.pop(grant.grant_id)
                assert deadline <= self.now + ROUNDING
                self.torrents[name].pending = 0
                self.ended.append((grant.grant_id, name, True))
            self._after("timer")
        self._pass_time(end)
        self._after("advance")

    # ── one of them ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def random_event(self, rng: random.Random) -> None:
        """Do one of them: mostly what honest torrents do, now and then anything."""
        pick, which, roll = rng.randrange(1000), rng.randrange(len(self.names)), rng.random()
        if roll < 0.25:    self.start(pick)
        elif roll < 0.40:  self.end(pick, rng.choice(dm.OUTCOMES))
        elif roll < 0.55:  self.request(which, rng.choice((1, 1, 2, 5, 50)), is_finished=rng.random() < 0.2)
        elif roll < 0.80:  self.advance(rng.choice((0.001, 0.05, 0.1, 0.1, 0.5, 0.5, 3.0)))
        elif roll < 0.85:  self.close(pick)
        elif roll < 0.86:  self.offer_idle(pick, rng.choice((0.0, 300.0)))
        elif roll < 0.88:  self.decline(pick, rng.choice((None, 0.0, 0.05, 1.0, 60.0)))
        elif roll < 0.91:  self.register(which, rng.choice((3.0, 1.0, 1 / 3)))
        elif roll < 0.93:  self.incoming(which)
        elif roll < 0.95:  self.say_again(pick, rng.randrange(4))
        elif roll < 0.96:  self.say_too_early(pick, rng.randrange(4))
        elif roll < 0.97:  self.cancel(which)
        elif roll < 0.98:  self.resume()
        elif roll < 0.983: self.gone(which)
        elif roll < 0.986: self.pause()
        elif roll < 0.991: self.advance(rng.choice((11.0, 130.0)))
        elif roll < 0.994: self.set_rate(rng.choice((0, 0.5, 10, 50)), rng.randrange(1, 40))
        else:
            name, highest = rng.choice((("half_open", 20), ("global_connections", 40), ("torrent_connections", 20), ("unanswered", 60)))
            self.set_limits(**{name: rng.randrange(1, highest)})

    @classmethod
    def random(cls, rng: random.Random) -> "QueueWorld":
        """Return a world with a few torrents and limits that are all reached now and then."""
        settings = settings_from({
            "profile": rng.choice(("conservative", "conservative", "auto")), "router_entries": rng.choice((64, 100_000)),
            "connection_rate": rng.choice((0, 1, 10, 50)), "connection_burst": rng.randrange(1, 30),
            "half_open_limit": rng.choice((1, 2, 7, 30)), "global_connection_limit": rng.choice((3, 20, 60)),
            "torrent_connection_limit": rng.choice((2, 10, 25)), "unanswered_limit": rng.choice((5, 60, 400)),
            "lease_seconds": rng.choice((0.2, 10.0)), "drain_interval": rng.choice((0.05, 0.1)),
        })
        world = cls(settings, num_torrents=rng.choice((1, 2, 3, 5, 8)))
        for which in range(len(world.names)):
            world.register(which, 1.0)
        return world

    # ── after each ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _after(self, event: str, *values: object) -> None:
        self.num_events += 1
        self._follow_pace()
        slots = self.queue.drain(self.now)
        self._follow_pace()
        for slot in slots:
            self._granted(slot.info_hash, slot.grant_id, slot.deadline)
        if slots:
            self._check_limits({slot.info_hash for slot in slots})
        delay = self.queue.next_drain(self.now)
        if delay is None:
            self._timer_due = None
        elif self._timer_due is None or self._timer_due > self.now + delay:
            assert delay >= self.settings.drain_interval
            self._timer_due = self.now + delay
        self.trace.update(repr((round(self.now, 6), event, values, [(slot.info_hash[0], slot.grant_id) for slot in slots], delay)).encode())
        self._check()
        self.bucket.event_is_over(len(self.leased))

    def _follow_pace(self) -> None:
        """How fast to dial is the control's to say, within what is allowed; from then on it is a limit as the others are."""
        pace, most = self.queue.rules.control.pace, self.queue.rules.control.most
        assert most.half_open / 16 <= pace.half_open <= most.half_open and pace.half_open >= 1
        assert most.rate / 16 <= pace.rate <= most.rate or pace.rate == most.rate
        assert 1 <= pace.burst <= most.burst
        self.limits["half_open"] = pace.half_open
        rate = 0 if pace.rate == math.inf else pace.rate
        if (rate, pace.burst) != (self.bucket.rate, self.bucket.burst):
            self.bucket.set_rate(rate, pace.burst)

    def _granted(self, name: bytes, grant_id: int, deadline: float) -> None:
        torrent = self.torrents[name]                   # KeyError: a grant for a torrent that is gone
        assert torrent.pending > 0, "a grant that nobody asked for, or after a cancel"
        assert torrent.held_until <= self.now + ROUNDING, "asked again before the time that it said"
        assert not self.is_paused
        assert grant_id not in self.leased and grant_id not in self.half_open and grant_id not in self.connected
        torrent.pending -= 1
        self.leased[grant_id] = (name, deadline)
        self.num_granted += 1
        self.num_places_taken += 1

    def _check_limits(self, granted: set[bytes]) -> None:
        """After grants; nothing else but an incoming connection, which has its own check, makes anything more."""
        assert len(self.leased) + len(self.half_open) <= self.limits["half_open"]
        assert self._total() <= self.limits["global_connections"]
        assert all(self._total(name) <= self.limits["torrent_connections"] for name in granted)
        assert self._num_remembered() + len(self.leased) + len(self.half_open) <= self.limits["unanswered"]
        if self.settings.profile == "auto":
            incoming = sum(incoming for _, incoming in self.connected.values())
            used = self._num_remembered() + self._total() - incoming
            assert used <= int(self.settings.router_entries * 0.7), "the router may be full"
        if self.bucket.rate:
            assert self.bucket.level - len(self.leased) >= -ROUNDING, "a lease without a token"

    def _check(self) -> None:
        self.queue.check_invariants()
        count, ledger = self.queue.ledger.count, self.queue.ledger
        assert (count.leased, count.half_open, count.connected) == (len(self.leased), len(self.half_open), len(self.connected))
        assert ledger.granted == self.num_granted
        assert {name: torrent.pending for name, torrent in self.torrents.items()} == {
            name: torrent.pending for name, torrent in self.queue.torrents.items()
        }
        if not self._somebody_could_dial():
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = self.now
        else:
            assert self.now - self._idle_since <= self.settings.drain_interval + ROUNDING, "token, slot and request all idle"

    def _somebody_could_dial(self) -> bool:
        in_flight = len(self.leased) + len(self.half_open)
        num_incoming = sum(incoming for _, incoming in self.connected.values())
        return (
            not self.is_paused
            and in_flight < self.limits["half_open"]
            and self._total() + self._kept("global_connections", num_incoming) < self.limits["global_connections"]
            and self._num_remembered() + in_flight < self.limits["unanswered"]
            and not self._is_router_full(in_flight)
            and (self.bucket.rate == 0 or self.bucket.level - len(self.leased) >= 1)
            and any(
                torrent.pending and torrent.held_until <= self.now
                and self._total(name) + self._kept("torrent_connections", self._incoming_of(name)) < self.limits["torrent_connections"]
                for name, torrent in self.torrents.items()
            )
        )

    def _is_router_full(self, in_flight: int) -> bool:
        """Tell whether `auto` holds back, for all but first peers at least."""
        if self.settings.profile != "auto":
            return False
        most = int(self.settings.router_entries * 0.7)
        return self._num_remembered() + in_flight + len(self.connected) >= most // 4

    def _kept(self, limit: str, num_incoming: int) -> int:
        return max(int(self.limits[limit] * self.settings.incoming_reserve) - num_incoming, 0)

    def _total(self, name: bytes | None = None) -> int:
        if name is None:
            return len(self.leased) + len(self.half_open) + len(self.connected)
        owners = [owner for owner, _ in self.leased.values()] + list(self.half_open.values()) + [owner for owner, _ in self.connected.values()]
        return owners.count(name)

    def _incoming_of(self, name: bytes) -> int:
        return sum(owner == name and incoming for owner, incoming in self.connected.values())

    def _num_remembered(self) -> int:
        for seconds, ends in self.remembered.items():
            while ends and ends[0] + seconds <= self.now + ROUNDING:
                ends.popleft()
        return sum(map(len, self.remembered.values()))

    def _attempt_ended(self, grant_id: int, name: bytes, outcome: str) -> None:
        if outcome == dm.CONNECTED:
            self.connected[grant_id] = (name, False)
            return
        self.ended.append((grant_id, name, False))
        if outcome in (dm.TIMED_OUT, dm.CANCELLED):
            self.remembered[120.0].append(self.now)
        elif outcome in (dm.REFUSED, dm.UNREACHABLE):
            self.remembered[10.0].append(self.now)

    def _pass_time(self, now: float) -> None:
        self.now = now
        self.bucket.pass_time(now)

    def _name(self, which: int) -> bytes:
        return self.names[which % len(self.names)]

    @staticmethod
    def _pick(grants: dict, pick: int) -> int | None:
        return list(grants)[pick % len(grants)] if grants else None
