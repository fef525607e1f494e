"""The launcher: an environment with the dependencies, gevent's patches, then the command line.

This file and ui/environment.py keep to the syntax of Python 3.8, so that an old Python can say that it is too old.
"""

import sys


def main():
    """Run the command in sys.argv and return its exit code. The console script `evenswarm` starts here: no bootstrap."""
    from gevent import monkey

    monkey.patch_all()                                  # before anything else is imported: nobody keeps an unpatched lock
    from ui.commands import command_line

    return command_line.main(sys.argv[1:])


if __name__ == "__main__":
    from ui import environment

    environment.provide(for_tests=sys.argv[1:2] == ["test"])
    sys.exit(main())
