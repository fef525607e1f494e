"""`run.py test [PYTEST ARGS]`: the project's tests, whatever the current folder is."""

import os

from protocol.errors import EvenswarmError
from ui.environment import ROOT

# pytest's options whose value is the next argument and may look like the name of a file that is there
VALUE_OPTIONS = frozenset({"-k", "-m", "-p", "-o", "-c", "-r", "-W", "-n"})


def run(pytest_arguments: list[str]) -> int:
    """Run pytest and return its exit code. Paths are relative to the current folder; without one all tests run."""
    tests = ROOT / "tests"
    if not tests.is_dir():
        raise EvenswarmError("the tests are not installed with the command: clone the project and use its run.py")
    import pytest

    everything = [] if names_a_path(pytest_arguments) else [str(tests)]
    return int(pytest.main(["-c", str(ROOT / "setup.cfg"), "--rootdir", str(ROOT), *pytest_arguments, *everything]))


def names_a_path(pytest_arguments: list[str]) -> bool:
    """Tell whether one of the arguments is a file or folder that is there, or a test in one ("file.py::test")."""
    for before, argument in zip(["", *pytest_arguments], pytest_arguments, strict=False):
        if before not in VALUE_OPTIONS and not argument.startswith("-") and os.path.exists(argument.partition("::")[0]):
            return True
    return False
