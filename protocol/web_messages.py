"""What engine and web process say to each other, in the frames of daemon_frames.py.

The web process knows nothing of torrents: a call carries the name of a command, the info hash that its path named, and the JSON that the
client sent; the engine answers with JSON that the web process hands on as it is. So the two need not agree on anything but this page.
Bodies longer than a frame go ahead in parts. `number` is given by the web process: of a call, or of a viewer's stream; unique in its life.
"""

from typing import Final

import msgspec

# What went wrong, by who can do something about it; the web process knows the HTTP status of each
BAD_REQUEST: Final = "bad_request"                      # the arguments make no sense
NOT_FOUND: Final = "not_found"                          # no such torrent, peer, call
CONFLICT: Final = "conflict"                            # it makes sense, but not now: it is there already, it is stopped
NOT_SUPPORTED: Final = "not_supported"                  # this version cannot do it
STORAGE: Final = "storage"                              # this machine's files
UNAVAILABLE: Final = "unavailable"                      # the engine does not answer, or has too much to do
INTERNAL: Final = "internal"                            # a fault of this client
KINDS: Final = (BAD_REQUEST, NOT_FOUND, CONFLICT, NOT_SUPPORTED, STORAGE, UNAVAILABLE, INTERNAL)

# Events of a viewer's stream
SNAPSHOT: Final = "snapshot"                            # everything
DIFFERENCE: Final = "difference"                        # what changed since the event before it


class WebMessage(msgspec.Struct, frozen=True, array_like=True, tag=True, forbid_unknown_fields=True):
    """Base of all messages; the class name is the name on the wire."""


# ── engine → web process ─────────────────────────────────────────────────────────────────────────────────────────────────


class ConfigureWeb(WebMessage):
    """The first message. Answer: WebListening or WebListenFailed."""

    host: str
    port: int                                           # 0 = any free one
    names: list[str]                                    # by which a browser may call it, besides IP addresses and localhost
    password: str                                       # '' = none: only those with the token may log in
    api_token: str                                      # for scripts, and for the login page
    login_token: str                                    # of the printed address; '' = it was used
    certificate: str                                    # file; '' = no TLS
    key: str                                            # file
    sessions: list[bytes]                               # SHA-256 of the cookies that are valid
    allow_private_urls: bool                            # a .torrent may be fetched from this machine and its networks


class BodyPart(WebMessage):
    """A part of the body of what follows under this number, in order; both ways."""

    number: int
    data: bytes


class Answer(WebMessage):
    """To a Call. The JSON is the parts before it and `body`; when `kind` is not '', it is the error's sentence as plain text."""

    number: int
    kind: str                                           # one of KINDS, '' = done
    body: bytes


class FeedEvent(WebMessage):
    """To a FeedSubscribe: the next event. No other follows before FeedTaken."""

    number: int
    name: str                                           # SNAPSHOT or DIFFERENCE
    event_id: str
    body: bytes                                         # JSON, with the parts before it


# ── web process → engine ─────────────────────────────────────────────────────────────────────────────────────────────────


class WebListening(WebMessage):
    """The page is served there."""

    host: str
    port: int


class WebListenFailed(WebMessage):
    """It cannot be."""

    error: str


class Call(WebMessage):
    """Do this. Answer: Answer."""

    number: int
    command: str
    info_hash: bytes                                    # 20 bytes; empty when it is about no torrent
    arguments: bytes                                    # JSON, empty = none
    data: bytes                                         # with the parts before it: the .torrent of an add


class FeedSubscribe(WebMessage):
    """Somebody looks. FeedEvents follow until FeedUnsubscribe."""

    number: int
    peers_of: list[bytes]                               # info hashes of the torrents whose peers are looked at as well
    last_event_id: str                                  # what he had before the connection broke, '' = nothing


class FeedTaken(WebMessage):
    """The viewer has the last event."""

    number: int


class FeedUnsubscribe(WebMessage):
    """He is gone."""

    number: int


class LoginTokenUsed(WebMessage):
    """The printed address has done its work: another web process must not take it again."""


class SessionOpened(WebMessage):
    """A browser logged in. Kept by the engine, so that the death of the web process logs nobody out."""

    digest: bytes


class SessionClosed(WebMessage):
    """It logged out, or made room."""

    digest: bytes


TO_WEB: Final = ConfigureWeb | BodyPart | Answer | FeedEvent
TO_ENGINE: Final = (
    WebListening | WebListenFailed | BodyPart | Call | FeedSubscribe | FeedTaken | FeedUnsubscribe | LoginTokenUsed | SessionOpened | SessionClosed
)
