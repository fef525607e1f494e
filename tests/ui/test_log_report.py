"""What a log says: figures of torrents, of all together, and of several runs."""

import pytest

from tests.ui.log_builder import (
    LIMITS,
    A,
    B,
    C,
    attempt,
    change,
    connected,
    engine,
    granted,
    in_order,
    limits_changed,
    line,
    report_of,
    started,
    write_log,
)
from ui.log_report import run_report
from ui.log_report.attempts_table import lines_of
from ui.log_report.log_lines import LogLines
from ui.log_report.log_report import MAX_RUNS, LogReport, read_log
from ui.log_report.torrent_figures import jain_over_time
from ui.log_report.wait_counts import WaitCounts


def run_of(*lines):
    return report_of(*lines).runs[-1]


# ── torrents ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_first_peer_is_counted_from_the_torrents_first_request():
    torrent = run_of(
        engine(99), line(100.0, "slot_requested", count=2), line(101.0, "slot_requested", count=1),
        *in_order(attempt(102.0, 1, 103.5, "connected"), attempt(104, 2, 105, "connected"))).torrents[A]
    assert torrent.seconds_to(torrent.first_peer) == 3.5
    assert torrent.requests == 2


def test_an_incoming_peer_is_no_attempt_and_no_first_peer():
    torrent = run_of(
        engine(99), line(100.0, "slot_requested", count=1), line(100.5, "incoming_reserved", grant_id=1, connection_id=1),
        connected(101.0, 1, incoming=True)).torrents[A]
    assert (torrent.attempts, torrent.first_peer, torrent.outcomes.total()) == (0, None, 0)


def test_outcomes_are_counted_by_name_and_declines_by_reason():
    torrent = run_of(
        engine(), *in_order(attempt(1, 1, 10, "timed_out"), attempt(2, 2, 3, "refused"), attempt(4, 3, 9, "timed_out")),
        granted(11, 4), line(11, "slot_declined", grant_id=4, reason="no_candidate", retry_after=None)).torrents[A]
    assert dict(torrent.outcomes) == {"timed_out": 2, "refused": 1}
    assert dict(torrent.declined) == {"no_candidate": 1}
    assert (torrent.grants, torrent.attempts) == (4, 3)


def test_a_decline_after_the_lease_expired_is_counted_once_as_expired():
    run = run_of(
        engine(), granted(1, 1), line(3.1, "slot_lease_expired", grant_id=1),
        line(3.2, "slot_declined", grant_id=1, reason="too_late", retry_after=None))
    assert (run.torrents[A].expired, run.torrents[A].declined.total()) == (1, 0)
    assert dict(run.judge.book.ends) == {"expired": 1}


def test_the_lag_is_how_many_turns_one_other_torrent_had_while_this_one_waited():
    run = run_of(
        engine(), line(1, "slot_requested", A, count=9), line(1, "slot_requested", B, count=9), line(1, "slot_requested", C, count=9),
        *(one for number, key in enumerate([A, B, C, A, B, A, B, A, B, C], start=1) for one in attempt(1 + number, number, 1.5 + number, "refused", key)))
    assert {key: torrent.lag for key, torrent in run.torrents.items()} == {A: 1, B: 1, C: 3}


def test_turns_before_a_torrent_asked_are_no_lag():
    run = run_of(
        engine(), line(1, "slot_requested", A, count=9), *(one for number in range(1, 6) for one in attempt(number, number, number + 0.5)),
        line(7, "slot_requested", B, count=1), *attempt(8, 6, 9, "refused", B))
    assert run.torrents[B].lag == 0


def test_torrents_beyond_the_bound_are_summed(monkeypatch):
    monkeypatch.setattr(run_report, "MAX_TORRENTS", 2)
    keys = [f"{number:040x}" for number in range(5)]
    run = run_of(engine(), *(one for number, key in enumerate(keys, start=1) for one in attempt(number, number, number + 0.5, "refused", key)))
    assert len(run.torrents) == 2
    assert (run.num_others, run.others.grants, run.others.outcomes["refused"]) == (3, 3, 3)


# ── waits ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seconds", [0.0005, 0.001, 0.02, 0.1, 1.0, 7.77, 59.0, 3600.0])
def test_a_quantile_is_within_5_percent_or_a_millisecond(seconds):
    waits = WaitCounts()
    for wait in (seconds, seconds, seconds, 10 * seconds):
        waits.add(wait)
    assert waits.quantile(0.5) == pytest.approx(seconds, rel=0.05, abs=0.001)
    assert waits.longest == 10 * seconds


