"""All torrents in one line, and the words for peers by state."""

from actors import snapshots
from ui.terminal.text import human_rate, percent


def summary(view: snapshots.FeedView) -> str:
    """All torrents in one line: '3/20 complete  41.2 %  down 12.0 MiB/s  up -  12 connected, 3 connecting, 40 queued'."""
    torrents = view.torrents
    complete = sum(torrent.state == snapshots.SEEDING for torrent in torrents)
    verified = sum(torrent.verified_bytes for torrent in torrents)
    total = sum(torrent.total_bytes for torrent in torrents)
    down = sum(torrent.download_rate for torrent in torrents)
    up = sum(torrent.upload_rate for torrent in torrents)
    return (f"{complete}/{len(torrents)} complete  {percent(verified, total)} %  down {human_rate(down)}  up {human_rate(up)}  "
            f"{peers_text(peers_by_state(torrents))}")


def peers_by_state(torrents: tuple[snapshots.TorrentSnapshot, ...]) -> dict[str, int]:
    """The sum over torrents, every state named."""
    return {state: sum(torrent.peers_by_state[state] for torrent in torrents) for state in snapshots.PEER_STATES}


def peers_text(counts: dict[str, int]) -> str:
    """'12 connected, 3 connecting, 40 queued': states that have peers, in the order of interest."""
    order = (snapshots.CONNECTED, snapshots.HANDSHAKING, snapshots.CONNECTING, snapshots.QUEUED, snapshots.FAILED)
    return ", ".join(f"{counts[state]} {state}" for state in order if counts.get(state)) or "no peers"
