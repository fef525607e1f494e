"""What keeps a daemon's machine from dialling pauses everybody with its reason, and resumes them when the last daemon is over it."""

import random

import pytest

from actors import messages as m
from actors.daemon_link import DaemonLink
from actors.session import Session
from protocol import daemon_messages as dm
from scheduler.settings import Settings
from tests.actors.pump import RecordingLog, RecordingRef, pump
from tests.actors.test_daemon_link import CONFIGURE

DOWN, FULL = "the network is down", "too many open files"


@pytest.fixture
def broker():
    return RecordingRef()


@pytest.fixture
def tell(broker):
    """Tell a session with two daemons something; return what its broker was told then."""
    session = Session(Settings(), b"-EW0100-123456789012", random.Random(1), print, log=RecordingLog())

    def tell(*messages):
        for message in messages:
            session.actor_ref.tell(message)
        pump(session)
        return broker.take()

    tell(m.PartsStarted(broker, RecordingRef(), (RecordingRef(), RecordingRef())))
    return tell


def test_an_obstacle_pauses_everybody_with_its_reason_and_its_end_resumes_them(tell):
    assert tell(m.DialsObstructed(0, "network", DOWN)) == [m.PauseConnecting(DOWN)]
    assert tell(m.DialsObstructed(0, "network", "")) == [m.ResumeConnecting(DOWN)]


def test_an_obstacle_of_two_daemons_is_over_when_both_are_over_it(tell):
    tell(m.DialsObstructed(0, "network", DOWN), m.DialsObstructed(1, "network", DOWN))
    assert tell(m.DialsObstructed(0, "network", "")) == []
    assert tell(m.DialsObstructed(1, "network", "")) == [m.ResumeConnecting(DOWN)]


def test_two_obstacles_end_each_by_itself(tell):
    assert tell(m.DialsObstructed(0, "network", DOWN), m.DialsObstructed(0, "descriptors", FULL)) == [m.PauseConnecting(DOWN), m.PauseConnecting(FULL)]
    assert tell(m.DialsObstructed(0, "network", "")) == [m.ResumeConnecting(DOWN)]
    assert tell(m.DialsObstructed(0, "descriptors", "")) == [m.ResumeConnecting(FULL)]


def test_the_end_of_an_obstacle_that_nobody_knows_of_resumes_nobody(tell):
    assert tell(m.DialsObstructed(0, "network", "")) == []


class LinkWithoutProcess(DaemonLink):
    """Its daemon is what a test says."""

    def _end_process(self):
        self._process, self._process_id = None, 1
        return -9


def test_what_a_daemon_found_goes_to_the_session_and_ends_with_its_death():
    session = RecordingRef()
    link = LinkWithoutProcess(session, 1, CONFIGURE, log=RecordingLog(), call_later=lambda delay, function: None)
    link._process = link._generation = 1
    link.actor_ref.tell(m.DaemonSaid(1, (dm.DialsObstructed("network", DOWN), dm.DialsObstructed("descriptors", FULL), dm.DialsObstructed("descriptors", ""))))
    pump(link)
    assert session.take() == [
        m.DialsObstructed(1, "network", DOWN), m.DialsObstructed(1, "descriptors", FULL), m.DialsObstructed(1, "descriptors", ""),
    ]
    link.actor_ref.tell(m.DaemonEnded(1, "killed"))
    pump(link)
    assert session.take() == [m.DialsObstructed(1, "network", "")]
