import pytest

from protocol import daemon_messages as dm
from protocol.daemon_frames import FrameReader
from protocol.errors import LocalProtocolError
from protocol.frame_outbox import FRAME_BYTES, FrameOutbox
from protocol.limits import MAX_FRAME_BYTES

HASH, OTHER = b"a" * 20, b"b" * 20


def outbox_with(*messages):
    outbox = FrameOutbox()
    for message in messages:
        outbox.add(message)
    return outbox


def read(data, allowed=dm.TO_ENGINE):
    reader = FrameReader(allowed)
    reader.receive_data(data)
    return list(reader.messages())


def sent(outbox, allowed=dm.TO_ENGINE):
    """All messages, in the order in which they go out."""
    messages = []
    while data := outbox.next_bytes():
        messages += read(data, allowed)
    return messages


def stats(downloaded, info_hash=HASH):
    return dm.TorrentStats(info_hash, downloaded, 0, 0, 0, 0, [])


def test_an_outbox_is_empty_until_something_waits_and_after_it_went_out():
    outbox = FrameOutbox()
    assert not outbox
    assert outbox.next_bytes() == b""
    outbox.add(dm.Dialled(HASH, 1, 0.1))
    assert outbox
    outbox.next_bytes()
    assert not outbox


def test_all_that_was_added_since_goes_out_as_one_frame():
    messages = [dm.Dialled(HASH, grant_id, 0.1) for grant_id in range(100)]
    assert read(outbox_with(*messages).next_bytes()) == messages


def test_everything_that_cannot_be_merged_is_kept_in_order():
    messages = [dm.Dialled(HASH, 1, 0.1), dm.DialFailed(HASH, 2, "refused", "", 0.1), dm.Listening("::1", 1), dm.Dialled(HASH, 1, 0.1)]
    assert sent(outbox_with(*messages)) == messages


def test_while_the_reader_is_slow_only_the_newest_statistics_of_a_torrent_are_kept():
    outbox = FrameOutbox()
    for count in range(1_000):
        outbox.add(stats(count))
        outbox.add(dm.CheckProgress(HASH, count))
        outbox.add(stats(count, OTHER))
    assert sent(outbox) == [stats(999), dm.CheckProgress(HASH, 999), stats(999, OTHER)]


def test_newer_statistics_keep_the_place_of_the_older_ones_so_that_their_turn_comes():
    dialled = dm.Dialled(HASH, 1, 0.1)
    assert sent(outbox_with(stats(1), dialled, stats(2))) == [stats(2), dialled]


def test_statistics_are_sent_again_after_they_went_out():
    outbox = outbox_with(stats(1))
    assert sent(outbox) == [stats(1)]
    outbox.add(stats(2))
    assert sent(outbox) == [stats(2)]


def test_while_the_reader_is_slow_verified_pieces_of_a_torrent_are_joined():
    outbox = FrameOutbox()
    for piece_index in range(3):
        outbox.add(dm.PiecesVerified(HASH, [piece_index]))
        outbox.add(dm.PiecesVerified(OTHER, [piece_index + 10]))
    assert sent(outbox) == [dm.PiecesVerified(HASH, [0, 1, 2]), dm.PiecesVerified(OTHER, [10, 11, 12])]


def test_the_lists_that_were_added_stay_as_they_are():
    first = dm.PiecesVerified(HASH, [1])
    outbox_with(first, dm.PiecesVerified(HASH, [2]))
    assert first.piece_indices == [1]


@pytest.mark.parametrize("between", [
    dm.TorrentChecked(HASH, b"\x80"), dm.TorrentStopped(HASH), dm.TorrentFailed(HASH, "no room"), dm.PieceFailed(HASH, 1, 1),
], ids=lambda message: type(message).__name__)
@pytest.mark.parametrize("kind", [dm.PiecesVerified, dm.PiecesDurable])
def test_pieces_never_pass_another_message_of_their_torrent(kind, between):
    messages = [kind(HASH, [1]), between, kind(HASH, [2])]
    assert sent(outbox_with(*messages)) == messages


def test_messages_of_another_torrent_do_not_keep_pieces_from_being_joined():
    stopped = dm.TorrentStopped(OTHER)
    assert sent(outbox_with(dm.PiecesVerified(HASH, [1]), stopped, dm.PiecesVerified(HASH, [2]))) == [dm.PiecesVerified(HASH, [1, 2]), stopped]


def test_durable_pieces_never_come_before_the_same_ones_as_verified():
    outbox = outbox_with(dm.PiecesDurable(HASH, [1]), dm.PiecesVerified(HASH, [2]), dm.PiecesDurable(HASH, [2]))
    assert sent(outbox) == [dm.PiecesVerified(HASH, [2]), dm.PiecesDurable(HASH, [1, 2])]


def test_a_long_queue_goes_out_in_portions_so_that_what_waits_can_still_be_merged():
    parts = [dm.MetadataPart(HASH, 1 << 30, offset << 16, bytes(1 << 16)) for offset in range(20)]
    outbox = outbox_with(*parts)
    frames = []
    while data := outbox.next_bytes():
        frames.append(data)
    assert all(FRAME_BYTES <= len(data) < FRAME_BYTES + (1 << 16) + 100 for data in frames[:-1])
    assert [part for data in frames for part in read(data, dm.TO_DAEMON)] == parts


def test_a_frame_is_never_longer_than_allowed_however_long_the_messages_are():
    parts = [dm.MetadataPart(HASH, 1 << 30, 0, bytes(size)) for size in (FRAME_BYTES - 100, MAX_FRAME_BYTES - 100, 1)]
    outbox = outbox_with(*parts)
    assert sent(outbox, dm.TO_DAEMON) == parts


def test_a_message_that_fits_into_no_frame_is_an_error_of_ours():
    with pytest.raises(LocalProtocolError, match="MetadataPart of 8388"):
        outbox_with(dm.MetadataPart(HASH, 1, 0, bytes(MAX_FRAME_BYTES))).next_bytes()
