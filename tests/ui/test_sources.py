"""SOURCE of a command that is a file or a magnet link; URLs: test_torrent_url.py."""

import pytest

from protocol.errors import MagnetError, MetainfoError, StorageError
from protocol.limits import MAX_METAINFO_BYTES
from ui.commands import sources


def test_a_magnet_link_says_that_it_comes_later():
    with pytest.raises(MagnetError, match="cannot be downloaded yet"):
        sources.read_metainfo("magnet:?xt=urn:btih:" + "a" * 40)


def test_an_empty_source_is_named_for_what_it_is():
    with pytest.raises(StorageError, match=r"^'': must name a \.torrent"):
        sources.read_metainfo("")


def test_a_file_that_is_too_large_is_not_read_whole(tmp_path):
    with open(tmp_path / "huge.torrent", "wb") as stream:
        stream.truncate(MAX_METAINFO_BYTES * 1000)
    with pytest.raises(MetainfoError, match="too large"):
        sources.read_metainfo(str(tmp_path / "huge.torrent"))
