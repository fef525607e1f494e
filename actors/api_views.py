"""Values of the engine as the API shows them: what msgspec encodes as JSON. Info hashes are 40 hex digits."""

from dataclasses import asdict, fields
from typing import Any

from actors.snapshots import ConnectionQueueStats, DisplayPeer, TorrentDescription, TorrentSnapshot
from protocol.metainfo import Metainfo

ROW_FIELDS = tuple(field.name for field in fields(TorrentSnapshot) if field.name not in ("info_hash", "peers"))
QUEUE_FIELDS = tuple(field.name for field in fields(ConnectionQueueStats) if field.name not in ("torrents", "next_up"))


def torrent_row(snapshot: TorrentSnapshot) -> dict[str, Any]:
    """A torrent in the list and in the events."""
    row = {name: getattr(snapshot, name) for name in ROW_FIELDS}
    row["info_hash"] = snapshot.info_hash.hex()
    return row


def torrent_details(description: TorrentDescription) -> dict[str, Any]:
    """What GET of one torrent shows besides its row."""
    metainfo = description.metainfo
    info = metainfo.info
    return {
        "folder": description.folder, "source": description.source, "priority": description.priority, "private": info.private,
        "piece_length": info.layout.piece_length, "num_files": sum(not file.padding for file in info.files),
        "comment": metainfo.comment, "created_by": metainfo.created_by, "creation_date": metainfo.creation_date,
        "web_seeds": list(metainfo.web_seeds),
    }


def file_rows(metainfo: Metainfo) -> list[dict[str, Any]]:
    """The files; padding (BEP 47) is none."""
    info = metainfo.info
    folder = () if info.is_single_file else (info.name,)
    return [
        {"index": index, "path": "/".join(folder + file.path), "length": file.length}
        for index, file in enumerate(info.files) if not file.padding
    ]


def peer_row(peer: DisplayPeer) -> dict[str, Any]:
    """A row of the peer table."""
    return asdict(peer)


def queue_row(stats: ConnectionQueueStats) -> dict[str, Any]:
    """The queue without its torrents."""
    row = {name: getattr(stats, name) for name in QUEUE_FIELDS}
    row["next_up"] = [info_hash.hex() for info_hash in stats.next_up]
    return row


def queue_details(stats: ConnectionQueueStats) -> dict[str, Any]:
    """The queue with each torrent's part of it."""
    return queue_row(stats) | {"torrents": {info_hash.hex(): asdict(part) for info_hash, part in stats.torrents.items()}}
