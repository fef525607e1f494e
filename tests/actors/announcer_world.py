"""One TrackerAnnouncer in virtual time, pumped by hand: messages in, announces and messages out."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from actors import messages as m
from actors.announce_gate import AnnounceGate
from actors.tracker_announcer import TrackerAnnouncer
from protocol.peer_address import PeerAddress
from protocol.tracker_messages import AnnounceResponse
from scheduler.settings import Settings
from tests.actors.pump import RecordingLog, RecordingRef, VirtualTime, pump

INFO_HASH = b"\xff" * 20
PEERS = (PeerAddress("127.0.0.1", 6881), PeerAddress("::1", 6882))
A, B, C = "http://a.example/announce?passkey=secret", "https://b.example/announce", "http://c.example/announce"


@dataclass
class AnnounceUnderWay:
    """What HttpTracker was asked for."""

    url: str
    deadline: float
    on_end: Callable[[AnnounceResponse | None, str], None]
    is_killed: bool = False

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.url).query, encoding="latin-1").items()}

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname[0]

    def kill(self, *, block: bool) -> None:
        assert not block
        self.is_killed = True


class FakeHttp:
    """Stands for HttpTracker: remembers announces, which a test ends."""

    def __init__(self) -> None:
        self.announces: list[AnnounceUnderWay] = []

    def start(self, url: str, deadline: float, on_end) -> AnnounceUnderWay:
        self.announces.append(AnnounceUnderWay(url, deadline, on_end))
        return self.announces[-1]


class Unmoved:
    """A random source without surprises."""

    def random(self) -> float:
        return 0.0

    def randrange(self, stop: int, /) -> int:
        return 0xBADCAFE

    def shuffle(self, items, /) -> None:
        pass


class World:
    """One announcer in virtual time, between a torrent that remembers and trackers that a test plays."""

    def __init__(self, *tiers: tuple[str, ...], most: int = 30, settings: Settings | None = None) -> None:
        self.time, self.http, self.log, self.torrent, self.session = VirtualTime(), FakeHttp(), RecordingLog(), RecordingRef(), RecordingRef()
        times = {"clock": self.time.clock, "call_later": self.time.call_later}
        self.gate = AnnounceGate(Settings(announces_under_way=most), **times)
        self.announcer = TrackerAnnouncer(
            self.session, torrent=self.torrent, info_hash=INFO_HASH, tiers=tiers, peer_id=b"-EW0100-123456789012",
            settings=settings or Settings(), gate=self.gate, http=self.http, rng=Unmoved(), log=self.log, **times,
        )

    def tell(self, *messages) -> None:
        for message in messages:
            self.announcer.actor_ref.tell(message)
        pump(self.announcer)

    def start(self, left: int = 1_000, port: int = 6881) -> None:
        self.tell(m.StartAnnouncing(port, left))

    def stop(self) -> None:
        self.tell(m.StopAnnouncing(self.torrent))

    def advance(self, seconds: float) -> None:
        self.time.advance(seconds, self.announcer)

    @property
    def asked(self) -> list[tuple[str, str]]:
        """(first letter of the host, event) of each announce so far."""
        return [(announce.host, announce.query.get("event", "")) for announce in self.http.announces]

    def end(self, response: AnnounceResponse | None, error: str = "", index: int = -1) -> None:
        """The tracker answers an announce, the last one by default."""
        self.http.announces[index].on_end(response, error)
        pump(self.announcer)

    def answer(self, index: int = -1, **fields) -> None:
        self.end(AnnounceResponse(**{"interval": 1800, **fields}), index=index)

    def fail(self, error: str = "did not answer", index: int = -1) -> None:
        self.end(None, error, index)

    @property
    def reports(self) -> list[m.TrackerReported]:
        return self.torrent.take(m.TrackerReported)

    @property
    def num_stopped(self) -> int:
        return len(self.torrent.take(m.AnnouncerStopped))


def started(*tiers: tuple[str, ...], **options) -> World:
    world = World(*tiers, **options)
    world.start()
    return world
