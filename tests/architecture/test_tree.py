"""The tree itself: what lies at its top, how long its files are, what no file may contain."""

import re

import pytest

from tests.architecture.source_tree import ROOT, tracked_files

TOP_LEVEL = {
    ".ci", ".gitignore", "LICENSE", "README.md", "actors", "benchmarks", "daemon", "docs", "protocol", "pyproject.toml",
    "requirements.lock", "run.py", "scheduler", "setup.cfg", "tests", "ui",
}
MOST_LINES = 400
LONG_FILES = {                                          # file: why it cannot be split
    "actors/messages.py": "every message between actors in one place (style.md): a list, read by receiver",
    "protocol/daemon_messages.py": "every message between engine and daemon in one place: a list, read by direction",
}
VAGUE_NAMES = re.compile(r"(^|_)(utils?|helpers?|common|misc|stuff|manager)\.py$")

# Written in parts, so that this file does not contain them.
MACHINE_PATH = re.compile(r"(?<![\w.~:/*-])/" + r"(?:root|work|home|tmp|Users)/" + r"\w")
PACKAGE_INDEX = re.compile("|".join([r"pypi" + r"\.org", r"python" + r"hosted\.org", r"--(extra-)?index" + "-url", "--find" + "-links"]))
FILES = tracked_files()
PYTHON_FILES = [path for path in FILES if path.suffix == ".py"]


def num_lines(path) -> int:
    return len((ROOT / path).read_bytes().splitlines())


def test_the_top_of_the_tree_is_exactly_what_is_allowed():
    assert {path.parts[0] for path in FILES} == TOP_LEVEL


def test_no_python_file_is_longer_than_it_may_be_without_a_reason():
    assert {str(path) for path in PYTHON_FILES if num_lines(path) > MOST_LINES} == set(LONG_FILES)


def test_no_file_is_named_after_a_kind_instead_of_an_idea():
    assert [str(path) for path in PYTHON_FILES if VAGUE_NAMES.search(path.name)] == []


@pytest.mark.parametrize(("rule", "what"), [(MACHINE_PATH, "path of one machine"), (PACKAGE_INDEX, "package index")], ids=["path", "index"])
def test_no_file_names_what_only_one_machine_has(rule, what):
    found = {}
    for path in FILES:
        text = (ROOT / path).read_bytes().decode("utf-8", errors="replace")
        if match := rule.search(text):
            found[str(path)] = text[match.start():match.start() + 60].splitlines()[0]
    assert found == {}, what


@pytest.mark.parametrize(("rule", "text", "is_found"), [
    (MACHINE_PATH, "see /" + "root/notes", True),
    (MACHINE_PATH, '"/' + 'work/main"', True),
    (MACHINE_PATH, "tests/" + "work/x, ~/" + "work/x, https://host/" + "home/x, /dev/shm/x", False),
    (PACKAGE_INDEX, "pip install --index" + "-url x", True),
    (PACKAGE_INDEX, "https://files.python" + "hosted.org/x", True),
    (PACKAGE_INDEX, "pip install --require-hashes -r requirements.lock", False),
])
def test_the_rules_about_machines_see(rule, text, is_found):
    assert bool(rule.search(text)) is is_found
