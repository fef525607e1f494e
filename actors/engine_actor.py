"""EngineActor, base of all actors: gives way to the event loop, posts, calls later, tells the session when it failed.

An actor also works without having been started: tests and the simulator put messages into its inbox and call `on_receive` by hand.
So nothing here needs a running greenlet, and both clock and timers can be given.
"""

import contextlib
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, NoReturn, Protocol

import gevent
import pykka
import structlog

from actors import messages as m
from protocol.errors import LocalProtocolError

TURN_SECONDS = 0.005                                    # how long the actors may keep the hub from timers and sockets


class UnknownMessage(LocalProtocolError):
    """An actor got a message that is not for it: a bug of the sender."""


class Timer(Protocol):
    """What a `call_later` function returns."""

    def kill(self, *, block: bool) -> None:
        """Make it do nothing any more; does nothing when it has fired already."""


class LoopTurn:
    """When the event loop last had its turn. One for all actors of the process: they share one hub."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def give_way(self) -> None:
        """Let timers and sockets run once the actors have had the hub for TURN_SECONDS."""
        if time.monotonic() - self._last > TURN_SECONDS:
            gevent.sleep(1e-6)                          # not 0: that would not reach the event loop
            self._last = time.monotonic()


_loop_turn = LoopTurn()


def spawn_later(seconds: float, function: Callable[[], None]) -> Timer:
    """As gevent.spawn_later, but never early: that counts from when the loop last looked at the clock, which is before this turn."""
    gevent.get_hub().loop.update_now()
    return gevent.spawn_later(seconds, function)


class DelayedMessage:
    """A message that an actor gets from itself later, unless it is cancelled."""

    __slots__ = ("_actor", "_message", "_timer")

    def __init__(self, actor: "EngineActor", delay: float, message: Any, start_timer: Callable[[float, Callable[[], None]], Timer]) -> None:
        self._actor, self._message = actor, message
        self._timer = start_timer(delay, self._fire)

    def _fire(self) -> None:
        self._actor.delayed_messages.discard(self)
        self._actor.post(self._actor.actor_ref, self._message)

    def cancel(self) -> None:
        """The message does not come. Of one that came already: nothing."""
        self._actor.delayed_messages.discard(self)
        self._timer.kill(block=False)


class EngineActor(pykka.ThreadingActor):
    """Base of the engine's actors.

    `session`: who hears of this actor's failure (None: nobody). `clock` returns monotonic seconds. `call_later` is a function that
    takes (seconds, function), calls the function once and returns a Timer. `log` is a structlog logger.
    A subclass with an `on_stop` or an `on_failure` of its own calls these too. `on_start` must do no more than tell itself `Begin`.
    """

    def __init__(
        self, session: pykka.ActorRef | None = None, *,
        clock: Callable[[], float] = time.monotonic, call_later: Callable[[float, Callable[[], None]], Timer] = spawn_later, log: Any = None,
    ) -> None:
        super().__init__()
        self.name = type(self).__name__                 # for ActorFailed and the log; a subclass may say more
        self.clock = clock
        self.delayed_messages: set[DelayedMessage] = set()
        self._session = session
        self._start_timer = call_later
        self._log = (structlog.get_logger() if log is None else log).bind()

    def give_way(self) -> None:
        """The first line of every `on_receive`: an actor with a full inbox would keep timers and sockets waiting."""
        _loop_turn.give_way()

    def post(self, ref: pykka.ActorRef, message: Any) -> bool:
        """Tell `ref`, or return False if that actor is dead. True does not mean that it will be handled."""
        with contextlib.suppress(pykka.ActorDeadError):
            ref.tell(message)
            return True
        return False

    def call_later(self, delay: float, message: Any) -> DelayedMessage:
        """Tell this actor `message` in `delay` seconds, unless that is cancelled or the actor ends before."""
        delayed = DelayedMessage(self, delay, message, self._start_timer)
        self.delayed_messages.add(delayed)
        return delayed

    def unknown(self, message: Any) -> NoReturn:
        """The last arm of every `match`. Raises UnknownMessage."""
        raise UnknownMessage(f"{self.name} got {message!r}")

    def on_stop(self) -> None:
        self._cancel_delayed_messages()

    def on_failure(
        self, exception_type: type[BaseException] | None, exception_value: BaseException | None, traceback: TracebackType | None,
    ) -> None:
        self._cancel_delayed_messages()
        error = f"{exception_type.__name__}: {exception_value}"
        self._log.error("actor_failed", name=self.name, error=error, exc_info=exception_value)
        if self._session is not None:
            self.post(self._session, m.ActorFailed(self.name, error, self.actor_urn))

    def _cancel_delayed_messages(self) -> None:
        for delayed in list(self.delayed_messages):
            delayed.cancel()
