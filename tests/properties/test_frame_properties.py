"""Frames: what goes in comes out. The outbox: whoever reads slowly ends with the same knowledge as whoever reads at once."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from protocol import daemon_messages as dm
from protocol.daemon_frames import FrameReader, encode_frames
from protocol.errors import LocalProtocolError
from protocol.frame_outbox import FrameOutbox
from tests.properties.wire_streams import portions

HASHES = st.sampled_from([b"a" * 20, b"b" * 20])
PIECES = st.lists(st.integers(0, 7), min_size=1, max_size=4)
COUNTS = st.integers(0, (1 << 63) - 1)
SECONDS = st.floats(0, 1e9)
PEER_STATS = st.builds(dm.PeerStats, *[COUNTS] * 6, st.text(max_size=5), COUNTS)
CHANGES = st.one_of(
    st.builds(dm.PiecesVerified, HASHES, PIECES), st.builds(dm.PiecesDurable, HASHES, PIECES),
    st.builds(dm.TorrentChecked, HASHES, st.binary(min_size=1, max_size=1)), st.builds(dm.TorrentStopped, HASHES),
    st.builds(dm.TorrentStats, HASHES, *[COUNTS] * 5, st.lists(PEER_STATS, max_size=2)), st.builds(dm.CheckProgress, HASHES, COUNTS),
)
OTHERS = st.one_of(
    st.builds(dm.Dialled, HASHES, COUNTS, SECONDS), st.builds(dm.Listening, st.text(max_size=5), st.integers(0, 65_535)),
    st.builds(dm.DialFailed, HASHES, COUNTS, st.sampled_from(dm.OUTCOMES), st.text(max_size=9), SECONDS), st.builds(dm.PieceFailed, HASHES, COUNTS, COUNTS),
)
MESSAGES = st.lists(CHANGES | OTHERS, max_size=20)


def read(data, sizes):
    reader, messages = FrameReader(dm.TO_ENGINE), []
    for portion in portions(data, sizes):
        reader.receive_data(portion)
        messages += reader.messages()
    return messages


@given(MESSAGES, st.lists(st.integers(1, 50), min_size=1, max_size=5))
def test_messages_come_out_of_frames_as_they_went_in_however_these_are_split(messages, sizes):
    assert read(encode_frames(messages), sizes) == messages


@given(st.lists(CHANGES | OTHERS, min_size=1, max_size=5), st.data())
def test_a_frame_with_wrong_bytes_is_refused_as_our_fault_or_read_as_messages(messages, data):
    frames = bytearray(encode_frames(messages))
    for _ in range(data.draw(st.integers(1, 3))):
        frames[data.draw(st.integers(0, len(frames) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(LocalProtocolError):
        assert all(isinstance(message, dm.DaemonMessage) for message in read(bytes(frames), [len(frames)]))


@given(st.binary(max_size=60))
def test_any_frame_is_refused_as_our_fault_or_read(body):
    with contextlib.suppress(LocalProtocolError):
        read(len(body).to_bytes(4, "big") + body, [100])


class Reader:
    """What the engine knows after it read some messages."""

    def __init__(self):
        self.verified, self.durable, self.latest, self.events = {}, {}, {}, []

    def hear(self, message):
        match message:
            case dm.PiecesVerified(info_hash, piece_indices):
                self.verified.setdefault(info_hash, set()).update(piece_indices)
            case dm.PiecesDurable(info_hash, piece_indices):
                self.durable.setdefault(info_hash, set()).update(piece_indices)
            case dm.TorrentStats(info_hash) | dm.CheckProgress(info_hash):
                self.latest[type(message), info_hash] = message
            case dm.TorrentChecked(info_hash):          # what was known before is forgotten
                self.verified[info_hash], self.durable[info_hash] = {message.verified}, set()
                self.events.append(message)
            case _:
                self.events.append(message)

    def knows(self):
        return self.verified, self.durable, self.latest, self.events


@given(st.lists(CHANGES | OTHERS | st.just("send"), max_size=40))
def test_a_slow_reader_ends_with_the_same_knowledge_as_one_that_reads_at_once(steps):
    outbox, slow, quick = FrameOutbox(), Reader(), Reader()
    for step in [*steps, "send"]:
        if step == "send":
            while data := outbox.next_bytes():
                for message in read(data, [len(data)]):
                    slow.hear(message)
        else:
            outbox.add(step)
            quick.hear(step)
    assert slow.knows() == quick.knows()


@given(st.lists(st.tuples(st.sampled_from(["verify", "sync", "send"]), HASHES), max_size=40))
def test_a_piece_is_never_said_to_be_durable_before_it_is_said_to_be_verified(steps):
    """Pieces are verified in order of their numbers; at times all of them are synced."""
    outbox, fresh, said = FrameOutbox(), {b"a" * 20: [], b"b" * 20: []}, set()
    for number, (step, info_hash) in enumerate([*steps, ("send", b"")]):
        if step == "verify":
            outbox.add(dm.PiecesVerified(info_hash, [number]))
            fresh[info_hash].append(number)
        elif step == "sync":
            outbox.add(dm.PiecesDurable(info_hash, fresh[info_hash]))
            fresh[info_hash] = []
        else:
            data = outbox.next_bytes()
            for message in read(data, [len(data) or 1]):
                if isinstance(message, dm.PiecesVerified):
                    said.update(message.piece_indices)
                assert said.issuperset(message.piece_indices)
