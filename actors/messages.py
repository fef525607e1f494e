"""Every message between actors, grouped by receiver. Commands are imperative, facts past tense; all are frozen values.

What the I/O daemon tells reaches TorrentActor as it is: the messages of protocol/daemon_messages.py, passed on by DaemonLink.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from protocol.daemon_messages import OUTCOMES
from protocol.limits import MAX_VIEWED_TORRENTS
from scheduler.file_selection import EVERYTHING, FileSelection

if TYPE_CHECKING:                                       # importing a message must not import pykka
    from pykka import ActorRef

    from actors.resume_data import ResumeData
    from actors.snapshots import PeerDifference, TorrentSnapshot
    from protocol.daemon_messages import FileState
    from protocol.metainfo import Metainfo
    from protocol.peer_address import PeerAddress
    from protocol.tracker_messages import AnnounceResponse
    from scheduler.settings import Settings


# ── to ConnectionBroker ──────────────────────────────────────────────────────────────────────────────────────────────────

PRIORITY_WEIGHTS = {"high": 3.0, "normal": 1.0, "low": 1 / 3}


@dataclass(frozen=True, slots=True)
class RegisterTorrent:
    """This actor answers grants for this hash. Repeated: the new actor or priority replaces the old."""

    info_hash: bytes
    torrent: ActorRef
    priority: str = "normal"                            # a key of PRIORITY_WEIGHTS

    def __post_init__(self) -> None:
        if self.priority not in PRIORITY_WEIGHTS:
            raise ValueError(f"RegisterTorrent.priority is {self.priority!r}, must be one of {', '.join(PRIORITY_WEIGHTS)}")


@dataclass(frozen=True, slots=True)
class TorrentGone:
    """Its end frees all that it held."""

    info_hash: bytes


@dataclass(frozen=True, slots=True)
class RequestConnections:
    """I could use `count` more connections now. States a level: it replaces the torrent's last request."""

    info_hash: bytes
    count: int                                          # at least 1
    is_finished: bool = False                           # it has all that it wants and dials to give: 1 turn in 10

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"RequestConnections.count is {self.count}, must be at least 1")


@dataclass(frozen=True, slots=True)
class CancelRequests:
    """Stopped, removed, complete, kill switch: forget my requests; no grant follows."""

    info_hash: bytes


