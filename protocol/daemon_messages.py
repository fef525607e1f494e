"""What engine and I/O daemon say to each other. Each message is a msgpack array `[name, field, …]` in a frame (daemon_frames.py).

They are msgspec structs in array form: frozen, slotted, and `msgspec.convert` checks every type strictly in native code, which
dataclasses would need code of our own for. Times are durations in seconds, never moments: the two processes share no clock.
`connection_id` is given by the daemon and unique in its life; `grant_id` by the broker (0 = none). Addresses are text and port.
"""

from typing import Final

import msgspec


class DaemonMessage(msgspec.Struct, frozen=True, array_like=True, tag=True, forbid_unknown_fields=True):
    """Base of all messages; the class name is the name on the wire."""


# How an attempt ended (spec §1, AttemptEnded)
CONNECTED: Final = "connected"
REFUSED: Final = "refused"
TIMED_OUT: Final = "timed_out"
UNREACHABLE: Final = "unreachable"
HANDSHAKE_FAILED: Final = "handshake_failed"
CANCELLED: Final = "cancelled"
LOCAL_BUSY: Final = "local_busy"
OUTCOMES: Final = (CONNECTED, REFUSED, TIMED_OUT, UNREACHABLE, HANDSHAKE_FAILED, CANCELLED, LOCAL_BUSY)

# Reasons that the engine acts upon; any other reason is only shown
OWN_ADDRESS: Final = "own_address"                      # we dialled ourselves: never again
DUPLICATE_PEER: Final = "duplicate_peer"                # the same peer id is connected already
BOTH_SEEDS: Final = "both_seeds"                        # we have all pieces and so has it: nobody's fault
NO_ROUTE: Final = "no_route"                            # of an unreachable one: this machine knows no way there, nothing was sent
IDLE: Final = "idle"                                    # of no use to either side for long, closed by us to make room: nobody's fault


# ── engine → daemon ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Configure(DaemonMessage):
    """The first message. The daemon answers Listening or ListenFailed."""

    peer_id: bytes                                      # 20 bytes, of this engine
    listen_host: str
    listen_port: int                                    # 0 = any free one
    max_connects_under_way: int                         # beyond these two: local_busy
    max_connects_pending: int
    connect_timeout: float                              # at most; a Dial may ask for less
    handshake_timeout: float
    piece_buffer_bytes: int
    read_cache_bytes: int
    upload_slots: int
    max_pipeline_depth: int
    client_version: str                                 # `v` of the extension handshake
    idle_seconds: float = 300.0                         # neither side interested for so long: PeerIdle


class MetadataPart(DaemonMessage):
    """A part of a raw info dictionary, in order of `offset`. To the daemon: AddTorrent follows the last one. To the engine: peers sent it,
    and the hash of the whole is right.
    """

    info_hash: bytes
    total: int
    offset: int
    data: bytes


class FileState(msgspec.Struct, frozen=True, array_like=True):
    """How a file looked at one moment. Two that are equal: nobody wrote to it in between, as far as its file system tells."""

    file_index: int
    size: int
    changed_at: int                                     # its mtime: nanoseconds since 1970


class KnownFiles(DaemonMessage):
    """How the files looked when the pieces that the next AddTorrent calls verified were recorded; those without an entry were not there.

    What becomes of pieces in files that look otherwise now: daemon/existing_data.py.
    """

    info_hash: bytes
    recorded_at: int                                    # nanoseconds since 1970, as FilesSeen said
    is_settled: bool                                    # nothing was written after that: it was stopped, or complete
    files: list[FileState]


class FetchMetadata(DaemonMessage):
    """Only the info hash is known (a magnet link): take part in the swarm to get the metadata (BEP 9). Answer: MetadataPart … until it is whole.

    Its connections are held after that: they go on when AddTorrent and StartTorrent follow, and end with StopTorrent or RemoveTorrent.
    """

    info_hash: bytes


class AddTorrent(DaemonMessage):
    """Take this torrent. Existing data is checked, except pieces that `verified` names. Answer: TorrentChecked or TorrentFailed.

    The torrent then rests (no peers) until StartTorrent.
    """

    info_hash: bytes
    source: str                                         # for messages: name of the .torrent
    folder: str                                         # absolute download folder
    verified: bytes                                     # bitfield of pieces known to be right and durable; empty = none
    file_priorities: bytes = b""                        # as in SetFilePriorities, and so are the next two
    sequential: bool = False
    first_last_first: bool = False


class DeleteData(DaemonMessage):
    """Delete the files of a torrent that is not here (any more); MetadataParts came before. Answer: DataDeleted."""

    info_hash: bytes
    source: str
    folder: str


