"""`stop`: have torrents of the running client leave their swarms; they stay in its list."""

import argparse

from ui.commands.start import tell_all


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 when it is on its way for all of them."""
    return tell_all(arguments, "stop", "stopped")
