import msgpack
import pytest

from protocol import daemon_messages as dm
from protocol.daemon_frames import FrameReader, encode_frames
from protocol.errors import LocalProtocolError
from protocol.limits import MAX_FRAME_BYTES

HASH, OTHER = b"a" * 20, b"b" * 20
SOME = [
    dm.Dialled(HASH, 7, 0.25), dm.TorrentStats(HASH, 1, 2, 3, 4, 5, [dm.PeerStats(1, 2, 3, 4, 5, 6, "D", 7)]), dm.PiecesVerified(HASH, [1, 2, 3]),
]


def read(data, portion=None, allowed=dm.TO_ENGINE):
    reader, messages = FrameReader(allowed), []
    for start in range(0, len(data), portion or len(data) or 1):
        reader.receive_data(data[start:start + (portion or len(data))])
        messages += reader.messages()
    return messages


def framed(*messages):
    body = msgpack.packb(list(messages))
    return len(body).to_bytes(4, "big") + body


@pytest.mark.parametrize("portion", [None, 1, 2, 3, 7])
def test_messages_come_out_as_they_went_in_however_the_bytes_are_split(portion):
    data = encode_frames(SOME) + encode_frames(SOME[:1])
    assert read(data, portion) == [*SOME, SOME[0]]


def test_an_empty_frame_holds_no_messages_and_the_next_one_is_read():
    assert read(framed() + framed(["Dialled", HASH, 1, 0.5])) == [dm.Dialled(HASH, 1, 0.5)]


def test_more_than_a_frame_takes_goes_out_in_several():
    parts = [dm.MetadataPart(HASH, 12 << 20, offset << 20, bytes(1 << 20)) for offset in range(12)]
    data = encode_frames(parts)
    assert int.from_bytes(data[:4], "big") <= MAX_FRAME_BYTES < len(data)
    assert read(data, 1 << 18, dm.TO_DAEMON) == parts


def test_a_message_that_fits_into_no_frame_is_an_error_of_ours():
    with pytest.raises(LocalProtocolError, match="a frame takes"):
        encode_frames([dm.MetadataPart(HASH, 1, 0, bytes(MAX_FRAME_BYTES))])


@pytest.mark.parametrize(("data", "named"), [
    (framed(["NoSuchMessage", HASH]), "NoSuchMessage"),
    (framed(["Dial", HASH, 1, "127.0.0.1", 1, 1.0]), "Dial"),                       # goes the other way only
    (framed(["Dialled", HASH, "7", 0.5]), "int"),
    (framed(["Dialled", HASH, 7]), "length"),
    (framed(["Dialled", HASH, 7, 0.5, 1]), "length"),
    (framed(["Dialled", "text", 7, 0.5]), "bytes"),
    (framed("Dialled"), "array"),
    (framed({"a": 1}), "frame of"),
    (b"\x00\x00\x00\x01\xc1", "frame of 1 bytes: FormatError"),
    (b"\x00\x00\x00\x02\x90\x90", "frame of 2 bytes: .+"),
    ((MAX_FRAME_BYTES + 1).to_bytes(4, "big"), "at most"),
], ids=["unknown-name", "wrong-direction", "wrong-type", "too-few", "too-many", "text-for-bytes", "no-array", "a-map", "no-msgpack", "tail", "too-long"])
def test_a_frame_that_is_not_exactly_right_is_refused_and_so_is_all_after_it(data, named):
    reader = FrameReader(dm.TO_ENGINE)
    reader.receive_data(data + bytes(8))
    with pytest.raises(LocalProtocolError, match=named):
        list(reader.messages())
    reader.receive_data(encode_frames(SOME))
    with pytest.raises(LocalProtocolError):
        list(reader.messages())
