"""run.py in trees of their own: which environment it uses, what it makes, what it says where it cannot.

The trees hold the real run.py and ui/environment.py beside a lock file for one small wheel that the test makes, so
nothing here needs a network: pip is told to look into one folder only.
"""

import base64
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import run
from tests.architecture.source_tree import ROOT

DEADLINE_SECONDS = 120                                  # for one run that makes an environment, on a busy machine
# The wheel takes gevent's name because that is what run.py imports next.
VERSION = "0.1"
COMMAND_LINE = "def main(argv):\n    import sys, gevent\n    print('ran', sys.prefix, gevent.VERSION, *argv)\n    return 7\n"


def write_wheel(folder: Path, version: str = VERSION) -> str:
    """Put a wheel "gevent" of `version` into `folder` and return its SHA-256 in hex."""
    files = {
        "gevent/__init__.py": f"VERSION = {version!r}\n",
        "gevent/monkey.py": "def patch_all():\n    pass\n",
        f"gevent-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: gevent\nVersion: {version}\n",
        f"gevent-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"gevent-{version}.dist-info/RECORD"
    rows = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},{len(text)}"
        for name, text in files.items()
    ]
    wheel = folder / f"gevent-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {**files, record: "\n".join([*rows, f"{record},,", ""])}.items():
            archive.writestr(name, text)
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


class Tree:
    """A small project with our launcher, and a folder of wheels that is all that pip can see."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "tree"
        self.wheels = folder / "wheels"
        self.wheels.mkdir()
        (self.root / "ui" / "commands").mkdir(parents=True)
        (self.root / "tests").mkdir()
        shutil.copy(ROOT / "run.py", self.root)
        shutil.copy(ROOT / "ui" / "environment.py", self.root / "ui")
        (self.root / "ui" / "commands" / "command_line.py").write_text(COMMAND_LINE)
        self.python = self.root / ".venv" / "bin" / "python"
        self.first_run: tuple[int, str, str] | None = None
        self.pin(VERSION)

    def pin(self, version: str, sha256: str | None = None) -> None:
        """Make setup.cfg and the lock file ask for that version of the wheel, which is made; `sha256`: a wrong one."""
        right = write_wheel(self.wheels, version)
        pin = f"gevent=={version}"
        (self.root / "setup.cfg").write_text(
            f"[options]\ninstall_requires =\n    {pin}\n[options.extras_require]\ntest =\n    pytest==0.0\n"
        )
        (self.root / "requirements.lock").write_text(f"{pin} --hash=sha256:{sha256 or right}\n")
        (self.root / "tests" / "requirements.lock").write_text((self.root / "requirements.lock").read_text())

    def start(self, *arguments: str, python: Path | str = sys.executable, before: str = "") -> subprocess.Popen:
        """Start run.py; `before` is Python that runs first in the same process."""
        script = str(self.root / "run.py")
        command = [script]
        if before:
            command = ["-c", f"{before}\nimport runpy, sys\nsys.argv[0] = {script!r}\nsys.path.insert(0, {str(self.root)!r})\n"
                             f"runpy.run_path({script!r}, run_name='__main__')"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
        environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels)}
        return subprocess.Popen(
            [str(python), *command, *arguments], cwd=self.wheels, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )

    def run(self, *arguments: str, **how) -> tuple[int, str, str]:
        return outcome(self.start(*arguments, **how))


def outcome(process: subprocess.Popen) -> tuple[int, str, str]:
    """Wait for the end and return the exit code, stdout, stderr."""
    try:
        output, errors = process.communicate(timeout=DEADLINE_SECONDS)
    finally:
        process.kill()
    return process.returncode, output, errors


def snapshot(folder: Path) -> dict[str, int]:
    """Return the files below `folder` and when each was changed; what Python compiles on its own is left out."""
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Tree:
    """A tree whose .venv run.py has made. Tests leave it current."""
    tree = Tree(tmp_path_factory.mktemp("made"))
    tree.first_run = tree.run("show", "a b")
    return tree


@pytest.fixture
def ready(tree: Tree, made: Tree) -> Tree:
    """A tree of the test's own with the same .venv, copied because making one takes seconds."""
    shutil.copytree(made.root / ".venv", tree.root / ".venv", symlinks=True)
    return tree


def test_a_tree_without_an_environment_makes_one_says_so_in_one_line_and_goes_on(made):
    exit_code, output, errors = made.first_run
    assert exit_code == 7
    assert output == f"ran {made.root / '.venv'} {VERSION} show a b\n"
    assert re.fullmatch(r"evenswarm: making \.venv from requirements\.lock.*\n", errors)


