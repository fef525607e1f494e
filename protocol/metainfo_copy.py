"""A .torrent of our own for one that was added: what a client needs to have it again, and where it was to go.

The info dictionary goes in byte for byte. Beside the keys that all clients know (BEP 3, 12, 19) there is `evenswarm`, a dictionary with
the wishes of the user; other clients skip it. What the original had beyond that (signatures, keys of other programs) is not kept.
"""

from dataclasses import dataclass
from typing import Final

from protocol.bencoding import decode_with_spans, encode
from protocol.errors import BencodeError
from protocol.metainfo import Metainfo

OURS: Final = b"evenswarm"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user wanted of a torrent."""

    folder: bytes                                       # as the file system has it
    source: str                                         # for messages: what it was added from
    priority: str
    start: bool
    file_priorities: bytes = b""                        # one byte a file; empty: all alike
    sequential: bool = False
    first_last_first: bool = False


def metainfo_copy(metainfo: Metainfo, wishes: Wishes) -> bytes:
    """The bytes of our own .torrent. Its info hash is that of `metainfo`."""
    before: dict[bytes, object] = {}
    if metainfo.tiers:
        before[b"announce"] = _bytes(metainfo.tiers[0][0])
        before[b"announce-list"] = [[_bytes(url) for url in tier] for tier in metainfo.tiers]
    if metainfo.comment:
        before[b"comment"] = _bytes(metainfo.comment)
    if metainfo.created_by:
        before[b"created by"] = _bytes(metainfo.created_by)
    if metainfo.creation_date is not None:
        before[b"creation date"] = metainfo.creation_date
    before[OURS] = {
        b"file priorities": wishes.file_priorities, b"first and last first": int(wishes.first_last_first), b"folder": wishes.folder,
        b"priority": _bytes(wishes.priority), b"sequential": int(wishes.sequential), b"source": _bytes(wishes.source), b"start": int(wishes.start),
    }
    after = {b"url-list": [_bytes(url) for url in metainfo.web_seeds]} if metainfo.web_seeds else {}
    return b"".join((encode(before)[:-1], b"4:info", metainfo.info.raw, encode(after)[1:]))     # keys in their order: … < info < url-list


def wishes_of(data: bytes) -> Wishes | None:
    """What the user wanted, if `data` is one of our .torrents; None if it is somebody else's, or no .torrent."""
    try:
        top = decode_with_spans(data, source="")[0]
    except BencodeError:
        return None
    ours = top.get(OURS) if isinstance(top, dict) else None
    if not isinstance(ours, dict):
        return None
    texts = [ours.get(key) for key in (b"folder", b"source", b"priority", b"file priorities")]
    switches = [ours.get(key) for key in (b"start", b"sequential", b"first and last first")]
    if not all(isinstance(text, bytes) for text in texts) or not texts[0] or not all(switch in (0, 1) for switch in switches):
        return None
    folder, source, priority, file_priorities = texts
    start, sequential, first_last_first = map(bool, switches)
    return Wishes(folder, source.decode("utf-8", "replace"), priority.decode("utf-8", "replace"), start, file_priorities, sequential, first_last_first)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
