"""The command line: what can be typed, who does it, and how a command ends.

Each command is a module of this folder with `run(arguments) -> int` (the exit code), imported only when it is asked for:
what one command needs costs the others no memory. `arguments` is what argparse read; its texts are not judged here
beyond their presence, because the command knows what they mean and raises an EvenswarmError that names the value.

Exit codes: 0 done, 1 failed (one line on stderr says what), 2 not a command line, 130 stopped with Ctrl-C.
"""

import argparse
import importlib
import importlib.util
import os
import signal
import sys
from typing import Final

import gevent

from protocol.errors import EvenswarmError

EXIT_FAILED: Final = 1
EXIT_INTERRUPTED: Final = 130                           # 128 + SIGINT, as shells say it
# They speak to a running client by its API. Architecture.md fixes their names; their arguments come with the API.
REMOTE_COMMANDS: Final = ("add", "list", "start", "stop", "remove", "top")


def main(argv: list[str]) -> int:
    """Run the command that `argv` (without the program's name) asks for and return its exit code."""
    gevent.get_hub()                                    # print_run_info fails where there is none yet
    signal.signal(signal.SIGUSR1, _print_stacks)
    sys.stdout.reconfigure(errors="backslashreplace")   # file names need not be printable in the user's encoding
    try:
        exit_code = _run(argv)
        sys.stdout.flush()
        return exit_code
    except EvenswarmError as error:
        print(f"evenswarm: {one_line(str(error))}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:                             # `run.py show FILE | head -1`: the reader has seen enough
        if not _stdout_is_closed():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED


def _run(argv: list[str]) -> int:
    if argv[:1] == ["test"]:                            # all that follows is pytest's, --help too
        from ui.commands import test

        return test.run(argv[1:])
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.command != "client" and argv[0] != arguments.command:
        parser.error(f"the options before {arguments.command!r} are those of the client; give its own after it")
    module = f"ui.commands.{arguments.module}"
    if importlib.util.find_spec(module) is None:
        raise EvenswarmError(f"this version has no command {arguments.command!r}")
    return importlib.import_module(module).run(arguments)


def _stdout_is_closed() -> bool:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return True
    return False


def one_line(text: str) -> str:
    """Return `text` as one line that cannot move a terminal's cursor: names in it may come from outside."""
    return "".join(char if char.isprintable() else " " for char in text).strip()


def _print_stacks(_signal_number, _frame) -> None:
    """Show where every thread and greenlet is (SIGUSR1)."""
    from gevent.util import print_run_info

    print_run_info(file=sys.stderr)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands. `command` and `module` are set in what it reads."""
    parser = argparse.ArgumentParser(
        prog="evenswarm", allow_abbrev=False,
        description="A BitTorrent client whose torrents take turns to connect. Without a command: the client itself.",
    )
    parser.set_defaults(command="client", module="client")
    parser.add_argument("--data", metavar="DIR", help="where the client keeps its state")
    parser.add_argument("--config", metavar="FILE", help="the settings file (TOML)")
    parser.add_argument("--dir", metavar="DIR", help="where downloads go")
    parser.add_argument("--web", metavar="HOST:PORT", help="where the page is served")
    _add_engine_options(parser)
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")

    download = _add_command(commands, "download", "download torrents, then end")
    download.add_argument("sources", nargs="+", metavar="SOURCE",
                          help="a .torrent file, a magnet link, or an HTTP(S) URL of a .torrent")
    download.add_argument("--dir", required=True, metavar="DIR", help="where the files go")
    download.add_argument("--peer", action="append", default=[], metavar="HOST:PORT", help="a peer to try; may be repeated")
    download.add_argument("--seed", action="store_true", help="go on seeding when complete, until Ctrl-C")
    _add_engine_options(download)

    seed = _add_command(commands, "seed", "seed what is on disk; prints 'listening HOST:PORT' when ready")
    seed.add_argument("torrents", nargs="+", metavar="FILE.torrent")
    seed.add_argument("--dir", required=True, metavar="DIR", help="where the files are")
    seed.add_argument("--listen", required=True, metavar="HOST:PORT", help="where peers may connect; port 0: any free one")
    seed.add_argument("--offline", action="store_true", help="only the given trackers and peers: no DHT, LSD, UPnP")
    seed.add_argument("--log", metavar="FILE", help="one JSON object a line for each event (docs/events.md)")

    create = _add_command(commands, "create", "make a .torrent of a file or folder")
    create.add_argument("path", metavar="PATH")
    create.add_argument("-o", dest="output", required=True, metavar="FILE.torrent")
    create.add_argument("--tracker", action="append", default=[], metavar="URL", help="may be repeated")
    create.add_argument("--piece-length", type=int, metavar="N", help="in bytes; chosen by size when not given")
    create.add_argument("--private", action="store_true", help="only the trackers may give peers (BEP 27)")
    create.add_argument("--web-seed", action="append", default=[], metavar="URL", help="may be repeated (BEP 19)")
    create.add_argument("--comment", metavar="TEXT")

    show = _add_command(commands, "show", "what is in a .torrent or a magnet link")
    show.add_argument("source", metavar="FILE.torrent|MAGNET")

    demo = _add_command(commands, "demo", "a whole swarm on this machine, 20 torrents that take turns")
    demo.set_defaults(listen="127.0.0.1:0", offline=True, log=None)     # it takes no options, but runs an engine as `download` does

    inspect = _add_command(commands, "inspect", "what a log says about grants, waits and limits")
    inspect.add_argument("log", metavar="LOG")
    inspect.add_argument("--html", metavar="FILE", help="draw it there")
    inspect.add_argument("--json", action="store_true")

    for name in REMOTE_COMMANDS:
        remote = _add_command(commands, name, f"{name}: to the running client", module="remote")
        remote.add_argument("arguments", nargs="*")
        remote.add_argument("--json", action="store_true", help="for scripts")

    _add_command(commands, "test", "run the tests; takes pytest's arguments")
    return parser


def _add_command(commands, name: str, summary: str, module: str | None = None) -> argparse.ArgumentParser:
    """Add the command `name`, done by `module`; the help lists it if this version has it."""
    module = module or name
    listed = {} if importlib.util.find_spec(f"ui.commands.{module}") is None else {"help": summary}
    parser = commands.add_parser(name, description=summary, allow_abbrev=False, **listed)
    parser.set_defaults(command=name, module=module)
    return parser


def _add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Add what `download` and the client have in common."""
    parser.add_argument("--listen", metavar="HOST:PORT", help="where peers may connect; port 0: any free one")
    parser.add_argument("--offline", action="store_true", help="only the given trackers and peers: no DHT, LSD, UPnP")
    parser.add_argument("--log", metavar="FILE", help="one JSON object a line for each event (docs/events.md)")
    parser.add_argument("--profile", metavar="NAME", help="how hard to dial: conservative, moderate, aggressive, weak-router")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting; may be repeated")
