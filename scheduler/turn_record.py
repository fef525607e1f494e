"""TurnRecord: what each torrent was granted in the last minute, and what was due to it.

Each class of torrents has a clock of its own that runs by 1 / (weights that wait) with every grant to the class: while a torrent
waits, its weight times what that clock runs is due to it. Due less granted is its lag: above 0 it is behind the others of its class,
below 0 ahead of them; between torrents that wait all the time it stays within a turn.

O(1) for each event. The last minute is kept in seconds: at most 61 of them, in each only the torrents that something happened to.
"""

from collections import deque
from collections.abc import Hashable
from typing import Final, Protocol

RECENT_SECONDS: Final = 60


class Recorded(Protocol):
    """What the record keeps with each torrent."""

    weight: float
    recent: "RecentTurns"

    def turn_class(self) -> Hashable:
        """Return the class in which it takes turns."""


class RecentTurns:
    """One torrent's part. `waits_from` is the moment of its class's clock; None while it does not wait."""

    __slots__ = ("clock", "due", "granted", "waits_from")

    def __init__(self) -> None:
        self.granted = 0                                # in the last minute
        self.due = 0.0                                  # in the last minute, by waiting that has ended
        self.clock: ClassClock | None = None
        self.waits_from = 0.0


class ClassClock:
    """The clock of a class, and what it showed at the beginning of each second of the last minute."""

    __slots__ = ("showed", "shows", "weights")

    def __init__(self) -> None:
        self.shows = 0.0
        self.showed: deque[float] = deque()
        self.weights = 0.0                              # of those that wait


class TurnRecord:
    """The last minute of all torrents. Moments are steady seconds."""

    def __init__(self) -> None:
        self.granted = 0                                # to all, in the last minute
        self._clocks: dict[Hashable, ClassClock] = {}
        self._second = 0                                # the last one of `_seconds`
        # for each second the changes of (granted, due) by torrent
        self._seconds: deque[tuple[int, dict[Recorded, tuple[int, float]]]] = deque([(0, {})])

    def joined(self, torrent: Recorded) -> None:
        """It waits for its turn from now on."""
        clock = self._clocks.get(torrent.turn_class())
        if clock is None:
            clock = self._clocks[torrent.turn_class()] = ClassClock()
            clock.showed.extend(0.0 for _ in self._seconds)
        torrent.recent.clock, torrent.recent.waits_from = clock, clock.shows
        clock.weights += torrent.weight

    def left(self, torrent: Recorded) -> None:
        """It does not wait any more."""
        recent, clock = torrent.recent, torrent.recent.clock
        if clock is not None:
            clock.weights = max(clock.weights - torrent.weight, 0.0)
            due = torrent.weight * (clock.shows - max(recent.waits_from, clock.showed[0]))
            recent.clock = None
            if due:
                self._note(torrent, 0, due)

    def was_granted(self, torrent: Recorded) -> None:
        """It had its turn, while it waited."""
        clock = torrent.recent.clock
        if clock is not None and clock.weights > 0:
            clock.shows += 1 / clock.weights
        self.granted += 1
        self._note(torrent, 1, 0.0)

    def lag(self, torrent: Recorded) -> float:
        """Return what was due to it in the last minute less what it was granted."""
        recent, clock = torrent.recent, torrent.recent.clock
        waiting = 0.0 if clock is None else torrent.weight * (clock.shows - max(recent.waits_from, clock.showed[0]))
        return recent.due + waiting - recent.granted

    def advance(self, now: float) -> None:
        """Time passed: begin a new second, and forget what is older than a minute."""
        second = int(now)
        if second == self._second:
            return
        self._second = second
        self._seconds.append((second, {}))
        for clock in self._clocks.values():
            clock.showed.append(clock.shows)
        while self._seconds[0][0] <= second - RECENT_SECONDS:
            _, changes = self._seconds.popleft()
            for torrent, (granted, due) in changes.items():
                torrent.recent.granted -= granted
                torrent.recent.due -= due
                self.granted -= granted
            for clock in self._clocks.values():
                clock.showed.popleft()

    def _note(self, torrent: Recorded, granted: int, due: float) -> None:
        changes = self._seconds[-1][1]
        was_granted, was_due = changes.get(torrent, (0, 0.0))
        changes[torrent] = was_granted + granted, was_due + due
        torrent.recent.granted += granted
        torrent.recent.due += due
