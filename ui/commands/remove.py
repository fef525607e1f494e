"""`remove`: take torrents off the running client's list; their data stays unless --with-data is given."""

import argparse

from ui.commands.api_client import api_client, torrents_named
from ui.terminal.text import printable


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 when all are gone."""
    client = api_client(arguments.data)
    for torrent in torrents_named(client, arguments.torrents, arguments.all):
        client.send("DELETE", f"/api/torrents/{torrent['info_hash']}", {"data": arguments.with_data})
        print(f"removed {printable(torrent['name'])}{' and its data' if arguments.with_data else ''}")
    return 0
