"""The environment that Evenswarm runs in: this interpreter's own, or `.venv` beside run.py, made from the lock file.

- An interpreter whose environment has what setup.cfg pins, in these versions, is used, and never installed into.
- Otherwise `.venv` beside run.py is used. If it is not there, unfinished or outdated, it is made or brought up to date
  with pip, from requirements.lock (and tests/requirements.lock for `run.py test`), every file checked by its hash.
- A `.venv` that somebody else made is used if it has the dependencies, and never changed.

`.venv/evenswarm-stamp` says that a `.venv` is ours and what is in it: the Python it was made for and a line for each lock
file, written last, so that an interrupted making shows as an empty stamp. It is also the file that is locked, so that
two launchers at once do not make it twice.

Nothing here may need a dependency. What only the making needs is imported there: this runs before gevent patches, and
little should be imported by then.
"""

import contextlib
import hashlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Final, TextIO

ROOT: Final = Path(__file__).resolve().parent.parent
PIP_LINES_SHOWN: Final = 12                             # of its output, when it failed: enough for its reason


class EnvironmentProblem(Exception):
    """Evenswarm cannot start here. The message says what is wrong and what to do about it."""


def provide(for_tests: bool) -> None:
    """Return when this interpreter has the dependencies; otherwise start again in `.venv`, made first if it must be.

    `for_tests`: those of the tests too. Exits with 1 and a message where there is no way.
    """
    try:
        Bootstrap(ROOT, for_tests).provide()
    except EnvironmentProblem as problem:
        sys.exit(f"evenswarm: {problem}")
    except KeyboardInterrupt:
        sys.exit(130)


