"""SOURCE of a command that is a file or a magnet link; URLs: test_torrent_url.py."""

import pytest

from protocol.errors import MagnetError, MetainfoError, StorageError
from protocol.limits import MAX_METAINFO_BYTES
from ui.commands import sources

LINK = "magnet:?xt=urn:btih:" + "a" * 40


def test_a_magnet_link_tells_hash_name_trackers_and_peers():
    metainfo, hints, selected_files = sources.read_source(LINK + "&dn=x&tr=http://a/1&tr=udp://b:2&x.pe=127.0.0.1:5&x.pe=host:6&so=0,2-3")
    assert selected_files == (0, 2, 3)
    assert (metainfo.info.info_hash.hex(), metainfo.info.name, metainfo.tiers) == ("a" * 40, "x", (("http://a/1",), ("udp://b:2",)))
    assert [str(peer) for peer in hints] == ["127.0.0.1:5"]
    assert not metainfo.info.is_known


def test_where_all_of_a_torrent_is_needed_a_magnet_link_says_too_little():
    with pytest.raises(MagnetError, match="too little"):
        sources.read_metainfo(LINK)


def test_an_empty_source_is_named_for_what_it_is():
    with pytest.raises(StorageError, match=r"^'': must name a \.torrent"):
        sources.read_metainfo("")


def test_a_file_that_is_too_large_is_not_read_whole(tmp_path):
    with open(tmp_path / "huge.torrent", "wb") as stream:
        stream.truncate(MAX_METAINFO_BYTES * 1000)
    with pytest.raises(MetainfoError, match="too large"):
        sources.read_metainfo(str(tmp_path / "huge.torrent"))
