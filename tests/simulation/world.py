"""Virtual time for real actors: a heap of moments, one inbox for all, no clock, no greenlet, no chance but a seed.

Actors are made but never started. What they tell each other lies in one queue in the order in which it was told, as in one process
with one hub; `run` handles it until it is empty and then jumps to the next moment at which something is due. So an hour costs as much
as what happens in it, and the same seed does the same things in the same order.

Two clocks: `now` is the time that passes; `clock()` is what the actors are shown, and may step.
"""

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable
from typing import Any

import pykka
from pykka import messages as pykka_messages

SHORTEST_TIMER_SECONDS = 1e-6
MOST_MESSAGES_AT_ONCE = 500_000                       # handled without time passing: more is a loop of messages


class CrashedByOrder(Exception):
    """What an actor dies of when a scenario says so."""


class DueCall:
    """A call that is due at a moment; what gevent.spawn_later returns to the actors."""

    __slots__ = ("_function", "_timers")

    def __init__(self, function: Callable[[], None], timers: set["DueCall"] | None) -> None:
        self._function: Callable[[], None] | None = function
        self._timers = timers
        if timers is not None:
            timers.add(self)

    def fire(self) -> None:
        function = self._function
        self.kill()
        if function is not None:
            function()

    def kill(self, *, block: bool = False) -> None:
        self._function = None
        if self._timers is not None:
            self._timers.discard(self)


class SharedInbox:
    """Stands for the queue of an actor: what is put in goes to the end of the one queue of the world."""

    __slots__ = ("_actor", "_told")

    def __init__(self, actor: pykka.ThreadingActor, told: deque) -> None:
        self._actor, self._told = actor, told

    def put(self, envelope: Any) -> None:
        self._told.append((self._actor, envelope.message))


class World:
    """`before(actor, message)` and `after(actor, message)` are called around each message that an actor handles.

    `shuffled`: which of the actors that were told something runs next is left to chance.
    """

    def __init__(self, seed: int, *, shuffled: bool = False) -> None:
        self.now = 1_000.0                              # not 0: nobody may take a moment for "never"
        self.rng = random.Random(seed)
        self.clock_offset = 0.0
        self.timers: set[DueCall] = set()               # of the actors
        self.num_handled = 0
        self.before: Callable[[Any, Any], None] = lambda actor, message: None
        self.after: Callable[[Any, Any], None] = lambda actor, message: None
        self._due: list[tuple[float, int, DueCall]] = []
        self._order = itertools.count()
        self._told: deque[tuple[Any, Any]] = deque()
        self._frozen: dict[Any, list[Any]] = {}         # actor → what it was told since
        self._shuffle = random.Random(seed + 1) if shuffled else None

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def clock(self) -> float:
        """What the actors believe."""
        return self.now + self.clock_offset

    def call_later(self, delay: float, function: Callable[[], None]) -> DueCall:
        """As gevent.spawn_later, for the actors: a real timer takes its time, however short."""
        return self._push(max(delay, SHORTEST_TIMER_SECONDS), DueCall(function, self.timers))

    def later(self, delay: float, function: Callable[[], None]) -> DueCall:
        """The same for everything else that happens."""
        return self._push(delay, DueCall(function, None))

    def _push(self, delay: float, due: DueCall) -> DueCall:
        heapq.heappush(self._due, (self.now + max(delay, 0.0), next(self._order), due))
        return due

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.run_until(self.now + seconds)

    def run_until(self, moment: float) -> None:
        """Let time pass until then."""
        self.handle_all()
        while self._due and self._due[0][0] <= moment:
            when, _, due = heapq.heappop(self._due)
            self.now = max(self.now, when)              # what was due while the machine slept is late
            due.fire()
            self.handle_all()
        self.now = max(self.now, moment)

    def sleep(self, seconds: float) -> None:
        """The machine is suspended: time passes, nothing runs."""
        self.now += seconds

    # ── actors ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    def adopt(self, actor: Any) -> Any:
        """Take an actor that was made, not started; its messages are handled here from now on."""
        actor.actor_inbox = actor.actor_ref.actor_inbox = SharedInbox(actor, self._told)
        return actor

    def freeze(self, actor: Any) -> None:
        """It is stuck: what it is told waits."""
        self._frozen.setdefault(actor, [])

    def thaw(self, actor: Any) -> None:
        """It goes on, with what waited first."""
        waited = self._frozen.pop(actor, [])
        self._told.extendleft((actor, message) for message in reversed(waited))
        self.handle_all()

    def is_frozen(self, actor: Any) -> bool:
        return actor in self._frozen

    def crash(self, actor: Any) -> None:
        """It dies of an exception, as pykka lets it."""
        actor.actor_stopped.set()
        actor.on_failure(CrashedByOrder, CrashedByOrder("by order of the scenario"), None)
        self.handle_all()

    def handle_all(self) -> None:
        """Let the actors handle what they were told, and what that leads to, without time passing."""
        for _ in range(MOST_MESSAGES_AT_ONCE):
            if not self._told:
                return
            actor, message = self._told.popleft() if self._shuffle is None else self._any_actors_next()
            self._handle(actor, message)
        raise AssertionError(f"more than {MOST_MESSAGES_AT_ONCE} messages at one moment, the last one {message!r}")

    def _any_actors_next(self) -> tuple[Any, Any]:
        """Whichever actor runs first: its messages keep their order, the actors have none."""
        actor = self._shuffle.choice(self._told)[0]
        index = next(index for index, (receiver, _) in enumerate(self._told) if receiver is actor)
        told = self._told[index]
        del self._told[index]
        return told

    def _handle(self, actor: Any, message: Any) -> None:
        if actor.actor_stopped.is_set():
            return                                      # pykka drops it silently, too
        if actor in self._frozen:
            self._frozen[actor].append(message)
            return
        self.num_handled += 1
        if isinstance(message, pykka_messages._ActorStop):
            actor._stop()
            return
        try:
            self.before(actor, message)
            actor.on_receive(message)
            self.after(actor, message)
        except Exception as error:
            error.add_note(f"at {self.now - 1_000.0:.3f} s, {type(actor).__name__} handled {message!r}")
            raise


class Outsider:
    """Stands for the ActorRef of somebody who is not simulated: hands what it is told to a function."""

    def __init__(self, told: Callable[[Any], None] = lambda message: None) -> None:
        self.tell = told


class SimulatedLog:
    """Stands for a structlog logger: hands (event, fields) to one function."""

    __slots__ = ("_bound", "_told")

    def __init__(self, told: Callable[[str, dict[str, Any]], None], bound: dict[str, Any] | None = None) -> None:
        self._told, self._bound = told, bound or {}

    def bind(self, **fields: Any) -> "SimulatedLog":
        return SimulatedLog(self._told, {**self._bound, **fields})

    def info(self, event: str, **fields: Any) -> None:
        self._told(event, {**self._bound, **fields})

    debug = warning = error = info
