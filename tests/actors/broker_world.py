"""A broker by its messages: not started, with torrents that only remember, in virtual time."""

from typing import Any

from actors import messages as m
from actors.connection_broker import ConnectionBroker
from actors.snapshots import ConnectionQueueStats
from scheduler.settings import settings_from
from tests.actors.pump import RecordingLog, RecordingRef, VirtualTime, pump


class BrokerWorld:
    """Tell it something, let time pass, look at who got what."""

    def __init__(self, *names: str, **settings: Any) -> None:
        self.time, self.log, self.session = VirtualTime(), RecordingLog(), RecordingRef()
        self.broker = ConnectionBroker(
            settings_from(settings), self.session, clock=self.time.clock, call_later=self.time.call_later, log=self.log,
        )
        self.torrents: dict[str, RecordingRef] = {}
        for name in names:
            self.register(name)

    @staticmethod
    def hash_of(name: str) -> bytes:
        return name.encode().ljust(20, b"\0")

    def tell(self, *messages: Any) -> None:
        for message in messages:
            self.broker.actor_ref.tell(message)
        pump(self.broker)

    def register(self, name: str, priority: str = "normal") -> RecordingRef:
        self.torrents[name] = RecordingRef()
        self.tell(m.RegisterTorrent(self.hash_of(name), self.torrents[name], priority))
        return self.torrents[name]

    def ask(self, name: str, count: int, *, is_finished: bool = False) -> None:
        self.tell(m.RequestConnections(self.hash_of(name), count, is_finished))

    def pass_time(self, seconds: float) -> None:
        self.time.advance(seconds, self.broker)

    def grants(self, name: str, seconds: float = 0.1) -> list[int]:
        """Let time pass; return the ids of the grants that the torrent got."""
        self.pass_time(seconds)
        return [message.grant_id for message in self.torrents[name].take(m.ConnectOnePeer)]

    def dials(self, name: str, seconds: float = 0.1) -> list[int]:
        """The same, and all of them are used."""
        grant_ids = self.grants(name, seconds)
        self.tell(*(m.AttemptStarted(grant_id, "192.0.2.1:6881") for grant_id in grant_ids))
        return grant_ids

    @property
    def stats(self) -> ConnectionQueueStats:
        return self.broker.on_receive(m.GetConnectionQueueStats())
