"""Imports go one way and never in a circle, and the pure folders import nothing that has I/O, a clock or chance."""

import ast
import graphlib
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.architecture.source_tree import PACKAGES, ROOT, imported_names, python_files

PURE_STDLIB = {
    "base64", "binascii", "bisect", "collections", "contextlib", "dataclasses", "enum", "functools", "hashlib", "heapq",
    "ipaddress", "itertools", "math", "operator", "re", "string", "struct", "types", "typing", "unicodedata", "urllib.parse",
}
# Folders that may use the standard library but these: they fork under gevent's feet, or bring a second event loop, or run
# what they read.
FORBIDDEN_STDLIB = {"asyncio", "concurrent", "marshal", "multiprocessing", "pickle", "shelve"}

MAY_IMPORT_OF_OURS = {                                  # folder: what it may import, or what begins so
    "protocol": {"protocol"},
    "scheduler": {"scheduler", "protocol"},
    "daemon": {"daemon", "scheduler", "protocol"},
    "actors": {"actors", "scheduler", "protocol"},
    "ui": {"ui", "actors.messages", "actors.snapshots"},
    "ui/web": {"ui.web", "ui.fetching", "protocol"}, # a process of its own: what it knows of the engine came in frames
    "ui/fetching": {"ui.fetching", "protocol"},         # for commands and the web process
    "ui/commands": {"ui", "actors", "daemon", "scheduler", "protocol"},
}
MAY_IMPORT_OF_OTHERS = {
    "protocol": {"bencodepy", "msgpack", "msgspec"},
    "scheduler": set(),
    "daemon": {"gevent"},                               # greenlets, no pykka
    "actors": {"gevent", "msgspec", "pykka", "structlog", "urllib3"},
    "ui": {"rich"},
    "ui/fetching": {"gevent", "urllib3"},
    "ui/web": {"gevent", "msgspec", "werkzeug"},
    "ui/commands": {"gevent", "msgspec", "platformdirs", "pykka", "pytest", "rich", "structlog", "urllib3"},
}
FILES = python_files(*PACKAGES)


def folder_of(path: Path) -> str:
    two = "/".join(path.parts[:2])
    return two if two in MAY_IMPORT_OF_OURS else path.parts[0]


def is_below(name: str, allowed: set[str]) -> bool:
    """Tell whether the dotted `name` is one of `allowed` or lies in one."""
    return any(name == module or name.startswith(module + ".") for module in allowed)


def refused_imports(folder: str, source: str) -> set[str]:
    """Return what `source`, a file of `folder`, imports and may not."""
    refused = set()
    for name in imported_names(source):
        top = name.partition(".")[0]
        if top in PACKAGES:
            allowed = is_below(name, MAY_IMPORT_OF_OURS[folder]) and (folder == "ui/commands" or not is_below(name, {"ui.commands"}))
        elif top in sys.stdlib_module_names and folder in ("protocol", "scheduler"):
            allowed = is_below(name, PURE_STDLIB)
        elif top in sys.stdlib_module_names:
            allowed = top not in FORBIDDEN_STDLIB
        else:
            allowed = top in MAY_IMPORT_OF_OTHERS[folder]
        if not allowed:
            refused.add(name)
    return refused


def module_of(path: Path) -> str:
    """Return the dotted name under which `path` is imported."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


class WithoutTypeChecking(ast.NodeTransformer):
    """Leaves out what only a type checker reads."""

    def visit_If(self, node: ast.If) -> ast.AST:
        return ast.Pass() if ast.unparse(node.test).endswith("TYPE_CHECKING") else self.generic_visit(node)


def import_circle(sources: Mapping[str, str]) -> list[str]:
    """Return the modules of one circle among `sources` (module → its text), [] if there is none. Imports inside functions count too."""
    executed = {module: ast.unparse(WithoutTypeChecking().visit(ast.parse(source))) for module, source in sources.items()}
    imported = {
        module: {ours for name in imported_names(source) for ours in (name, name.rpartition(".")[0]) if ours in sources}
        for module, source in executed.items()
    }
    try:
        graphlib.TopologicalSorter(imported).prepare()
    except graphlib.CycleError as circle:
        return circle.args[1]
    return []


def test_no_module_imports_itself_in_a_circle():
    paths = [Path("run.py"), *python_files(*PACKAGES, "tests", "benchmarks")]
    assert import_circle({module_of(path): (ROOT / path).read_text(encoding="utf-8") for path in paths}) == []


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_file_imports_only_what_its_folder_may(path):
    assert refused_imports(folder_of(path), (ROOT / path).read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize("path", [path for path in FILES if path.name == "__init__.py"], ids=str)
def test_every_init_file_is_empty(path):
    assert (ROOT / path).stat().st_size == 0


def test_every_folder_with_python_files_is_a_package():
    assert {path.parent for path in FILES} == {path.parent for path in FILES if path.name == "__init__.py"}


@pytest.mark.parametrize(("folder", "source", "refused"), [
    ("protocol", "import socket", {"socket"}),
    ("protocol", "def late():\n    from time import monotonic", {"time.monotonic"}),
    ("protocol", "import urllib.parse, urllib.request", {"urllib.request"}),
    ("protocol", "from scheduler.settings import Settings", {"scheduler.settings.Settings"}),
    ("protocol", "from . import errors", {"..errors"}),
    ("protocol", "import struct\nfrom protocol import errors\nimport bencodepy", set()),
    ("scheduler", "from random import Random", {"random.Random"}),
    ("scheduler", "from actors import messages", {"actors.messages"}),
    ("daemon", "import pykka", {"pykka"}),
    ("daemon", "from actors.messages import Begin", {"actors.messages.Begin"}),
    ("actors", "import daemon.__main__", {"daemon.__main__"}),
    ("actors", "from ui.terminal import text", {"ui.terminal.text"}),
    ("actors", "import multiprocessing.pool", {"multiprocessing.pool"}),
    ("actors", "import numpy", {"numpy"}),
    ("ui", "from actors import messages as m, snapshots", set()),
    ("ui", "from actors.session import Session", {"actors.session.Session"}),
    ("ui", "from ui.commands import show", {"ui.commands.show"}),
    ("ui/web", "from actors import snapshots", {"actors.snapshots"}),
    ("ui/web", "from ui.terminal import text", {"ui.terminal.text"}),
    ("ui/commands", "from actors.session import Session\nfrom ui.commands import sources", set()),
    ("actors", "import run", {"run"}),
])
def test_the_rule_about_imports_sees(folder, source, refused):
    assert refused_imports(folder, source) == refused


@pytest.mark.parametrize(("sources", "circle"), [
    ({"a.x": "from a.y import Y", "a.y": "import a.x"}, {"a.x", "a.y"}),
    ({"a.x": "from a import y", "a.y": "def late():\n    from a.z import Z", "a.z": "from a.x import X"}, {"a.x", "a.y", "a.z"}),
    ({"a.x": "import a.x"}, {"a.x"}),
    ({"a.x": "from a.y import Y\nfrom a.z import Z", "a.y": "import a.z", "a.z": "import sys"}, set()),
    ({"a.x": "if TYPE_CHECKING:\n    from a.y import Y", "a.y": "import a.x"}, set()),
])
def test_the_rule_about_circles_sees(sources, circle):
    assert set(import_circle(sources)) == circle
