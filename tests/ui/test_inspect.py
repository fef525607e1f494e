"""`inspect` as a user runs it: tables, JSON, the page, exit codes, and memory that does not grow with the log."""

import json
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from protocol.errors import StorageError
from tests.architecture.source_tree import ROOT
from tests.ui.log_builder import (
    LIMITS,
    A,
    B,
    attempt,
    change,
    engine,
    granted,
    in_order,
    limits_changed,
    line,
    report_of,
    started,
    write_log,
)
from tests.ui.long_log import long_log
from ui.commands import command_line
from ui.log_report.report_page import page_of
from ui.log_report.report_values import values_of

MARKUP = "<script>alert(1)</script>\x1b[2J\u202e&\"'</title></svg>\x00"
FINE = [
    engine(), line(0, "torrent_added", A, name="birdsong"), line(0, "torrent_added", B, name=MARKUP),
    line(0.5, "slot_requested", A, count=5), line(0.5, "slot_requested", B, count=5),
    *in_order(
        attempt(1, 1, 11, "timed_out", A, 0.5), attempt(1, 2, 1.5, "connected", B, 0.5), attempt(2, 3, 2.1, "refused", A, 1.0),
        attempt(30, 4, 31, "unreachable", B, 2.0)),
]
WRONG = [engine(half_open=1), granted(1, 1), started(1, 1), granted(2, 2, B)]


@pytest.fixture
def log(tmp_path):
    return lambda *lines: str(write_log(tmp_path / "evenswarm.log", *lines))


def inspect(*arguments):
    return command_line.main(["inspect", *map(str, arguments)])


# ── the verdict ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_log_that_keeps_every_rule_ends_with_0_and_says_so(log, capsys):
    assert inspect(log(*FINE)) == 0
    assert capsys.readouterr().out.rstrip().endswith("no invariant violated")


def test_a_log_that_breaks_a_rule_ends_with_1_and_names_the_rule_the_line_and_the_numbers(log, capsys):
    assert inspect(log(*WRONG)) == 1
    out = capsys.readouterr().out
    assert re.search(r"^half_open: 1 ×$", out, re.MULTILINE)
    assert re.search(r"^  line 4, run 1, 2\.000 s: 2 half-open .* the limit is 1$", out, re.MULTILINE)


def test_a_file_without_events_ends_with_1(log, capsys):
    assert inspect(log(b"hello", b"world")) == 1
    assert "no events" in capsys.readouterr().out


def test_a_log_that_is_not_there_is_one_line_on_stderr(tmp_path, capsys):
    assert inspect(tmp_path / "none.log") == 1
    assert re.fullmatch(r"evenswarm: cannot read the log .*none\.log: No such file or directory\n", capsys.readouterr().err)


def test_a_folder_is_no_log(tmp_path, capsys):
    assert inspect(tmp_path) == 1
    assert "Is a directory" in capsys.readouterr().err


def test_the_page_does_not_overwrite_the_log(log, capsys):
    path = log(*FINE)
    assert inspect(path, "--html", path) == 1
    assert "is the log itself" in capsys.readouterr().err
    assert inspect(path) == 0


def test_a_page_that_cannot_be_written_is_said(log, tmp_path, capsys):
    assert inspect(log(*FINE), "--html", tmp_path / "no" / "page.html") == 1
    assert "cannot write" in capsys.readouterr().err


# ── tables ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_tables_name_limits_torrents_bad_lines_and_gaps(log, capsys):
    inspect(log(*FINE, b"foreign", b'{"event": 3}', line(40, "torrent_stopped", A, elapsed=0.1)))
    out = capsys.readouterr().out
    assert "1 damaged (line 19); 1 foreign (line 18)" in out
    assert re.search(r"^half-open: .* 2 +30 +line 8$", out, re.MULTILINE), out
    assert re.search(r"^birdsong +1 +2 ", out, re.MULTILINE)
    assert "4 granted = 1 connected + 3 failed + 0 cancelled + 0 declined + 0 expired + 0 in flight" in out
    assert ", 1 gap\n" in out


def test_grants_whose_end_is_missing_are_said_to_be_so(log, capsys):
    inspect(log(engine(), granted(1, 1), started(1, 1), b"{", *attempt(3, 2, 4)))
    assert "2 granted = 0 connected + 1 failed + 0 cancelled + 0 declined + 0 expired + 0 in flight + 1 of which a line is missing" in capsys.readouterr().out


def test_foreign_names_cannot_rewrite_the_screen(log, capsys):
    inspect(log(*FINE))
    assert re.search("[\x00\x1b\u202e]", capsys.readouterr().out) is None


def test_limits_that_the_log_does_not_tell_are_not_made_up(log, capsys):
    assert inspect(log(*FINE[1:])) == 0
    out = capsys.readouterr().out
    assert "its beginning is missing" in out and re.search(r"^half-open: .* not told", out, re.MULTILINE)


def test_a_bound_that_was_changed_is_not_shown_as_one(log, capsys):
    inspect(log(*FINE, change(50, "connection_rate_changed", per_second=5.0, burst=10), limits_changed(50, half_open=7)))
    assert re.search(r"^dials in any 1 s +2 +changed", capsys.readouterr().out, re.MULTILINE)


# ── JSON: its shape is documented and stable ─────────────────────────────────────────────────────────────────────────────