class Bootstrap:
    """Finds or makes the environment for the tree at `root`."""

    def __init__(self, root: Path, for_tests: bool) -> None:
        self.root = root
        self.for_tests = for_tests
        self.venv = root / ".venv"
        self.python = self.venv / "bin" / "python"
        self.stamp = self.venv / "evenswarm-stamp"
        self.locks = ["requirements.lock"] + (["tests/requirements.lock"] if for_tests else [])
        self.inside = self.venv.is_dir() and os.path.samefile(sys.prefix, self.venv)

    def provide(self) -> None:
        """As the function `provide`, but raises EnvironmentProblem."""
        if os.name != "posix":
            raise EnvironmentProblem("runs on Linux and macOS; on Windows use WSL")
        if self.inside and self._is_current():
            return
        product, tests = self._missing_here()
        if not product and not tests:
            return
        if self.inside and not self.stamp.exists():
            raise EnvironmentProblem(
                f"{self.venv} was not made by run.py and lacks {', '.join(product + tests)}: remove it (run.py then makes "
                f"one), or: {self.python} -m pip install --require-hashes -r {self.root / self.locks[-1]}"
            )
        if not product and not self.inside:
            raise EnvironmentProblem(
                f"the environment of {sys.executable} has Evenswarm's dependencies but for the tests it lacks "
                f"{', '.join(tests)}: {sys.executable} -m pip install --require-hashes -r {self.root / self.locks[-1]}"
            )
        if not self._is_somebody_elses():
            self._make()
        self._start_again()

    def _is_somebody_elses(self) -> bool:
        return self.venv.is_dir() and not self.stamp.exists() and any(self.venv.iterdir())

    def _missing_here(self) -> tuple[list[str], list[str]]:
        """Return what setup.cfg pins and this interpreter lacks or has in another version: the product's, the tests'."""
        import configparser

        setup = configparser.ConfigParser(interpolation=None)
        setup.read(self.root / "setup.cfg", encoding="utf-8")
        product = _lacking(setup["options"]["install_requires"].split())
        tests = _lacking(setup["options.extras_require"]["test"].split()) if self.for_tests else []
        return product, tests

    def _stamp_lines(self) -> list[str]:
        """Return what the stamp says when `.venv` is complete and current for us."""
        lines = [f"{hashlib.sha256((self.root / lock).read_bytes()).hexdigest()} {lock}" for lock in self.locks]
        # Only its own Python knows its version; a system upgrade may have put another one under it, which finds nothing.
        return lines + ([_python_line()] if self.inside else [])

    def _is_current(self) -> bool:
        try:
            written = self.stamp.read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        return os.access(self.python, os.X_OK) and set(self._stamp_lines()) <= set(written)

    def _make(self) -> None:
        """Make `.venv` or bring it up to date, unless it is current; another launcher that does so is waited for."""
        import fcntl

        if self._is_current():
            return
        try:
            self.venv.mkdir(exist_ok=True)
            stamp = self.stamp.open("a+", encoding="utf-8")
        except OSError as error:
            raise EnvironmentProblem(
                f"cannot make {self.venv}: {error.strerror}. Make {self.root} writable, or install it elsewhere: "
                f"pipx install {self.root}"
            ) from None
        with stamp:
            try:
                fcntl.flock(stamp, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _say("another run.py is making .venv; waiting for it")
                fcntl.flock(stamp, fcntl.LOCK_EX)
            if not self._is_current():
                self._install(stamp)

    def _install(self, stamp: TextIO) -> None:
        """Fill `.venv`, with `stamp` open and locked; write the stamp last."""
        stamp.seek(0)
        complete = _python_line() in stamp.read().splitlines() and os.access(self.python, os.X_OK)
        stamp.truncate(0)
        if complete:
            _say(f"bringing .venv up to date with {' and '.join(self.locks)}")
        else:
            _say(f"making .venv from {' and '.join(self.locks)} (only this once)")
            self._make_empty_venv()
        for lock in self.locks:
            _run([self.python, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check",
                  "--require-hashes", "-r", self.root / lock],
                 f"pip could not install {lock} into {self.venv}",
                 "Is there a network, and a package index for pip? Then run this again.")
        stamp.write("".join(line + "\n" for line in [*self._stamp_lines(), _python_line()]))

    def _make_empty_venv(self) -> None:
        import shutil

        absent = [module for module in ("venv", "ensurepip") if importlib.util.find_spec(module) is None]
        if absent:
            raise EnvironmentProblem(
                f"{sys.executable} has no module {' and '.join(absent)}, so run.py cannot make {self.venv}: install it "
                "(Debian, Ubuntu: apt-get install python3-venv), or start run.py in an environment that has "
                "what requirements.lock lists"
            )
        for entry in self.venv.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry != self.stamp:
                entry.unlink()
        # The base: when `.venv`'s own Python runs us, it has just been removed.
        base = getattr(sys, "_base_executable", None) or sys.executable
        _run([base, "-m", "venv", self.venv], f"cannot make {self.venv}", "Its lines above say why.")

    def _start_again(self) -> None:
        """Replace this process by `.venv`'s Python with the same arguments."""
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            os.execv(self.python, [str(self.python), str(self.root / "run.py"), *sys.argv[1:]])
        except OSError as error:
            raise EnvironmentProblem(f"cannot start {self.python}: {error.strerror}. Remove {self.venv}, then run this again") from None


def _python_line() -> str:
    return f"python {sys.version_info.major}.{sys.version_info.minor}"


def _lacking(pins: list[str]) -> list[str]:
    """Return those of `pins` ("name==version") that this interpreter does not have in that version."""
    from importlib import metadata

    lacking = []
    for pin in pins:
        name, _, version = pin.partition("==")
        with contextlib.suppress(metadata.PackageNotFoundError):
            if metadata.version(name) == version:
                continue
        lacking.append(pin)
    return lacking


def _run(command: list[Path | str], failure: str, advice: str) -> None:
    """Run `command` quietly. Raises EnvironmentProblem with its last lines if it fails."""
    import subprocess

    ended = subprocess.run(
        [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        encoding="utf-8", errors="replace", check=False,
    )
    if ended.returncode:
        last_lines = [f"    {line}" for line in ended.stdout.splitlines() if line.strip()][-PIP_LINES_SHOWN:]
        raise EnvironmentProblem("\n".join([f"{failure}. Its last lines:", *last_lines, advice]))


def _say(text: str) -> None:
    print(f"evenswarm: {text}", file=sys.stderr, flush=True)
