"""Values to show: what an actor is asked for and a viewer draws. Frozen, without behaviour, importable without pykka."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from protocol.metainfo import Metainfo

# Of a peer's row (spec §3)
QUEUED, CONNECTING, HANDSHAKING, CONNECTED, FAILED = "queued", "connecting", "handshaking", "connected", "failed"
PEER_STATES = (QUEUED, CONNECTING, HANDSHAKING, CONNECTED, FAILED)

# Of a torrent (spec §2)
STOPPED, CHECKING, METADATA, DOWNLOADING, SEEDING, ERROR = "stopped", "checking", "metadata", "downloading", "seeding", "error"
TORRENT_STATES = (STOPPED, CHECKING, METADATA, DOWNLOADING, SEEDING, ERROR)


class Row(msgspec.Struct, frozen=True, gc=False):
    """Base of what there are thousands of: ten times as cheap to make as a dataclass, and no work for the garbage collector."""


class ConnectionView(Row):
    """Live figures of a connection."""

    client_name: str
    progress: float                                     # 0 to 1: what the peer has, cut to 4 digits; 1 only when that is true
    download_rate: int                                  # bytes per second
    upload_rate: int
    downloaded: int                                     # bytes
    uploaded: int
    flags: str                                          # D/d U/u I E O S X H, see spec §3
    num_requests: int
    incoming: bool


class SwarmPeerView(Row):
    """The record of an address."""

    source: str
    attempts: int
    failures: int
    last_error: str
    next_try_in: float | None                           # seconds; None: now, or never (banned)
    ban_reason: str
    client_name: str
    downloaded: int                                     # over its life, this connection too
    uploaded: int


class AttemptView(Row):
    """An attempt that is over. Phases in seconds."""

    number: int                                         # of our dials at this address, from 1; 0 = it dialled us
    ended_at: float                                     # moment
    waited: float                                       # for a slot
    connecting: float
    handshaking: float
    connected: float                                    # how long the connection lasted; 0 = there was none
    outcome: str                                        # one of protocol.daemon_messages.OUTCOMES
    reason: str


class DisplayPeer(Row):
    """A row of the peer table, from the moment that the engine thinks of the peer.

    Moments (`…_at`) are seconds on the engine's monotonic clock; whatever carries rows tells what that shows `now`, so a page counts
    on by itself. Seconds are those at the time when the row was made.
    """

    key: str                                            # "ip:port", "[ipv6]:port"
    ip: str
    port: int
    state: str                                          # one of PEER_STATES
    since: float                                        # seconds in this state
    until: float | None                                 # seconds to the deadline or the next try
    attempt: int
    reason: str
    connection: ConnectionView | None
    swarm_peer: SwarmPeerView
    since_at: float = 0.0
    until_at: float | None = None
    # Phases of this round in seconds, of the last one while it is failed; the one that lasts counts on from `since_at`
    waited: float = 0.0                                 # for a slot
    connecting: float = 0.0
    handshaking: float = 0.0
    place: int = 0                                      # of the torrent's candidates, 1 is dialled next; 0: it is none, or further behind
    history: tuple[AttemptView, ...] = ()               # the newest last
    is_gone: bool = False                               # not counted: the row stays until it was shown for a second


class PeerDifference(Row):
    """What changed between two versions of a torrent's rows of peers."""

    from_version: int                                   # 0: these are all the rows
    to_version: int
    changed: tuple[DisplayPeer, ...] = ()               # new ones too
    moving: tuple[DisplayPeer, ...] = ()                # of these only the figures of the connection, and the bytes, changed
    removed: tuple[str, ...] = ()                       # keys


class DialView(Row):
    """A slot of the half-open board: a dial or its handshake under way. Moments as in DisplayPeer."""

    grant_id: int
    info_hash: bytes
    peer: str                                           # key of its row
    state: str                                          # CONNECTING or HANDSHAKING
    since_at: float                                     # in that state
    until_at: float                                     # when its timeout ends


class TorrentTurn(Row):
    """A torrent's part of the queue, for its row."""

    place: int                                          # in the ring, 1 is next; 0: it is not among the first, or asks for nothing
    pending: int
    half_open: int
    granted_last_minute: int
    lag: float                                          # see TorrentQueueStats
    waiting_since_at: float | None                      # moment; None: it does not wait


@dataclass(frozen=True, slots=True)
class TorrentSnapshot:
    """A torrent's row, and the rows of its peers when they were asked for."""

    info_hash: bytes
    name: str
    state: str                                          # one of TORRENT_STATES
    error: str
    total_bytes: int
    verified_bytes: int
    pieces_checked: int                                 # while checking
    num_pieces: int
    downloaded: int                                     # payload bytes of this run
    uploaded: int
    wasted: int
    download_rate: int
    upload_rate: int
    peers_by_state: dict[str, int]                      # each of PEER_STATES
    known_peers: int
    tracker_error: str
    why: str                                            # "why is it not connecting?"; '' when it need not or does
    peers: tuple[DisplayPeer, ...] = ()
    why_rule: str = ""                                  # the rule that says no: one of scheduler.refusal.RULES; '' = none does
    why_until: float | None = None                      # moment at which that ends by itself, as in DisplayPeer; None: it takes an event
    turn: TorrentTurn | None = None                     # from the broker; None: it has not told yet
    wanted_bytes: int = 0                               # of the pieces that the user wants, and of these the verified ones
    wanted_verified_bytes: int = 0