@dataclass(frozen=True, slots=True)
class SlotDeclined:
    """I cannot use this grant: token and slot go back, the place in the ring is kept."""

    grant_id: int
    reason: str                                         # no_candidate, torrent_full, complete, stopped, checking, too_late, network_down
    retry_after: float | None = None                    # seconds until asking me again can make sense; None: I shall ask

    def __post_init__(self) -> None:
        if self.retry_after is not None and not self.retry_after >= 0:
            raise ValueError(f"SlotDeclined.retry_after is {self.retry_after}, must be at least 0 or None")


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A dial is under way: the slot is half-open."""

    grant_id: int
    peer: str                                           # "ip:port", "[ipv6]:port"
    timeout: float = 0.0                                # seconds, for the half-open board


@dataclass(frozen=True, slots=True)
class AttemptChanged:
    """For the half-open board, no rule looks at it: TCP is connected and the handshake began, or the timeout of the dial is another one."""

    grant_id: int
    is_handshaking: bool
    timeout: float                                      # seconds from when this state began


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """The dial led to a peer or to nothing; `outcome` is one of protocol.daemon_messages.OUTCOMES."""

    grant_id: int
    outcome: str
    elapsed: float                                      # seconds since the dial began
    # What tells an overloaded way out from peers that are dead (scheduler/auto_control.py), seconds from a dial to TCP's answer,
    # which may be a refusal:
    answered_in: float | None = None                    # of this dial; None: no answer
    answered_in_before: float | None = None             # of this peer's dial before that was answered; None: it never answered

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise ValueError(f"AttemptEnded.outcome is {self.outcome!r}, must be one of {', '.join(OUTCOMES)}")


@dataclass(frozen=True, slots=True)
class ReserveIncoming:
    """A peer dialled us: is there a place? Answered to the torrent by IncomingReserved or IncomingRefused."""

    info_hash: bytes
    connection_id: int


@dataclass(frozen=True, slots=True)
class ConnectionClosed:
    """A connection of either direction is gone (or an incoming reservation was not used)."""

    grant_id: int


@dataclass(frozen=True, slots=True)
class IdleConnectionOffered:
    """The torrent's longest idle useless connection may be closed for somebody who needs the place.

    States a level: it replaces the torrent's last offer. It ends by itself when that connection closes. Answer, now or never:
    CloseIdleConnection.
    """

    info_hash: bytes
    grant_id: int | None                                # of a connected one; None: none is idle any more
    idle_seconds: float = 0.0                           # for how long it has been of no use

    def __post_init__(self) -> None:
        if not 0 <= self.idle_seconds < math.inf:
            raise ValueError(f"IdleConnectionOffered.idle_seconds is {self.idle_seconds}, must be finite and at least 0")


@dataclass(frozen=True, slots=True)
class SetConnectionRateLimit:
    """Dials per second; 0 = unlimited; burst defaults to twice the rate. Time passed until now counts at the old rate."""

    per_second: float
    burst: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.per_second < math.inf or (self.burst is not None and self.burst < 1):
            raise ValueError(f"{self}: per_second must be finite and at least 0, burst at least 1")


@dataclass(frozen=True, slots=True)
class SetConnectionLimits:
    """Live limits; None leaves one as it is. What is over a lowered limit runs out by itself."""

    half_open: int | None = None
    global_connections: int | None = None
    torrent_connections: int | None = None
    unanswered: int | None = None

    def __post_init__(self) -> None:
        values = (self.half_open, self.global_connections, self.torrent_connections, self.unanswered)
        if any(value is not None and value < 1 for value in values):
            raise ValueError(f"{self}: a limit must be at least 1")


@dataclass(frozen=True, slots=True)
class PauseConnecting:
    """Network lost, EMFILE, kill switch: pauses everyone and blames no peer. `reason` is read by people: "the network is down".

    Several reasons may hold at once; connecting goes on when none is left. The same reason again changes nothing.
    """

    reason: str                                         # not ''

    def __post_init__(self) -> None:
        if not self.reason:
            raise ValueError("PauseConnecting.reason is '', must say why")


@dataclass(frozen=True, slots=True)
class ResumeConnecting:
    """This reason of a pause is gone; the others, if any, still hold."""

    reason: str | None = None                           # as in PauseConnecting; None: all of them


@dataclass(frozen=True, slots=True)
class GetConnectionQueueStats:
    """Asked (returns ConnectionQueueStats), or told with `reply_to`, which then gets the ConnectionQueueStats itself."""

    reply_to: ActorRef | None = None


@dataclass(frozen=True, slots=True)
class DrainDue:
    """ConnectionBroker to itself: time alone may have made a slot possible. What was told before `due` lies before this message."""

    due: float                                          # monotonic moment that the timer was set for


# ── to TorrentActor ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ConnectOnePeer:
    """One slot: pick the best candidate now, and answer AttemptStarted or SlotDeclined before the lease ends."""

    grant_id: int
    deadline: float                                     # monotonic moment at which the lease ends


@dataclass(frozen=True, slots=True)
class CloseIdleConnection:
    """The place of the connection that was offered is needed: close it, without blame, unless it became useful meanwhile.

    Answer: ConnectionClosed as for every other; or, if it is kept, IdleConnectionOffered with the next one or None.
    """

    grant_id: int


@dataclass(frozen=True, slots=True)
class IncomingReserved:
    """The incoming connection has a place in the ledger under this grant."""

    connection_id: int
    grant_id: int


@dataclass(frozen=True, slots=True)
class IncomingRefused:
    """No place; `reason` is the limit that said no."""

    connection_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class StartTorrent:
    """Check what is on disk if that is not known, then download or seed."""


@dataclass(frozen=True, slots=True)
class StopTorrent:
    """Close everything and end the dials under way; `stopped` goes to the tracker. Answer to `reply_to`: TorrentStoppedFully.

    With `forget` the torrent also leaves broker, daemon and feed, and its actor ends.
    """

    reply_to: ActorRef | None = None
    forget: bool = False


@dataclass(frozen=True, slots=True)
class SetFilePriorities:
    """These files are wanted from now on, in this order; at any time. Nothing happens when it does not fit the torrent."""

    selection: FileSelection


@dataclass(frozen=True, slots=True)
class RecheckTorrent:
    """Hash all data on disk anew."""


@dataclass(frozen=True, slots=True)
class PeersFound:
    """Addresses from a source: tracker, pex, dht, lsd, manual, magnet."""

    source: str
    peers: tuple[PeerAddress, ...]


@dataclass(frozen=True, slots=True)
class BanPeer:
    """The user wants nothing to do with this peer: its connection is closed and it is not dialled again."""

    peer: PeerAddress
    reason: str


@dataclass(frozen=True, slots=True)
class UnbanPeer:
    """It may be dialled again."""

    peer: PeerAddress


@dataclass(frozen=True, slots=True)
class TrackerReported:
    """What the trackers of this torrent say: for the table. `error` is the last failure or warning, '' when all is well."""

    tracker: str
    error: str
    next_announce_in: float | None
    seeds: int | None
    leeches: int | None


@dataclass(frozen=True, slots=True)
class DaemonReady:
    """The daemon of this torrent runs (again): give it the torrent. `daemon` takes messages for it, `port` is where it listens."""

    daemon: ActorRef
    port: int                                           # 0: it could not listen


@dataclass(frozen=True, slots=True)
class DaemonLost:
    """The daemon died: all its connections and dials are gone, what was not durable is not known."""


@dataclass(frozen=True, slots=True)
class GetTorrentSnapshot:
    """Asked (returns TorrentSnapshot), or told with `reply_to`, which then gets SnapshotTaken."""

    reply_to: ActorRef | None = None
    with_peers: bool = True                             # all rows of peers, in the snapshot
    rows_from: int | None = None                        # the version of the rows that the asker has, 0 = none: tell what changed since; None: no rows


@dataclass(frozen=True, slots=True)
class AnnouncerStarted:
    """The actor that speaks to the trackers of this torrent."""

    announcer: ActorRef


@dataclass(frozen=True, slots=True)
class MaintenanceDue:
    """TorrentActor to itself: something changed, or a wait is over."""


@dataclass(frozen=True, slots=True)
class ConnectTimeoutChanged:
    """TorrentActor to itself: dials under way get another timeout, learned from those of all torrents."""


@dataclass(frozen=True, slots=True)
class StopOverdue:
    """TorrentActor to itself: daemon or tracker did not answer StopTorrent in time; go on without."""


# ── to TrackerAnnouncer ──────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class StartAnnouncing:
    """Announce `started`, then at the tracker's interval."""

    port: int
    left: int


