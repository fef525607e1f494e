"""Every bound on what comes from outside, each with its reason. What users tune is in scheduler/settings.py."""

from typing import Final

BLOCK_BYTES: Final = 1 << 14                            # what every client requests, and all that most of them serve (BEP 3)

# Metainfo
MAX_METAINFO_BYTES: Final = 32 << 20                    # a .torrent of 2^20 pieces is 21 MiB; BEP 9 metadata is bounded by the same
MAX_BENCODE_DEPTH: Final = 100                          # real files nest 5 deep; an attacker nests 10^6 and exhausts the stack
MAX_BENCODE_TOKENS: Final = 3_000_000                   # values, keys and ends: 10 for each of MAX_FILES; decoded, one takes up to 60 bytes
MAX_PIECES: Final = 1 << 20                             # 4 TiB at 4 MiB a piece
MIN_PIECE_BYTES: Final = 1 << 14                        # smaller ones make more hash than data; BEP 52 has the same floor
MAX_PIECE_BYTES: Final = 1 << 26                        # 64 MiB: a piece must fit into memory until its hash is known
MAX_FILES: Final = 1 << 18                              # a quarter of a million files; each costs memory in two processes
MAX_TRACKERS: Final = 256                               # of one torrent, all tiers together; and of web seeds
MAX_URL_CHARS: Final = 2_000                            # of a tracker or web seed; servers refuse more than 8 KiB with our query
MAX_TEXT_CHARS: Final = 10_000                          # of a comment and the like, which is for people to read
MAX_CREATION_DATE: Final = 253_402_300_799              # seconds since 1970 at the end of the year 9999, the last that calendars know
MAX_COMPONENT_BYTES: Final = 255                        # of a file's or folder's name: what the file systems of the field take
MAX_PATH_BYTES: Final = 3_500                           # below PATH_MAX (4,096), with room for the download folder

# Magnet links
MAX_MAGNET_CHARS: Final = 1 << 16                       # a link with 256 trackers of 200 characters
MAX_MAGNET_PEERS: Final = 256                           # more are no hint any longer

# Metadata from peers (BEP 9)
METADATA_PIECE_BYTES: Final = 1 << 14                   # as BEP 9 has it
MAX_METADATA_PIECES: Final = MAX_METAINFO_BYTES // METADATA_PIECE_BYTES
MAX_METADATA_HEAD_BYTES: Final = 1 << 10                # of the dictionary before a piece; real ones are below 60 bytes
MAX_KEPT_METADATA_BYTES: Final = 2 * MAX_METAINFO_BYTES # of one torrent, all lengths that peers claim together
MAX_UNREQUESTED_METADATA: Final = 16                    # pieces that a peer may send unasked; an answer may cross a peer's change of plan
MAX_METADATA_SERVED: Final = 64                         # pieces that one peer gets in a minute, or the whole twice if that is more
MAX_LATE_HAVES: Final = 20_000                          # said to a peer that came before the metadata: 180 KB; beyond, it has to come again

# The wire
MAX_WIRE_MESSAGE_BYTES: Final = 1 + MAX_PIECES // 8     # the bitfield is the longest legal message
MAX_REQUEST_BYTES: Final = 1 << 17                      # 128 KiB: what the field's clients still serve
MAX_EXTENDED_HANDSHAKE_BYTES: Final = 1 << 15           # real ones are below 500 bytes
MAX_CLIENT_NAME_CHARS: Final = 64                       # what a table can show
MAX_PEER_REQUESTS: Final = 500                          # requests of one peer that wait for us; told to it as `reqq`
MAX_INCOMING_HANDSHAKES: Final = 64                     # under way; a new one ends the oldest, honest ones take one round trip
MAX_INCOMING_WAITING: Final = 256                       # handshakes that wait for the broker's answer
MAX_WAITING_MESSAGE_BYTES: Final = 1 << 20              # messages that a peer does not read: the longest one is 128 KiB
MAX_FAST_PIECES: Final = 64                             # allowed-fast and suggested pieces remembered of one peer (BEP 6 uses 10)

# Trackers
MAX_TRACKER_RESPONSE_BYTES: Final = 1 << 20             # 1 MiB is 170,000 compact peers
MAX_TRACKER_HTTP_BYTES: Final = 2 << 20                 # a response with head and framing: "100 Continue" and chunks can be endless
MAX_TRACKER_PEERS: Final = 1_000                        # taken from one answer; 50 are asked for
MAX_TRACKER_TEXT_CHARS: Final = 300                     # of a failure reason or a warning, as shown
MAX_TRACKER_ID_BYTES: Final = 1_000                     # it comes back in each of our URLs, and servers refuse those from 8 KiB on
MAX_TRACKER_REDIRECTS: Final = 5                        # real ones are http → https, or to a new host

# The peers that a torrent knows
MAX_SWARM_PEERS: Final = 2_000                          # of one torrent: 40 times what it connects to; about 1 KiB each
MAX_BANNED_ADDRESSES: Final = 1_000                     # of one torrent, the oldest is forgotten: each cost us a bad piece
MAX_OWN_ADDRESSES: Final = 64                           # at which we were reached by ourselves: interfaces and mapped ports
MAX_ADDRESS_VOTES: Final = 50                           # hosts of one scope that said how they see us; the newest, for addresses change

MAX_REMEMBERED_PEERS: Final = 50                        # of one torrent, over a restart: as many as it connects to at once

MAX_SETTINGS_FILE_BYTES: Final = 1 << 20                # forty lines are all there can be; the rest may be comments

# Between processes
MAX_FRAME_BYTES: Final = 8 << 20                        # one frame of many messages
METADATA_PART_BYTES: Final = 4 << 20                    # an info dictionary crosses in parts that fit into a frame
BODY_PART_BYTES: Final = 4 << 20                        # a longer body of a call or an answer crosses in parts that fit into a frame

# The page and its API
MAX_API_BODY_BYTES: Final = 32 << 20                    # of a request: the largest .torrent
MAX_API_ARGUMENT_BYTES: Final = 1 << 20                 # JSON without a .torrent in it: priorities of 100,000 files
MAX_API_CALLS: Final = 64                               # under way in the engine; one takes milliseconds
MAX_API_UPLOADS: Final = 4                              # bodies above MAX_API_ARGUMENT_BYTES under way: 128 MiB at most
MAX_API_PEERS: Final = 1_000                            # added by hand in one call
MAX_WEB_CONNECTIONS: Final = 128                        # of browsers and scripts; the next ones wait in the kernel
MAX_WEB_VIEWERS: Final = 32                             # streams of events at once; each costs the engine a comparison twice a second
MAX_VIEWED_TORRENTS: Final = 16                         # whose peers one viewer looks at
MAX_WEB_HEADER_BYTES: Final = 1 << 15                   # of a request, with its first line; browsers send 2 KiB
MAX_WEB_SESSIONS: Final = 64                            # logged-in browsers; the oldest makes room
MAX_WEB_URL_CHARS: Final = 8_000                        # of a request's path and query, as servers usually have it
