"""The life cycle of a torrent: wishes and facts in any order, and the steps that follow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import snapshots
from scheduler import torrent_life
from scheduler.torrent_life import CHECKING, DOWNLOADING, ERROR, METADATA, SEEDING, STOPPED, Phase, Step, TorrentLife


def play(*events: str, has_metadata: bool = True) -> tuple[TorrentLife, list[Step]]:
    """Return a life after `events` ("failed" stands for a failure) and the steps that it took."""
    life, steps = TorrentLife(has_metadata), []
    for event in events:
        life.failed("no room") if event == "failed" else getattr(life, event)()
        while step := life.next_step():
            steps.append(step)
    return life, steps


RUNNING = ("daemon_ready", "start", "checked")


@pytest.mark.parametrize(("events", "state", "steps"), [
    ((), STOPPED, []),
    (("start",), METADATA, []),
    (("start", "daemon_ready"), METADATA, [Step.FETCH]),
    (("daemon_ready", "start", "metadata_known"), CHECKING, [Step.FETCH, Step.GIVE]),
    (("daemon_ready", "start", "metadata_known", "checked"), DOWNLOADING, [Step.FETCH, Step.GIVE, Step.RUN]),
    (("daemon_ready", "start", "stop"), STOPPED, [Step.FETCH, Step.HALT]),
    (("daemon_ready", "start", "stop", "stopped"), STOPPED, [Step.FETCH, Step.HALT, Step.FORGET]),
    (("daemon_ready", "start", "stop", "start", "stopped"), METADATA, [Step.FETCH, Step.HALT, Step.FORGET, Step.FETCH]),
    (("daemon_ready", "start", "stop", "metadata_known", "stopped", "start"), METADATA, [Step.FETCH, Step.HALT, Step.FORGET, Step.FETCH]),
    (("daemon_ready", "start", "daemon_lost", "daemon_ready"), METADATA, [Step.FETCH, Step.FETCH]),
    (("daemon_ready", "start", "metadata_known", "daemon_lost", "daemon_ready"), CHECKING, [Step.FETCH, Step.GIVE, Step.GIVE]),
    (("daemon_ready", "start", "recheck"), METADATA, [Step.FETCH]),
    (("daemon_ready", "recheck"), STOPPED, []),
    (("daemon_ready", "start", "failed"), ERROR, [Step.FETCH, Step.FORGET]),
    (("daemon_ready", "start", "failed", "start"), METADATA, [Step.FETCH, Step.FORGET, Step.FETCH]),
])
def test_a_torrent_whose_metadata_is_not_known_takes_part_for_that_first(events, state, steps):
    life, taken = play(*events, has_metadata=False)
    assert (life.state(is_complete=False), taken) == (state, steps)


@pytest.mark.parametrize(("events", "state", "steps"), [
    ((), STOPPED, []),
    (("start",), CHECKING, []),
    (("daemon_ready",), STOPPED, []),
    (("start", "daemon_ready"), CHECKING, [Step.GIVE]),
    (("daemon_ready", "start"), CHECKING, [Step.GIVE]),
    (RUNNING, DOWNLOADING, [Step.GIVE, Step.RUN]),
    ((*RUNNING, "stop"), STOPPED, [Step.GIVE, Step.RUN, Step.HALT]),
    ((*RUNNING, "stop", "stopped", "start"), DOWNLOADING, [Step.GIVE, Step.RUN, Step.HALT, Step.RUN]),
    ((*RUNNING, "stop", "start"), CHECKING, [Step.GIVE, Step.RUN, Step.HALT]),
    ((*RUNNING, "stop", "start", "stopped"), DOWNLOADING, [Step.GIVE, Step.RUN, Step.HALT, Step.RUN]),
    (("daemon_ready", "start", "stop"), STOPPED, [Step.GIVE, Step.HALT]),
    (("daemon_ready", "start", "stop", "stopped", "start"), CHECKING, [Step.GIVE, Step.HALT, Step.FORGET, Step.GIVE]),
    (("daemon_ready", "start", "stop", "checked", "stopped", "start"), DOWNLOADING, [Step.GIVE, Step.HALT, Step.RUN]),
    ((*RUNNING, "daemon_lost"), CHECKING, [Step.GIVE, Step.RUN]),
    ((*RUNNING, "daemon_lost", "daemon_ready"), CHECKING, [Step.GIVE, Step.RUN, Step.GIVE]),
    ((*RUNNING, "stop", "daemon_lost", "daemon_ready"), STOPPED, [Step.GIVE, Step.RUN, Step.HALT]),
    ((*RUNNING, "failed"), ERROR, [Step.GIVE, Step.RUN, Step.FORGET]),
    ((*RUNNING, "failed", "stopped", "stop"), ERROR, [Step.GIVE, Step.RUN, Step.FORGET]),
    ((*RUNNING, "failed", "start"), CHECKING, [Step.GIVE, Step.RUN, Step.FORGET, Step.GIVE]),
    ((*RUNNING, "recheck"), CHECKING, [Step.GIVE, Step.RUN, Step.HALT]),
    ((*RUNNING, "recheck", "stopped"), CHECKING, [Step.GIVE, Step.RUN, Step.HALT, Step.CHECK]),
    ((*RUNNING, "recheck", "stopped", "checked"), DOWNLOADING, [Step.GIVE, Step.RUN, Step.HALT, Step.CHECK, Step.RUN]),
    (("daemon_ready", "recheck"), CHECKING, [Step.GIVE_UNCHECKED]),
    (("daemon_ready", "recheck", "checked"), STOPPED, [Step.GIVE_UNCHECKED]),
    (("daemon_ready", "recheck", "daemon_lost", "daemon_ready"), CHECKING, [Step.GIVE_UNCHECKED, Step.GIVE_UNCHECKED]),
    (("daemon_ready", "recheck", "stop"), STOPPED, [Step.GIVE_UNCHECKED, Step.HALT]),
    (("daemon_ready", "stopped", "checked"), STOPPED, []),
])
def test_a_wish_or_a_fact_leads_to_a_state_and_to_steps(events, state, steps):
    life, taken = play(*events)
    assert (life.state(is_complete=False), taken) == (state, steps)


def test_a_running_torrent_with_all_pieces_seeds():
    assert play(*RUNNING)[0].state(is_complete=True) == SEEDING


def test_a_stopped_torrent_with_all_pieces_is_stopped():
    assert play(*RUNNING, "stop")[0].state(is_complete=True) == STOPPED


def test_the_states_are_those_that_viewers_know():
    assert torrent_life.STATES == snapshots.TORRENT_STATES


EVENTS = ("start", "stop", "recheck", "daemon_ready", "daemon_lost", "checked", "stopped", "failed")


@given(st.lists(st.sampled_from(EVENTS), max_size=40))
def test_whatever_happens_a_willing_daemon_brings_it_to_what_the_user_wants(events):
    life, _ = play(*events)
    life.daemon_ready()
    while life.next_step() or not life.is_at_rest:      # the daemon answers all that it was told
        if life.phase is Phase.RUNNING:
            break
        life.checked() if life.phase is Phase.CHECKING else life.stopped()
    assert life.is_running == life.wanted
    assert life.state(False) == (DOWNLOADING if life.wanted else ERROR if life.error else STOPPED)


@given(st.lists(st.sampled_from(EVENTS), max_size=40))
def test_the_daemon_is_told_to_run_only_what_it_has_checked(events):
    life, knows = TorrentLife(), False
    for event in events:
        was_checking = life.phase in (Phase.CHECKING, Phase.STOPPING)
        life.failed("no room") if event == "failed" else getattr(life, event)()
        knows = (knows or (event == "checked" and was_checking)) and event not in ("daemon_lost", "failed")
        while step := life.next_step():
            assert knows or step is not Step.RUN
            knows = knows and step not in (Step.GIVE, Step.GIVE_UNCHECKED, Step.CHECK, Step.FORGET)