class SetFilePriorities(DaemonMessage):
    """The user wants these files from now on, in this order (scheduler/file_selection.py); at any time. No answer."""

    info_hash: bytes
    file_priorities: bytes                              # a byte a file: 0 skip, 1 low, 2 normal, 3 high; empty = all normal
    sequential: bool                                    # pieces in order instead of the rarest first
    first_last_first: bool                              # the first and last piece of each wanted file before the others


class StartTorrent(DaemonMessage):
    """Take part in the swarm: dials and incoming connections are welcome."""

    info_hash: bytes


class StopTorrent(DaemonMessage):
    """Close all connections, end all dials, make data durable; then answer TorrentStopped."""

    info_hash: bytes


class RemoveTorrent(DaemonMessage):
    """As StopTorrent, then forget it. The data stays, but for what is kept of skipped files if `delete_parts`."""

    info_hash: bytes
    delete_parts: bool = False                          # the user does not want the torrent any more


class CheckTorrent(DaemonMessage):
    """Check all data anew (only while stopped). Answer: TorrentChecked or TorrentFailed."""

    info_hash: bytes


class Dial(DaemonMessage):
    """Dial this peer once. Answers: Dialled, then PeerConnected; or DialFailed at any point."""

    info_hash: bytes
    grant_id: int
    ip: str
    port: int
    timeout: float


class ChangeDialTimeouts(DaemonMessage):
    """All dials of this torrent that are under way or wait get this timeout, from their first packet on; those over it end now."""

    info_hash: bytes
    timeout: float


class LimitDials(DaemonMessage):
    """Other limits of connects than Configure said. Those under way stay; what waits beyond a lowered limit goes on waiting."""

    max_connects_under_way: int
    max_connects_pending: int


class CancelDials(DaemonMessage):
    """End all dials and handshakes under way of this torrent: DialFailed(cancelled) for each; a late success is closed."""

    info_hash: bytes


class AcceptIncoming(DaemonMessage):
    """The broker has a place for it: finish the handshake. Answer: PeerConnected, or PeerDisconnected if it is gone."""

    info_hash: bytes
    connection_id: int
    grant_id: int


class RefuseIncoming(DaemonMessage):
    """Close it: no place, banned, stopped."""

    info_hash: bytes
    connection_id: int
    reason: str


class ClosePeer(DaemonMessage):
    """Close one connection. Answer: PeerDisconnected with this reason."""

    info_hash: bytes
    connection_id: int
    reason: str


class CloseIdlePeer(DaemonMessage):
    """Close it with the reason IDLE, unless it became useful since it was told idle (PeerIdle has said so then)."""

    info_hash: bytes
    connection_id: int


class Shutdown(DaemonMessage):
    """Make everything durable and end within `deadline` seconds."""

    deadline: float


# ── daemon → engine ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Listening(DaemonMessage):
    """Ready: peers may connect here."""

    host: str
    port: int


class ListenFailed(DaemonMessage):
    """The port cannot be had. Dials work all the same."""

    host: str
    port: int
    error: str


class DialsObstructed(DaemonMessage):
    """This machine cannot dial anybody: no network, no descriptors. Said again with an empty reason when that is over."""

    obstacle: str                                       # which one
    reason: str                                         # for people; '' = it is gone


class MetadataProgress(DaemonMessage):
    """At most twice a second, while metadata is fetched."""

    info_hash: bytes
    received: int                                       # bytes of the length of which most is here
    total: int                                          # 0: nobody has offered any
    num_peers: int                                      # that offer some


class MetadataFailed(DaemonMessage):
    """The whole had a wrong hash. It is fetched again; who lied is told by PeerBanned when that is certain."""

    info_hash: bytes
    num_peers: int                                      # that had sent parts of it


class CheckProgress(DaemonMessage):
    """At most twice a second."""

    info_hash: bytes
    pieces_checked: int


class TorrentChecked(DaemonMessage):
    """What is on disk and right: a bitfield."""

    info_hash: bytes
    verified: bytes


class FilesSeen(DaemonMessage):
    """How files look, said right before the TorrentChecked or PiecesDurable that it belongs to; not those of length 0 and padding."""

    info_hash: bytes
    seen_at: int                                        # nanoseconds since 1970
    is_all: bool                                        # those without an entry are not there
    files: list[FileState]


class TorrentStopped(DaemonMessage):
    """All connections are closed, what was written is durable."""

    info_hash: bytes