@dataclass(frozen=True, slots=True)
class TransferReported:
    """Totals of this run for the next announce. `left` reaching 0 while announcing sends `completed` once."""

    downloaded: int
    uploaded: int
    left: int


@dataclass(frozen=True, slots=True)
class AnnounceNow:
    """The user asks, or the torrent has no candidates left: as soon as the tracker's min interval allows."""


@dataclass(frozen=True, slots=True)
class StopAnnouncing:
    """Send `stopped` (with a short deadline), then answer AnnouncerStopped to `reply_to`."""

    reply_to: ActorRef | None = None


@dataclass(frozen=True, slots=True)
class AnnounceDue:
    """TrackerAnnouncer to itself: an interval or a backoff is over."""


@dataclass(frozen=True, slots=True)
class AnnounceTurn:
    """AnnounceGate to TrackerAnnouncer: this announce may begin."""

    number: int                                         # of the announce, counted by its announcer


@dataclass(frozen=True, slots=True)
class AnnounceEnded:
    """HttpTracker to TrackerAnnouncer: what the tracker said, or None and what went wrong."""

    number: int
    response: AnnounceResponse | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class GoodbyeOverdue:
    """TrackerAnnouncer to itself: `stopped` was not taken in time; go on without."""


# ── to DaemonLink ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class SendToDaemon:
    """Pass this message of protocol/daemon_messages.py on to the daemon; dropped (and logged) while there is none."""

    message: Any


