"""HTTP trackers: the URL of an announce and what may come back (BEP 3, 7, 23, 31).

Trackers are many and old, so the outer form is judged leniently and the inner strictly: keys may stand in any order, optional fields of a
wrong type count as absent, peers in a dictionary that have no usable address are left out. Repeated keys, compact peers that do not come
out even, or no interval that is a number at all are refused, and the error shows what came.
"""

import math
import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

from protocol.bencoding import decode
from protocol.errors import BencodeError, RemoteProtocolError, TrackerError
from protocol.limits import MAX_TRACKER_ID_BYTES, MAX_TRACKER_PEERS, MAX_TRACKER_RESPONSE_BYTES, MAX_TRACKER_TEXT_CHARS
from protocol.peer_address import COMPACT_V4_BYTES, COMPACT_V6_BYTES, PeerAddress, parse_compact_list

STARTED: Final = "started"
COMPLETED: Final = "completed"
STOPPED: Final = "stopped"
REGULAR: Final = ""                                     # an announce between events has none
EVENTS: Final = (REGULAR, STARTED, COMPLETED, STOPPED)

_SHOWN_CHARS: Final = 60                                # of an answer that is none, in the error


@dataclass(frozen=True, slots=True)
class AnnounceRequest:
    """What a tracker is told. Byte counts are those since `started`."""

    info_hash: bytes
    peer_id: bytes
    port: int
    uploaded: int
    downloaded: int
    left: int
    event: str = REGULAR
    key: str = ""                                       # tells the tracker that it is us when our address changes
    numwant: int | None = None
    tracker_id: bytes = b""                             # what the tracker gave us to send back

    def __post_init__(self) -> None:
        if self.event not in EVENTS:
            raise ValueError(f"AnnounceRequest.event is {self.event!r}, must be one of {', '.join(map(repr, EVENTS))}")


@dataclass(frozen=True, slots=True)
class AnnounceResponse:
    """What a tracker said. With a `failure` there is nothing else but `retry_in`."""

    interval: float | None = None                       # seconds until the next announce; None: it did not say
    min_interval: float | None = None
    peers: tuple[PeerAddress, ...] = ()
    tracker_id: bytes = b""
    warning: str = ""
    failure: str = ""
    retry_in: float | None = None                       # seconds; math.inf: never again (BEP 31)
    complete: int | None = None                         # seeds
    incomplete: int | None = None                       # leeches


def announce_url(base: str, request: AnnounceRequest) -> str:
    """Return the URL to GET. Bytes are percent-encoded one by one; a query that `base` has (a passkey) is kept, a fragment is not."""
    query = [
        ("info_hash", request.info_hash), ("peer_id", request.peer_id), ("port", request.port), ("uploaded", request.uploaded),
        ("downloaded", request.downloaded), ("left", request.left), ("compact", 1),
    ]
    optional = [("event", request.event), ("key", request.key), ("trackerid", request.tracker_id)]
    query += [(name, value) for name, value in optional if value]
    if request.numwant is not None:
        query.append(("numwant", request.numwant))
    base = base.partition("#")[0]
    joint = "" if base.endswith(("?", "&")) else "&" if "?" in base else "?"
    return base + joint + "&".join(f"{name}={quote(value if isinstance(value, bytes) else str(value), safe='')}" for name, value in query)


