"""setup.cfg pins, the lock files hold what it pins, and the parts that must agree do."""

import configparser
import re
import subprocess
import sys

import pytest

import run
from protocol.version import VERSION
from tests.architecture.source_tree import PACKAGES, ROOT
from ui.commands.command_line import build_parser

LOCKED = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[^\s;\\]+)(?P<marker> ;[^\\\n]*)?(?P<hashes>(?: \\\n    --hash=\S+)+)$", re.MULTILINE)


def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(lock: str) -> dict[str, str]:
    """Return name → version of all that `lock` pins with at least one SHA-256 each."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    found = {normalised(match["name"]): match["version"] for match in LOCKED.finditer(text)}
    assert len(found) == len(re.findall(r"^\S+==", text, re.MULTILINE)), f"{lock}: an entry has no hash or stands twice"
    assert set(re.findall(r"--hash=(\w+):", text)) == {"sha256"}
    return found


def pinned(*extras: str) -> dict[str, str]:
    """Return name → version of what setup.cfg pins, exactly."""
    lines = setup()["options"]["install_requires"].split()
    for extra in extras:
        lines += setup()["options.extras_require"][extra].split()
    pins = [re.fullmatch(r"([\w.-]+)==([\w.]+)", line) for line in lines]
    assert all(pins), lines
    return {normalised(pin[1]): pin[2] for pin in pins}


def test_the_lock_holds_what_setup_cfg_pins():
    assert pinned().items() <= locked("requirements.lock").items()


def test_the_lock_of_the_tests_holds_what_setup_cfg_pins_for_them():
    assert pinned("test").items() <= locked("tests/requirements.lock").items()


def test_the_lock_of_the_tests_contains_the_lock_of_the_product():
    assert locked("requirements.lock").items() <= locked("tests/requirements.lock").items()


def test_the_launcher_asks_for_the_python_that_the_metadata_ask_for():
    assert setup()["options"]["python_requires"] == ">=" + ".".join(map(str, run.MINIMUM_PYTHON))


def test_the_installed_packages_are_the_packages_of_the_product():
    assert setup()["options.packages.find"]["include"].split() == [f"{package}*" for package in PACKAGES]


def test_every_module_that_is_not_in_a_package_is_installed():
    assert setup()["options"]["py_modules"].split() == [path.stem for path in ROOT.glob("*.py")]


def test_the_command_line_imports_nothing_big_before_it_is_needed():
    code = (
        "import sys; from ui.commands.command_line import build_parser; build_parser(); "
        "print(*sorted({'pykka', 'pytest', 'rich', 'structlog', 'urllib3', 'werkzeug'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.split() == []


@pytest.mark.parametrize("command", ["download", "seed", "create", "show", "demo", "test"])
def test_the_help_lists_the_command(command):
    assert re.search(rf"^    {command} ", build_parser().format_help(), re.MULTILINE)


def test_the_version_of_the_package_is_the_one_that_peers_are_told():
    assert setup()["metadata"]["version"] == VERSION