@dataclass(frozen=True, slots=True)
class AttachTorrent:
    """This actor gets what the daemon says of this hash, DaemonReady now or when it is ready, and DaemonLost."""

    info_hash: bytes
    torrent: ActorRef


@dataclass(frozen=True, slots=True)
class DetachTorrent:
    """Nothing more of this hash."""

    info_hash: bytes


@dataclass(frozen=True, slots=True)
class LimitDials:
    """The daemon's own limits follow the broker's: as many connects under way as half-open ones, twice as many that wait.

    From ConnectionBroker to Session, which passes it on to every DaemonLink.
    """

    half_open: int


@dataclass(frozen=True, slots=True)
class DaemonSaid:
    """DaemonLink's reader to DaemonLink: what one read of the socket held. The next one comes when this one is handled."""

    generation: int                                     # of the process
    messages: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class DaemonEnded:
    """DaemonLink's reader to DaemonLink: end of file, or a frame that is none."""

    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class ShutDownDaemon:
    """End the daemon: by itself within `deadline` seconds, or killed. `done` is called when it is gone."""

    deadline: float
    done: Callable[[], None]


# ── to any actor ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Begin:
    """To itself from on_start, which must not do more than that."""


@dataclass(frozen=True, slots=True)
class Ping:
    """Asked by whoever started it: True once it has begun."""


# ── to Session ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class AddTorrent:
    """Add a torrent and, mostly, start it. Asked: returns True, or False when this hash is there already."""

    metainfo: Metainfo                                  # of a magnet link: protocol.metainfo.unknown_metainfo
    folder: str                                         # absolute
    source: str                                         # for messages: the name of the .torrent
    peers: tuple[PeerAddress, ...] = ()                 # by hand
    priority: str = "normal"
    start: bool = True                                  # False: it rests until StartTorrent
    resume: ResumeData | None = None                    # None: it is new; else it comes from the store
    reply_to: ActorRef | None = None                    # told instead of asked: gets CommandDone
    number: int = 0
    hints: tuple[PeerAddress, ...] = ()                 # peers that a magnet link names
    selected_files: tuple[int, ...] = ()                # … and indices of files (BEP 53); empty: all. Until the metadata is here: then `selection`
    selection: FileSelection = EVERYTHING               # which of its files, in which order


@dataclass(frozen=True, slots=True)
class MetadataKnown:
    """From TorrentActor: peers sent the metadata of a magnet link; from now on the torrent is one like any other."""

    info_hash: bytes
    metainfo: Metainfo                                  # whole, with the trackers of the link
    selection: FileSelection                            # what the link or the user chose of its files


@dataclass(frozen=True, slots=True)
class RemoveTorrent:
    """Stop it and forget it; the data stays, unless `delete_data`. `reply_to` gets CommandDone when all that is done."""

    info_hash: bytes
    delete_data: bool = False
    reply_to: ActorRef | None = None
    number: int = 0


@dataclass(frozen=True, slots=True)
class TorrentRemoved:
    """From DataRemoval: the files of a removed torrent are gone, or `error` says which are not."""

    info_hash: bytes
    error: str = ""


@dataclass(frozen=True, slots=True)
class ForTorrent:
    """Pass `message` on to the actor of this torrent. Answer: CommandDone when it is on its way, or that there is no such torrent."""

    info_hash: bytes
    message: Any
    reply_to: ActorRef
    number: int


@dataclass(frozen=True, slots=True)
class ForAnnouncer:
    """As ForTorrent, to the one that speaks to its trackers; it may have none."""

    info_hash: bytes
    message: Any
    reply_to: ActorRef
    number: int


@dataclass(frozen=True, slots=True)
class DescribeTorrent:
    """What does not change by itself. Answer: CommandDone with a snapshots.TorrentDescription."""

    info_hash: bytes
    reply_to: ActorRef
    number: int


