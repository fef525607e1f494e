import socket
import time

import gevent
import gevent.event
import pytest

from daemon.engine_link import END_OF_FILE, EngineLink
from protocol import daemon_messages as dm
from protocol.daemon_frames import FrameReader, encode_frames
from protocol.limits import MAX_FRAME_BYTES

HASH = b"a" * 20
DEADLINE_SECONDS = 20


class DidNotCome(AssertionError):
    """What was waited for."""


class Engine:
    """The other end of a link, and what the daemon behind the link heard."""

    def __init__(self, handle=None):
        self.socket, ours = socket.socketpair()
        self.heard, self.ends, self.ended = [], [], gevent.event.Event()
        self.link = EngineLink(ours, handle or self.heard.append, self._end)
        self.link.start()
        self._ours = ours

    def _end(self, reason):
        self.ends.append(reason)
        self.ended.set()

    def send(self, *messages):
        self.socket.sendall(encode_frames(messages))

    def frames(self):
        """Yield the messages of one frame after another."""
        stream = self.socket.makefile("rb")
        while length := stream.read(4):
            reader = FrameReader(dm.TO_ENGINE)
            reader.receive_data(length + stream.read(int.from_bytes(length, "big")))
            yield list(reader.messages())

    def reason_of_the_end(self):
        assert self.ended.wait(DEADLINE_SECONDS)
        return self.ends[0]

    def close(self):
        self.socket.close()
        self.ended.wait(DEADLINE_SECONDS)
        self._ours.close()


@pytest.fixture
def engine():
    engine = Engine()
    with gevent.Timeout(DEADLINE_SECONDS, DidNotCome):
        yield engine
    engine.close()


def stats(downloaded):
    return dm.TorrentStats(HASH, downloaded, 0, 0, 0, 0, [dm.PeerStats(1, 2, 3, 4, 5, 6, "D", 7)] * 50)


def test_all_that_was_sent_in_one_turn_of_the_loop_is_one_frame(engine):
    messages = [dm.Dialled(HASH, grant_id, 0.1) for grant_id in range(50)]
    for message in messages:
        engine.link.send(message)
    assert next(engine.frames()) == messages


def test_what_the_engine_says_is_handed_on_in_order(engine):
    messages = [dm.CancelDials(HASH), dm.StartTorrent(HASH), dm.StopTorrent(HASH)]
    engine.send(*messages)
    engine.socket.shutdown(socket.SHUT_WR)
    engine.reason_of_the_end()
    assert engine.heard == messages


def test_an_engine_that_does_not_read_keeps_nobody_waiting_and_then_gets_the_newest_statistics(engine):
    num_rounds = 3_000
    for count in range(num_rounds):                     # 3 MB, more than the socket takes
        engine.link.send(stats(count))
        gevent.sleep(0)                                 # the writer has its turn
    assert not engine.link.flush(0)
    received = []
    for messages in engine.frames():
        received += messages
        if messages[-1].downloaded == num_rounds - 1:
            break
    assert len(received) < num_rounds / 2               # what the socket took, and then the newest
    assert engine.link.flush(DEADLINE_SECONDS)


def test_the_end_of_the_engine_is_told_once(engine):
    engine.socket.close()
    assert engine.reason_of_the_end() == END_OF_FILE
    engine.link.send(stats(1))
    assert not engine.link.flush(0)
    assert engine.ends == [END_OF_FILE]


@pytest.mark.parametrize(("data", "named"), [
    ((MAX_FRAME_BYTES + 1).to_bytes(4, "big"), "frame of"),
    (b"\0\0\0\x01\xc1", "frame of 1 bytes"),
    (encode_frames([dm.Dialled(HASH, 1, 0.1)]), "Dialled"),     # goes the other way only
])
def test_after_a_frame_that_is_wrong_the_two_do_not_go_on(engine, data, named):
    engine.socket.sendall(data)
    assert named in engine.reason_of_the_end()
    engine.send(dm.StartTorrent(HASH))
    gevent.sleep(0)
    assert engine.heard == []


def test_a_message_that_fits_into_no_frame_ends_the_link_instead_of_leaving_it_dumb(engine):
    engine.link.send(dm.TorrentChecked(HASH, bytes(MAX_FRAME_BYTES)))
    assert "a frame takes" in engine.reason_of_the_end()


def test_a_fault_in_a_handler_ends_the_link_instead_of_leaving_it_deaf(capfd):
    def handle(message):
        raise KeyError(message.info_hash)

    engine = Engine(handle)
    engine.send(dm.StartTorrent(HASH))
    assert "a fault of this client: KeyError" in engine.reason_of_the_end()
    engine.close()
    assert engine.ends == [engine.ends[0]]
    assert "Traceback" in capfd.readouterr().err


def test_timers_run_while_the_engine_says_much():
    handled, handled_when_due = [], []
    num_messages = 200

    def handle(message):
        handled.append(message)
        until = time.monotonic() + 0.001                # the work of a message, without a switch
        while time.monotonic() < until:
            pass

    engine = Engine(handle)
    engine.send(*[dm.StartTorrent(HASH)] * num_messages)
    gevent.spawn_later(0.01, lambda: handled_when_due.append(len(handled)))
    engine.socket.shutdown(socket.SHUT_WR)
    engine.reason_of_the_end()
    engine.close()
    assert len(handled) == num_messages
    assert handled_when_due and handled_when_due[0] < num_messages
