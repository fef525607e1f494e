"""EngineActor: what every actor of the engine can do, started or not."""

from typing import Any

import gevent
import gevent.event
import pykka
import pytest

from actors import messages as m
from actors.engine_actor import EngineActor, UnknownMessage
from tests.actors.pump import RecordingLog, RecordingRef, VirtualTime, pump

DEADLINE_SECONDS = 10


class ItDidNotCome(Exception):
    """What a test waited for."""


class Echo(EngineActor):
    """Remembers what it gets; a function is called, an exception raised."""

    def __init__(self, session=None, **engine: Any) -> None:
        super().__init__(session, **engine)
        self.got = []
        self.got_one = gevent.event.Event()

    def on_receive(self, message):
        self.give_way()
        if isinstance(message, BaseException):
            raise message
        if message == "nobody knows this":
            self.unknown(message)
        self.got.append(message)
        self.got_one.set()


@pytest.fixture(autouse=True)
def actors_stopped():
    yield
    pykka.ActorRegistry.stop_all(timeout=DEADLINE_SECONDS)


def test_it_works_without_having_been_started():
    actor = Echo()
    actor.actor_ref.tell("message")
    pump(actor)
    assert actor.got == ["message"]


def test_post_tells():
    sender, receiver = Echo(), Echo()
    assert sender.post(receiver.actor_ref, "message")
    pump(receiver)
    assert receiver.got == ["message"]


def test_post_to_a_dead_actor_is_false_and_no_error():
    ref = Echo.start()
    ref.stop(timeout=DEADLINE_SECONDS)
    assert Echo().post(ref, "message") is False


def test_a_message_comes_later_and_once():
    time = VirtualTime()
    actor = Echo(clock=time.clock, call_later=time.call_later)
    actor.call_later(2.0, "later")
    time.advance(1.99, actor)
    assert actor.got == [] and time.timers == pytest.approx([0.01])
    time.advance(100.0, actor)
    assert actor.got == ["later"] and time.timers == []


def test_a_message_that_is_cancelled_does_not_come():
    time = VirtualTime()
    actor = Echo(clock=time.clock, call_later=time.call_later)
    delayed = actor.call_later(2.0, "later")
    delayed.cancel()
    delayed.cancel()
    time.advance(100.0, actor)
    assert actor.got == [] and not actor.delayed_messages


def test_a_message_that_came_can_be_cancelled_without_harm():
    time = VirtualTime()
    actor = Echo(clock=time.clock, call_later=time.call_later)
    delayed = actor.call_later(2.0, "later")
    time.advance(3.0, actor)
    delayed.cancel()
    assert actor.got == ["later"]


def test_by_default_later_is_told_by_gevent():
    ref = Echo.start()
    actor = ref._actor_weakref()
    actor.call_later(0.01, "later")
    with gevent.Timeout(DEADLINE_SECONDS, ItDidNotCome):
        actor.got_one.wait()
    assert actor.got == ["later"]


@pytest.mark.parametrize("end", ["stop", "failure"])
def test_what_was_to_come_later_does_not_come_to_an_actor_that_ended(end):
    time = VirtualTime()
    actor = Echo(clock=time.clock, call_later=time.call_later, log=RecordingLog())
    actor.call_later(2.0, "later")
    if end == "stop":
        actor.on_stop()
    else:
        actor.on_failure(ValueError, ValueError("broken"), None)
    assert time.timers == []


def test_the_session_hears_of_an_actor_that_failed():
    session, log = RecordingRef(), RecordingLog()
    ref = Echo.start(session, log=log)
    ref.tell(ValueError("broken"))
    ref.actor_stopped.wait(timeout=DEADLINE_SECONDS)
    with gevent.Timeout(DEADLINE_SECONDS, ItDidNotCome):
        while not session.messages:
            gevent.sleep(0.001)
    assert session.messages == [m.ActorFailed("Echo", "ValueError: broken", ref.actor_urn)]
    ((event, fields),) = log.events
    assert (event, fields["name"], fields["error"]) == ("actor_failed", "Echo", "ValueError: broken")


def test_a_failure_that_nobody_hears_is_logged():
    log = RecordingLog()
    Echo(None, log=log).on_failure(ValueError, ValueError("broken"), None)
    assert [event for event, _ in log.events] == ["actor_failed"]


def test_an_unknown_message_is_an_error_that_names_actor_and_message():
    actor = Echo()
    actor.actor_ref.tell("nobody knows this")
    with pytest.raises(UnknownMessage, match="Echo got 'nobody knows this'"):
        pump(actor)