def test_quantiles_of_many_waits_and_of_none():
    waits = WaitCounts()
    assert waits.quantile(0.5) == waits.longest == 0.0
    for number in range(1, 1001):
        waits.add(number / 100)
    assert [waits.quantile(share) for share in (0.5, 0.95, 1.0)] == pytest.approx([5.0, 9.5, 10.0], rel=0.05)
    assert sum(count for _, _, count in waits.histogram()) == 1000


# ── all together ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_peak_half_open_counts_leases_and_dials_of_all_torrents_with_the_limit_of_that_moment():
    run = run_of(
        engine(half_open=5), *in_order(attempt(1, 1, 10), attempt(2, 2, 3, "refused", B), attempt(4, 3, 9, "timed_out", B), [granted(5, 4)]),
        limits_changed(11, half_open=40))
    assert (run.half_open.value, run.half_open.limit, run.half_open.line) == (3, 5, 9)


@pytest.mark.parametrize(("counts", "index"), [((4, 4), 1.0), ((4, 0), 0.5), ((0, 0), None)])
def test_jains_index_is_1_for_equal_shares_and_1_of_n_when_one_has_all(counts, index):
    attempts = [attempt(1 + number, 1 + 2 * number + (key == B), 1.5 + number, "refused", key) for key, count in zip((A, B), counts, strict=True) for number in range(count)]
    run = run_of(engine(), line(0, "slot_requested", A, count=4), line(0, "slot_requested", B, count=4), *in_order(*attempts))
    assert run.jain() == index


def test_jain_over_time_looks_at_those_that_asked_then():
    run = run_of(
        engine(), line(0, "slot_requested", A, count=9), line(0, "slot_requested", B, count=9),
        *attempt(0.1, 1, 0.2, "refused", A), *attempt(0.3, 2, 0.4, "refused", B),     # the first second: one each
        *attempt(1.1, 3, 1.2, "refused", A), *attempt(1.3, 4, 1.4, "refused", A),     # the second one: A has all, B waits, so it is 3 to 1
        line(1.9, "requests_cancelled", B, dropped=8), *attempt(2.5, 5, 2.6, "refused", A))
    assert jain_over_time(run.torrents.values(), run.timeline.num_used, run.timeline.bin_seconds) == [1.0, 0.8, None]


def test_the_most_starts_in_a_second_and_in_longer_windows():
    run = run_of(engine(), *in_order(*(attempt(at, number, at + 0.01, "refused") for number, at in enumerate([1, 1.2, 1.4, 1.9, 2.1, 9, 30], start=1))))
    assert run.windows.most == {1.0: 4, 10.0: 6, 60.0: 7, 120.0: 7}


def test_a_router_remembers_a_timeout_for_120_s_and_a_refusal_for_10_s():
    run = run_of(engine(), *attempt(1, 1, 2, "timed_out"), *attempt(3, 2, 4, "refused"), granted(13.9, 3), granted(14.1, 4), granted(122.1, 5))
    assert run.unanswered.value == 3 and run.unanswered_over_time.values[0] > 0
    assert run.judge.num_unanswered == 3                # the three leases: of the two dials nothing is remembered any more


def test_a_half_open_dial_is_seen_in_every_bin_that_it_lasts():
    run = run_of(engine(), granted(0.1, 1), started(0.1, 1), *attempt(8.5, 2, 9, "refused"))
    assert list(run.half_open_over_time.values[:9]) == [1] * 8 + [2]


def test_a_long_run_has_the_same_number_of_bins():
    run = run_of(engine(), *(one for number in range(1, 400) for one in attempt(10 * number, number, 10 * number + 1, "refused")))
    assert run.timeline.bin_seconds == 64 and run.timeline.num_used == 63
    assert sum(run.torrents[A].grants_over_time.values) == sum(run.attempts_over_time.values) == 399


# ── runs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_run_in_a_file_is_read_by_itself():
    report = report_of(engine(), *attempt(1, 1, 2), engine(50), *attempt(51, 1, 52, "refused"), *attempt(53, 2, 54))
    assert [run.judge.book.granted for run in report.runs] == [1, 2]
    assert not report.violations


