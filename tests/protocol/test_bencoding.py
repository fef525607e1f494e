import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.bencoding import decode, decode_prefix, encode, raw_span
from protocol.errors import BencodeError
from protocol.limits import MAX_BENCODE_DEPTH

VALUES = st.recursive(
    st.integers(-(1 << 63), (1 << 63) - 1) | st.binary(max_size=40),
    lambda children: st.lists(children, max_size=5) | st.dictionaries(st.binary(max_size=10), children, max_size=5), max_leaves=30,
)


@pytest.mark.parametrize(("data", "value"), [
    (b"i0e", 0), (b"i-42e", -42), (b"i9223372036854775807e", (1 << 63) - 1), (b"i-9223372036854775808e", -(1 << 63)), (b"0:", b""), (b"3:a:b", b"a:b"),
    (b"le", []), (b"de", {}), (b"l1:a0:i3ee", [b"a", b"", 3]), (b"d0:i1e1:ale2:aade" + b"e", {b"": 1, b"a": [], b"aa": {}}), (b"d1:\x801:\xff1:\xffi1ee", {b"\x80": b"\xff", b"\xff": 1}),
])
def test_what_bep_3_allows_is_decoded(data, value):
    assert decode(data) == value


@pytest.mark.parametrize(("data", "named"), [
    (b"", "ends"), (b"i3", "integer"), (b"ie", "integer"), (b"i-0e", "integer"), (b"i03e", "integer"), (b"i 3e", "integer"), (b"i3 e", "integer"),
    (b"i+3e", "integer"), (b"i1_000e", "integer"), (b"i-e", "integer"), (b"i0x3e", "integer"), (b"i9223372036854775808e", "integer"), (b"i" + b"9" * 100 + b"e", "integer"),
    (b"3:ab", "only 2"), (b"03:abc", "length"), (b"-1:a", "unexpected"), (b"3abc", "length"), (b"9999999999:a", "only 1"), (b"99999999999999999999:a", "length"), (b"1", "length"),
    (b"l", "ends"), (b"li1e", "ends"), (b"d", "ends"), (b"d1:a", "ends"), (b"d1:ae", "unexpected"), (b"d1:ai1e", "ends"), (b"di1ei2ee", "key"), (b"dlei1ee", "key"),
    (b"d1:bi1e1:ai1ee", "order"), (b"d1:ai1e1:ai1ee", "repeated"), (b"d2:aai1e1:bi1e1:ai1ee", "order"), (b"e", "unexpected"), (b"i1ee", "1 bytes after"), (b"i1ei2e", "3 bytes after"),
    (b"x", "unexpected"), (b" i1e", "unexpected"), (b"d1:ai1e-6:", "key"), (b"<html>", "unexpected"),
])
def test_what_bep_3_forbids_is_refused_with_the_place(data, named):
    with pytest.raises(BencodeError, match=named) as refused:
        decode(data, source="a.torrent")
    assert str(refused.value).startswith("a.torrent: ")


def test_nesting_is_bounded_and_a_million_levels_cost_nothing():
    deepest = b"l" * MAX_BENCODE_DEPTH + b"e" * MAX_BENCODE_DEPTH
    assert decode(deepest) is not None
    for data in (b"l" + deepest + b"e", b"l" * 1_000_000 + b"e" * 1_000_000, b"d1:a" * 500_000):
        with pytest.raises(BencodeError, match="deeper"):
            decode(data)


def test_the_size_is_judged_before_the_content():
    with pytest.raises(BencodeError, match="at most 10"):
        decode(b"x" * 11, max_bytes=10)


def test_trackers_may_leave_keys_unsorted_but_not_repeat_them():
    assert decode(b"d1:bi1e1:ai2ee", require_sorted=False) == {b"b": 1, b"a": 2}
    for repeated in (b"d1:ai1e1:ai2ee", b"d1:ai1e1:bi1e1:ai2ee"):
        with pytest.raises(BencodeError, match="repeated"):
            decode(repeated, require_sorted=False)


@given(VALUES)
def test_what_is_encoded_is_decoded_to_the_same(value):
    assert decode(encode(value)) == value


@given(VALUES, st.binary(max_size=20))
def test_a_prefix_is_decoded_up_to_its_end(value, tail):
    data = encode(value)
    assert decode_prefix(data + tail) == (value, len(data))


@given(st.dictionaries(st.binary(max_size=8), VALUES, min_size=1, max_size=6), st.data())
def test_the_raw_span_of_a_key_is_its_value_byte_for_byte(value, data):
    encoded = encode(value)
    key = data.draw(st.sampled_from(sorted(value)))
    start, end = raw_span(encoded, key)
    assert encoded[start:end] == encode(value[key])


def test_the_raw_span_is_that_of_the_outermost_dictionary_only():
    assert raw_span(b"d1:ad4:infoi1eee", b"info") is None
    assert raw_span(b"l4:infoe", b"info") is None


@given(VALUES, st.data())
def test_a_mutated_value_is_decoded_or_refused_with_our_error_and_nothing_else(value, data):
    encoded = bytearray(encode(value))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(encoded) - 1))
        encoded[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BencodeError):
        decode(bytes(encoded))


@given(st.binary(max_size=60))
def test_any_bytes_are_decoded_or_refused(data):
    try:
        value = decode(data)
    except BencodeError:
        return
    assert encode(value) == data                        # strict: there is one way to write a value