@dataclass(frozen=True, slots=True)
class SetTorrentPriority:
    """How often it gets its turn: a key of PRIORITY_WEIGHTS. Answer: CommandDone."""

    info_hash: bytes
    priority: str
    reply_to: ActorRef
    number: int


@dataclass(frozen=True, slots=True)
class GetSettings:
    """Answer: CommandDone with the Settings."""

    reply_to: ActorRef
    number: int


@dataclass(frozen=True, slots=True)
class ChangeSettings:
    """Lay these over the settings, checked as a whole; all or nothing. Answer: CommandDone with the new Settings, or what is wrong."""

    values: tuple[tuple[str, Any], ...]                 # key, value of the right type
    reply_to: ActorRef
    number: int


@dataclass(frozen=True, slots=True)
class WebPageServed:
    """From WebLink: where the page is; `error` when it cannot be. `login_token` is '' once it was used."""

    host: str
    port: int
    login_token: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class PartsStarted:
    """The other actors that the session hands to its torrents; it comes before the first AddTorrent."""

    broker: ActorRef
    ui_feed: ActorRef
    daemons: tuple[ActorRef, ...]
    store: ActorRef | None = None                       # None: nothing is remembered


@dataclass(frozen=True, slots=True)
class StopAllTorrents:
    """The engine ends: stop every torrent; `done` is called when all have stopped fully."""

    done: Callable[[], None]


@dataclass(frozen=True, slots=True)
class ApplySettings:
    """Replace all settings as a whole."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class ActorFailed:
    """From EngineActor.on_failure: an actor died of an exception that nobody handled."""

    name: str
    error: str
    actor_urn: str


@dataclass(frozen=True, slots=True)
class TorrentStateChanged:
    """For whoever waits for the end: one of snapshots.TORRENT_STATES, with the error if that is one."""

    info_hash: bytes
    state: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class TorrentStoppedFully:
    """Answer to StopTorrent: data durable, tracker told (or its deadline passed)."""

    info_hash: bytes


@dataclass(frozen=True, slots=True)
class AnnouncerStopped:
    """Answer to StopAnnouncing."""

    info_hash: bytes


@dataclass(frozen=True, slots=True)
class DaemonListening:
    """From DaemonLink: where the daemon takes incoming connections; `error` when it cannot."""

    index: int
    host: str
    port: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class DialsObstructed:
    """From DaemonLink: what keeps the machine of this daemon from dialling anybody; an empty `reason`: it is gone."""

    index: int
    obstacle: str
    reason: str


# ── to ResumeStore ───────────────────────────────────────────────────────────────────────────────────────────────────────
# Facts that outlive the process. Each states a level: a newer one of the same kind and torrent replaces it.


@dataclass(frozen=True, slots=True)
class RememberTorrent:
    """From Session: this torrent is there, and that is what the user wants of it."""

    order: AddTorrent


@dataclass(frozen=True, slots=True)
class ForgetTorrent:
    """From Session: the user removed it. What is still said of it is not kept."""

    info_hash: bytes


@dataclass(frozen=True, slots=True)
class RememberPieces:
    """From TorrentActor: these pieces are durable, and so look the files."""

    info_hash: bytes
    verified: bytes                                     # bitfield
    recorded_at: int                                    # as dm.FilesSeen said
    is_settled: bool                                    # nothing is written until the next one of these
    files: tuple[FileState, ...]                        # whose state is another than was said before
    is_all: bool                                        # those that were said before are not there any more


@dataclass(frozen=True, slots=True)
class RememberTotals:
    """From TorrentActor: payload bytes, ever."""

    info_hash: bytes
    downloaded: int
    uploaded: int
    wasted: int


@dataclass(frozen=True, slots=True)
class RememberPeers:
    """From TorrentActor: peers worth trying after a restart, best first."""

    info_hash: bytes
    peers: tuple[PeerAddress, ...]


@dataclass(frozen=True, slots=True)
class RememberSettings:
    """From Session: the user changed these settings, and the engine took them."""

    values: tuple[tuple[str, Any], ...]                 # key, value


@dataclass(frozen=True, slots=True)
class LoadTorrents:
    """From whoever starts the engine, once: AddTorrent to Session for each torrent that is remembered, then `done`.

    That is called with what the user should know, and with '' or why nothing can be remembered.
    """

    done: Callable[[tuple[str, ...], str], None]


@dataclass(frozen=True, slots=True)
class FlushStore:
    """The engine ends: write what waits; `done` is called when it is written, or cannot be."""

    done: Callable[[], None]


@dataclass(frozen=True, slots=True)
class TorrentsRead:
    """From the store's thread: some of the remembered torrents; none when these were all."""

    orders: tuple[AddTorrent, ...]
    notices: tuple[str, ...]
    error: str = ""


