import gevent
import pytest

from actors import messages as m
from actors.daemon_link import LAST_RESTART_SECONDS, DaemonLink
from protocol import daemon_messages as dm
from tests.actors.pump import RecordingLog, RecordingRef, VirtualTime, pump

HASH, OTHER = b"a" * 20, b"b" * 20
CONFIGURE = dm.Configure(b"p" * 20, "127.0.0.1", 0, 30, 60, 10.0, 10.0, 1 << 25, 1 << 24, 8, 500, "test")


@pytest.fixture
def link():
    """An unstarted DaemonLink whose process is never started: what a daemon would say is put in by hand."""
    time = VirtualTime()
    session, log = RecordingRef(), RecordingLog()
    link = DaemonLink(session, 0, CONFIGURE, clock=time.clock, call_later=time.call_later, log=log)
    link.session, link.log, link.time = session, log, time
    return link


def tell(link, *messages):
    for message in messages:
        link.actor_ref.tell(message)
    pump(link)


def says(link, *messages, generation=0):
    tell(link, m.DaemonSaid(generation, messages))


def test_a_torrent_that_is_attached_before_the_daemon_listens_hears_when_it_is_ready(link):
    torrent = RecordingRef()
    tell(link, m.AttachTorrent(HASH, torrent))
    assert torrent.messages == []
    says(link, dm.Listening("127.0.0.1", 6881))
    assert [ready.port for ready in torrent.take(m.DaemonReady)] == [6881]


def test_a_torrent_that_is_attached_later_hears_it_at_once(link):
    says(link, dm.Listening("127.0.0.1", 6881))
    torrent = RecordingRef()
    tell(link, m.AttachTorrent(HASH, torrent))
    assert [ready.port for ready in torrent.take(m.DaemonReady)] == [6881]


def test_what_the_daemon_says_of_a_hash_reaches_its_torrent_and_no_other(link):
    torrent, other = RecordingRef(), RecordingRef()
    tell(link, m.AttachTorrent(HASH, torrent), m.AttachTorrent(OTHER, other))
    said = dm.Dialled(HASH, 1, 0.5)
    says(link, said, dm.Dialled(b"unknown" * 3, 2, 0.5))
    assert torrent.messages == [said]
    assert other.messages == []


def test_a_detached_torrent_hears_nothing_more(link):
    torrent = RecordingRef()
    tell(link, m.AttachTorrent(HASH, torrent), m.DetachTorrent(HASH))
    says(link, dm.Dialled(HASH, 1, 0.5))
    assert torrent.messages == []


def test_what_an_earlier_process_said_late_is_not_heard(link):
    torrent = RecordingRef()
    tell(link, m.AttachTorrent(HASH, torrent))
    says(link, dm.Dialled(HASH, 1, 0.5), generation=7)
    assert torrent.messages == []


def test_a_torrent_whose_actor_is_dead_disturbs_nobody(link):
    dead, alive = RecordingRef(), RecordingRef()
    dead.is_dead = True
    tell(link, m.AttachTorrent(HASH, dead), m.AttachTorrent(OTHER, alive))
    says(link, dm.Dialled(HASH, 1, 0.5), dm.Dialled(OTHER, 2, 0.5))
    assert len(alive.messages) == 1


def test_a_port_that_cannot_be_had_is_told_to_the_session_and_dials_go_on(link):
    torrent = RecordingRef()
    tell(link, m.AttachTorrent(HASH, torrent))
    says(link, dm.ListenFailed("127.0.0.1", 80, "permission denied"))
    assert [change.error for change in link.session.take(m.DaemonListening)] == ["permission denied"]
    assert [ready.port for ready in torrent.take(m.DaemonReady)] == [0]


def test_the_reader_may_go_on_only_when_its_batch_was_handled(link):
    assert not link._handled.is_set()
    says(link, dm.Listening("127.0.0.1", 6881))
    assert link._handled.is_set()


def test_a_real_daemon_that_is_killed_is_started_again_on_its_port_with_a_growing_backoff():
    """The real process: DaemonLost after SIGKILL, DaemonReady from the next one, on the same port."""
    torrent, session = Mailbox(), Mailbox()
    link = DaemonLink.start(session, 0, CONFIGURE, log=RecordingLog())
    try:
        link.tell(m.AttachTorrent(HASH, torrent))
        port = torrent.wait_for(m.DaemonReady).port
        link._actor_weakref()._process.kill()
        torrent.wait_for(m.DaemonLost)
        assert torrent.wait_for(m.DaemonReady).port == port
        done = gevent.event.Event()
        process = link._actor_weakref()._process
        link.tell(m.ShutDownDaemon(5.0, done.set))
        assert done.wait(10)
        assert process.poll() == 0
    finally:
        link.stop()


def test_the_backoff_is_bounded(link):
    link._restarts = 50
    link._restart_later()
    assert link.time.timers == [LAST_RESTART_SECONDS]


class Mailbox(RecordingRef):
    """Waits for what it is told."""

    def __init__(self):
        super().__init__()
        self._news = gevent.event.Event()

    def tell(self, message):
        super().tell(message)
        self._news.set()

    def wait_for(self, kind):
        with gevent.Timeout(20, AssertionError(f"{kind.__name__} did not come, only {self.messages}")):
            while True:
                self._news.clear()
                if taken := self.take(kind):
                    return taken[0]
                self._news.wait()


def test_other_limits_of_dials_reach_the_daemon_and_the_one_after_it(link):
    sent = []
    link._send_to_daemon = sent.append
    tell(link, m.LimitDials(100))
    assert sent == [dm.LimitDials(100, 200)]
    assert (link._configure.max_connects_under_way, link._configure.max_connects_pending) == (100, 200)