class DataDeleted(DaemonMessage):
    """Its files are gone, and the folders that are empty now. `error`: what is left, and why."""

    info_hash: bytes
    error: str


class TorrentFailed(DaemonMessage):
    """This machine's fault: no room, no permission, a path that cannot be made. The torrent has stopped."""

    info_hash: bytes
    error: str


class Dialled(DaemonMessage):
    """TCP is connected, the handshake is under way."""

    info_hash: bytes
    grant_id: int
    elapsed: float                                      # since its first packet: what timeouts are learned from


class DialFailed(DaemonMessage):
    """The end of an attempt that led to no peer."""

    info_hash: bytes
    grant_id: int
    outcome: str                                        # one of OUTCOMES
    reason: str                                         # for people, or one of the reasons above
    elapsed: float                                      # since Dial


class IncomingPeer(DaemonMessage):
    """Somebody dialled us and its half of the handshake is right: is there a place? Answer: AcceptIncoming or RefuseIncoming."""

    info_hash: bytes
    connection_id: int
    ip: str
    port: int
    peer_id: bytes


class PeerConnected(DaemonMessage):
    """The handshake is complete, in either direction."""

    info_hash: bytes
    connection_id: int
    grant_id: int
    ip: str
    port: int
    incoming: bool
    peer_id: bytes
    client_name: str
    elapsed: float                                      # since Dial; of an incoming one since it was accepted


class PeerNamed(DaemonMessage):
    """The extension handshake (BEP 10) told a better client name, or the port that an incoming peer listens on (0 = unknown)."""

    info_hash: bytes
    connection_id: int
    client_name: str
    listen_port: int
    our_ip: str = ""                                    # under which it sees us; '' = it did not say


class PeerIdle(DaemonMessage):
    """A connection has been of no use to either side for a while (Configure.idle_seconds), or is useful again."""

    info_hash: bytes
    connection_id: int
    idle_seconds: float | None                          # None: useful again


class PeerDisconnected(DaemonMessage):
    """A connection that was announced by PeerConnected or IncomingPeer is closed."""

    info_hash: bytes
    connection_id: int
    reason: str
    seconds: float                                      # how long it was connected
    downloaded: int                                     # payload bytes
    uploaded: int


class PeerBanned(DaemonMessage):
    """It sent bad data. Its connection is closed (PeerDisconnected comes too)."""

    info_hash: bytes
    connection_id: int
    ip: str
    port: int
    reason: str


class PiecesVerified(DaemonMessage):
    """Hash right, and written (not yet durable)."""

    info_hash: bytes
    piece_indices: list[int]


class PiecesDurable(DaemonMessage):
    """Since then synced to disk: may be kept as resume data."""

    info_hash: bytes
    piece_indices: list[int]


class PieceFailed(DaemonMessage):
    """Hash wrong; it will be downloaded again."""

    info_hash: bytes
    piece_index: int
    num_peers: int                                      # that had sent blocks of it


class PeerStats(msgspec.Struct, frozen=True, array_like=True):
    """Live figures of one connection."""

    connection_id: int
    num_pieces: int                                     # that the peer has
    download_rate: int                                  # bytes per second, payload
    upload_rate: int
    downloaded: int
    uploaded: int
    flags: str                                          # as in spec §3: D d U u O S
    num_requests: int                                   # outstanding to the peer


class TorrentStats(DaemonMessage):
    """At most twice a second, only of torrents with connections or with something new; a newer one replaces an unsent older one."""

    info_hash: bytes
    downloaded: int                                     # payload bytes since the daemon started
    uploaded: int
    wasted: int                                         # payload that was thrown away: duplicates, failed pieces
    download_rate: int
    upload_rate: int
    peers: list[PeerStats]


TO_DAEMON: Final = (
    Configure | MetadataPart | KnownFiles | AddTorrent | SetFilePriorities | DeleteData | StartTorrent | StopTorrent | RemoveTorrent | CheckTorrent | Dial | ChangeDialTimeouts
    | LimitDials | CancelDials | AcceptIncoming | RefuseIncoming | ClosePeer | CloseIdlePeer | Shutdown | FetchMetadata
)
TO_ENGINE: Final = (
    Listening | ListenFailed | DialsObstructed | CheckProgress | FilesSeen | TorrentChecked | TorrentStopped | TorrentFailed | DataDeleted | Dialled | DialFailed | IncomingPeer
    | PeerConnected | PeerNamed | PeerIdle | PeerDisconnected | PeerBanned | PiecesVerified | PiecesDurable | PieceFailed | TorrentStats
    | MetadataPart | MetadataProgress | MetadataFailed
)
