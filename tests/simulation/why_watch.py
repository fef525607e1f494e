"""WhyWatch: the line that says why a torrent is not connecting names the rule that says no, judged by what can be counted without it.

The line is what a viewer is shown: the torrent's snapshot, put together with the broker's statistics as the feed does it. What is
compared with it are records counted one by one, messages and log events (broker_watch.py), never the rule's own numbers.
"""

from collections import Counter
from typing import Any

from actors import messages as m
from actors.feed_rows import shown_row
from scheduler import refusal
from tests.simulation.violations import violated

ROUNDING = 1e-6


class WhyWatch:
    """Looks at every torrent of a simulation when it is told to."""

    def __init__(self, swarm: Any) -> None:
        self._swarm = swarm
        self.seen: Counter[str] = Counter()             # how often each rule was named

    def check_everything(self) -> None:
        """Compare each line with what there is."""
        stats = self._swarm.stats
        for torrent in self._swarm.torrents.values():
            actor = torrent.actor
            if self._swarm.world.is_frozen(actor) or actor.actor_stopped.is_set():
                continue
            snapshot = actor.on_receive(m.GetTorrentSnapshot(with_peers=False))
            part = stats.torrents.get(torrent.info_hash)
            row = shown_row(snapshot, part, None)
            self.seen[row.why_rule] += 1
            self._check(torrent, row, part, stats)

    def _check(self, torrent: Any, row: Any, part: Any, stats: Any) -> None:
        what = f"{torrent.name} says {row.why_rule!r}: {row.why!r}"
        violated(bool(row.why_rule) != bool(row.why) and row.why_rule != "", "why", f"{what}, a rule without a sentence")
        actor = torrent.actor
        states = Counter(peer.state for peer in actor._swarm)
        places = len(actor._peers._attempts) + len(actor._peers.connections)
        limit = self._swarm.settings.torrent_connection_limit
        match row.why_rule:
            case refusal.STOPPED:     holds = row.state == "stopped"
            case refusal.ERROR:       holds = row.state == "error" and row.error in row.why
            case refusal.NOT_READY:   holds = not actor._life.is_running
            case refusal.NO_PEERS:    holds = not states
            case refusal.ALL_FAILED:  holds = (not states["queued"] and states["failed"] and f"{states['failed']} peer" in row.why) or states["failed"] == 1
            case refusal.TORRENT:     holds = places >= limit or f"of {stats.torrent_limit}" in row.why
            case refusal.PAUSED:      holds = bool(self._swarm.watch.pauses)
            case refusal.GLOBAL:      holds = self._connections() + stats.incoming >= int(stats.global_limit * 0.9)
            case refusal.HALF_OPEN:   holds = self._in_flight() >= stats.half_open_limit
            case refusal.RATE:        holds = stats.tokens < 1 + ROUNDING
            case "":                  holds = not self._waits(part)
            case _:                   holds = self._waits(part)
        violated(not holds, "why", f"{what}, which is not so: records {dict(states)}, places {places}, {part}")

    def _in_flight(self) -> int:
        return sum(torrent.in_flight for torrent in self._swarm.watch.torrents.values())

    def _connections(self) -> int:
        return sum(torrent.total for torrent in self._swarm.watch.torrents.values())

    @staticmethod
    def _waits(part: Any) -> bool:
        return part is not None and part.pending > 0
