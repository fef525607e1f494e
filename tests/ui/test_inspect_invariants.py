"""Each invariant of the connection queue that a log can show: a log that breaks it, found with its line; and logs that only look so."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ui.log_builder import (
    A,
    B,
    attempt,
    change,
    closed,
    connected,
    engine,
    failed,
    granted,
    limits_changed,
    line,
    report_of,
    started,
    write_log,
)
from ui.log_report.log_report import read_log
from ui.log_report.violations import MAX_EXAMPLES, RULES


def requested(at, info_hash=A, count=10):
    return line(at, "slot_requested", info_hash, count=count, candidates=count)


def cancelled(at, info_hash=A):
    return line(at, "requests_cancelled", info_hash, dropped=5)


def expired(at, grant_id):
    return line(at, "slot_lease_expired", grant_id=grant_id)


def declined(at, grant_id):
    return line(at, "slot_declined", grant_id=grant_id, reason="no_candidate", retry_after=None)


def reserved(at, grant_id):
    return line(at, "incoming_reserved", grant_id=grant_id, connection_id=grant_id)


def slowed(at, half_open):
    return change(at, "dialling_slowed", reason="this machine is busy", per_second=5.0, burst=10, half_open=half_open)


def rate_changed(at, per_second, burst):
    return change(at, "connection_rate_changed", per_second=per_second, burst=burst)


def attempts(first_at, apart, count, outcome="refused", lasts=0.01):
    """So many attempts one after the other, `apart` seconds between them."""
    return [
        one for number in range(count)
        for one in attempt(first_at + number * apart, number + 1, first_at + number * apart + min(lasts, apart / 2), outcome)
    ]


BROKEN = {                                              # what happens: (rule, line of the first violation, the log)
    "a 31st dial under way": ("half_open", 62, [engine(), *(one for n in range(1, 32) for one in (granted(n, n), started(n, n)))]),
    "a lease too many": ("half_open", 4, [engine(half_open=2), granted(1, 1), granted(1, 2), granted(1, 3)]),
    "one dial more after the limit was lowered": ("half_open", 5, [engine(), granted(1, 1), granted(1, 2), limits_changed(2, half_open=2), granted(3, 3)]),
    "a lease too many after overload halved the limit": ("half_open", 5, [engine(half_open=4), granted(1, 1), granted(1, 2), slowed(2, 2), granted(2.5, 3)]),
    "a 21st dial at once": ("rate", 63, [engine(), *attempts(1, 0.0001, 21)]),
    "11 a second all the time": ("rate", None, [engine(per_second=10.0, burst=1), *attempts(1, 1 / 11, 30)]),
    "a burst after the rate was lowered": ("rate", 10, [engine(), rate_changed(1, 1, 2), *attempts(2, 0.0001, 3)]),
    "timeouts beyond what a router remembers": ("unanswered", None, [engine(unanswered=5), *attempts(1, 1, 6, "timed_out", lasts=0.5)]),
    "more connections than the global limit": (
        "global", 8, [engine(global_connections=2, incoming_reserve=0), *attempt(1, 1, 2, "connected"), *attempt(3, 2, 4, "connected"), granted(5, 3)]),
    "dials into the places of incoming peers": (
        "incoming_reserve", 8, [engine(global_connections=4, incoming_reserve=0.5), *attempt(1, 1, 2, "connected"), *attempt(3, 2, 4, "connected"), granted(5, 3)]),
    "more connections than one torrent's limit": (
        "torrent", 8, [engine(torrent_connections=1), *attempt(1, 1, 2, "connected", B), *attempt(3, 2, 4, "connected"), granted(5, 3)]),
    "a dial without a grant": ("granted", 2, [engine(), started(1, 1)]),
    "a second dial with one grant": ("granted", 4, [engine(), granted(1, 1), started(1, 1), started(2, 1)]),
    "a dial with the grant of another torrent": ("granted", 3, [engine(), granted(1, 1, A), started(1, 1, B)]),
    "a dial with a grant that was declined": ("granted", 4, [engine(), granted(1, 1), declined(1, 1), started(2, 1)]),
    "a grant's number that was in use": ("granted", 5, [engine(), *attempt(1, 1, 2), granted(3, 1)]),
    "an attempt that ends twice": ("one_end", 5, [engine(), *attempt(1, 1, 2), failed(3, 1, "cancelled")]),
    "an attempt that fails and then connects": ("one_end", 5, [engine(), *attempt(1, 1, 2), connected(3, 1)]),
    "an end without a dial": ("one_end", 3, [engine(), granted(1, 1), failed(2, 1)]),
    "a grant that is declined after its dial": ("one_end", 4, [engine(), granted(1, 1), started(1, 1), declined(2, 1)]),
    "a grant that is declined twice": ("one_end", 4, [engine(), granted(1, 1), declined(1, 1), declined(2, 1)]),
    "a lease that expires though it was answered": ("one_end", 4, [engine(), granted(1, 1), started(1, 1), expired(3, 1)]),
    "a connection that closes twice": ("one_end", 6, [engine(), *attempt(1, 1, 2, "connected"), closed(3, 1), closed(4, 1)]),
    "a lease that never comes back while others wait": ("lease", 4, [engine(), granted(1, 1), requested(1.5, B), granted(20, 2, B, waited=18.5)]),
    "a grant while connecting is paused": ("pause", 4, [engine(), requested(1), change(2, "connecting_paused", reason="x"), granted(3, 1, waited=2)]),
    "a grant while a second reason of a pause holds": ("pause", 5, [
        engine(), change(2, "connecting_paused", reason="x"), change(2, "connecting_paused", reason="y"),
        change(3, "connecting_resumed", reason="x", still_paused="y"), granted(4, 1)]),
    "a grant of a wish that was cancelled": ("cancel", 4, [engine(), requested(1), cancelled(5), granted(6, 1, waited=5.0)]),
    "a grant long after a cancel, and nobody asked": ("cancel", 4, [engine(), requested(1), cancelled(50), granted(60, 1, waited=0.1)]),
}


@pytest.mark.parametrize(("rule", "number", "lines"), BROKEN.values(), ids=BROKEN)
def test_a_violated_invariant_is_found_with_its_line(rule, number, lines):
    report = report_of(*lines)
    assert set(report.violations.counts) == {rule}
    example = report.violations.examples[rule][0]
    assert example.run == 1 and example.text and not example.is_after_damage
    assert number is None or example.line == number


def test_every_rule_has_a_log_that_breaks_it():
    assert {rule for rule, _, _ in BROKEN.values()} == set(RULES)


FINE = {                                                # what looks wrong and is not
    "30 under way": [engine(), *(one for n in range(1, 31) for one in (granted(n, n), started(n, n)))],
    "more under way than a limit that was lowered": [engine(), *(granted(1, n) for n in range(1, 20)), limits_changed(2, half_open=5), *(started(2, n) for n in range(1, 20))],
    "a limit that was halved and has grown again": [engine(half_open=4), granted(1, 1), granted(1, 2), slowed(2, 2), granted(3, 3), granted(4, 4)],
    "20 at once, then 10 a second": [engine(), *attempts(1, 0.0001, 20), *(one for n in range(21, 60) for one in attempt(1.1 + (n - 21) / 10, n, 1.11 + (n - 21) / 10, "refused"))],
    "any rate without a limit": [engine(per_second=0), *attempts(1, 0.0001, 200)],
    "leases of before a lower rate": [engine(), *(granted(1, n) for n in range(1, 21)), rate_changed(1.5, 1, 2), *(started(1.6, n) for n in range(1, 21))],
    "the rate of then counts until the change": [engine(per_second=100.0, burst=100), *attempts(1, 0.01, 300)],
    "timeouts that the router has forgotten": [engine(unanswered=5), *attempts(1, 30, 30, "timed_out")],
    "a limit that is used up to the last place": [engine(global_connections=2, incoming_reserve=0.5), *attempt(1, 1, 2, "connected"), reserved(3, 2), connected(3, 2, incoming=True)],
    "a lease that expired and is used all the same": [engine(), granted(1, 1), expired(3, 1), started(3.1, 1), failed(4, 1)],
    "a lease that expired and is declined too late": [engine(), granted(1, 1), expired(3, 1), declined(3.1, 1)],
    "an incoming peer that leaves in its handshake": [engine(), reserved(1, 1), closed(2, 1)],
    "an outcome of a torrent that is gone": [
        engine(), granted(1, 1), started(1, 1), line(2, "grants_freed", reason="x", leased=0, half_open=1, connected=0), failed(3, 1), started(3, 1)],
    "a lease that nobody misses": [engine(), granted(1, 1), granted(60, 2, B, waited=0.1)],
    "a lease that rests while paused": [
        engine(), granted(1, 1), requested(1, B), change(2, "connecting_paused", reason="x"), change(60, "connecting_resumed", reason=None, still_paused=""),
        granted(60, 2, B, waited=59.0)],
    "a grant after a pause": [engine(), change(2, "connecting_paused", reason="x"), change(3, "connecting_resumed", reason="x", still_paused=""), granted(4, 1)],
    "a torrent that asks again after its cancel": [engine(), requested(1), cancelled(5), requested(6), granted(7, 1, waited=1.0)],
    "a wish told before its cancel was handled": [engine(), requested(1), requested(4.999), cancelled(5), granted(5.2, 1, waited=0.19)],
}


@pytest.mark.parametrize("lines", FINE.values(), ids=FINE)
def test_what_only_looks_like_a_violation_is_none(lines):
    assert report_of(*lines).violations.examples == {}


# ── what is not in the log ───────────────────────────────────────────────────────────────────────────────────────────────

HEALTHY = [
    engine(), requested(0), requested(0, B),
    *(one for n in range(1, 40) for one in attempt(n, n, n + 0.5, ["timed_out", "refused", "connected"][n % 3], [A, B][n % 2], waited=0.5)),
]


@pytest.mark.parametrize("cut", range(len(HEALTHY)))
def test_a_log_that_begins_anywhere_has_no_violation(cut):
    assert report_of(*HEALTHY[cut:]).violations.examples == {}


@pytest.mark.parametrize("place", range(1, len(HEALTHY)))
def test_a_line_that_is_damaged_is_no_violation(place):
    report = report_of(*HEALTHY[:place], None, *HEALTHY[place + 1:])
    assert report.violations.examples == {} and report.runs[0].num_gaps == 1


@pytest.mark.parametrize("place", range(1, len(HEALTHY)))
def test_lines_that_the_engine_could_not_write_are_no_violation(place):
    dropped = change(HEALTHY[place]["monotonic"], "log_lines_dropped", count=3)
    assert report_of(*HEALTHY[:place], dropped, *HEALTHY[place + 3:]).violations.examples == {}


def test_without_its_beginning_a_log_is_judged_by_the_limits_that_it_tells_later():
    lines = [granted(1, 7), limits_changed(2, half_open=2), granted(3, 8), granted(4, 9)]
    assert report_of(*lines).violations.counts == {"half_open": 1}
    assert report_of(*(one for one in lines if one["event"] == "slot_granted")).violations.counts == {}


def test_a_violation_after_a_damaged_line_says_so():
    report = report_of(engine(half_open=1), None, granted(1, 1), granted(2, 2))
    assert report.violations.examples["half_open"][0].is_after_damage


def test_a_violation_of_a_run_is_not_one_of_the_next():
    report = report_of(engine(), started(1, 1), engine(10), *attempt(11, 1, 12))
    assert [run.num_violations for run in report.runs] == [1, 0]


def test_the_examples_are_bounded_and_the_count_is_not():
    report = report_of(engine(), *(started(n / 10, n) for n in range(1, 200)))
    assert report.violations.counts["granted"] == 199 and len(report.violations.examples["granted"]) == MAX_EXAMPLES


# ── anything at all ──────────────────────────────────────────────────────────────────────────────────────────────────────

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 40), st.floats(allow_nan=True), st.text(max_size=5), st.sampled_from([A, B, 10**30]), st.lists(st.integers(), max_size=2))
EVENTS = st.fixed_dictionaries(
    {"event": st.sampled_from(sorted({one["event"] for _, _, lines in BROKEN.values() for one in lines} | {"log_lines_dropped", "grants_freed", "torrent_added"})),
     "monotonic": st.one_of(st.integers(0, 50), VALUES)},
    optional={key: st.one_of(st.sampled_from([A, B]), st.integers(0, 9), VALUES) for key in (
        "info_hash", "grant_id", "waited", "outcome", "reason", "count", "incoming", "per_second", "burst", "half_open", "name", "timestamp",
        "global_connections", "torrent_connections", "unanswered", "incoming_reserve", "lease_seconds")})


@given(st.lists(st.one_of(EVENTS.map(lambda event: json.dumps(event).encode()), st.binary(max_size=40).map(lambda data: data.replace(b"\n", b""))), max_size=60))
def test_no_lines_whatever_crash_it(tmp_path_factory, lines):
    report = read_log(write_log(tmp_path_factory.mktemp("logs") / "log", *lines))
    assert report.lines.num_lines == len(lines)
    assert report.lines.num_events + report.lines.damaged.count + report.lines.foreign.count <= len(lines)


@pytest.mark.parametrize("seed", range(20))
def test_a_log_with_bytes_turned_at_random_does_not_crash_it(tmp_path, seed):
    rng, path = random.Random(seed), write_log(tmp_path / "log", *HEALTHY)
    data = bytearray(path.read_bytes())
    for _ in range(20):
        data[rng.randrange(len(data))] = rng.randrange(256)
    path.write_bytes(data)
    assert read_log(path).lines.damaged.count > 0