def test_a_current_environment_is_used_without_a_word_and_without_a_change(made):
    before = snapshot(made.root)
    assert made.run("again") == (7, f"ran {made.root / '.venv'} {VERSION} again\n", "")
    assert snapshot(made.root) == before


def test_the_python_of_the_environment_itself_can_start_run_py(made):
    assert made.run("again", python=made.python) == (7, f"ran {made.root / '.venv'} {VERSION} again\n", "")


def test_a_changed_lock_file_brings_the_environment_up_to_date(ready):
    ready.pin("0.2")
    exit_code, output, errors = ready.run()
    assert (exit_code, output) == (7, f"ran {ready.root / '.venv'} 0.2\n")
    assert errors.count("\n") == 1 and "bringing .venv up to date" in errors


def test_an_environment_whose_making_was_interrupted_is_made_anew(ready):
    (ready.root / ".venv" / "evenswarm-stamp").write_text("")
    shutil.rmtree(next((ready.root / ".venv").glob("lib/python*/site-packages")))
    exit_code, output, errors = ready.run()
    assert (exit_code, output) == (7, f"ran {ready.root / '.venv'} {VERSION}\n")
    assert "making .venv" in errors


def test_an_environment_whose_python_is_gone_is_made_anew(ready):
    ready.python.unlink()
    ready.python.symlink_to(ready.root / "gone")
    exit_code, output, _ = ready.run()
    assert (exit_code, output) == (7, f"ran {ready.root / '.venv'} {VERSION}\n")


def test_an_environment_under_which_python_was_upgraded_is_made_anew(ready):
    stamp = ready.root / ".venv" / "evenswarm-stamp"
    stamp.write_text(stamp.read_text().replace(f"python 3.{sys.version_info.minor}", "python 3.1"))
    library = next((ready.root / ".venv" / "lib").iterdir())
    library.rename(library.with_name("python3.1"))
    exit_code, output, errors = ready.run()
    assert (exit_code, output) == (7, f"ran {ready.root / '.venv'} {VERSION}\n")
    assert "making .venv" in errors


def test_two_launchers_at_once_make_one_environment(tree):
    outcomes = [outcome(process) for process in [tree.start("one"), tree.start("two")]]
    assert [exit_code for exit_code, _, _ in outcomes] == [7, 7], outcomes
    assert sum("making .venv" in errors for _, _, errors in outcomes) >= 1
    assert sum("evenswarm: making .venv from" in errors for _, _, errors in outcomes) == 1


def test_an_environment_that_has_the_dependencies_is_used_and_not_installed_into(made, tree):
    before = snapshot(made.root / ".venv")
    assert tree.run("here", python=made.python) == (7, f"ran {made.root / '.venv'} {VERSION} here\n", "")
    assert snapshot(made.root / ".venv") == before
    assert not (tree.root / ".venv").exists()


def test_an_environment_with_another_version_is_neither_used_nor_installed_into(made, ready):
    ready.pin("0.2")
    before = snapshot(made.root / ".venv")
    exit_code, output, _ = ready.run("here", python=made.python)
    assert (exit_code, output) == (7, f"ran {ready.root / '.venv'} 0.2 here\n")
    assert snapshot(made.root / ".venv") == before


def test_an_environment_without_what_the_tests_need_says_what_to_install(made, tree):
    exit_code, output, errors = tree.run("test", python=made.python)
    assert (exit_code, output) == (1, "")
    assert "lacks pytest==0.0" in errors and "-m pip install --require-hashes -r" in errors
    assert errors.count("\n") == 1
    assert not (tree.root / ".venv").exists()


def test_a_venv_that_somebody_else_made_is_not_changed(tree):
    venv.create(tree.root / ".venv", with_pip=False)
    before = snapshot(tree.root / ".venv")
    exit_code, output, errors = tree.run()
    assert (exit_code, output) == (1, "")
    assert re.fullmatch(r"evenswarm: \S+\.venv was not made by run\.py and lacks gevent==0\.1: remove it .*\n", errors)
    assert snapshot(tree.root / ".venv") == before


def test_a_wheel_with_another_hash_than_the_lock_says_is_refused(ready):
    ready.pin("0.2", sha256="0" * 64)
    exit_code, output, errors = ready.run()
    assert (exit_code, output) == (1, "")
    assert "pip could not install requirements.lock" in errors
    assert "0" * 64 in errors, "the last lines of pip are shown"
    assert "Traceback" not in errors
    assert (ready.root / ".venv" / "evenswarm-stamp").read_text() == ""


