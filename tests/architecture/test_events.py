"""docs/events.md says exactly which events the program logs, and with which fields."""

import re

import pytest

from tests.architecture.source_tree import PACKAGES, ROOT, EmittedEvent, emitted_events, python_files

EMITTED = [
    (path, event) for path in python_files(*PACKAGES) for event in emitted_events((ROOT / path).read_text(encoding="utf-8"))
]
ABOUT_THE_CALL = {"exc_info", "stack_info"}             # how structlog is to render a record, no fields


def documented_events() -> dict[str, set[str]]:
    """Return event name → fields, from the tables of docs/events.md whose first column is headed "event"."""
    events: dict[str, set[str]] = {}
    columns: list[str] = []
    for line in (ROOT / "docs" / "events.md").read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            columns = []
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not columns:
            columns = cells
        elif columns[0] == "event" and (name := re.fullmatch(r"`(\w+)`", cells[0])):
            assert name[1] not in events, f"{name[1]} is documented twice"
            events[name[1]] = set(re.findall(r"\w+", cells[columns.index("fields")]))
    return events


DOCUMENTED = documented_events()


def test_the_documented_events_are_the_emitted_events():
    assert {event.name for _, event in EMITTED if event.name} == set(DOCUMENTED)


@pytest.mark.parametrize(("path", "event"), EMITTED, ids=[f"{path}:{event.line}" for path, event in EMITTED])
def test_an_event_has_a_literal_name_in_snake_case_and_documented_fields(path, event):
    assert event.name, f"{path}:{event.line}: the name of an event is a literal"
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", event.name)
    assert "**" not in event.fields, f"{path}:{event.line}: the fields of an event are written out"
    assert event.fields - ABOUT_THE_CALL <= DOCUMENTED.get(event.name, set())


@pytest.mark.parametrize(("source", "expected"), [
    ('self._log.info("slot_granted", waited=1)', [EmittedEvent("slot_granted", frozenset({"waited"}), 1)]),
    ('log.bind(peer=2).warning("gone")', [EmittedEvent("gone", frozenset(), 1)]),
    ('structlog.get_logger().error("gone", **more)', [EmittedEvent("gone", frozenset({"**"}), 1)]),
    ('self._log.info(f"slot_{name}")', [EmittedEvent(None, frozenset(), 1)]),
    ('math.log(2)\nself._catalog.info("x")\nself._log.bind(a=1)', []),
])
def test_the_collector_of_events_sees(source, expected):
    assert list(emitted_events(source)) == expected
