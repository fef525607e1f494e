"""What the benchmark of the first connections computes from packets: known cases, and that each figure can be bad."""

import math
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.dialling import dials as d
from benchmarks.dialling.figures import figures_of
from benchmarks.dialling.picture import draw
from benchmarks.dialling.plan import DEAD_PORT, FULL, LIVE_PORT, REFUSING_PORT, TRACKER_PORT, SwarmShape, make_plan
from benchmarks.dialling.recorder import CLOSED, RESET, SYN, SYN_ACK
from benchmarks.dialling.turns import turns_of

CLIENT = ("198.18.0.1", 40_000)
LATE = d.CLOSED_LATENESS_SECONDS
TIMES = st.lists(st.floats(0, 100, allow_nan=False), max_size=60).map(sorted)


def event(when, kind, ip, port, source_port=CLIENT[1]):
    """As the recorder writes it; answers come from the peer."""
    if kind in (SYN_ACK, RESET):
        return [when, kind, ip, port, CLIENT[0], source_port]
    return [when, kind, CLIENT[0], source_port, ip, port]


@pytest.mark.parametrize(("events", "expected"), [
    ([event(1, SYN, "a", LIVE_PORT), event(2, SYN_ACK, "a", LIVE_PORT), event(50, CLOSED, "a", LIVE_PORT)], [(1, 2)]),
    ([event(1, SYN, "a", REFUSING_PORT), event(1, RESET, "a", REFUSING_PORT), event(2, CLOSED, "a", REFUSING_PORT)], [(1, 1)]),
    ([event(1, SYN, "a", DEAD_PORT), event(2, SYN, "a", DEAD_PORT), event(4, CLOSED, "a", DEAD_PORT)], [(1, 4 - LATE)]),
    ([event(1, SYN, "a", DEAD_PORT)], [(1, math.inf)]),
    ([event(1, SYN, "a", DEAD_PORT), event(4, CLOSED, "a", DEAD_PORT), event(5, SYN, "a", DEAD_PORT)], [(1, 4 - LATE), (5, math.inf)]),
    ([event(1, SYN, "a", DEAD_PORT), event(2, SYN, "a", DEAD_PORT, 40_001)], [(1, math.inf), (2, math.inf)]),
    ([event(1, SYN, "tracker", TRACKER_PORT)], []),
], ids=["answered", "refused at once", "sent again, then given up", "under way", "the same port again", "another port", "an announce"])
def test_a_dial_is_half_open_from_its_first_syn_until_it_is_answered_refused_or_given_up(events, expected):
    assert [(dial.begun, dial.ended) for dial in d.dials_of(events, 0.0)] == expected


@pytest.mark.parametrize(("spans", "peak"), [
    ([], 0),
    ([(0, 1), (2, 3)], 1),
    ([(0, 1), (1, 2)], 2),
    ([(0, 5), (1, 2), (3, math.inf)], 2),
    ([(0, 0), (0, 0)], 2),
])
def test_the_peak_of_half_open_dials_is_the_most_that_overlap(spans, peak):
    assert d.peak_half_open([d.Dial(begun, "a", DEAD_PORT, ended) for begun, ended in spans]) == peak


@given(TIMES, st.floats(0.1, 20), st.integers(0, 30))
def test_the_excess_over_a_bucket_is_that_of_the_fullest_window(times, rate, burst):
    windows = [last - first + 1 - burst - rate * (times[last] - times[first]) for first in range(len(times)) for last in range(first, len(times))]
    assert d.excess_over_bucket(times, rate, burst) == pytest.approx(max(windows, default=-math.inf))


@given(TIMES, st.floats(0.1, 20))
def test_the_most_in_a_window_is_found_wherever_it_begins(times, seconds):
    assert d.most_in_window(times, seconds) == max((sum(0 <= when - first <= seconds for when in times) for first in times), default=0)


@pytest.mark.parametrize(("counts", "index"), [([3, 3, 3], 1.0), ([9, 0, 0], 1 / 3), ([0, 0], 0.0), ([1, 2], 0.9)])
def test_jains_index(counts, index):
    assert d.jain(counts) == pytest.approx(index)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20))
def test_no_distribution_of_so_many_attempts_has_a_higher_index_than_the_fairest(counts):
    assert d.jain(counts) <= d.fairest_jain(sum(counts), len(counts)) + 1e-9


