"""SOURCE of a command: a .torrent file, an HTTP(S) URL of one, or a magnet link → Metainfo. Every error names the source."""

import re
from pathlib import Path
from typing import NamedTuple

from protocol.errors import MagnetError, MetainfoError, StorageError
from protocol.limits import MAX_METAINFO_BYTES
from protocol.magnet import parse_magnet
from protocol.metainfo import Metainfo, parse_metainfo, unknown_metainfo
from protocol.peer_address import PeerAddress
from ui.fetching.torrent_url import SCHEMES, fetch, without_login

A_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def is_magnet(source: str) -> bool:
    """It says that it is one."""
    return source.lower().startswith("magnet:")


class Source(NamedTuple):
    """What is known of a torrent; of a magnet link that is little, but it may name peers and choose files (by index)."""

    metainfo: Metainfo
    hints: tuple[PeerAddress, ...] = ()
    selected_files: tuple[int, ...] = ()


def read_source(source: str) -> Source:
    """Raises as `read_metainfo`."""
    if not is_magnet(source):
        return Source(read_metainfo(source))
    magnet = parse_magnet(source)
    metainfo = unknown_metainfo(magnet.info_hash, magnet.name, magnet.trackers, magnet.web_seeds)
    return Source(metainfo, magnet.peer_addresses, magnet.selected_files)


def read_metainfo(source: str) -> Metainfo:
    """All that is in it. Raises MetainfoError, MagnetError or StorageError."""
    if is_magnet(source):
        magnet = parse_magnet(source)
        raise MagnetError(f"{magnet.name or magnet.info_hash.hex()}: a magnet link says too little for that; give its .torrent")
    if url := A_URL.match(source):
        if url[1].lower() not in SCHEMES:
            raise MetainfoError(f"{source}: only http:// and https:// URLs of a .torrent can be fetched, not {url[1]}://")
        return parse_metainfo(fetch(source), without_login(source))
    if not source:                                      # mostly a shell variable that is not set; Path would take it for "."
        raise StorageError("'': must name a .torrent file or its URL")
    return parse_metainfo(read_bounded(Path(source)), source)


def read_bounded(path: Path) -> bytes:
    """The file's bytes. Raises StorageError when it cannot be read, MetainfoError when it is too large to be a .torrent."""
    try:
        with open(path, "rb") as stream:
            data = stream.read(MAX_METAINFO_BYTES + 1)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from None
    if len(data) > MAX_METAINFO_BYTES:
        raise MetainfoError(f"{path}: is larger than {MAX_METAINFO_BYTES} bytes, too large for a .torrent")
    return data