def keys_of(value):
    """Every key, with dots."""
    if isinstance(value, dict):
        return {key if not rest else f"{key}.{rest}" for key, inner in value.items() for rest in keys_of(inner) or {""}}
    if isinstance(value, list):
        return set().union(*map(keys_of, value)) if value else set()
    return set()


def test_json_is_json_and_says_what_the_tables_say(log, capsys):
    assert inspect(log(*FINE), "--json") == 0
    values = json.loads(capsys.readouterr().out)
    run, = values["runs"]
    assert (values["shape"], values["num_runs"], values["violations"], values["log"]["lines"]) == (1, 1, [], 17)
    assert run["grants"] == {
        "granted": 4, "connected": 1, "failed": {"timed_out": 1, "refused": 1, "unreachable": 1}, "cancelled": 0, "declined": 0, "expired": 0, "in_flight": 0, "unknown": 0}
    assert run["half_open"] == {"peak": 2, "limit": 30, "line": 8}
    assert run["starts"]["windows"][0] == {"seconds": 1.0, "most": 2, "bound": 30.0}
    assert {key: run["limits"][key] for key in ("per_second", "burst", "half_open", "unanswered")} == {key: LIMITS[key] for key in ("per_second", "burst", "half_open", "unanswered")}
    torrent = run["torrents"][1]
    assert (torrent["name"], torrent["first_peer_after"], torrent["outcomes"]) == (MARKUP, 1.0, {"connected": 1, "unreachable": 1})


def test_json_names_violations(log, capsys):
    assert inspect(log(*WRONG), "--json") == 1
    violation, = json.loads(capsys.readouterr().out)["violations"]
    assert (violation["rule"], violation["count"], violation["examples"][0]["line"]) == ("half_open", 1, 4)


def test_the_documentation_names_every_key_of_the_json():
    text = (ROOT / "docs" / "inspect.md").read_text(encoding="utf-8")
    keys = {part for key in keys_of(values_of(report_of(*WRONG, *FINE))) for part in key.split(".")} - {"refused", "timed_out", "unreachable", "connected"}
    assert {key for key in keys if f"`{key}`" not in text} == set()


# ── the page ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def page_elements(page):
    """All elements. The page is well-formed XML, so that a strict parser can look at it."""
    return list(ElementTree.fromstring(page.removeprefix("<!DOCTYPE html>")).iter())


@pytest.mark.parametrize("lines", [FINE, WRONG, FINE[1:], [engine()], [*FINE, *WRONG], []], ids=["fine", "wrong", "cut", "empty run", "two runs", "nothing"])
def test_the_page_is_well_formed_self_contained_and_without_script(lines):
    page = page_of(report_of(*lines))
    for element in page_elements(page):
        assert element.tag not in ("script", "link", "img", "iframe", "object", "foreignObject", "image", "use", "a")
        assert not [name for name in element.attrib if name.startswith("on") or name in ("src", "href", "style")]
    assert not re.search(r"https?:|//|url\(|@import", page)
    assert "prefers-color-scheme: dark" in page


def test_names_that_are_markup_are_shown_as_text():
    elements = page_elements(page_of(report_of(*FINE)))
    assert any(element.tag == "td" and (element.text or "").startswith("<script>alert(1)</script>\\x1b") for element in elements)
    assert any(element.tag == "title" and (element.text or "").startswith("<script>alert(1)</script>") for element in elements)


def test_the_page_draws_limits_turns_waits_and_outcomes():
    page = page_of(report_of(*FINE))
    drawn = [element.attrib["aria-label"] for element in page_elements(page) if "aria-label" in element.attrib]
    assert drawn == [
        "Dials in 1 s over time", "Half-open over time", "Unanswered, 120 s over time", "grants over time, a row for each torrent",
        "Jain over time", "Lag over time", "waits for a slot, a row for each torrent", "outcomes of dials, a row for each torrent"]


def test_the_page_says_what_is_violated():
    assert "verdict violated" in page_of(report_of(*WRONG)) and "line 4, run 1" in page_of(report_of(*WRONG))


# ── size ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


PEAK_OF = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10)
sys.exit(code)
"""


def peak_memory(path) -> int:
    """MiB of a process of its own that inspects the log; a small process starts it, because what forks counts, too."""
    inspect = [sys.executable, str(ROOT / "run.py"), "inspect", str(path), "--html", f"{path}.html"]
    done = subprocess.run([sys.executable, "-c", PEAK_OF, *inspect], stdout=subprocess.PIPE, cwd=ROOT, check=True)
    return int(done.stdout)


def test_memory_does_not_grow_with_the_length_of_the_log(tmp_path):
    peaks = []
    for num_lines in (20_000, 200_000):
        path = tmp_path / f"{num_lines}.log"
        path.write_bytes(b"".join(long_log(num_lines, 3_000)))      # three times as many torrents as have figures of their own
        peaks.append(peak_memory(path))
    assert peaks[1] < peaks[0] + 12, peaks
    assert peaks[1] < 100, peaks


def test_reading_raises_what_the_command_line_shows(tmp_path):
    from ui.commands.inspect import read

    with pytest.raises(StorageError):
        read(tmp_path / "none.log")


def test_a_reader_that_has_seen_enough_is_no_error(log):
    path = log(*(one for number in range(2_000) for one in attempt(number, number + 1, number + 0.5, "refused", f"{number:040x}")))
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), "inspect", path, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    assert process.stdout.read(1) == b"{"
    process.stdout.close()
    assert (process.stderr.read(), process.wait(60)) == (b"", 1)
    process.stderr.close()
