from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import RemoteProtocolError
from protocol.piece_layout import FileSpan, PieceLayout, file_spans

KIB = 1 << 10
LAYOUTS = st.builds(PieceLayout, st.integers(1, 200_000), st.integers(1, 2_000_000))


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
