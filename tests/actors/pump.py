"""Actors without greenlets: their inboxes emptied by hand, time that is moved by hand, receivers that only remember."""

import heapq
import itertools
from collections.abc import Callable
from typing import Any

import pykka


def pump(*actors: pykka.ThreadingActor) -> None:
    """Handle what lies in the inboxes of unstarted actors until all are empty."""
    while waiting := [actor for actor in actors if not actor.actor_inbox.empty()]:
        for actor in waiting:
            actor.on_receive(actor.actor_inbox.get().message)


class VirtualTime:
    """A clock and timers for unstarted actors: `EngineActor(clock=time.clock, call_later=time.call_later)`."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now
        self._due: list[tuple[float, int, VirtualTimer]] = []
        self._order = itertools.count()

    def clock(self) -> float:
        return self.now

    def call_later(self, delay: float, function: Callable[..., None], *arguments: Any) -> "VirtualTimer":
        """As gevent.spawn_later."""
        timer = VirtualTimer(function, arguments)
        heapq.heappush(self._due, (self.now + max(delay, 0.0), next(self._order), timer))
        return timer

    @property
    def timers(self) -> list[float]:
        """In how many seconds each timer that is armed is due."""
        return sorted(due - self.now for due, _, timer in self._due if not timer.is_over)

    def advance(self, seconds: float, *actors: pykka.ThreadingActor) -> None:
        """Let time pass: timers fire when they are due, and after each `actors` are pumped."""
        end = self.now + seconds
        pump(*actors)
        while self._due and self._due[0][0] <= end:
            self.now, _, timer = heapq.heappop(self._due)
            timer.fire()
            pump(*actors)
        self.now = end


class VirtualTimer:
    """One call that is due."""

    def __init__(self, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self.is_over = False
        self._function, self._arguments = function, arguments

    def fire(self) -> None:
        if not self.is_over:
            self.is_over = True
            self._function(*self._arguments)

    def kill(self, *, block: bool) -> None:
        self.is_over = True


class RecordingRef:
    """Stands for the ActorRef of an actor that only remembers what it was told, or that is dead."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.is_dead = False

    def tell(self, message: Any) -> None:
        if self.is_dead:
            raise pykka.ActorDeadError("dead by order of a test")
        self.messages.append(message)

    def take(self, kind: type = object) -> list[Any]:
        """Return and forget the messages of this kind."""
        taken = [message for message in self.messages if isinstance(message, kind)]
        self.messages = [message for message in self.messages if not isinstance(message, kind)]
        return taken


class RecordingLog:
    """Stands for a structlog logger: keeps (event, fields) of what was logged, at whatever level."""

    def __init__(self, events: list[tuple[str, dict[str, Any]]] | None = None, bound: dict[str, Any] | None = None) -> None:
        self.events = [] if events is None else events
        self._bound = bound or {}

    def bind(self, **fields: Any) -> "RecordingLog":
        return RecordingLog(self.events, {**self._bound, **fields})

    def info(self, event: str, **fields: Any) -> None:
        self.events.append((event, {**self._bound, **fields}))

    debug = warning = error = info

    def named(self, event: str) -> list[dict[str, Any]]:
        """Return the fields of each event of this name."""
        return [fields for name, fields in self.events if name == event]
