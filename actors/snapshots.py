"""Values to show: what an actor is asked for and a viewer draws. Frozen, without behaviour, importable without pykka."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from protocol.metainfo import Metainfo

# Of a peer's row (spec §3)
QUEUED, CONNECTING, HANDSHAKING, CONNECTED, FAILED = "queued", "connecting", "handshaking", "connected", "failed"
PEER_STATES = (QUEUED, CONNECTING, HANDSHAKING, CONNECTED, FAILED)

# Of a torrent (spec §2)
STOPPED, CHECKING, METADATA, DOWNLOADING, SEEDING, ERROR = "stopped", "checking", "metadata", "downloading", "seeding", "error"
TORRENT_STATES = (STOPPED, CHECKING, METADATA, DOWNLOADING, SEEDING, ERROR)


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """Live figures of a connection."""

    client_name: str
    progress: float                                     # 0 to 1: what the peer has
    download_rate: int                                  # bytes per second
    upload_rate: int
    downloaded: int                                     # bytes
    uploaded: int
    flags: str                                          # D/d U/u I E O S X H, see spec §3
    num_requests: int
    incoming: bool


@dataclass(frozen=True, slots=True)
class SwarmPeerView:
    """The record of an address."""

    source: str
    attempts: int
    failures: int
    last_error: str
    next_try_in: float | None                           # seconds; None: now, or never (banned)
    ban_reason: str
    client_name: str
    downloaded: int
    uploaded: int


@dataclass(frozen=True, slots=True)
class DisplayPeer:
    """A row of the peer table, from the moment that the engine thinks of the peer."""

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


@dataclass(frozen=True, slots=True)
class FeedView:
    """What a viewer draws."""

    version: int                                        # grows when something differs
    torrents: tuple[TorrentSnapshot, ...]
    queue: ConnectionQueueStats | None
    age: float = 0.0                                    # seconds since all of this was true; infinite before the first gathering


@dataclass(frozen=True, slots=True)
class TorrentDescription:
    """What the session knows of a torrent and does not change by itself."""

    metainfo: Metainfo
    folder: str                                         # absolute
    source: str
    priority: str