def test_figures_see_who_was_greeted_and_who_was_not():
    plan = make_plan(SwarmShape(num_torrents=2, num_live=1, num_refusing=0, num_dead=1, hog_peers=3), seed=1)
    live = [ip for torrent in plan for ip, port in torrent.peers if port == LIVE_PORT]
    events = [event(100, SYN, "tracker", TRACKER_PORT)]
    events += [event(102, SYN, live[1], LIVE_PORT), event(102.5, SYN_ACK, live[1], LIVE_PORT)]
    events += [event(104, SYN, live[0], LIVE_PORT, 40_001), event(104.5, SYN_ACK, live[0], LIVE_PORT, 40_001)]
    figures = figures_of(events, {live[1]}, [101.0] * 3, plan, 90.0, [(99.0, 7), (101.0, 3), (101.5, 4), (300.0, 9)], 1.5)
    assert figures.first_live == (math.inf, 2.5), "the first one never shook hands"
    assert (figures.without_at(2), figures.without_at(10), figures.quantile(0.5), figures.quantile(1)) == (2, 1, 2.5, math.inf)
    assert (figures.num_attempts, figures.peak_half_open, figures.most_in_one_second, figures.peak_table_entries) == (2, 1, 1, 4)
    assert figures.num_met == 1
    assert figures.jain_at == {10: 1.0, 30: 1.0}


def test_a_client_that_never_dials_is_said_to_have_dialled_nobody():
    with pytest.raises(d.NobodyDialled):
        d.first_activity([event(1, CLOSED, "a", DEAD_PORT)])


def test_the_full_swarm_is_what_the_benchmark_says_and_the_same_each_time():
    plan = make_plan(FULL, seed=3)
    assert plan == make_plan(FULL, seed=3) != make_plan(FULL, seed=4)
    kinds = sorted(tuple(sum(port == kind for _, port in torrent.peers) for kind in (DEAD_PORT, REFUSING_PORT, LIVE_PORT)) for torrent in plan)
    assert kinds == [(30, 5, 15)] * 50 + [(2_000, 0, 0)]
    assert len({ip for torrent in plan for ip, _ in torrent.peers}) == 50 * 50 + 2_000


def turns_in(order, interval=0.1, told=(-1.0, -1.0)):
    """The lead in a swarm of two torrents with refusing peers that dial in this order."""
    plan = make_plan(SwarmShape(num_torrents=2, num_live=0, num_refusing=20, num_dead=0), seed=1)
    addresses = [iter(torrent.peers) for torrent in plan]
    found = [d.Dial(number * interval, *next(addresses[torrent]), number * interval) for number, torrent in enumerate(order)]
    return turns_of(found, plan, told, half_open_limit=30).largest_lead


def test_torrents_that_take_turns_are_never_more_than_one_attempt_apart():
    assert turns_in([0, 1] * 8) == 1
    assert turns_in([1, 0] * 8) == 1


def test_a_torrent_that_dials_out_of_turn_is_ahead():
    assert turns_in([0, 1, 0, 0, 0, 1]) == 3
    assert turns_in([0, 1] + [0] * 6) == 6


def test_a_torrent_that_never_dials_is_behind_once_it_could_have_begun():
    assert turns_in([0] * 8) == 8
    assert turns_in([0] * 8, told=(-1.0, math.inf)) == 0


def test_dials_of_one_drain_may_stand_in_any_order():
    assert turns_in([0, 0, 0, 1, 1, 1], interval=0.001) == 0


def test_the_picture_is_xml_with_every_client_in_both_charts():
    plan = make_plan(SwarmShape(num_torrents=2, num_live=1, num_refusing=0, num_dead=0), seed=1)
    (ip, port), = plan[0].peers
    events = [event(100, SYN, ip, port), event(100.5, SYN_ACK, ip, port)]
    figures = figures_of(events, {ip}, [100.0] * 2, plan, 90.0, [(100.0, 1), (150.0, 5_000)], 1.0)
    picture = ElementTree.fromstring(draw({"Evenswarm auto": figures, "aria2": figures}, 90.0))
    assert [title.text for title in picture.iter("{http://www.w3.org/2000/svg}title")] == ["Evenswarm auto", "aria2"] * 2
