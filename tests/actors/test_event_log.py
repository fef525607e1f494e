"""Events as lines of JSON in a file and as text in a terminal, whatever is logged and however little room there is."""

import datetime
import json
import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest
import structlog
from gevent.monkey import get_original

from actors import event_log, log_file
from actors.event_log import close_log, configure_logging
from protocol.errors import StorageError

INFO_HASH = bytes.fromhex("ab12" * 10)


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """What one test configures, the next one does not find."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    close_log()
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(level)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    configure_logging(tmp_path / "events.log")
    return tmp_path / "events.log"


def events(path: Path) -> list[dict]:
    """Close the log and return its events."""
    close_log()

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in path.read_text(encoding="utf-8").splitlines()]


def the_event(path: Path) -> dict:
    [event] = events(path)
    return event


# ── lines ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_event_is_one_object_with_its_fields_and_the_times(path):
    before = time.monotonic()
    structlog.get_logger().bind(info_hash=INFO_HASH).info("slot_granted", grant_id=7, waited=0.25)
    event = the_event(path)
    stamp = datetime.datetime.fromisoformat(event.pop("timestamp"))
    assert abs((datetime.datetime.now(datetime.UTC) - stamp).total_seconds()) < 60
    assert before - 0.001 <= event.pop("monotonic") <= time.monotonic()
    assert event == {"event": "slot_granted", "level": "info", "info_hash": "ab12" * 10, "grant_id": 7, "waited": 0.25}


@pytest.mark.parametrize("second", [0.0, 0.9999999, 59.5, 1_790_000_000.000001])
def test_a_timestamp_is_utc_with_six_digits_of_a_second(monkeypatch, second):
    monkeypatch.setattr(event_log.time, "time", lambda: second)
    stamp = event_log._timestamp()
    assert len(stamp) == len("2026-01-01T00:00:00.000000Z") and stamp.endswith("Z")
    assert datetime.datetime.fromisoformat(stamp).timestamp() == pytest.approx(second, abs=2e-6)


class Unspeakable:
    def __repr__(self) -> str:
        raise ValueError("no words")


CIRCLE: list = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(("value", "shown"), [
    (None, None), (True, True), (1.5, 1.5), ("naïve ☃", "naïve ☃"), ("a\nb\x1b", "a\nb\x1b"),
    (b"\x00\xff", "00ff"), (bytearray(b"\x01"), "01"), (memoryview(b"\x02"), "02"),
    ((1, b"\x03"), [1, "03"]), ({5}, [5]), ({b"\x04": {"x": b"\x05"}}, {"04": {"x": "05"}}),
    (float("nan"), None), (float("inf"), None), (10 ** 30, 10 ** 30), (-(2 ** 63), -(2 ** 63)),
    (ValueError("x"), "ValueError('x')"),
], ids=repr)
def test_any_value_becomes_json(path, value, shown):
    structlog.get_logger().info("tested", value=value)
    assert the_event(path)["value"] == shown


@pytest.mark.parametrize(("value", "shown"), [
    (Unspeakable(), "a Unspeakable that cannot be shown"), ("half a pair \udcff", "half a pair \\udcff"), (CIRCLE, "[[...]]"),
], ids=["no repr", "half a surrogate pair", "circle"])
def test_what_cannot_be_said_costs_no_event_and_no_other_field(path, value, shown):
    structlog.get_logger().info("tested", value=value, grant_id=7)
    event = the_event(path)
    assert (event["event"], event["value"], event["grant_id"]) == ("tested", shown, "7")


def test_a_failure_is_logged_with_its_traceback(path):
    try:
        raise ValueError("broken")
    except ValueError as error:
        structlog.get_logger().error("actor_failed", exc_info=error)
    event = the_event(path)
    assert event["level"] == "error"
    assert event["exception"].startswith("Traceback") and event["exception"].endswith("ValueError: broken")
    assert "exc_info" not in event


def test_what_is_for_developers_only_is_not_written(path):
    structlog.get_logger().debug("tested")
    assert events(path) == []


def test_a_log_goes_on_where_the_last_run_ended(tmp_path):
    for number in range(2):
        configure_logging(tmp_path / "events.log")
        structlog.get_logger().info("tested", number=number)
        close_log()
    assert [event["number"] for event in events(tmp_path / "events.log")] == [0, 1]


def test_a_path_that_cannot_be_written_is_a_clear_error(tmp_path):
    with pytest.raises(StorageError, match=r"cannot write the log .*/none/events\.log: No such file or directory"):
        configure_logging(tmp_path / "none" / "events.log")


def test_without_a_file_and_a_terminal_events_go_nowhere(capfd):
    configure_logging(None)
    structlog.get_logger().error("tested")
    logging.getLogger("pykka").error("tested")
    assert capfd.readouterr() == ("", "")


def test_events_after_the_end_go_nowhere_and_hurt_nobody(path):
    log = structlog.get_logger().bind(x=1)
    close_log()
    log.info("tested")
    assert events(path) == []


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def writes(monkeypatch) -> list[int]:
    """The length of each write of a log file."""
    lengths: list[int] = []

    def write(fd: int, data) -> int:
        lengths.append(len(data))
        return os.write(fd, data)

    monkeypatch.setattr(log_file, "os", FakeOs(write))
    return lengths


class FakeOs:
    """`os`, but for `write`."""

    def __init__(self, write: Callable[[int, bytes], int]) -> None:
        self.write = write

    def __getattr__(self, name: str):
        return getattr(os, name)


def wait_for_lines(path: Path, count: int) -> None:
    with gevent.Timeout(10.0):
        while path.read_bytes().count(b"\n") < count:
            gevent.sleep(0.01)


def test_a_thousand_events_are_a_few_writes(writes, path):
    log = structlog.get_logger()
    for number in range(1_000):
        log.info("tested", number=number)
    assert [event["number"] for event in events(path)] == list(range(1_000))
    assert len(writes) <= 1 + sum(writes) // log_file.FLUSH_BYTES


def test_an_event_is_in_the_file_soon_without_another_one(path):
    structlog.get_logger().info("tested")
    assert path.read_bytes() == b""
    wait_for_lines(path, 1)


def test_much_is_written_at_once_and_the_timer_is_gone(path):
    log = structlog.get_logger()
    for _ in range(10):
        log.info("tested", text="x" * (log_file.FLUSH_BYTES // 10))
    assert path.read_bytes().count(b"\n") == 10
    log.info("tested")
    wait_for_lines(path, 11)


def test_an_event_of_another_thread_is_written_too(path):
    log = structlog.get_logger()
    done = get_original("threading", "Event")()

    def in_thread() -> None:
        log.info("tested", thread=True)
        done.set()

    get_original("_thread", "start_new_thread")(in_thread, ())
    with gevent.Timeout(10.0):
        while not done.is_set():
            gevent.sleep(0.01)
    wait_for_lines(path, 1)
    assert threading.current_thread() is threading.main_thread()
    assert the_event(path)["thread"] is True


@pytest.fixture
def room(path) -> Iterator[Callable[[int | None], None]]:
    """Call it with the most bytes that files may have; None: as many as they want."""
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)     # so that the write fails as on a full disk

    def set_room(most: int | None) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited if most is None else (most, unlimited[1]))

    yield set_room
    set_room(None)
    signal.signal(signal.SIGXFSZ, handler)


def flush() -> None:
    event_log._log_file.flush()


def test_a_full_disk_loses_events_but_says_how_many_and_no_line_is_glued_to_another(path, room):
    log = structlog.get_logger()
    log.info("tested", number=0)
    flush()
    room(path.stat().st_size + 50)                      # half a line
    try:
        log.info("tested", number=1)
        log.info("tested", number=2)
        flush()
        log.info("tested", number=3)
        flush()
    finally:
        room(None)
    log.info("tested", number=4)
    close_log()
    lines = path.read_bytes().splitlines()
    assert len(lines[1]) == 50, "what there was room for"
    whole = [json.loads(line) for line in [lines[0], *lines[2:]]]
    assert [(event["event"], event.get("number", event.get("count"))) for event in whole] == [
        ("tested", 0), ("tested", 4), ("log_lines_dropped", 3),
    ]


def test_a_disk_that_stays_full_stops_nobody_and_the_user_is_told_when_it_begins_and_at_the_end(path, room, capsys):
    room(0)
    try:
        for _ in range(3):
            structlog.get_logger().info("tested")
            flush()
        begun = capsys.readouterr().err
        close_log()
        ended = capsys.readouterr().err
    finally:
        room(None)                                      # before pytest writes its own line into a file
    assert path.read_bytes() == b""
    assert begun == f"evenswarm: cannot write the log {path}: File too large; it lacks events from now on, everything else goes on: make room there\n"
    assert ended == f"evenswarm: the log {path} lacks 3 events: File too large\n"


def test_a_log_that_lacks_nothing_says_nothing(path, capsys):
    structlog.get_logger().info("tested")
    close_log()
    assert capsys.readouterr().err == ""


# ── the terminal ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def shown(capfd) -> str:
    return capfd.readouterr().err


def test_a_terminal_shows_short_hashes_and_plain_text(capfd):
    configure_logging(None, terminal=True)
    structlog.get_logger().info("slot_granted", info_hash=INFO_HASH, grant_id=7, peer_id=b"\xff")
    text = shown(capfd)
    assert "slot_granted" in text and "info_hash=ab12ab12 " in text and "grant_id=7" in text and "peer_id=ff" in text
    assert "\x1b" not in text, "colours are for terminals, this is none"


def test_text_of_others_cannot_rewrite_the_screen(capfd):
    configure_logging(None, terminal=True)
    structlog.get_logger().info("tested", client_name="\x1b[2J\r\u202eevil\n", list_of=["\x1b[2J"])
    text = shown(capfd)
    assert "\x1b" not in text and "\r" not in text and "\u202e" not in text
    assert text.count("\n") == 1


def test_a_failure_shows_its_traceback_in_lines(capfd):
    configure_logging(None, terminal=True)
    structlog.get_logger().error("actor_failed", exc_info=ValueError("\x1b[2Jbroken"))
    text = shown(capfd)
    assert "\nValueError: \\x1b[2Jbroken" in text


def test_a_terminal_that_is_gone_is_no_reason_to_stop(tmp_path, monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", buffering=1) as gone:
        monkeypatch.setattr(sys, "stderr", gone)
        configure_logging(tmp_path / "events.log", terminal=True)
        structlog.get_logger().info("tested")
        assert the_event(tmp_path / "events.log")["event"] == "tested"
        monkeypatch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), writer)     # so that closing it does not fail


# ── libraries ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_warnings_of_libraries_take_the_same_way(path):
    logging.getLogger("pykka").warning("Unexpected %s", "thing")
    logging.getLogger("pykka").info("Started")
    event = the_event(path)
    assert (event["event"], event["logger"], event["text"], event["exception"]) == ("library_logged", "pykka", "Unexpected thing", "")


def test_a_library_that_fails_is_logged_with_the_traceback(path):
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("pykka").exception("Unhandled")
    assert the_event(path)["exception"].endswith("ValueError: broken")


def test_a_record_whose_arguments_do_not_fit_is_shown_as_it_is(path):
    record = logging.makeLogRecord({"name": "urllib3", "levelno": logging.WARNING, "msg": "%d of %d", "args": ("x",)})
    event_log.LibraryRecords().emit(record)
    assert the_event(path)["text"] == "%d of %d"