def test_a_monotonic_clock_that_goes_back_begins_a_run_whose_beginning_is_missing():
    report = report_of(engine(1000), *attempt(1001, 1, 1002), *attempt(3, 1, 4))
    assert [(run.is_whole, run.judge.book.granted) for run in report.runs] == [(True, 1), (False, 1)]
    assert not report.violations


def test_a_step_of_the_wall_clock_changes_nothing():
    lines = [engine(), *attempt(1, 1, 2), *attempt(3, 2, 4)]
    stepped = [one | {"timestamp": f"20{26 - number}-01-01T00:00:00.000000Z"} for number, one in enumerate(lines)]
    first, second = report_of(*lines), report_of(*stepped)
    assert second.num_runs == 1 and second.runs[0].windows.most == first.runs[0].windows.most


def test_all_runs_are_judged_and_the_last_ones_kept():
    report = report_of(*(one for number in range(20) for one in (engine(100 * number), started(100 * number + 1, 7))))
    assert report.num_runs == 20 and [run.number for run in report.runs] == list(range(21 - MAX_RUNS, 21))
    assert report.violations.counts == {"granted": 20}


# ── lines ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("bad", [
    b'{"event": 3, "monotonic": 1}', b'{"event": "x"', b'{"event": "x"}', b'{"event":"x","monotonic":NaN}', b'{"event":"x","monotonic":1e400}',
    b'{"event":"x","monotonic":-1}', b'{"event":"x","monotonic":true}', b"\xff\xfe{", b"[" * 100_000, b'{"event":"x","monotonic":' + b"9" * 5000 + b"}",
    b"{" + b"x" * 3_000_000, b'{"event":"slot_granted","monotonic":1,"info_hash":"a","grant_id":"1","waited":0}',
    b'{"event":"slot_granted","monotonic":1,"info_hash":["a"],"grant_id":1,"waited":0}',
    b'{"event":"connection_rate_changed","monotonic":1,"per_second":"fast","burst":1}',
], ids=lambda bad: bad[:40])
def test_a_damaged_line_is_counted_and_named(tmp_path, bad):
    report = read_log(write_log(tmp_path / "log", engine(), bad, *attempt(2, 1, 3)))
    assert (report.lines.damaged.count, report.lines.damaged.first, report.lines.foreign.count) == (1, [2], 0)
    assert report.lines.num_events == 4 and report.runs[0].torrents[A].attempts == 1


@pytest.mark.parametrize("bad", [b"hello", b"3 torrents", b"[]", b"7", b'{"a": 1}', b'"text"', b"null"])
def test_a_foreign_line_is_counted_and_named_and_the_grants_are_still_known(tmp_path, bad):
    report = read_log(write_log(tmp_path / "log", engine(), granted(1, 1), bad, started(1, 1), started(2, 1)))
    assert (report.lines.foreign.count, report.lines.foreign.first, report.lines.damaged.count) == (1, [3], 0)
    assert report.violations.counts == {"granted": 1}


def test_empty_lines_are_nothing_and_a_log_without_events_has_no_runs(tmp_path):
    report = read_log(write_log(tmp_path / "log", b"", b"  "))
    assert (report.lines.num_lines, report.lines.damaged.count, report.lines.foreign.count, report.num_runs) == (2, 0, 0, 0)


def test_only_the_first_bad_lines_are_named(tmp_path):
    report = read_log(write_log(tmp_path / "log", *[b"{"] * 100))
    assert report.lines.damaged.count == 100 and report.lines.damaged.first == list(range(1, 11))


def test_a_last_line_without_its_end_is_damaged(tmp_path):
    path = write_log(tmp_path / "log", engine())
    with open(path, "ab") as log:
        log.write(b'{"timestamp":"2026')
    assert LogReport(LogLines(path)).read().lines.damaged.first == [2]


def test_the_table_has_a_row_for_each_torrent_and_the_figures_of_all():
    run = run_of(
        engine(), line(0, "torrent_added", name="bird\x1bsong"), line(0, "slot_requested", count=2),
        *in_order(attempt(1, 1, 2.5, "connected"), attempt(2, 2, 3, "refused")))
    lines = lines_of(run)
    assert len(lines) == 3
    assert lines[1].split()[:3] == ["bird\\x1bsong", "2.5", "s"]
    assert "2 attempts by 1 torrents" in lines[2] and f"peak half-open 2 of {LIMITS['half_open']}" in lines[2]


def test_what_a_pause_says_is_no_torrents():
    assert run_of(engine(), change(1, "connecting_paused", reason="the network is down")).torrents == {}
