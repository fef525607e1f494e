"""SharedTurns: whose turn it is among torrents of one kind, each with its share of the half-open slots.

Long dials of a few torrents must not keep all others from dialling. So a torrent that has its share of the half-open slots,
ceil(limit / torrents that ask or have a dial under way), has no turn while there are no more free slots than torrents that wait with
less. While there are more, or nobody waits at all, it has turns as the others have: what others leave unused is used.

Only when the share of all grows, those that are over it are looked at: there are never more of them than half-open slots.
"""

from collections.abc import Iterator

from scheduler.dial_rules import DialRules
from scheduler.queued_torrent import QueuedTorrent
from scheduler.torrent_turns import TorrentTurns


class SharedTurns:
    """The torrents of one kind that wait: those with less than their share, and those that have it."""

    def __init__(self, rules: DialRules) -> None:
        self.below_share: TorrentTurns[QueuedTorrent] = TorrentTurns()
        self.at_share: TorrentTurns[QueuedTorrent] = TorrentTurns()
        self.num_active = 0                             # torrents that ask or have a dial under way
        self.share = rules.share(0)
        self._rules = rules
        self._share_grew = False                        # since those at it were looked at

    def __len__(self) -> int:
        return len(self.below_share) + len(self.at_share)

    def __bool__(self) -> bool:
        return bool(self.below_share or self.at_share)

    def __iter__(self) -> Iterator[QueuedTorrent]:
        """The order in which turns come, as it looks now."""
        yield from self.below_share
        yield from self.at_share

    def has_members(self, who: str) -> bool:
        """Tell whether some of these wait; see torrent_turns."""
        return self.below_share.has_members(who) or self.at_share.has_members(who)

    def change_num_active(self, difference: int) -> None:
        """One more or less asks or has a dial under way."""
        self.num_active += difference
        self.count_share()

    def count_share(self) -> None:
        """The number of half-open slots, or of those who share them, changed."""
        share = self._rules.share(self.num_active)
        self._share_grew = self._share_grew or share > self.share
        self.share = share

    def has_its_share(self, torrent: QueuedTorrent) -> bool:
        """Tell whether the torrent uses as many slots as it may use before the others."""
        return torrent.account.in_flight >= self.share

    def may_be_stale(self) -> bool:
        """Tell whether some at their share may be below it now."""
        return self._share_grew

    def take_stale(self) -> list[QueuedTorrent]:
        """Return those that may be below their share now; they are to be settled."""
        if not self._share_grew:
            return []
        self._share_grew = False
        return list(self.at_share)

    def head(self, who: str) -> QueuedTorrent | None:
        """Return whose turn it is when these may have turns, be it at its share."""
        below = self.below_share.head(who)
        at_share = self.at_share.head(who)
        if below is None or at_share is None:
            return below or at_share
        has_waited_longer = at_share.waiting_since < below.waiting_since and at_share.has_peers <= below.has_peers
        return at_share if has_waited_longer and not self.shares_bind(len(self.below_share)) else below

    def shares_bind(self, num_waiting: int) -> bool:
        """Tell whether so many who have less than their share leave nothing to those who have it."""
        return num_waiting > 0 and self._rules.num_free_slots() <= num_waiting