@dataclass(frozen=True, slots=True)
class FactsWritten:
    """From the store's thread: what was given to it is written, or `error` says why not."""

    error: str = ""


@dataclass(frozen=True, slots=True)
class WriteDue:
    """ResumeStore to itself: facts have waited long enough."""


# ── to UIFeed ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class WatchTorrent:
    """Gather snapshots of this torrent while somebody looks."""

    info_hash: bytes
    torrent: ActorRef


@dataclass(frozen=True, slots=True)
class UnwatchTorrent:
    """It is gone."""

    info_hash: bytes


@dataclass(frozen=True, slots=True)
class GetView:
    """Asked by a viewer, at its own pace: returns snapshots.FeedView, and says that somebody looks."""

    peers_of: tuple[bytes, ...] = ()                    # info hashes of the torrents whose peers are looked at as well
    reply_to: ActorRef | None = None                    # told instead of asked: gets the FeedView itself


@dataclass(frozen=True, slots=True)
class GatherDue:
    """UIFeed to itself, at most twice a second and only while somebody looks."""


@dataclass(frozen=True, slots=True)
class TorrentChanged:
    """A new snapshot of this torrent would differ. Said once, then not again until a snapshot was taken: rest costs nothing."""

    info_hash: bytes


@dataclass(frozen=True, slots=True)
class SnapshotTaken:
    """A torrent's answer to GetTorrentSnapshot(reply_to=…)."""

    snapshot: TorrentSnapshot
    changes_with_time: bool = False                     # it says a time that passes by itself
    rows: PeerDifference | None = None                  # when they were asked for


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Somebody looks from now on. FeedDifference follows to `subscriber`, at most twice a second, each after FeedTaken of the one before.

    Repeated with the same number: it looks at something else, and has `from_version` of that.
    """

    subscriber: ActorRef
    number: int                                         # chosen by the subscriber
    peers_of: tuple[bytes, ...] = ()                    # info hashes of the torrents whose peers are looked at as well
    from_version: int = 0                               # what it has, of the same `peers_of`; 0 = nothing

    def __post_init__(self) -> None:
        if len(self.peers_of) > MAX_VIEWED_TORRENTS:
            raise ValueError(f"Subscribe.peers_of names {len(self.peers_of)} torrents, at most {MAX_VIEWED_TORRENTS}")


@dataclass(frozen=True, slots=True)
class FeedTaken:
    """The subscriber has applied the last difference. Until it says so it gets none, and costs nothing."""

    subscriber: ActorRef
    number: int


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """It looks no more."""

    subscriber: ActorRef
    number: int


# ── to WebLink ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class WebSaid:
    """WebLink's reader to WebLink: what one read of the socket held. The next one comes when this one is handled."""

    generation: int                                     # of the process
    messages: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class WebEnded:
    """WebLink's reader to WebLink: end of file, or a frame that is none."""

    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class LookDue:
    """WebLink to itself: viewers get what changed."""


@dataclass(frozen=True, slots=True)
class CommandDone:
    """Answer to a user's command: what it led to, or why it did not. `kind` is one of protocol.web_messages.KINDS, '' = done."""

    number: int
    kind: str = ""
    value: Any = None                                   # of a failed one: the sentence


@dataclass(frozen=True, slots=True)
class MetainfoRead:
    """From the thread that reads .torrents: what is in it, or None and what is wrong."""

    number: int
    metainfo: Metainfo | None
    error: str = ""
