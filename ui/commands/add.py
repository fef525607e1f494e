"""`add`: give the running client torrents: files are read here, URLs and magnet links go to it as they are."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from protocol.errors import EvenswarmError
from ui.commands.api_client import ApiClient, api_client
from ui.commands.sources import A_URL, read_bounded
from ui.terminal.text import printable

EXIT_FAILED = 1


def run(arguments: argparse.Namespace) -> int:
    """Exit code 1 when one could not be added; the others are."""
    client = api_client(arguments.data)
    failed, added = 0, []
    for source in arguments.sources:
        try:
            added.append(add(client, source, options_of(arguments)))
        except EvenswarmError as error:
            failed += 1
            print(f"evenswarm: {printable(str(error))}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(added))
    else:
        for torrent in added:
            print(f"{torrent['info_hash']} {printable(torrent['name'])}")
    return EXIT_FAILED if failed else 0


def options_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """As the API takes them."""
    options: dict[str, Any] = {"priority": arguments.priority, "start": not arguments.stopped}
    if arguments.dir is not None:
        options["folder"] = os.path.abspath(arguments.dir)
    if arguments.peer:
        options["peers"] = arguments.peer
    return options


def add(client: ApiClient, source: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return {"info_hash", "name"}. Raises EvenswarmError."""
    if source.lower().startswith("magnet:"):
        return client.send("POST", "/api/torrents", options | {"magnet": source})
    if A_URL.match(source):
        return client.send("POST", "/api/torrents", options | {"url": source})
    query = {key: str(value).lower() if isinstance(value, bool) else ",".join(value) if isinstance(value, list) else value for key, value in options.items()}
    return client.upload(f"/api/torrents?{urlencode(query | {'source': source})}", read_bounded(Path(source)), "application/x-bittorrent")