def tracker_name(url: str) -> str:
    """Return scheme, host and port: enough to know the tracker. The rest may hold a passkey, which belongs in no log."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "a tracker whose URL is none"
    return f"{parts.scheme}://{host}"


def one_line(text: str, most: int = MAX_TRACKER_TEXT_CHARS) -> str:
    """Text from outside as people may see it: what cannot be printed becomes a space, what is too long is cut."""
    shown = " ".join("".join(char if char.isprintable() else " " for char in text[:4 * most]).split())
    return shown if len(shown) <= most else shown[:most] + "…"


def parse_announce_response(data: bytes) -> AnnounceResponse:
    """Return what the tracker said. Raises TrackerError, which shows what came, for anything that is no answer to an announce."""
    try:
        answer = decode(data, max_bytes=MAX_TRACKER_RESPONSE_BYTES, require_sorted=False)
    except BencodeError as error:
        raise TrackerError(_not_an_answer(data, str(error))) from None
    if not isinstance(answer, dict):
        raise TrackerError(f"answered with {_KINDS[type(answer)]}, not a dictionary")
    if b"failure reason" in answer:
        return AnnounceResponse(failure=_text(answer[b"failure reason"]) or "it refused and gave no reason", retry_in=_retry_in(answer))
    return AnnounceResponse(
        interval=_interval(answer), min_interval=_count(answer, b"min interval"), peers=_peers(answer),
        tracker_id=_tracker_id(answer), warning=_text(answer.get(b"warning message", b"")),
        complete=_count(answer, b"complete"), incomplete=_count(answer, b"incomplete"),
    )


_KINDS: Final = {bytes: "a string", int: "a number", list: "a list"}


def _not_an_answer(data: bytes, error: str) -> str:
    if not data:
        return "answered with nothing"
    shown = one_line(data[:4 * _SHOWN_CHARS].decode("utf-8", errors="replace"), _SHOWN_CHARS)
    if data.lstrip()[:1] == b"<":
        return f"answered with HTML, not bencode: '{shown}'"
    return f"answered with something that is not bencode ({error}): '{shown}'"


def _text(value: Any) -> str:
    """Text for people: one line, bounded, whatever the tracker sent."""
    if not isinstance(value, bytes):
        return ""
    return one_line(value[:4 * MAX_TRACKER_TEXT_CHARS].decode("utf-8", errors="replace"))


def _count(answer: dict, key: bytes) -> int | None:
    value = answer.get(key)
    return value if isinstance(value, int) and value >= 0 else None


def _interval(answer: dict) -> int | None:
    value = answer.get(b"interval")
    if value is not None and not isinstance(value, int):
        raise TrackerError(f"interval is {_KINDS.get(type(value), 'a dictionary')}, must be a number")
    return _count(answer, b"interval")


def _retry_in(answer: dict) -> float | None:
    """BEP 31: minutes, or "never"."""
    value = answer.get(b"retry in")
    if value == b"never":
        return math.inf
    if isinstance(value, bytes) and re.fullmatch(rb"[0-9]{1,9}", value):
        value = int(value)
    return value * 60.0 if isinstance(value, int) and value >= 0 else None


def _tracker_id(answer: dict) -> bytes:
    value = answer.get(b"tracker id", b"")
    return value if isinstance(value, bytes) and len(value) <= MAX_TRACKER_ID_BYTES else b""


def _peers(answer: dict) -> tuple[PeerAddress, ...]:
    """Peers of both families, each once, at most MAX_TRACKER_PEERS; many of one family leave room for the other."""
    four = _peers_of(answer, b"peers", COMPACT_V4_BYTES)
    six = _peers_of(answer, b"peers6", COMPACT_V6_BYTES)
    four = four[:MAX_TRACKER_PEERS - min(len(six), MAX_TRACKER_PEERS // 2)]
    return tuple(dict.fromkeys(four + six))[:MAX_TRACKER_PEERS]


def _peers_of(answer: dict, key: bytes, size: int) -> list[PeerAddress]:
    value = answer.get(key, b"")
    if isinstance(value, bytes):
        try:
            return parse_compact_list(value[:MAX_TRACKER_PEERS * size + len(value) % size], size)
        except RemoteProtocolError as error:
            raise TrackerError(f"{key.decode()}: {error}") from None
    if isinstance(value, list):
        return [peer for entry in value[:MAX_TRACKER_PEERS] if (peer := _peer_from_dictionary(entry)) is not None]
    raise TrackerError(f"{key.decode()} is {_KINDS.get(type(value), 'a dictionary')}, must be a string or a list")


def _peer_from_dictionary(entry: Any) -> PeerAddress | None:
    """BEP 3 allows a host name as `ip`: nobody sends that, and names that others choose are not looked up."""
    if not isinstance(entry, dict):
        return None
    ip, port = entry.get(b"ip"), entry.get(b"port")
    if not isinstance(ip, bytes) or not isinstance(port, int):
        return None
    try:
        return PeerAddress(ip.decode("ascii"), port)
    except ValueError:
        return None
