"""The window of requested blocks, against a plain list of them."""

from hypothesis import given
from hypothesis import strategies as st

from daemon.arriving_piece import ArrivingPiece
from daemon.piece_buffers import PieceBuffer
from daemon.request_window import RequestWindow
from protocol.limits import BLOCK_BYTES
from protocol.peer_messages import PIECE_HEADER_BYTES, expected_piece_headers
from protocol.piece_layout import PieceLayout

LAYOUT = PieceLayout(8 * BLOCK_BYTES, 20 * BLOCK_BYTES + 5)     # pieces of 8, 8 and 5 blocks, the last one of 5 bytes


def arriving(piece_index: int) -> ArrivingPiece:
    return ArrivingPiece(LAYOUT, piece_index, PieceBuffer(LAYOUT.piece_length))


def request(window: RequestWindow, piece: ArrivingPiece, first: int, count: int, in_place: bool = True) -> None:
    window.append(piece, first, count, expected_piece_headers(LAYOUT, piece.index, first, count), in_place)


def blocks_of(window: RequestWindow) -> list[tuple[int, int]]:
    return [(run.piece.index, block) for run in window for block in range(run.first, run.end)]


def forecast_blocks(window: RequestWindow, most: int = 64) -> list[bytes]:
    """The headers that are expected, one by one."""
    places, headers = window.forecast(most)
    assert len(headers) == len(places) * PIECE_HEADER_BYTES
    return [headers[start:start + PIECE_HEADER_BYTES] for start in range(0, len(headers), PIECE_HEADER_BYTES)]


def header(piece_index: int, block: int) -> bytes:
    return expected_piece_headers(LAYOUT, piece_index, block, 1)


def test_the_forecast_is_what_was_requested_in_order_across_pieces():
    window, first, second = RequestWindow(), arriving(0), arriving(1)
    request(window, first, 6, 2)
    request(window, second, 0, 3)
    assert forecast_blocks(window) == [header(0, 6), header(0, 7), header(1, 0), header(1, 1), header(1, 2)]
    assert forecast_blocks(window, most=3) == [header(0, 6), header(0, 7), header(1, 0)]
    places, _ = window.forecast(64)
    assert [place.obj is first.buffer for place in places] == [True, True, False, False, False]


def test_the_forecast_ends_before_a_block_that_must_not_be_received_in_place():
    window, first, second = RequestWindow(), arriving(0), arriving(1)
    request(window, first, 0, 2)
    request(window, second, 0, 2, in_place=False)
    assert forecast_blocks(window) == [header(0, 0), header(0, 1)]
    window.advance(2)
    assert window.forecast(64) == ([], b"")


def test_the_forecast_ends_with_the_short_block_at_the_end_of_the_torrent():
    window, last, first = RequestWindow(), arriving(2), arriving(0)
    request(window, last, 3, 2)
    request(window, first, 0, 1)
    places, headers = window.forecast(64)
    assert [len(place) for place in places] == [BLOCK_BYTES, 5]
    assert len(headers) == 2 * PIECE_HEADER_BYTES


def test_after_a_block_out_of_order_the_one_requested_after_it_is_expected():
    window, piece = RequestWindow(), arriving(0)
    request(window, piece, 0, 8)
    assert window.take(0, 3).piece is piece
    assert forecast_blocks(window)[0] == header(0, 4)
    assert [(run.first, run.end) for run in window.skipped()] == [(0, 3)]


def test_what_was_skipped_is_expected_again_after_the_last_request():
    window, piece = RequestWindow(), arriving(0)
    request(window, piece, 0, 8)
    window.take(0, 5)
    window.advance(2)
    assert forecast_blocks(window)[0] == header(0, 0)
    assert window.skipped() == []


def test_a_rejected_block_before_the_expected_one_changes_nothing_for_that_one():
    window, piece = RequestWindow(), arriving(0)
    request(window, piece, 0, 8)
    window.take(0, 5)
    assert window.discard(0, 2)
    assert forecast_blocks(window)[0] == header(0, 6)
    assert not window.discard(0, 2)


@given(st.data())
def test_the_window_holds_exactly_the_blocks_that_a_plain_list_would(data):
    window, pieces, model = RequestWindow(), [arriving(0), arriving(1), arriving(2)], []
    for _ in range(data.draw(st.integers(0, 30))):
        step = data.draw(st.sampled_from(["request", "advance", "take", "discard"]))
        if step == "request":
            piece = data.draw(st.sampled_from(pieces))
            first = data.draw(st.integers(0, len(piece.blocks) - 1))
            count = data.draw(st.integers(1, len(piece.blocks) - first))
            run = [(piece.index, block) for block in range(first, first + count)]
            if not any(block in model for block in run):
                request(window, piece, first, count)
                model += run
        elif step == "advance":
            expected = len(window.forecast(64)[0])
            for received in window.advance(data.draw(st.integers(0, expected))):
                for block in range(received.first_block, received.first_block + received.num_blocks):
                    model.remove((received.piece.index, block))
        elif model:
            block = data.draw(st.sampled_from(model))
            assert (window.take(*block) is not None) if step == "take" else window.discard(*block)
            model.remove(block)
        assert sorted(blocks_of(window)) == sorted(model)
        assert window.num_blocks == len(model)
        assert bool(window.forecast(64)[0]) == bool(model)
    assert sorted((run.piece.index, block) for run in window.clear() for block in range(run.first, run.end)) == sorted(model)
    assert window.num_blocks == 0