@dataclass(frozen=True, slots=True)
class TorrentQueueStats:
    """One torrent's part of ConnectionQueueStats."""

    pending: int
    half_open: int
    connected: int                                      # handshake complete, both directions
    granted: int                                        # since it was registered
    waiting_for: float                                  # seconds since it began to wait; 0 when it does not
    # The rule that says no now: rate, half_open, half_open_share, unanswered, router, global, torrent, retry (it declined), paused,
    # not_its_turn; '' when it asks for nothing
    binding: str
    why: str                                            # the same as a sentence
    is_finished: bool = False                           # it dials to give: 1 turn in 10
    granted_last_minute: int = 0
    share_last_minute: float = 0.0                      # of the grants of all torrents in that minute, 0 to 1
    lag: float = 0.0                                    # grants in that minute that were due to it less those it got; 0 is fair


@dataclass(frozen=True, slots=True)
class FlowStats:
    """New flows of one kind that are no dials: announces, `stopped` to trackers. Each kind has limits of its own in the profile."""

    rate_per_second: float
    burst: int
    under_way: int
    under_way_limit: int
    waiting: int
    begun: int                                          # since the start


@dataclass(frozen=True, slots=True)
class ConnectionQueueStats:
    """The broker's ledger and the limits, at one moment."""

    tokens: float
    burst: int
    rate_per_second: float                              # 0 = unlimited
    pending: int
    half_open: int
    half_open_limit: int
    leases: int                                         # granted, not yet started or declined
    connected: int                                      # both directions
    global_limit: int
    torrent_limit: int
    granted: int                                        # counters since the start
    connected_total: int                                # outgoing ones
    declined: dict[str, int]                            # by reason
    failed: dict[str, int]                              # by outcome; local_busy among them is this machine's fault, no peer's
    expired: int
    cancelled: int
    oldest_wait: float                                  # seconds
    paused: str                                         # reason, '' when not
    next_up: tuple[bytes, ...]                          # info hashes, who is next in the ring, at most 20
    torrents: dict[bytes, TorrentQueueStats] = field(default_factory=dict)
    incoming: int = 0                                   # of the connected ones
    unanswered: int = 0                                 # dials that a router has an entry for, see scheduler/router_memory.py
    unanswered_limit: int = 0
    pauses: tuple[str, ...] = ()                        # all reasons that hold now; `paused` is the same as a sentence
    granted_last_minute: int = 0
    highest_rate: float = 0.0                           # what `rate_per_second` and `half_open_limit` may rise to again, or be set to:
    highest_half_open: int = 0                          # … they are lower after overload, and in the profile auto
    slowdowns: int = 0                                  # how often overload halved them, since the start
    slowed_by: str = ""                                 # why the last time; '' = never
    slowed_before: float | None = None                  # seconds since then
    router_flows: int = 0                               # connections and dials that a router has entries for
    router_flows_limit: int = 0                         # of the profile auto; 0 = not limited as such
    idle_offered: int = 0                               # connections that may be closed when places are needed
    idle_closed: int = 0                                # since the start
    flows: dict[str, FlowStats] = field(default_factory=dict)   # by kind: announce, goodbye
    dials: tuple[DialView, ...] = ()                    # each half-open slot, in the order in which they began


@dataclass(frozen=True, slots=True)
class FeedView:
    """What a viewer draws."""

    version: int                                        # grows when something differs
    torrents: tuple[TorrentSnapshot, ...]
    queue: ConnectionQueueStats | None
    age: float = 0.0                                    # seconds since all of this was true; infinite before the first gathering
    now: float = 0.0                                    # what the engine's clock shows


@dataclass(frozen=True, slots=True)
class FeedDifference:
    """What changed between two versions of what a subscriber looks at. Applied to the first, it gives the second."""

    number: int                                         # of the subscription
    from_version: int                                   # 0: this is everything, what was known before is not needed
    to_version: int
    now: float                                          # what the engine's clock shows: moments in rows are on the same
    torrents: tuple[dict[str, Any], ...] = ()           # info_hash, and the fields of TorrentSnapshot that differ
    removed: tuple[bytes, ...] = ()                     # info hashes
    queue: dict[str, Any] = field(default_factory=dict)  # the fields of ConnectionQueueStats that differ, without `torrents`
    peers: dict[bytes, PeerDifference] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TorrentDescription:
    """What the session knows of a torrent and does not change by itself."""

    metainfo: Metainfo
    folder: str                                         # absolute
    source: str
    priority: str
