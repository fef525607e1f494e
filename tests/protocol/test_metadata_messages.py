import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import RemoteProtocolError
from protocol.limits import MAX_METADATA_HEAD_BYTES, MAX_METADATA_PIECES, MAX_METAINFO_BYTES, METADATA_PIECE_BYTES
from protocol.metadata_messages import (
    MetadataData,
    MetadataReject,
    MetadataRequest,
    build_metadata_message,
    metadata_piece,
    num_metadata_pieces,
    parse_metadata_message,
)


@pytest.mark.parametrize(("payload", "message"), [
    (b"d8:msg_typei0e5:piecei0ee", MetadataRequest(0)), (b"d8:msg_typei2e5:piecei7ee", MetadataReject(7)),
    (b"d8:msg_typei1e5:piecei0e10:total_sizei3eexxx", MetadataData(0, 3, b"xxx")),
    (b"d8:msg_typei0e5:piecei3e4:turni9ee", MetadataRequest(3)),
])
def test_the_messages_of_bep_9_are_read_and_unknown_keys_passed_over(payload, message):
    assert parse_metadata_message(payload) == message


@pytest.mark.parametrize("payload", [b"d8:msg_typei3ee", b"d8:msg_typei-1e5:piecei0ee", b"d8:msg_typei77e5:piece1:xe", b"d8:msg_typei9eewith a tail"])
def test_a_kind_that_bep_9_does_not_know_is_ignored(payload):
    assert parse_metadata_message(payload) is None


@pytest.mark.parametrize(("payload", "named"), [
    (b"", "middle of a value"), (b"x", "unexpected"), (b"le", "no dictionary"), (b"i0e", "no dictionary"), (b"de", "msg_type is missing"),
    (b"d8:msg_type1:0e", "msg_type is no integer"), (b"d8:msg_typei0ee", "piece is missing"), (b"d8:msg_typei0e5:piece1:0e", "piece is no integer"),
    (b"d8:msg_typei0e5:piecei-1ee", "piece -1"), (f"d8:msg_typei0e5:piecei{MAX_METADATA_PIECES}ee".encode(), "piece 2048"),
    (b"d8:msg_typei0e5:piecei0eex", "1 bytes after"), (b"d8:msg_typei2e5:piecei0eexx", "2 bytes after"),
    (b"d8:msg_typei1e5:piecei0eexx", "total_size is missing"), (b"d8:msg_typei1e5:piecei0e10:total_sizei0ee", "total_size is 0"),
    (b"d8:msg_typei1e5:piecei0e10:total_sizei-5ee", "total_size is -5"),
    (f"d8:msg_typei1e5:piecei0e10:total_sizei{MAX_METAINFO_BYTES + 1}eex".encode(), "total_size is 33554433"),
    (b"d8:msg_typei1e5:piecei1e10:total_sizei3eexxx", "piece 1 of metadata of 3 bytes"),
    (b"d8:msg_typei1e5:piecei0e10:total_sizei3eexx", "has 2, must have 3"), (b"d8:msg_typei1e5:piecei0e10:total_sizei3eexxxx", "has 4, must have 3"),
    (b"d" * 200, "key"), (b"d1:a" * 200, "nested deeper"), (bytes(MAX_METADATA_HEAD_BYTES + METADATA_PIECE_BYTES + 1), "at most"),
])
def test_what_is_no_message_of_bep_9_is_refused_with_the_reason(payload, named):
    with pytest.raises(RemoteProtocolError, match=f"^ut_metadata.*{named}"):
        parse_metadata_message(payload)


@given(st.integers(0, MAX_METADATA_PIECES - 1))
def test_requests_and_rejects_come_back_as_they_were_built(piece_index):
    for message in (MetadataRequest(piece_index), MetadataReject(piece_index)):
        assert parse_metadata_message(build_metadata_message(message)) == message


@given(st.integers(1, 5 * METADATA_PIECE_BYTES))
def test_pieces_put_together_are_the_metadata_and_each_is_a_message_that_is_read(size):
    metadata = bytes(number * 7 & 255 for number in range(size))
    pieces = [metadata_piece(metadata, piece_index) for piece_index in range(num_metadata_pieces(size))]
    assert b"".join(piece.data for piece in pieces) == metadata
    assert [parse_metadata_message(build_metadata_message(piece)) for piece in pieces] == pieces


@given(st.binary(max_size=80) | st.lists(st.sampled_from([b"d", b"e", b"8:msg_type", b"i1e", b"i0e", b"5:piece", b"10:total_size", b"xx"]), max_size=9).map(b"".join))
def test_any_bytes_are_read_or_refused(payload):
    with contextlib.suppress(RemoteProtocolError):
        parse_metadata_message(payload)
