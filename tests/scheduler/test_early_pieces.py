"""What a peer says of its pieces before their number is known: kept small, judged later."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.bitfield import Bitfield
from protocol.errors import RemoteProtocolError
from protocol.limits import MAX_PIECES
from scheduler.early_pieces import EarlyPieces


def pieces(bitfield: Bitfield | None) -> list[int] | None:
    return None if bitfield is None else list(bitfield)


@pytest.mark.parametrize(("said", "num_pieces", "has"), [
    ([], 9, None), ([("have_all",)], 9, list(range(9))), ([("have_none",)], 9, []), ([("have", 0), ("have", 8), ("have", 8)], 9, [0, 8]),
    ([("bitfield", b"\x80\x80")], 9, [0, 8]), ([("bitfield", b"\x80\x00"), ("have", 3)], 9, [0, 3]), ([("have", 3), ("bitfield", b"\x80\x00")], 9, [0]),
    ([("have_none",), ("have", 1)], 9, [1]), ([("have_all",), ("have", 1)], 2, [0, 1]), ([("bitfield", b"\x80\x00"), ("have_all",)], 9, list(range(9))),
])
def test_what_it_has_is_its_last_word_and_the_pieces_since(said, num_pieces, has):
    early = EarlyPieces()
    for name, *arguments in said:
        getattr(early, name)(*arguments)
    assert pieces(early.resolve(num_pieces)) == has


@pytest.mark.parametrize(("said", "named"), [
    ([("bitfield", b"\x80")], "bitfield of 1 bytes"), ([("bitfield", b"\x80\x01")], "spare bits"), ([("have", 9)], "the torrent has 9"),
    ([("have_all",), ("have", 12)], "the torrent has 9"), ([("have", MAX_PIECES - 1)], "the torrent has 9"),
])
def test_what_does_not_fit_the_torrent_is_refused_once_its_pieces_are_known(said, named):
    early = EarlyPieces()
    for name, *arguments in said:
        getattr(early, name)(*arguments)
    with pytest.raises(RemoteProtocolError, match=named):
        early.resolve(9)


def test_a_piece_that_no_torrent_has_is_refused_at_once():
    with pytest.raises(RemoteProtocolError, match="no torrent"):
        EarlyPieces().have(MAX_PIECES)


@given(st.sets(st.integers(0, 199)), st.sets(st.integers(0, 199)))
def test_a_bitfield_and_news_make_their_union(first, then):
    early, whole = EarlyPieces(), Bitfield(200)
    for piece_index in first:
        whole.add(piece_index)
    early.bitfield(whole.to_bytes())
    for piece_index in then:
        early.have(piece_index)
    assert set(early.resolve(200)) == first | then
