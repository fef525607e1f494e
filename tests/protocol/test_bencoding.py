import pytest

from protocol import bencoding
from protocol.bencoding import decode, decode_prefix, decode_with_spans, encode, raw_span
from protocol.errors import BencodeError
from protocol.limits import MAX_BENCODE_DEPTH


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


def test_the_raw_span_is_that_of_the_outermost_dictionary_only():
    assert raw_span(b"d1:ad4:infoi1eee", b"info") is None
    assert raw_span(b"l4:infoe", b"info") is None


def test_spans_are_of_the_outermost_dictionary_and_exact():
    data = b"d1:ad1:bi1ee1:bi22e1:c0:1:dlee"
    value, spans = decode_with_spans(data)
    assert value == {b"a": {b"b": 1}, b"b": 22, b"c": b"", b"d": []}
    assert {key: data[start:end] for key, (start, end) in spans.items()} == {b"a": b"d1:bi1ee", b"b": b"i22e", b"c": b"0:", b"d": b"le"}


def test_the_number_of_values_is_bounded(monkeypatch):
    monkeypatch.setattr(bencoding, "MAX_BENCODE_TOKENS", 10)
    assert decode(b"l" + b"i0e" * 8 + b"e") == [0] * 8
    with pytest.raises(BencodeError, match="more than 10 values"):
        decode(b"l" + b"i0e" * 9 + b"e")
    with pytest.raises(BencodeError, match="more than 10 values"):
        decode(b"l" + b"le" * 5 + b"e")


def test_a_view_of_a_buffer_is_read_like_bytes():
    assert decode(memoryview(b"d1:a1:be")) == {b"a": b"b"}
    assert decode_prefix(memoryview(b"1:abc")) == (b"a", 3)


@pytest.mark.parametrize(("value", "encoded"), [
    ({b"b": 1, b"a": [b"", -5, "ü"]}, b"d1:al0:i-5e2:\xc3\xbce1:bi1ee"), ((1, 2), b"li1ei2ee"), ({"b": 0, "a": 0, "B": 0}, b"d1:Bi0e1:ai0e1:bi0ee"),
])
def test_values_are_encoded_with_sorted_keys(value, encoded):
    assert encode(value) == encoded
