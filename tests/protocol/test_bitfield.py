import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.bitfield import Bitfield
from protocol.errors import RemoteProtocolError


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


def test_a_copy_is_a_set_of_its_own():
    bitfield = bitfield_of(9, [0, 8])
    copy = bitfield.copy()
    bitfield.discard(8)
    assert (list(copy), copy.count, list(bitfield)) == ([0, 8], 2, [0])
    assert copy != bitfield and copy == bitfield_of(9, [8, 0]) and copy != bitfield_of(10, [0, 8])


def test_a_bitfield_is_not_changed_by_the_bytes_that_it_came_from():
    data = bytearray(b"\x80")
    bitfield = Bitfield.from_bytes(data, 8)
    data[0] = 0
    assert list(bitfield) == [0]
