import json

import pytest

from ui.log_report.attempts import report_attempts
from ui.log_report.attempts_table import lines_of
from ui.log_report.log_lines import LogLines

A, B = "a" * 40, "b" * 40


def event(monotonic, event_name, info_hash=A, /, **fields):
    return {"event": event_name, "monotonic": monotonic, "info_hash": info_hash, **fields}


def attempt(started, grant_id, ended, outcome, info_hash=A):
    """The events of one attempt that waited a second for its slot."""
    yield event(started, "slot_granted", info_hash, grant_id=grant_id, waited=1.0)
    yield event(started, "connect_started", info_hash, grant_id=grant_id, peer="x", source="tracker", attempt=1, timeout=10.0)
    if outcome == "connected":
        yield event(ended, "peer_connected", info_hash, grant_id=grant_id, incoming=False, elapsed=ended - started)
    else:
        yield event(ended, "connect_failed", info_hash, grant_id=grant_id, outcome=outcome, elapsed=ended - started)


def in_order(*attempts):
    return sorted((one for events in attempts for one in events), key=lambda one: one["monotonic"])


def test_the_first_peer_is_counted_from_the_torrents_first_request():
    report = report_attempts([event(100.0, "slot_requested"), event(101.0, "slot_requested"), *in_order(attempt(102.0, 1, 103.5, "connected"), attempt(104, 2, 105, "connected"))])
    assert report.torrents[A].first_peer == 3.5


def test_an_incoming_peer_is_no_attempt_and_no_first_peer():
    report = report_attempts([event(100.0, "slot_requested"), event(101.0, "peer_connected", grant_id=9, incoming=True)])
    assert (report.torrents[A].attempts, report.torrents[A].first_peer) == (0, None)


def test_peak_half_open_is_the_most_dials_under_way_of_all_torrents_together():
    report = report_attempts(in_order(attempt(1, 1, 10, "timed_out"), attempt(2, 2, 3, "refused", B), attempt(4, 3, 9, "timed_out", B), attempt(5, 4, 6, "connected")))
    assert report.peak_half_open == 3


def test_outcomes_are_counted_by_name():
    report = report_attempts(in_order(attempt(1, 1, 10, "timed_out"), attempt(2, 2, 3, "refused"), attempt(4, 3, 9, "timed_out")))
    assert dict(report.torrents[A].outcomes) == {"timed_out": 2, "refused": 1}


@pytest.mark.parametrize(("counts", "index"), [((4, 4), 1.0), ((4, 0), 0.5), ((0, 0), 1.0)])
def test_jains_index_is_1_for_equal_shares_and_1_of_n_when_one_has_all(counts, index):
    attempts = [attempt(number, number + 100 * (key == B), number + 0.5, "refused", key) for key, count in zip((A, B), counts, strict=True) for number in range(count)]
    report = report_attempts([event(0, "torrent_added", A, name="a"), event(0, "torrent_added", B, name="b"), *in_order(*attempts)])
    assert report.jain() == index


def test_the_wait_quantile_is_the_wait_that_so_many_grants_did_not_exceed():
    waits = [event(1, "slot_granted", grant_id=number, waited=wait) for number, wait in enumerate((0.1, 0.2, 0.3, 5.0))]
    torrent = report_attempts(waits).torrents[A]
    assert [round(torrent.wait_quantile(share), 2) for share in (0.25, 0.5, 1.0)] == [0.1, 0.2, 5.0]


def test_damaged_and_foreign_lines_are_counted_and_not_fatal(tmp_path):
    log = tmp_path / "log"
    lines = [json.dumps(event(1, "torrent_added", name="a")).encode(), b"not json", b'{"event": 3}', b"[]", b"\xff\xfe", b"x" * 200_000, b'{"event": "x"']
    log.write_bytes(b"\n".join(lines))
    events = LogLines(log)
    assert [one["event"] for one in events] == ["torrent_added"]
    assert events.bad_lines >= 6


def test_the_table_has_a_row_for_each_torrent_and_the_figures_of_all():
    report = report_attempts([event(0, "torrent_added", name="birdsong"), event(0, "slot_requested"), *in_order(attempt(1, 1, 2.5, "connected"), attempt(2, 2, 3, "refused"))])
    lines = lines_of(report, 30)
    assert len(lines) == 3
    assert lines[1].split()[:3] == ["birdsong", "2.5", "s"]
    assert "2 attempts by 1 torrents" in lines[2] and "peak half-open 2 of 30" in lines[2]
