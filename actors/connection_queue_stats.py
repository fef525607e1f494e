"""What the connection queue looks like from outside: ConnectionQueue → ConnectionQueueStats. Changes no decision."""

import itertools
import math

from actors.snapshots import ConnectionQueueStats, DialView, FlowStats, TorrentQueueStats
from scheduler.connection_queue import ConnectionQueue
from scheduler.queued_torrent import QueuedTorrent
from scheduler.refusal import NOT_ITS_TURN, RATE, Refusal

NUM_NEXT_UP = 20                                        # as many as a panel shows
TURN_RULES = (RATE, NOT_ITS_TURN)                       # nothing but other torrents' turns


def connection_queue_stats(
    queue: ConnectionQueue, now: float, flows: dict[str, FlowStats] | None = None, dials: tuple[DialView, ...] = (),
) -> ConnectionQueueStats:
    """Return the ledger, the limits and what binds each torrent at the moment `now`. Looks at all torrents.

    `flows`: what there is to say of other new flows. `dials`: what the half-open slots are used for.
    """
    ledger, limits, bucket, control = queue.ledger, queue.rules.limits, queue.rules.bucket, queue.rules.control
    slowdown = control.last_slowdown
    queue.note_time(now)
    tokens, turns = queue.tokens(now), list(queue.upcoming())
    turn_in = {
        torrent.info_hash: max(turn - tokens, 0.0) / bucket.rate if bucket.rate else 0.0 for turn, torrent in enumerate(turns, start=1)
    }
    return ConnectionQueueStats(
        tokens=tokens if math.isfinite(tokens) else float(bucket.burst), burst=bucket.burst, rate_per_second=bucket.rate,
        pending=sum(torrent.pending for torrent in queue.torrents.values()),
        half_open=ledger.count.half_open, half_open_limit=limits.half_open, leases=ledger.count.leased,
        connected=ledger.count.connected, global_limit=limits.global_connections, torrent_limit=limits.torrent_connections,
        granted=ledger.granted, connected_total=ledger.connected_ever, declined=dict(ledger.declined), failed=dict(ledger.failed),
        expired=ledger.expired, cancelled=ledger.cancelled,
        oldest_wait=max((queue.waited(torrent, now) for torrent in queue.torrents.values()), default=0.0),
        paused="; ".join(queue.rules.pauses), next_up=tuple(torrent.info_hash for torrent in itertools.islice(turns, NUM_NEXT_UP)),
        torrents={
            torrent.info_hash: _torrent_queue_stats(queue, torrent, now, turn_in.get(torrent.info_hash, 0.0))
            for torrent in queue.torrents.values()
        },
        incoming=ledger.incoming, unanswered=queue.num_unanswered(now), unanswered_limit=limits.unanswered,
        pauses=tuple(queue.rules.pauses), granted_last_minute=queue.record.granted,
        highest_rate=control.most.rate if math.isfinite(control.most.rate) else 0.0, highest_half_open=control.most.half_open,
        slowdowns=control.num_slowdowns, slowed_by=slowdown.reason if slowdown else "",
        slowed_before=queue.seconds_since(slowdown.at, now) if slowdown else None,
        router_flows=queue.num_unanswered(now) + ledger.count.connected, router_flows_limit=queue.rules.most_flows,
        idle_offered=len(queue.idle), idle_closed=queue.idle.num_closed, flows=flows or {}, dials=dials,
    )


def _torrent_queue_stats(queue: ConnectionQueue, torrent: QueuedTorrent, now: float, turn_in: float) -> TorrentQueueStats:
    refusal = queue.refusal_of(torrent, now)
    return TorrentQueueStats(
        pending=torrent.pending, half_open=torrent.account.half_open, connected=torrent.account.connected,
        granted=torrent.account.granted, waiting_for=queue.waited(torrent, now),
        is_finished=torrent.is_finished, granted_last_minute=torrent.recent.granted,
        share_last_minute=torrent.recent.granted / max(queue.record.granted, 1), lag=queue.record.lag(torrent),
        binding=refusal.rule if refusal else "", why=_sentence(refusal, turn_in, queue.num_waiting, torrent.is_finished) if refusal else "",
    )


def _sentence(refused: Refusal, turn_in: float, num_waiting: int, is_finished: bool) -> str:
    sentence = refused.sentence(turn_in, num_waiting)
    return f"complete: dials one turn in ten; {sentence}" if is_finished and refused.rule in TURN_RULES else sentence
