"""`top`: torrents, queue and peers of the running client, live in a terminal; elsewhere they are printed once."""

import argparse
from typing import Any, Final

from msgspec.structs import replace

from actors.snapshots import ConnectionQueueStats, ConnectionView, DisplayPeer, FeedView, SwarmPeerView, TorrentSnapshot
from protocol.limits import MAX_VIEWED_TORRENTS
from ui.commands.api_client import ApiClient, api_client, torrents_named

FIGURES: Final = ("progress", "download_rate", "upload_rate", "downloaded", "uploaded", "flags", "num_requests")   # docs/api.md


def run(arguments: argparse.Namespace) -> int:
    """Until Ctrl-C, or the end of the client."""
    from rich.console import Console
    from rich.live import Live

    from ui.terminal.top_view import top_view  # rich costs 15 MB: only for those who look

    client, console = api_client(arguments.data), Console()
    picture = Picture()
    path = f"/api/events?peers={','.join(watched(client, arguments.torrents))}"
    if not console.is_terminal:
        picture.apply(*next(client.events(path)))
        console.print(top_view(picture.view(), picture.peers(), 1_000))
        return 0
    with Live(console=console, auto_refresh=False, screen=True) as live:
        for name, event in client.events(path):
            picture.apply(name, event)
            live.update(top_view(picture.view(), picture.peers(), console.size.height), refresh=True)
    return 0


def watched(client: ApiClient, names: list[str]) -> list[str]:
    """Info hashes of the torrents whose peers are shown: those that were named, or the busiest."""
    if names:
        return [torrent["info_hash"] for torrent in torrents_named(client, names, False)][:MAX_VIEWED_TORRENTS]
    torrents = client.get("/api/torrents")["torrents"]
    torrents.sort(key=lambda torrent: (torrent["download_rate"] + torrent["upload_rate"], sum(torrent["peers_by_state"].values())), reverse=True)
    return [torrent["info_hash"] for torrent in torrents[:MAX_VIEWED_TORRENTS]]


class Picture:
    """What the events add up to."""

    def __init__(self) -> None:
        self._torrents: dict[str, dict[str, Any]] = {}
        self._queue: dict[str, Any] = {}
        self._peers: dict[str, dict[str, DisplayPeer]] = {}

    def apply(self, name: str, event: dict[str, Any]) -> None:
        """A snapshot or a difference."""
        if name == "snapshot":
            self.__init__()
        for change in event.get("torrents", ()):
            self._torrents.setdefault(change["info_hash"], {}).update(change)
        for info_hash in event.get("removed", ()):
            self._torrents.pop(info_hash, None)
            self._peers.pop(info_hash, None)
        self._queue.update(event.get("queue", {}))
        for info_hash, change in event.get("peers", {}).items():
            rows = {} if change.get("whole") else self._peers.get(info_hash, {})
            self._peers[info_hash] = rows
            rows |= {row["key"]: peer_of(row) for row in change["changed"]}
            for key, *figures in change.get("figures", ()):
                rows[key] = with_figures(rows[key], figures)
            for key in change["removed"]:
                rows.pop(key, None)

    def view(self) -> FeedView:
        """As the live table takes it."""
        torrents = tuple(
            TorrentSnapshot(info_hash=bytes.fromhex(row["info_hash"]), **known(TorrentSnapshot, row, {"info_hash"})) for row in self._torrents.values()
        )
        next_up = tuple(map(bytes.fromhex, self._queue["next_up"]))
        queue = ConnectionQueueStats(next_up=next_up, **known(ConnectionQueueStats, self._queue, {"next_up"}))
        return FeedView(0, torrents, queue)

    def peers(self) -> list[tuple[str, DisplayPeer]]:
        """Name of the torrent and the row."""
        return [(self._torrents[info_hash]["name"], peer) for info_hash, rows in self._peers.items() if info_hash in self._torrents for peer in rows.values()]


def known(kind: type, row: dict[str, Any], without: set[str]) -> dict[str, Any]:
    """The fields of `kind` that `row` has: a client of another version may have more."""
    names = getattr(kind, "__struct_fields__", None) or kind.__dataclass_fields__
    return {name: value for name, value in row.items() if name in names and name not in without}


def with_figures(peer: DisplayPeer, figures: list[Any]) -> DisplayPeer:
    """A row of a connected peer of which only the figures changed."""
    if peer.connection is None:
        return peer
    live = replace(peer.connection, **dict(zip(FIGURES, figures, strict=False)))
    downloaded, uploaded = figures[len(FIGURES):][:2]
    return replace(peer, connection=live, swarm_peer=replace(peer.swarm_peer, downloaded=downloaded, uploaded=uploaded))


def peer_of(row: dict[str, Any]) -> DisplayPeer:
    """JSON → a row of the peer table."""
    connection = None if row["connection"] is None else ConnectionView(**known(ConnectionView, row["connection"], set()))
    swarm_peer = SwarmPeerView(**known(SwarmPeerView, row["swarm_peer"], set()))
    return DisplayPeer(**known(DisplayPeer, row, {"connection", "swarm_peer"}), connection=connection, swarm_peer=swarm_peer)
