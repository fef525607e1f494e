"""All torrents in one line, the words for peers by state, and what is wrong with trackers."""

from actors import snapshots
from ui.terminal.text import human_rate, percent, printable


def summary(view: snapshots.FeedView) -> str:
    """All torrents in one line: '3/20 complete  41.2 %  down 12.0 MiB/s  up -  12 connected, 3 connecting, 40 queued'."""
    torrents = view.torrents
    complete = sum(torrent.state == snapshots.SEEDING for torrent in torrents)
    verified = sum(torrent.wanted_verified_bytes for torrent in torrents)
    total = sum(torrent.wanted_bytes for torrent in torrents)
    down = sum(torrent.download_rate for torrent in torrents)
    up = sum(torrent.upload_rate for torrent in torrents)
    return (f"{complete}/{len(torrents)} complete  {percent(verified, total)} %  down {human_rate(down)}  up {human_rate(up)}  "
            f"{peers_text(peers_by_state(torrents))}")


def tracker_trouble(torrents: tuple[snapshots.TorrentSnapshot, ...]) -> str:
    """What the trackers of torrents that download from nobody say: 'http://tracker: its name cannot be resolved', '' when all is well."""
    troubled = [
        torrent for torrent in torrents
        if torrent.state in (snapshots.DOWNLOADING, snapshots.METADATA) and torrent.tracker_error and not torrent.peers_by_state[snapshots.CONNECTED]
    ]
    if not troubled:
        return ""
    others = len(troubled) - 1
    return printable(troubled[0].tracker_error) + (f" (and the trackers of {others} more)" if others else "")


def peers_by_state(torrents: tuple[snapshots.TorrentSnapshot, ...]) -> dict[str, int]:
    """The sum over torrents, every state named."""
    return {state: sum(torrent.peers_by_state[state] for torrent in torrents) for state in snapshots.PEER_STATES}


def peers_text(counts: dict[str, int]) -> str:
    """'12 connected, 3 connecting, 40 queued': states that have peers, in the order of interest."""
    order = (snapshots.CONNECTED, snapshots.HANDSHAKING, snapshots.CONNECTING, snapshots.QUEUED, snapshots.FAILED)
    return ", ".join(f"{counts[state]} {state}" for state in order if counts.get(state)) or "no peers"
