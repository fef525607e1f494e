"""What the architecture tests look at: the files of the project, what they import, what they log."""

import ast
import fnmatch
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("actors", "daemon", "protocol", "scheduler", "ui")
LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical"}
# `log`, `self._log`, `structlog.get_logger()`, and each of them with fields bound
LOGGER = re.compile(r"(?:^|[._])log(?:ger)?(?:\(\))?(?:\.bind\(.*\))?$")


def python_files(*folders: str) -> list[Path]:
    """Return the Python files below `folders`, relative to the root and sorted."""
    return sorted(path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.py"))


def tracked_files() -> list[Path]:
    """Return the files of the project, relative to the root: what git tracks, or all that .gitignore does not name."""
    git = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if git.returncode == 0:
        listed = [Path(name) for name in git.stdout.decode().split("\0") if name]
    else:                                               # an unpacked archive
        ignored = [".git", *(line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split())]
        listed = [
            path for path in (found.relative_to(ROOT) for found in ROOT.rglob("*"))
            if not any(fnmatch.fnmatch(part, pattern) for part in path.parts for pattern in ignored)
        ]
    return sorted(path for path in listed if (ROOT / path).is_file())


def imported_names(source: str) -> Iterator[str]:
    """Yield the dotted name of everything that `source` imports, anywhere in it: "actors.messages", "gevent.monkey.patch_all".

    A relative import is yielded as it is written, with its dots.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (f"{module}.{alias.name}" for alias in node.names)


@dataclass(frozen=True, slots=True)
class EmittedEvent:
    """One call that logs. `name` is None when it is no literal; `fields` holds "**" for fields that are not written out."""

    name: str | None
    fields: frozenset[str]
    line: int


def emitted_events(source: str) -> Iterator[EmittedEvent]:
    """Yield the events that `source` logs."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr not in LOG_METHODS or not LOGGER.search(ast.unparse(node.func.value)):
            continue
        first = node.args[0] if node.args else None
        name = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
        yield EmittedEvent(name, frozenset(keyword.arg or "**" for keyword in node.keywords), node.lineno)
