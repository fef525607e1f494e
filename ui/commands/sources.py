"""SOURCE of a command: a .torrent file or an HTTP(S) URL of one → Metainfo. Every error names the source."""

from pathlib import Path

import gevent

from protocol.errors import MagnetError, MetainfoError, StorageError
from protocol.limits import MAX_METAINFO_BYTES
from protocol.magnet import parse_magnet
from protocol.metainfo import Metainfo, parse_metainfo
from protocol.version import USER_AGENT

URL_DEADLINE_SECONDS = 30.0
MAX_REDIRECTS = 5


def read_metainfo(source: str) -> Metainfo:
    """Raises MetainfoError, MagnetError or StorageError."""
    if source.lower().startswith("magnet:"):
        magnet = parse_magnet(source)
        raise MagnetError(f"{magnet.name or magnet.info_hash.hex()}: magnet links cannot be downloaded yet; give its .torrent")
    if source.startswith(("http://", "https://")):
        return parse_metainfo(fetch(source), source)
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


def fetch(url: str) -> bytes:
    """GET `url`, bounded in size and time. Raises MetainfoError."""
    import urllib3  # costs memory: only for those who use it

    pool = urllib3.PoolManager(retries=urllib3.Retry(redirect=MAX_REDIRECTS, connect=0, read=0))
    try:
        with gevent.Timeout(URL_DEADLINE_SECONDS, MetainfoError(f"{url}: did not come within {URL_DEADLINE_SECONDS:.0f} s")):
            response = pool.request("GET", url, preload_content=False, headers={"User-Agent": USER_AGENT})
            if response.status != 200:
                raise MetainfoError(f"{url}: the server answered {response.status} {response.reason}")
            data = response.read(MAX_METAINFO_BYTES + 1, decode_content=True)
    except urllib3.exceptions.HTTPError as error:
        raise MetainfoError(f"{url}: {error}") from None
    finally:
        pool.clear()
    if len(data) > MAX_METAINFO_BYTES:
        raise MetainfoError(f"{url}: is larger than {MAX_METAINFO_BYTES} bytes, too large for a .torrent")
    return data
