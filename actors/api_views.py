"""Values of the engine as the API shows them: what msgspec encodes as JSON. Info hashes are 40 hex digits."""

from dataclasses import asdict, fields
from typing import Any

import msgspec

from actors.snapshots import (
    ConnectionQueueStats,
    DisplayPeer,
    FeedDifference,
    PeerDifference,
    TorrentDescription,
    TorrentSnapshot,
)
from protocol.metainfo import Metainfo

ROW_FIELDS = tuple(field.name for field in fields(TorrentSnapshot) if field.name not in ("info_hash", "peers"))
QUEUE_FIELDS = tuple(field.name for field in fields(ConnectionQueueStats) if field.name != "torrents")


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
    return msgspec.to_builtins(peer)


def figures_row(peer: DisplayPeer) -> tuple[Any, ...]:
    """What moves in a row of a connected peer, short because there may be thousands twice a second: docs/api.md names the places."""
    live, record = peer.connection, peer.swarm_peer
    return (
        peer.key, live.progress, live.download_rate, live.upload_rate, live.downloaded, live.uploaded, live.flags, live.num_requests,
        record.downloaded, record.uploaded,
    )


def queue_row(stats: ConnectionQueueStats) -> dict[str, Any]:
    """The queue without its torrents."""
    return queue_fields({name: getattr(stats, name) for name in QUEUE_FIELDS})


def queue_fields(fields_of_queue: dict[str, Any]) -> dict[str, Any]:
    """Some fields of the queue, as JSON can say them."""
    row = dict(fields_of_queue)
    if "next_up" in row:
        row["next_up"] = [info_hash.hex() for info_hash in row["next_up"]]
    if "dials" in row:
        row["dials"] = [{**msgspec.structs.asdict(dial), "info_hash": dial.info_hash.hex()} for dial in row["dials"]]
    return row


def queue_details(stats: ConnectionQueueStats) -> dict[str, Any]:
    """The queue with each torrent's part of it."""
    return queue_row(stats) | {"torrents": {info_hash.hex(): asdict(part) for info_hash, part in stats.torrents.items()}}


def difference_event(difference: FeedDifference) -> dict[str, Any]:
    """An event of /api/events; of a difference only what there is."""
    event: dict[str, Any] = {
        "torrents": [{**change, "info_hash": change["info_hash"].hex()} for change in difference.torrents],
        "removed": [info_hash.hex() for info_hash in difference.removed],
        "queue": queue_fields(difference.queue),
        "peers": {info_hash.hex(): peers_event(peers) for info_hash, peers in difference.peers.items()},
    }
    if difference.from_version:
        event = {name: part for name, part in event.items() if part}
    return {"version": difference.to_version, "now": difference.now, **event}


def peers_event(peers: PeerDifference) -> dict[str, Any]:
    """What changed in the rows of a torrent's peers; `whole`: forget those that are not among them."""
    event: dict[str, Any] = {"changed": peers.changed, "removed": peers.removed}
    if peers.moving:
        event["figures"] = [figures_row(peer) for peer in peers.moving]
    if not peers.from_version:
        event["whole"] = True
    return event
