"""Every odd .torrent file is read, every bad one refused in one line that names the file, the key and the fault."""

import pytest

from protocol.errors import MetainfoError
from protocol.metainfo import Metainfo, parse_metainfo
from tests.fuzz.torrent_files import BAD, DATA, ODD

FOLDERS = {"bad_torrents": BAD, "odd_torrents": ODD}
CASES = [(folder, torrent) for folder, torrents in FOLDERS.items() for torrent in torrents]


def stored(folder: str, torrent: str) -> bytes:
    return (DATA / folder / f"{torrent}.torrent").read_bytes()


def read_in(metainfo: Metainfo) -> dict[str, object]:
    info = metainfo.info
    files = [file for file in info.files if not file.padding]
    return {
        "name": info.name, "paths": ["/".join(file.path) for file in files], "offsets": [file.offset for file in files], "private": info.private,
        "is_hybrid": info.is_hybrid, "is_single_file": info.is_single_file, "num_pieces": info.layout.num_pieces,
        "last_piece_size": info.layout.last_piece_size, "tiers": metainfo.tiers, "num_trackers": sum(map(len, metainfo.tiers)),
        "web_seeds": metainfo.web_seeds, "comment": metainfo.comment, "created_by": metainfo.created_by, "creation_date": metainfo.creation_date,
    }


@pytest.mark.parametrize("torrent", BAD)
def test_a_bad_torrent_is_refused_in_one_line_that_names_file_and_fault(torrent):
    with pytest.raises(MetainfoError) as refused:
        parse_metainfo(stored("bad_torrents", torrent), f"{torrent}.torrent")
    said = str(refused.value)
    assert said.startswith(f"{torrent}.torrent: ") and BAD[torrent][1] in said
    assert said.isprintable() and len(said) < 300


@pytest.mark.parametrize("torrent", ODD)
def test_an_odd_torrent_is_read(torrent):
    expected = ODD[torrent][1]
    found = read_in(parse_metainfo(stored("odd_torrents", torrent), torrent))
    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize(("folder", "torrent"), CASES)
def test_a_stored_torrent_is_what_the_table_says(folder, torrent):
    assert stored(folder, torrent) == FOLDERS[folder][torrent][0], "python -m tests.fuzz.torrent_files writes them"


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_stored_torrent_is_without_its_row(folder):
    assert {file.name for file in (DATA / folder).iterdir()} == {f"{torrent}.torrent" for torrent in FOLDERS[folder]}
