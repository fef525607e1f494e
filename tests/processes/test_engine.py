"""Engine and Session with their real actors and a real daemon, in this process."""

import gevent
import gevent.event
import pytest

from actors import messages as m
from actors import snapshots
from actors.engine import Engine
from protocol.metainfo import parse_metainfo
from protocol.peer_address import PeerAddress
from scheduler.settings import settings_from
from tests.processes.evenswarm_process import EventDidNotCome
from tests.processes.fake_peer import FakePeer, stop_all
from tests.processes.torrent_files import make_torrent


class Changes:
    """What the session tells whoever runs the engine."""

    def __init__(self):
        self.seen = []
        self._news = gevent.event.Event()

    def __call__(self, change):
        self.seen.append(change)
        self._news.set()

    def wait_for(self, state, info_hash, after=0):
        """Return how many changes there were when this torrent came to this state."""
        with gevent.Timeout(20, False):
            while True:
                self._news.clear()
                for number, change in enumerate(self.seen[after:], after):
                    if isinstance(change, m.TorrentStateChanged) and (change.state, change.info_hash) == (state, info_hash):
                        return number + 1
                self._news.wait()
        raise EventDidNotCome(f"{state} did not come, only {self.seen[after:]}")


@pytest.fixture
def changes():
    return Changes()


@pytest.fixture
def engine(changes):
    with Engine(settings_from({"listen_host": "127.0.0.1", "offline": True}), changes) as engine:
        yield engine


def order_of(torrent, folder, *peers):
    metainfo = parse_metainfo(torrent.path.read_bytes(), torrent.path.name)
    return m.AddTorrent(metainfo, str(folder), torrent.path.name, tuple(PeerAddress(peer.ip, peer.port) for peer in peers))


def snapshot_of(engine, info_hash):
    return next((torrent for torrent in engine.view().torrents if torrent.info_hash == info_hash), None)


def test_a_torrent_downloads_and_then_seeds(tmp_path, engine, changes):
    torrent = make_torrent(tmp_path, 500_000)
    peer = FakePeer(torrent.info_hash, torrent.data, torrent.piece_length).start()
    engine.add(order_of(torrent, tmp_path, peer))
    changes.wait_for(snapshots.SEEDING, torrent.info_hash)
    stop_all([peer])
    assert (tmp_path / torrent.name).read_bytes() == torrent.data


def test_the_same_torrent_is_taken_once(tmp_path, engine, changes):
    torrent = make_torrent(tmp_path, 1000)
    assert engine.add(order_of(torrent, tmp_path))
    assert not engine.add(order_of(torrent, tmp_path))


def test_an_actor_that_failed_is_made_anew_and_the_torrent_goes_on(tmp_path, engine, changes):
    torrent = make_torrent(tmp_path, 500_000)
    engine.add(order_of(torrent, tmp_path))
    before = changes.wait_for(snapshots.DOWNLOADING, torrent.info_hash)
    engine.session._actor_weakref()._torrents[torrent.info_hash].actor.tell("no message of ours")     # an unknown message is a bug: the actor dies of it
    changes.wait_for(snapshots.DOWNLOADING, torrent.info_hash, after=before)


def test_a_removed_torrent_leaves_its_data_and_can_be_added_again(tmp_path, engine, changes):
    torrent = make_torrent(tmp_path, 500_000)
    (tmp_path / torrent.name).write_bytes(torrent.data)
    engine.add(order_of(torrent, tmp_path))
    before = changes.wait_for(snapshots.SEEDING, torrent.info_hash)
    engine.session.tell(m.RemoveTorrent(torrent.info_hash))
    assert engine.add(order_of(torrent, tmp_path))
    changes.wait_for(snapshots.SEEDING, torrent.info_hash, after=before)
    assert (tmp_path / torrent.name).read_bytes() == torrent.data


def test_live_settings_reach_the_broker(tmp_path, engine):
    engine.session.tell(m.ApplySettings(settings_from({"profile": "weak-router"})))
    stats = None
    with gevent.Timeout(10, EventDidNotCome("the broker did not hear of it")):
        while stats is None or stats.half_open_limit != 15:
            stats = engine.broker.ask(m.GetConnectionQueueStats(), timeout=5)
    assert (stats.rate_per_second, stats.burst) == (5.0, 10)


def test_several_daemons_share_the_torrents(tmp_path, changes):
    with Engine(settings_from({"listen_host": "127.0.0.1", "offline": True, "daemons": 2}), changes) as engine:
        assert len({address.port for address in engine.addresses}) == 2
        torrents = [make_torrent(tmp_path, 1000 + number, name=f"{number}.bin") for number in range(4)]
        for torrent in torrents:
            engine.add(order_of(torrent, tmp_path))
            changes.wait_for(snapshots.DOWNLOADING, torrent.info_hash)
        used = [entry.daemon_index for entry in engine.session._actor_weakref()._torrents.values()]
        assert sorted(used) == [0, 0, 1, 1]


def test_a_view_shows_every_torrent_and_the_queue(tmp_path, engine, changes):
    torrent = make_torrent(tmp_path, 500_000)
    engine.add(order_of(torrent, tmp_path))
    changes.wait_for(snapshots.DOWNLOADING, torrent.info_hash)
    with gevent.Timeout(10, EventDidNotCome("the feed shows no torrent")):
        while (seen := snapshot_of(engine, torrent.info_hash)) is None or engine.view().queue is None:
            gevent.idle()
    assert (seen.name, seen.state, seen.total_bytes) == (torrent.name, snapshots.DOWNLOADING, 500_000)
