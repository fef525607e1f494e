"""What the commands of the API take: one struct each, checked by msgspec. Its sentences name the key: "Expected `bool` - at `$.data`"."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from protocol.limits import MAX_API_PEERS, MAX_MAGNET_CHARS, MAX_PATH_BYTES, MAX_TEXT_CHARS

Folder = Annotated[str, Meta(min_length=1, max_length=MAX_PATH_BYTES)]
Priority = Literal["high", "normal", "low"]
Peers = Annotated[list[Annotated[str, Meta(max_length=60)]], Meta(max_length=MAX_API_PEERS)]     # "ip:port", "[ipv6]:port"
Sentence = Annotated[str, Meta(min_length=1, max_length=200)]


class Arguments(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Base of all: what nobody knows is refused, so that a misspelt key is noticed."""


class Nothing(Arguments):
    """It takes none."""


class Add(Arguments):
    """POST /api/torrents, besides the .torrent itself."""

    folder: Folder | None = None
    priority: Priority = "normal"
    start: bool = True
    peers: Peers = []
    source: Annotated[str, Meta(max_length=MAX_TEXT_CHARS)] = "the .torrent"     # what messages call it
    magnet: Annotated[str, Meta(max_length=MAX_MAGNET_CHARS)] | None = None


class Change(Arguments):
    """PATCH of a torrent."""

    priority: Priority


class Remove(Arguments):
    """DELETE of a torrent."""

    data: bool = False                                  # its files, too


class AddPeers(Arguments):
    """Peers by hand."""

    peers: Annotated[Peers, Meta(min_length=1)]


class OnePeer(Arguments):
    """To ban and unban: by address."""

    peer: Annotated[str, Meta(max_length=60)]           # "ip:port", "[ipv6]:port"
    reason: Sentence = "banned by you"


class Pause(Arguments):
    """Of connecting."""

    reason: Sentence = "you paused it"


class Resume(Arguments):
    """Without a reason: all pauses end, those that the client made itself, too."""

    reason: Sentence | None = None


def decode(body: bytes, kind: type[Any]) -> Any:
    """JSON → `kind`; an empty body is an empty object. Raises ValueError with a sentence."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:      # ValidationError is one
        raise ValueError(str(error)) from None
    except RecursionError:
        raise ValueError("JSON is nested too deep") from None
