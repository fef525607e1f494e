import pytest

from actors import snapshots
from ui.terminal.live_table import state_text
from ui.terminal.summary import tracker_trouble

TROUBLE = "https://tracker.example: its name cannot be resolved"


def torrent(tracker_error: str = TROUBLE, state: str = snapshots.DOWNLOADING, connected: int = 0, why: str = "") -> snapshots.TorrentSnapshot:
    peers = dict.fromkeys(snapshots.PEER_STATES, 0) | {snapshots.CONNECTED: connected}
    return snapshots.TorrentSnapshot(
        info_hash=bytes(20), name="x", state=state, error="", total_bytes=9, verified_bytes=0, pieces_checked=0, num_pieces=1, downloaded=0, uploaded=0,
        wasted=0, download_rate=0, upload_rate=0, peers_by_state=peers, known_peers=0, tracker_error=tracker_error, why=why,
    )


@pytest.mark.parametrize(("torrents", "said"), [
    ((), ""), ((torrent(""),), ""), ((torrent(),), TROUBLE), ((torrent(), torrent(), torrent("")), f"{TROUBLE} (and the trackers of 1 more)"),
    ((torrent(connected=1),), ""), ((torrent(state=snapshots.SEEDING),), ""), ((torrent("a\x1b[2Jb"),), "a\\x1b[2Jb"),
], ids=["none", "well", "one", "two", "has-a-peer", "complete", "foreign"])
def test_who_downloads_from_nobody_is_told_what_the_trackers_say(torrents, said):
    assert tracker_trouble(torrents) == said


def test_a_row_says_why_a_torrent_does_not_connect_and_what_its_tracker_says():
    assert state_text(torrent(why="no peer is known")) == f"downloading: no peer is known; {TROUBLE}"
    assert state_text(torrent("", why="no peer is known")) == "downloading: no peer is known"
    assert state_text(torrent("")) == "downloading"
