"""A world around ConnectionQueue: torrents that do anything, time that passes, and a count of its own to compare with.

`QueueWorld` is the broker and all torrents at once: an event is told to the queue and to a model of it (queue_model.py), the queue is
drained as the broker does, and after each event the invariants of connection fairness are checked. It is driven by hypothesis (which finds the shortest way to a fault) and by `random_event` (which
gets far).
"""

import hashlib
import random
from collections import deque

from protocol import daemon_messages as dm
from scheduler.connection_queue import ConnectionQueue
from scheduler.grant_ledger import Grant
from scheduler.settings import Settings, settings_from
from tests.properties.queue_model import ModelTorrent, QueueModel
from tests.properties.reference_bucket import ROUNDING

NUM_ENDED_REMEMBERED = 50                               # grants that something late may be told about
FAILURES = [outcome for outcome in dm.OUTCOMES if outcome != dm.CONNECTED]


class QueueWorld:
    """All events are methods; those that pick a grant take any number and do nothing when there is no grant to pick."""

    def __init__(self, settings: Settings, num_torrents: int) -> None:
        self.model = QueueModel(settings, 50_000.0)
        self.queue = ConnectionQueue(settings, self.now)
        self.settings = settings
        self.names = [bytes([number]) * 20 for number in range(num_torrents)]
        self.ended: deque[tuple[int, bytes, bool]] = deque(maxlen=NUM_ENDED_REMEMBERED)    # grant id, torrent, lease expired
        self.num_places_taken = self.num_closed_idle = 0
        self.num_events = 0
        self.trace = hashlib.sha256()
        self._idle_since: float | None = None
        self._timer_due: float | None = None

    @property
    def now(self) -> float:
        """The clock of the queue."""
        return self.model.now

    @property
    def num_granted(self) -> int:
        """How many slots the queue gave."""
        return self.model.num_granted

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    def register(self, which: int, weight: float) -> None:
        name = self._name(which)
        self.queue.register(name, weight)
        self.model.torrents.setdefault(name, ModelTorrent())
        self._after("register", which)

    def gone(self, which: int) -> None:
        name = self._name(which)
        freed = self.queue.forget(name, self.now)
        assert (freed is None) is (self.model.torrents.pop(name, None) is None)
        self.ended = deque(((grant_id, owner, expired and owner != name) for grant_id, owner, expired in self.ended), NUM_ENDED_REMEMBERED)
        counts = []
        for grants in (self.model.leased, self.model.half_open, self.model.connected):
            mine = [grant_id for grant_id, value in grants.items() if (value if isinstance(value, bytes) else value[0]) == name]
            counts.append(len(mine))
            for grant_id in mine:
                if grants is self.model.half_open:
                    self.model.remember(grant_id, 120.0)
                del grants[grant_id]
                self.ended.append((grant_id, name, False))
        assert freed is None or tuple(freed) == tuple(counts)
        self._after("gone", which)

    def request(self, which: int, count: int, *, is_finished: bool = False) -> None:
        name = self._name(which)
        self.queue.request(name, count, self.now, is_finished=is_finished)
        torrent = self.model.torrents.get(name)
        if torrent is not None:
            torrent.is_finished = is_finished
            torrent.pending = max(count - sum(owner == name for owner, _ in self.model.leased.values()), 0)
            torrent.held_until = min(torrent.held_until, torrent.hold_at_least_until)
        self._after("request", which, count)

    def cancel(self, which: int) -> None:
        name = self._name(which)
        dropped = self.queue.cancel(name)
        torrent = self.model.torrents.get(name)
        assert dropped == (torrent.pending if torrent else 0)
        if torrent is not None:
            torrent.pending, torrent.held_until, torrent.num_declines = 0, 0.0, 0
        self._after("cancel", which)

    def decline(self, pick: int, retry_after: float | None) -> None:
        if (grant_id := self._pick(self.model.leased, pick)) is None:
            return
        name, _ = self.model.leased.pop(grant_id)
        self.queue.decline(grant_id, "no_candidate", retry_after, self.now)
        torrent = self.model.torrents[name]
        torrent.num_fruitless = max(torrent.num_fruitless - 1, 0)
        torrent.pending = 0 if retry_after is None else torrent.pending + 1
        torrent.num_declines += torrent.held_until <= self.now + ROUNDING    # of several at once the first one counts
        at_least = self.settings.drain_interval * 2 ** min(torrent.num_declines - 1, 6)
        torrent.hold_at_least_until = self.now + at_least
        torrent.held_until = self.now + max(retry_after or 0.0, at_least)
        self.ended.append((grant_id, name, False))
        self._after("decline", grant_id)

    def start(self, pick: int) -> None:
        if (grant_id := self._pick(self.model.leased, pick)) is None:
            return
        name, _ = self.model.leased.pop(grant_id)
        self.model.half_open[grant_id] = name
        self.model.torrents[name].num_declines = 0
        self.queue.attempt_started(grant_id, self.now)
        self.model.bucket.start()
        self._after("start", grant_id)

    def offer_idle(self, pick: int, idle_seconds: float) -> None:
        """A torrent offers a connection, and the broker looks whether it needs the place."""
        if (grant_id := self._pick(self.model.connected, pick)) is None:
            return
        self.queue.offer_idle(self.model.connected[grant_id][0], grant_id, idle_seconds, self.now)
        self._after("offer", grant_id)
        offer = self.queue.idle_to_close(self.now)
        if offer is None:
            return
        num_incoming = sum(incoming for _, incoming in self.model.connected.values())
        assert self.num_closed_idle <= self.num_places_taken, "more than one connection closed for each place that is taken"
        assert self.model.total() + self.model.kept("global_connections", num_incoming) == self.model.limits["global_connections"], "a place was free"
        assert any(torrent.pending and not torrent.is_finished for torrent in self.model.torrents.values()), "nobody who downloads waits"
        name, _ = self.model.connected.pop(offer.grant_id)    # KeyError: not a connection
        assert name == offer.info_hash
        self.num_closed_idle += 1
        self.queue.connection_closed(offer.grant_id, self.now)
        self.ended.append((offer.grant_id, name, False))
        self._after("idle", offer.grant_id)
        assert self.queue.idle_to_close(self.now) is None or self.num_places_taken >= self.num_closed_idle

    def end(self, pick: int, outcome: str) -> None:
        if (grant_id := self._pick(self.model.half_open, pick)) is None:
            return
        name = self.model.half_open.pop(grant_id)
        answered_in = 0.05 * (1 + grant_id % 7) if outcome in (dm.CONNECTED, dm.REFUSED, dm.HANDSHAKE_FAILED) else None
        self.queue.attempt_ended(grant_id, outcome, self.now, answered_in, (None, 0.05, 0.3)[grant_id % 3])
        self._attempt_ended(grant_id, name, outcome)
        self._after("end", grant_id, outcome)

    def close(self, pick: int) -> None:
        if (grant_id := self._pick(self.model.connected, pick)) is None:
            return
        name, _ = self.model.connected.pop(grant_id)
        self.queue.connection_closed(grant_id, self.now)
        self.ended.append((grant_id, name, False))
        self._after("close", grant_id)

    def incoming(self, which: int) -> None:
        name = self._name(which)
        answer = self.queue.reserve_incoming(name)
        if isinstance(answer, Grant):
            self.num_places_taken += 1
            self.model.connected[answer.grant_id] = (name, True)
            assert self.model.total() <= self.model.limits["global_connections"]
            assert self.model.total(name) <= self.model.limits["torrent_connections"]
        elif name in self.model.torrents:
            assert self.model.total() >= self.model.limits["global_connections"] or self.model.total(name) >= self.model.limits["torrent_connections"]
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
            self.model.bucket.start_unasked()
            self.model.torrents[name].num_declines = 0
            if kind == 2:
                self.model.half_open[grant_id] = name
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
        elif kind == 1 and (grant_id := self._pick(self.model.leased, pick)) is not None:
            self.queue.connection_closed(grant_id, self.now)
        elif kind == 2 and (grant_id := self._pick(self.model.connected, pick)) is not None:
            self.queue.attempt_started(grant_id, self.now)
            self.queue.attempt_ended(grant_id, dm.TIMED_OUT, self.now)
            self.queue.decline(grant_id, "stopped", 1.0, self.now)
        elif kind == 3 and (grant_id := self._pick(self.model.half_open, pick)) is not None:
            self.queue.decline(grant_id, "stopped", 1.0, self.now)
            self.queue.attempt_started(grant_id, self.now)
        self._after("early", pick, kind)

    def set_rate(self, rate: float, burst: int) -> None:
        self.queue.set_rate(rate, burst, self.now)
        self._after("rate", rate, burst)

    def set_limits(self, **limits: int) -> None:
        self.queue.set_limits(self.now, **limits)
        self.model.limits.update(limits)
        self._after("limits", *limits.values())

    def pause(self) -> None:
        self.queue.pause("the network is down")
        self.model.is_paused = True
        self._after("pause")

    def resume(self) -> None:
        self.queue.resume()
        self.model.is_paused = False
        self._after("resume")

    def advance(self, seconds: float) -> None:
        """Let time pass, with the timers that the broker would have."""
        end = self.now + seconds
        while self._timer_due is not None and self._timer_due <= end:
            self.model.pass_time(self._timer_due)
            due, self._timer_due = self._timer_due, None
            for grant in self.queue.expire_leases(self.now, told_until=due):
                name, deadline = self.model.leased.pop(grant.grant_id)
                assert deadline <= self.now + ROUNDING
                self.model.torrents[name].pending = 0
                self.ended.append((grant.grant_id, name, True))
            self._after("timer")
        self.model.pass_time(end)
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
        self.model.follow_pace(self.queue.rules.control)
        slots = self.queue.drain(self.now)
        self.model.follow_pace(self.queue.rules.control)
        for slot in slots:
            self.model.granted(slot.info_hash, slot.grant_id, slot.deadline)
            self.num_places_taken += 1
        if slots:
            self.model.check_limits({slot.info_hash for slot in slots})
        delay = self.queue.next_drain(self.now)
        if delay is None:
            self._timer_due = None
        elif self._timer_due is None or self._timer_due > self.now + delay:
            assert delay >= self.settings.drain_interval
            self._timer_due = self.now + delay
        self.trace.update(repr((round(self.now, 6), event, values, [(slot.info_hash[0], slot.grant_id) for slot in slots], delay)).encode())
        self._check()
        self.model.bucket.event_is_over(len(self.model.leased))

    def _check(self) -> None:
        self.queue.check_invariants()
        count, ledger = self.queue.ledger.count, self.queue.ledger
        assert (count.leased, count.half_open, count.connected) == (len(self.model.leased), len(self.model.half_open), len(self.model.connected))
        assert ledger.granted == self.model.num_granted
        assert {name: torrent.pending for name, torrent in self.model.torrents.items()} == {
            name: torrent.pending for name, torrent in self.queue.torrents.items()
        }
        if not self.model.somebody_could_dial():
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = self.now
        else:
            assert self.now - self._idle_since <= self.settings.drain_interval + ROUNDING, "token, slot and request all idle"

    def _attempt_ended(self, grant_id: int, name: bytes, outcome: str) -> None:
        if not self.model.attempt_ended(grant_id, name, outcome):
            self.ended.append((grant_id, name, False))

    def _name(self, which: int) -> bytes:
        return self.names[which % len(self.names)]

    @staticmethod
    def _pick(grants: dict, pick: int) -> int | None:
        return list(grants)[pick % len(grants)] if grants else None
