"""Bitfield and PieceLayout: pieces, blocks, files."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.bitfield import Bitfield
from protocol.errors import RemoteProtocolError
from protocol.piece_layout import FileSpan, PieceLayout, file_spans

KIB = 1 << 10
LAYOUTS = st.builds(PieceLayout, st.integers(1, 200_000), st.integers(1, 2_000_000))


def bitfield_of(num_pieces, indices):
    bitfield = Bitfield(num_pieces)
    for piece_index in indices:
        bitfield.add(piece_index)
    return bitfield


@given(st.integers(1, 70), st.data())
def test_a_bitfield_is_a_set_of_pieces_and_keeps_its_count(num_pieces, data):
    model, bitfield = set(), Bitfield(num_pieces)
    for piece_index, adds in data.draw(st.lists(st.tuples(st.integers(0, num_pieces - 1), st.booleans()), max_size=80)):
        if adds:
            assert bitfield.add(piece_index) == (piece_index not in model)
            model.add(piece_index)
        else:
            bitfield.discard(piece_index)
            model.discard(piece_index)
    assert (list(bitfield), bitfield.count, bitfield.is_complete) == (sorted(model), len(model), len(model) == num_pieces)
    assert list(bitfield.missing()) == sorted(set(range(num_pieces)) - model)
    assert Bitfield.from_bytes(bitfield.to_bytes(), num_pieces) == bitfield
    other = data.draw(st.sets(st.integers(0, num_pieces - 1)))
    assert bitfield.has_any_not_in(bitfield_of(num_pieces, other)) == bool(model - other)


@pytest.mark.parametrize("num_pieces", [1, 7, 8, 9, 1000])
def test_a_full_bitfield_has_all_pieces_and_no_spare_bits(num_pieces):
    full = Bitfield.full(num_pieces)
    assert list(full) == list(range(num_pieces))
    assert Bitfield.from_bytes(full.to_bytes(), num_pieces).is_complete


def test_piece_0_is_the_high_bit_of_the_first_byte():
    assert bitfield_of(10, [0, 9]).to_bytes() == b"\x80\x40"


@pytest.mark.parametrize(("data", "num_pieces", "named"), [
    (b"", 1, "0 bytes"), (b"\x00\x00", 8, "2 bytes"), (b"\x00", 9, "1 bytes"), (b"\x01", 7, "spare"), (b"\xff\x7f", 9, "spare"),
])
def test_a_bitfield_of_the_wrong_length_or_with_spare_bits_is_refused(data, num_pieces, named):
    with pytest.raises(RemoteProtocolError, match=named):
        Bitfield.from_bytes(data, num_pieces)


@pytest.mark.parametrize("piece_index", [9, 15, 16, 1 << 40])
def test_a_piece_that_is_not_there_cannot_be_added(piece_index):
    with pytest.raises(IndexError):
        Bitfield(9).add(piece_index)


@pytest.mark.parametrize(("piece_length", "total", "num_pieces", "last", "blocks_of_last"), [
    (16 * KIB, 16 * KIB, 1, 16 * KIB, 1), (16 * KIB, 16 * KIB + 1, 2, 1, 1), (32 * KIB, 100 * KIB, 4, 4 * KIB, 1), (64 * KIB, 120 * KIB, 2, 56 * KIB, 4),
    (1 << 20, 1, 1, 1, 1), (20_000, 50_000, 3, 10_000, 1),
])
def test_the_last_piece_and_the_last_block_may_be_shorter(piece_length, total, num_pieces, last, blocks_of_last):
    layout = PieceLayout(piece_length, total)
    assert (layout.num_pieces, layout.piece_size(num_pieces - 1), layout.num_blocks(num_pieces - 1)) == (num_pieces, last, blocks_of_last)


@given(LAYOUTS)
def test_pieces_and_blocks_add_up_to_the_torrent(layout):
    sizes = [layout.piece_size(piece_index) for piece_index in range(layout.num_pieces)]
    assert sum(sizes) == layout.total_length
    assert layout.last_piece_size == sizes[-1]
    for piece_index in {0, layout.num_pieces // 2, layout.num_pieces - 1}:
        blocks = [layout.block_size(piece_index, block_index) for block_index in range(layout.num_blocks(piece_index))]
        assert sum(blocks) == sizes[piece_index] and min(blocks) > 0 and max(blocks) <= 16 * KIB


@pytest.mark.parametrize(("piece_index", "begin", "length", "named"), [
    (-1, 0, 1, "piece -1"), (4, 0, 1, "piece 4"), (0, 0, 0, "0 bytes"), (0, -1, 5, "-1"), (0, 0, 1 << 18, "bytes"), (0, 32 * KIB, 1, "which has"), (0, 32 * KIB - 5, 6, "which has"),
    (3, 4 * KIB - 1, 2, "which has"), (1 << 31, 0, 1, "piece"),
])
def test_a_request_outside_the_torrent_is_refused(piece_index, begin, length, named):
    with pytest.raises(RemoteProtocolError, match=named):
        PieceLayout(32 * KIB, 100 * KIB).check_request(piece_index, begin, length)


def test_a_request_inside_is_allowed():
    layout = PieceLayout(32 * KIB, 100 * KIB)
    assert layout.check_request(3, 4 * KIB - 1, 1) == 3
    assert layout.check_request(0, 0, 32 * KIB) == 0


@dataclass(frozen=True)
class Placed:
    offset: int
    length: int


@given(st.lists(st.integers(0, 50), min_size=1, max_size=12), st.data())
def test_the_spans_of_a_range_are_its_bytes_in_order(lengths, data):
    files, content = [], []
    for number, length in enumerate(lengths):
        files.append(Placed(len(content), length))
        content += [(number, offset) for offset in range(length)]
    start = data.draw(st.integers(0, len(content)))
    length = data.draw(st.integers(0, len(content) - start))
    spans = list(file_spans(files, start, length))
    assert [(span.file_index, span.offset_in_file + place) for span in spans for place in range(span.length)] == content[start:start + length]
    assert all(span.length > 0 for span in spans)


def test_a_range_in_one_file_is_one_span():
    assert list(file_spans([Placed(0, 10), Placed(10, 90)], 20, 5)) == [FileSpan(1, 10, 5)]
