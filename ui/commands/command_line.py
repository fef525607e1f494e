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
import select
import signal
import sys
from typing import Any, Final

import gevent
from gevent.monkey import get_original

from protocol.errors import EvenswarmError
from protocol.version import VERSION
from scheduler.settings import DEFAULT_PROFILE, PROFILES

EXIT_FAILED: Final = 1
EXIT_INTERRUPTED: Final = 130                           # 128 + SIGINT, as shells say it



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
    if not _is_there(arguments.module):
        raise EvenswarmError(_what_is_missing(arguments.command))
    return importlib.import_module(f"ui.commands.{arguments.module}").run(arguments)


def _is_there(module: str) -> bool:
    """Tell whether this version has the command that `module` does."""
    return importlib.util.find_spec(f"ui.commands.{module}") is not None


def _what_is_missing(command: str) -> str:
    return f"this version has no command {command!r}; '--help' lists those that it has"


def _stdout_is_closed() -> bool:
    """Tell whether nobody can read what we print any more. A flush would not say it of a stream that keeps nothing back."""
    poll = get_original("select", "poll")()
    poll.register(sys.stdout.fileno(), select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def one_line(text: str) -> str:
    """Return `text` as one line that cannot move a terminal's cursor: names in it may come from outside."""
    return "".join(char if char.isprintable() else " " for char in text).strip()


def _print_stacks(_signal_number, _frame) -> None:
    """Show where every thread and greenlet is (SIGUSR1)."""
    from gevent.util import print_run_info

    print_run_info(file=sys.stderr)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands. `command` and `module` are set in what it reads."""
    has_client = _is_there("client")
    parser = argparse.ArgumentParser(
        prog="evenswarm", allow_abbrev=False, usage=None if has_client else "%(prog)s [-h] [--version] COMMAND …",
        description="A BitTorrent client whose torrents take turns to connect." + " Without a command: the client itself." * has_client,
        epilog="'evenswarm COMMAND --help' says what a command takes.",
    )
    parser.set_defaults(command="client", module="client")
    parser.add_argument("--version", action="version", version=f"evenswarm {VERSION}")
    client = parser if has_client else _Unlisted(parser)
    client.add_argument("--data", metavar="DIR", help="where the client keeps its state")
    client.add_argument("--config", metavar="FILE", help="the settings file (TOML)")
    client.add_argument("--dir", metavar="DIR", help="where downloads go")
    client.add_argument("--root", action="append", default=[], metavar="DIR", help="another folder that downloads may go to; may be repeated")
    client.add_argument("--web", metavar="HOST:PORT", help="where the page is served; port 0: any free one; without it 127.0.0.1:8866")
    client.add_argument("--web-name", action="append", default=[], metavar="NAME", help="a name by which browsers may call the page; may be repeated")
    client.add_argument("--web-password-file", metavar="FILE", help="the password of the page; needed where others can reach it")
    client.add_argument("--web-cert", metavar="FILE", help="serve the page by TLS: the certificate (PEM)")
    client.add_argument("--web-key", metavar="FILE", help="its key, if that is not in the same file")
    client.add_argument("--allow-private-urls", action="store_true", help="a .torrent may be fetched from this machine and private networks")
    _add_engine_options(client)
    commands = parser.add_subparsers(prog="evenswarm", metavar="COMMAND", title="commands")

    download = _add_command(commands, "download", "download torrents, then end")
    download.add_argument("sources", nargs="+", metavar="SOURCE",
                          help="a .torrent file, an HTTP(S) URL of one, or a magnet link in quotes")
    download.add_argument("--dir", required=True, metavar="DIR", help="where the files go")
    download.add_argument("--peer", action="append", default=[], metavar="HOST:PORT", help="the IP address and port of a peer to try; may be repeated")
    download.add_argument("--files", metavar="N,N-N", help="only these files, by the numbers that 'show' prints: 1,3-5")
    download.add_argument("--skip", metavar="N,N-N", help="all files but these")
    download.add_argument("--sequential", action="store_true", help="pieces in order, instead of the rarest first")
    download.add_argument("--first-last", action="store_true", help="the first and the last piece of each file before the others")
    download.add_argument("--seed", action="store_true", help="go on seeding when complete, until Ctrl-C")
    _add_engine_options(download)

    seed = _add_command(commands, "seed", "seed what is on disk; prints 'listening HOST:PORT' when ready")
    seed.add_argument("torrents", nargs="+", metavar="FILE.torrent", help="a .torrent file, or an HTTP(S) URL of one")
    seed.add_argument("--dir", required=True, metavar="DIR", help="where the files are")
    seed.add_argument("--listen", required=True, metavar="HOST:PORT", help="where peers may connect; port 0: any free one")
    seed.add_argument("--offline", action="store_true", help="only the given trackers and peers: no DHT, LSD, UPnP")
    seed.add_argument("--log", metavar="FILE", help="one JSON object a line for each event (docs/events.md)")

    create = _add_command(commands, "create", "make a .torrent of a file or folder")
    create.add_argument("path", metavar="PATH", help="the file or folder; its name becomes that of the torrent")
    create.add_argument("-o", dest="output", required=True, metavar="FILE.torrent", help="where to write it")
    create.add_argument("--tracker", action="append", default=[], metavar="URL",
                        help="may be repeated: each is a tier of its own, commas separate the trackers of one tier (BEP 12)")
    create.add_argument("--piece-length", type=int, metavar="N", help="in bytes; chosen by size when not given")
    create.add_argument("--private", action="store_true", help="only the trackers may give peers (BEP 27)")
    create.add_argument("--web-seed", action="append", default=[], metavar="URL", help="where the payload is served by HTTP; may be repeated (BEP 19)")
    create.add_argument("--comment", metavar="TEXT", help="for whoever looks into it")

    show = _add_command(commands, "show", "what is in a .torrent or a magnet link")
    show.add_argument("source", metavar="FILE.torrent|MAGNET", help="a .torrent file, its HTTP(S) URL, or a magnet link in quotes")

    demo = _add_command(commands, "demo", "a whole swarm on this machine, 20 torrents that take turns")
    demo.set_defaults(listen="127.0.0.1:0", offline=True, log=None)     # it takes no options, but runs an engine as `download` does

    inspect = _add_command(commands, "inspect", "what a log says about grants, waits and limits")
    inspect.add_argument("log", metavar="LOG")
    inspect.add_argument("--html", metavar="FILE", help="draw it there")
    inspect.add_argument("--json", action="store_true", help="for scripts")

    add = _add_remote_command(commands, "add", "give the running client torrents")
    add.add_argument("sources", nargs="+", metavar="SOURCE", help="a .torrent file, an HTTP(S) URL of one, or a magnet link in quotes")
    add.add_argument("--dir", metavar="DIR", help="where the files go; below the client's --dir or a --root of it")
    add.add_argument("--priority", choices=("high", "normal", "low"), default="normal", help="how often it gets its turn")
    add.add_argument("--stopped", action="store_true", help="do not start it")
    add.add_argument("--peer", action="append", default=[], metavar="HOST:PORT", help="the IP address and port of a peer to try; may be repeated")
    add.add_argument("--json", action="store_true", help="for scripts")

    listing = _add_remote_command(commands, "list", "the torrents of the running client")
    listing.add_argument("--json", action="store_true", help="for scripts")

    for name, summary in (("start", "start torrents"), ("stop", "stop torrents"), ("remove", "take torrents off the list; the data stays")):
        command = _add_remote_command(commands, name, f"{summary} of the running client")
        command.add_argument("torrents", nargs="*", metavar="TORRENT", help="an info hash or its beginning, or a name")
        command.add_argument("--all", action="store_true", help="all that there are")
        if name == "remove":
            command.add_argument("--with-data", action="store_true", help="delete their files, too")

    top = _add_remote_command(commands, "top", "torrents, queue and peers of the running client, live")
    top.add_argument("torrents", nargs="*", metavar="TORRENT", help="whose peers are shown; without it those of the busiest")

    _add_command(commands, "test", "run the tests; takes pytest's arguments")
    return parser


def _add_remote_command(commands, name: str, summary: str) -> argparse.ArgumentParser:
    """A command that speaks to the client that runs on a data folder."""
    parser = _add_command(commands, name, summary)
    parser.add_argument("--data", metavar="DIR", help="the data folder of that client, if it is not the usual one")
    return parser


def _add_command(commands, name: str, summary: str, module: str | None = None) -> argparse.ArgumentParser:
    """Add the command `name`, done by `module`; the help lists it if this version has it."""
    module = module or name
    listed = {"help": summary} if _is_there(module) else {}
    parser = commands.add_parser(name, description=summary, allow_abbrev=False, **listed)
    parser.set_defaults(command=name, module=module)
    return parser


class _Unlisted:
    """Takes arguments for a parser that reads them but does not show them in its help."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._parser = parser

    def add_argument(self, name: str, **options: Any) -> None:
        self._parser.add_argument(name, **options | {"help": argparse.SUPPRESS})


def _add_engine_options(parser: argparse.ArgumentParser | _Unlisted) -> None:
    """Add what `download` and the client have in common."""
    parser.add_argument("--listen", metavar="HOST:PORT", help="where peers may connect; port 0: any free one")
    parser.add_argument("--offline", action="store_true", help="only the given trackers and peers: no DHT, LSD, UPnP")
    parser.add_argument("--log", metavar="FILE", help="one JSON object a line for each event (docs/events.md)")
    parser.add_argument("--profile", metavar="NAME", help=f"how hard to dial: {', '.join(PROFILES)}; without it {DEFAULT_PROFILE}")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="a setting, such as half_open_limit=20; may be repeated; an unknown KEY shows those that there are")