def test_without_a_package_index_the_message_says_what_to_do(ready):
    ready.pin("0.2")
    (ready.wheels / "gevent-0.2-py3-none-any.whl").unlink()
    exit_code, _, errors = ready.run()
    assert exit_code == 1
    assert "Is there a network" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_without_the_module_that_makes_environments_the_message_names_it(tree, module):
    exit_code, output, errors = tree.run(before=f"import sys; sys.modules[{module!r}] = None")
    assert (exit_code, output) == (1, "")
    assert f"has no module {module}" in errors and "apt-get install python3-venv" in errors
    assert errors.count("\n") == 2, "one line that it starts, one why it cannot"


def test_a_place_where_the_environment_cannot_be_made_is_named(tree):
    (tree.root / ".venv").write_text("a file in its place")
    exit_code, output, errors = tree.run()
    assert (exit_code, output) == (1, "")
    assert errors.startswith(f"evenswarm: cannot make {tree.root / '.venv'}: ") and "pipx install" in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 8, 0), (3, 10, 13, "final", 0)])
def test_a_python_that_is_too_old_is_told_which_one_is_needed(version, capsys):
    with pytest.raises(SystemExit) as ended:
        run.check_python(version)
    assert f"needs Python >= 3.11, this is {'.'.join(map(str, version[:3]))}" in ended.value.code


def test_ctrl_c_while_the_environment_is_made_ends_without_a_traceback(tree):
    process = tree.start(before="import signal; signal.signal(signal.SIGINT, signal.default_int_handler)")
    assert "making .venv" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    exit_code, output, errors = outcome(process)
    assert (exit_code, output, errors) == (130, "", "")


def run_py(*arguments: str, **how) -> subprocess.CompletedProcess:
    """Run the real run.py with the interpreter that runs the tests."""
    return subprocess.run(
        [sys.executable, str(ROOT / "run.py"), *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL,
        timeout=DEADLINE_SECONDS, check=False, **how,
    )


def test_the_help_names_the_commands_from_any_folder(tmp_path):
    ended = run_py("--help", cwd=tmp_path)
    assert ended.returncode == 0 and ended.stderr == ""
    assert re.search(r"^    create ", ended.stdout, re.MULTILINE)


@pytest.mark.parametrize("arguments", [
    ["nonsense"], ["show"], ["--nonsense"], ["create", "x"], ["--dir", "x", "show", "y"], ["seed", "x", "--dir", "y"],
])
def test_what_is_no_command_line_ends_with_2_and_says_why(arguments):
    ended = run_py(*arguments)
    assert ended.returncode == 2 and ended.stdout == ""
    assert re.search(r"^evenswarm.*: error: ", ended.stderr, re.MULTILINE)


def test_an_error_is_one_line_on_stderr_and_exit_code_1(tmp_path):
    ended = run_py("show", str(tmp_path / "no\x1b[2Jsuch\n.torrent"))
    assert ended.returncode == 1 and ended.stdout == ""
    assert re.fullmatch(r"evenswarm: .*such.*\n", ended.stderr)
    assert "\x1b" not in ended.stderr


def test_the_tests_run_from_any_folder_with_paths_relative_to_it(tmp_path):
    (tmp_path / "test_mine.py").write_text("def test_that_it_is_mine():\n    pass\n")
    ended = run_py("test", "-q", "-p", "no:cacheprovider", "test_mine.py", cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 passed" in ended.stdout


def test_without_a_path_the_projects_own_tests_are_meant(tmp_path):
    ended = run_py("test", "--collect-only", "-q", "-p", "no:cacheprovider", "-k", "test_the_lock_holds", cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "test_packaging.py::test_the_lock_holds_what_setup_cfg_pins" in ended.stdout


def test_sigusr1_shows_the_stacks_of_all_threads_and_greenlets_and_the_process_goes_on(tmp_path):
    (tmp_path / "test_waiting.py").write_text(
        "import gevent, sys\n"
        "def test_waiting():\n"
        "    waiting = gevent.spawn(sys.stdin.readline)\n"
        "    print('ready', flush=True)\n"
        "    assert waiting.get() == 'go on\\n'\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), "test", "-s", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    try:
        assert "ready\n" in iter(process.stdout.readline, "")
        process.send_signal(signal.SIGUSR1)
        assert any("Greenlet" in line for line in iter(process.stderr.readline, ""))
        output, errors = process.communicate("go on\n", timeout=DEADLINE_SECONDS)
    finally:
        process.kill()
    assert process.returncode == 0, output
    assert "test_waiting" in errors
