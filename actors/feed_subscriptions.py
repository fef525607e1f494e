"""FeedSubscriptions: who looks, at what, which version he has, and who is ready for the next difference."""

from collections.abc import Iterator
from dataclasses import dataclass

import pykka


@dataclass(slots=True, eq=False)
class Subscription:
    """One viewer. It is ready when it has taken what it was sent last."""

    subscriber: pykka.ActorRef
    number: int
    peers_of: tuple[bytes, ...]
    version: int                                        # that it has; 0 = none
    is_ready: bool = True
    round: int = -1                                     # the gathering in which it was served last


class FeedSubscriptions:
    """All of them, by subscriber and number."""

    def __init__(self) -> None:
        self._all: dict[tuple[pykka.ActorRef, int], Subscription] = {}
        self._round = 0
        self.num_ready = 0

    def __len__(self) -> int:
        return len(self._all)

    def add(self, subscription: Subscription) -> None:
        """Somebody begins to look, or looks at something else from now on."""
        self.remove(subscription.subscriber, subscription.number)
        self._all[subscription.subscriber, subscription.number] = subscription
        self.num_ready += 1

    def remove(self, subscriber: pykka.ActorRef, number: int) -> None:
        """He looks no more, or is dead; nothing if he did not look."""
        gone = self._all.pop((subscriber, number), None)
        if gone is not None:
            self.num_ready -= gone.is_ready

    def taken(self, subscriber: pykka.ActorRef, number: int) -> None:
        """He has the last difference."""
        subscription = self._all.get((subscriber, number))
        if subscription is not None and not subscription.is_ready:
            subscription.is_ready = True
            self.num_ready += 1

    def next_round(self) -> None:
        """A gathering begins."""
        self._round += 1

    def due(self, version: int) -> Iterator[Subscription]:
        """Yield those who are ready, have an older version, and got nothing in this gathering."""
        for subscription in list(self._all.values()):
            if subscription.is_ready and subscription.version != version and subscription.round < self._round:
                yield subscription

    def served(self, subscription: Subscription, version: int, *, is_late: bool) -> None:
        """The difference to this version was sent. Late: instead of the one that the next gathering leads to."""
        subscription.version, subscription.round, subscription.is_ready = version, self._round + is_late, False
        self.num_ready -= 1

    def peers_of_ready(self) -> set[bytes]:
        """Return the torrents whose peers somebody looks at who is ready for more."""
        return {info_hash for subscription in self._all.values() if subscription.is_ready for info_hash in subscription.peers_of}
