"""SIGKILL at random moments. The long run, with 200 torrents and 60 kills, is `python -m tests.soak.kills`."""

from tests.soak import kills


def test_a_client_that_is_killed_again_and_again_comes_back_with_everything_and_downloads_nothing_twice(tmp_path):
    report = kills.run(tmp_path, num_torrents=10, num_kills=8, seed=1, torrent_bytes=1 << 19, bytes_per_second=5e5, longest_wait=1.5, patience=60.0)
    assert report.kills.total() == 8
    assert report.known_at_kills > 0                    # or nothing could have been downloaded twice
    assert report.asked_again == 0
    assert report.stopped_in < kills.STOP_SECONDS
