"""Messages are frozen values that refuse what can never be meant."""

import ast
import dataclasses
import math
import subprocess
import sys

import msgspec
import pytest

from actors import messages as m
from actors import snapshots
from tests.architecture.source_tree import ROOT

HASH = b"h" * 20
MESSAGES = [value for value in vars(m).values() if isinstance(value, type) and value.__module__ == m.__name__]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
def test_a_message_is_a_frozen_dataclass_with_slots_and_says_what_it_means(message):
    assert dataclasses.is_dataclass(message) and message.__dataclass_params__.frozen
    assert "__slots__" in vars(message)
    assert message.__doc__ and not message.__doc__.startswith(message.__name__ + "(")


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
def test_a_message_holds_nothing_that_can_be_changed(message):
    kinds = {field.type for field in dataclasses.fields(message)}
    assert not [kind for kind in kinds if str(kind).startswith(("list", "dict", "set", "bytearray"))]


@pytest.mark.parametrize(("build", "error"), [
    (lambda: m.RequestConnections(HASH, 0), "count is 0, must be at least 1"),
    (lambda: m.RequestConnections(HASH, -3), "count is -3"),
    (lambda: m.RegisterTorrent(HASH, None, "urgent"), "priority is 'urgent', must be one of high, normal, low"),
    (lambda: m.SlotDeclined(1, "no_candidate", -1.0), "retry_after is -1.0"),
    (lambda: m.SlotDeclined(1, "no_candidate", math.nan), "retry_after is nan"),
    (lambda: m.AttemptEnded(1, "exploded", 1.0), "outcome is 'exploded', must be one of connected, refused"),
    (lambda: m.SetConnectionRateLimit(-1.0), "per_second must be finite and at least 0"),
    (lambda: m.SetConnectionRateLimit(math.inf), "per_second must be finite"),
    (lambda: m.SetConnectionRateLimit(math.nan), "per_second must be finite"),
    (lambda: m.SetConnectionRateLimit(10.0, 0), "burst at least 1"),
    (lambda: m.SetConnectionLimits(half_open=0), "a limit must be at least 1"),
    (lambda: m.SetConnectionLimits(global_connections=-1), "a limit must be at least 1"),
    (lambda: m.PauseConnecting(""), "must say why"),
])
def test_what_can_never_be_meant_is_refused_where_it_is_said(build, error):
    with pytest.raises(ValueError, match=error):
        build()


@pytest.mark.parametrize("build", [
    lambda: m.RequestConnections(HASH, 1), lambda: m.SlotDeclined(1, "stopped"), lambda: m.SlotDeclined(1, "no_candidate", 0.0),
    lambda: m.SetConnectionRateLimit(0), lambda: m.SetConnectionRateLimit(0.5, 1), lambda: m.SetConnectionLimits(),
    lambda: m.SetConnectionLimits(half_open=1), lambda: m.AttemptEnded(1, "local_busy", 0.0),
])
def test_what_can_be_meant_is_taken(build):
    build()


def test_a_higher_priority_has_a_higher_weight():
    assert m.PRIORITY_WEIGHTS["high"] == 3 and m.PRIORITY_WEIGHTS["normal"] == 1 and m.PRIORITY_WEIGHTS["low"] == 1 / 3


@pytest.mark.parametrize("module", ["actors.messages", "actors.snapshots"])
def test_messages_and_snapshots_can_be_imported_without_pykka_and_gevent(module):
    code = f"import sys, {module}; print(*sorted({{'pykka', 'gevent'}} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.split() == []


def test_every_message_is_handled_by_some_actor():
    handled = set()
    for path in (ROOT / "actors").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.match_case):
                handled |= {pattern.cls.attr for pattern in ast.walk(node.pattern)
                            if isinstance(pattern, ast.MatchClass) and isinstance(pattern.cls, ast.Attribute)}
    assert {message.__name__ for message in MESSAGES} <= handled


@pytest.mark.parametrize("snapshot", [
    value for value in vars(snapshots).values() if isinstance(value, type) and value.__module__ == snapshots.__name__
], ids=lambda snapshot: snapshot.__name__)
def test_a_snapshot_is_frozen_and_has_slots(snapshot):
    """A dataclass, or a msgspec.Struct, which has slots always."""
    if issubclass(snapshot, msgspec.Struct):
        assert snapshot.__struct_config__.frozen
    else:
        assert dataclasses.is_dataclass(snapshot) and snapshot.__dataclass_params__.frozen and "__slots__" in vars(snapshot)
