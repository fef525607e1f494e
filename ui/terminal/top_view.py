"""What `top` draws: the torrents, the queue, and below them the peers."""

from rich.console import Group
from rich.table import Table
from rich.text import Text

from actors import snapshots
from ui.terminal.live_table import GLYPHS, queue_panel, torrents_table
from ui.terminal.text import human_bytes, human_rate, percent, printable

OTHER_LINES = 14                                        # the panel and the headings
STATE_ORDER = {state: place for place, state in enumerate(
    (snapshots.CONNECTED, snapshots.HANDSHAKING, snapshots.CONNECTING, snapshots.QUEUED, snapshots.FAILED))}


def top_view(view: snapshots.FeedView, peers: list[tuple[str, snapshots.DisplayPeer]], height: int) -> Group:
    """Half of the lines for torrents, half for peers."""
    lines = max(6, height - OTHER_LINES)
    num_torrents = min(len(view.torrents) + 1, max(lines // 2, lines - len(peers)))
    return Group(torrents_table(view.torrents, num_torrents), queue_panel(view), peers_table(peers, max(3, lines - num_torrents)))


def peers_table(peers: list[tuple[str, snapshots.DisplayPeer]], rows: int) -> Table:
    """A row a peer, those that are connected and fast first; those that do not fit are counted in the last line."""
    table = Table(box=None, padding=(0, 1), expand=True, caption_justify="left")
    for heading in ("State", "Address", "Client"):
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    for heading in ("%", "Down", "Up", "Downloaded", "Uploaded"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("Flags", "Reason", "Torrent"):
        table.add_column(heading, no_wrap=True, overflow="ellipsis", ratio=1 if heading == "Reason" else None)
    peers = sorted(peers, key=lambda entry: (STATE_ORDER[entry[1].state], -_rate(entry[1])))
    for name, peer in peers[:rows]:
        table.add_row(*cells_of(peer), Text(printable(name)[:24]))
    if len(peers) > rows:
        table.caption = f"and {len(peers) - rows} more"
    return table


def cells_of(peer: snapshots.DisplayPeer) -> tuple[str | Text, ...]:
    """'-' for figures of a peer that is not connected, '?' for a client that nobody knows."""
    glyph, colour = GLYPHS[peer.state]
    state = Text(f"{glyph} {peer.state}", style=colour)
    live, record = peer.connection, peer.swarm_peer
    client = Text(printable((live.client_name if live else record.client_name) or "?"))
    reason = Text(printable(peer.reason or record.last_error))
    if live is None:
        return state, Text(peer.key), client, "-", "-", "-", human_bytes(record.downloaded), human_bytes(record.uploaded), "-", reason
    return (
        state, Text(peer.key), client, percent(live.progress, 1.0), human_rate(live.download_rate), human_rate(live.upload_rate),
        human_bytes(live.downloaded), human_bytes(live.uploaded), live.flags or "-", reason,
    )


def _rate(peer: snapshots.DisplayPeer) -> float:
    return 0.0 if peer.connection is None else peer.connection.download_rate + peer.connection.upload_rate
