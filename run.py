"""The launcher: an environment with the dependencies, gevent's patches, then the command line.

This file alone keeps to what any Python can read, Python 2 too, so that each can say that it is too old.
"""

import sys

MINIMUM_PYTHON = (3, 11)
EXIT_INTERRUPTED = 130                                  # 128 + SIGINT, as shells say it


def check_python(version_info):
    """Exit with 1 and what to do about it if `version_info`, as in sys.version_info, is too old."""
    if tuple(version_info[:2]) < MINIMUM_PYTHON:
        needed, found = ".".join(map(str, MINIMUM_PYTHON)), ".".join(map(str, version_info[:3]))
        sys.exit("evenswarm: needs Python >= " + needed + ", this is " + found + " (" + sys.executable + "): "
                 "start run.py with a newer one, for example python" + needed + " run.py")


def main():
    """Run the command in sys.argv and return its exit code. The console script `evenswarm` starts here: no bootstrap."""
    try:
        from gevent import monkey

        monkey.patch_all()                              # before anything else is imported: nobody keeps an unpatched lock
        from ui.commands import command_line
    except KeyboardInterrupt:                           # while all that loads; from here on the command line sees to it
        return EXIT_INTERRUPTED
    return command_line.main(sys.argv[1:])


if __name__ == "__main__":
    check_python(sys.version_info)
    from ui import environment

    environment.provide(for_tests=sys.argv[1:2] == ["test"])
    sys.exit(main())
