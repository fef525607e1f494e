"""What the feed makes of snapshots: a torrent's row with its part of the queue, and which fields of a row differ."""

from dataclasses import fields, replace
from typing import Any, Final

from actors.snapshots import ConnectionQueueStats, TorrentQueueStats, TorrentSnapshot, TorrentTurn

WAIT_ROUNDING_SECONDS: Final = 0.2                      # the same wait, told twice, is told of the same moment

TORRENT_FIELDS: Final = tuple(field.name for field in fields(TorrentSnapshot) if field.name not in ("info_hash", "peers"))
QUEUE_FIELDS: Final = tuple(field.name for field in fields(ConnectionQueueStats) if field.name != "torrents")


def turn_of(stats: TorrentQueueStats, place: int, now: float, before: TorrentTurn | None) -> TorrentTurn:
    """Return a torrent's part of the queue; the same object as before when nothing but time changed."""
    since = now - stats.waiting_for if stats.pending else None
    if since is not None and before is not None and before.waiting_since_at is not None and abs(before.waiting_since_at - since) < WAIT_ROUNDING_SECONDS:
        since = before.waiting_since_at
    turn = TorrentTurn(place, stats.pending, stats.half_open, stats.granted_last_minute, round(stats.lag, 2), since)
    return before if turn == before else turn


def shown_row(snapshot: TorrentSnapshot, stats: TorrentQueueStats | None, turn: TorrentTurn | None) -> TorrentSnapshot:
    """Return the row of a torrent. While nothing of its own keeps it from asking, it is the broker's rule that says why it waits."""
    if stats is None:
        return snapshot
    if snapshot.why_rule or not stats.why:
        return replace(snapshot, turn=turn)
    return replace(snapshot, turn=turn, why="; ".join(filter(None, (snapshot.why, stats.why))), why_rule=stats.binding)


def differing(before: Any, after: Any, names: tuple[str, ...]) -> frozenset[str]:
    """Return which of these fields differ."""
    return frozenset(name for name in names if getattr(before, name) != getattr(after, name))
