"""`start`: have torrents of the running client take part in their swarms."""

import argparse

from ui.commands.api_client import api_client, torrents_named
from ui.terminal.text import printable


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 when it is on its way for all of them."""
    return tell_all(arguments, "start", "started")


def tell_all(arguments: argparse.Namespace, verb: str, said: str) -> int:
    """POST /api/torrents/HASH/`verb` for each."""
    client = api_client(arguments.data)
    for torrent in torrents_named(client, arguments.torrents, arguments.all):
        client.send("POST", f"/api/torrents/{torrent['info_hash']}/{verb}")
        print(f"{said} {printable(torrent['name'])}")
    return 0
