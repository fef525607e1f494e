"""Bencode: what is encoded comes back; the scanner agrees with a plain reading of BEP 3; no bytes do harm."""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.bencoding import decode, decode_prefix, decode_with_spans, encode, raw_span
from protocol.errors import BencodeError

VALUES = st.recursive(
    st.integers(-(1 << 63), (1 << 63) - 1) | st.binary(max_size=40),
    lambda children: st.lists(children, max_size=5) | st.dictionaries(st.binary(max_size=10), children, max_size=5), max_leaves=30,
)
GOOD = [b"0:", b"1:a", b"1:b", b"2:aa", b"1:e", b"i0e", b"i1e", b"i-1e", b"i9223372036854775807e"]
BAD = [b"i-0e", b"i01e", b"ie", b"i", b"i9223372036854775808e", b"i-9223372036854775809e", b"01:a", b"2:a", b"1:", b":", b"-1:a", b"\xff", b" ", b"d", b"l", b"e"]
KEYS = st.sampled_from([b"0:", b"1:a", b"1:b", b"2:aa", b"1:c", b"1:d"])
NEARLY_BENCODE = st.recursive(                          # right in most places, so that the wrong ones are reached
    st.sampled_from(GOOD * 4 + BAD),
    lambda parts: st.lists(parts, max_size=3).map(lambda items: b"l" + b"".join(items) + b"e")
    | st.lists(st.tuples(KEYS | parts, parts).map(b"".join), max_size=3).map(lambda entries: b"d" + b"".join(sorted(entries)) + b"e")
    | st.lists(st.tuples(KEYS, parts).map(b"".join), max_size=3).map(lambda entries: b"d" + b"".join(entries) + b"e"),
    max_leaves=8,
)
CUT = st.tuples(NEARLY_BENCODE, st.integers(1, 3)).map(lambda cut: cut[0][:-cut[1]])


class NotBencode(Exception):
    pass


def read(data: bytes, place: int = 0) -> tuple[object, int]:
    """Read one value as BEP 3 describes it: slow, recursive, easy to compare with the text."""
    kind = data[place:place + 1]
    if kind == b"i":
        end = data.find(b"e", place)
        number, place = integer(data[place + 1:end] if end >= 0 else b""), end + 1
        return number, place
    if kind == b"l":
        items, place = [], place + 1
        while data[place:place + 1] != b"e":
            item, place = read(data, place)
            items.append(item)
        return items, place + 1
    if kind == b"d":
        entries, place = [], place + 1
        while data[place:place + 1] != b"e":
            key, place = read(data, place)
            value, place = read(data, place)
            entries.append((key, value))
        keys = [key for key, _ in entries]
        if not all(isinstance(key, bytes) for key in keys) or keys != sorted(set(keys)):
            raise NotBencode
        return dict(entries), place + 1
    colon = data.find(b":", place)
    length = integer(data[place:colon] if colon >= 0 else b"")
    if length < 0 or colon + 1 + length > len(data):
        raise NotBencode
    return data[colon + 1:colon + 1 + length], colon + 1 + length


def integer(digits: bytes) -> int:
    try:
        number = int(digits)
    except ValueError:
        raise NotBencode from None
    if str(number).encode() != digits or not -(1 << 63) <= number < 1 << 63:
        raise NotBencode
    return number


def outcome(function: Callable[[bytes], object], data: bytes) -> object:
    """What `function` makes of `data`; None when it refuses it."""
    try:
        return function(data)
    except (NotBencode, BencodeError):
        return None


def mutated(data: st.DataObject, encoded: bytes) -> bytes:
    changed = bytearray(encoded)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    return bytes(changed)


@given(VALUES)
def test_what_is_encoded_is_decoded_to_the_same(value):
    assert decode(encode(value)) == value


@settings(max_examples=1_000)
@given(NEARLY_BENCODE | CUT | st.binary(max_size=40))
def test_the_scanner_agrees_with_a_plain_reading_of_bep_3(data):
    assert outcome(decode_prefix, data) == outcome(read, data)


@given(NEARLY_BENCODE | CUT | st.binary(max_size=40))
def test_what_is_decoded_has_no_other_encoding(data):
    value = outcome(decode, data)
    assert value is None or encode(value) == data


@given(VALUES, st.binary(max_size=20))
def test_a_prefix_is_decoded_up_to_its_end(value, tail):
    data = encode(value)
    assert decode_prefix(data + tail) == (value, len(data))


@given(st.dictionaries(st.binary(max_size=8), VALUES, min_size=1, max_size=6))
def test_the_spans_of_a_dictionary_are_its_values_byte_for_byte(value):
    encoded = encode(value)
    decoded, spans = decode_with_spans(encoded)
    assert decoded == value
    assert {key: encoded[start:end] for key, (start, end) in spans.items()} == {key: encode(part) for key, part in value.items()}
    assert all(raw_span(encoded, key) == span for key, span in spans.items())


@given(st.permutations(range(5)), st.lists(VALUES, min_size=5, max_size=5))
def test_keys_in_any_order_are_the_same_dictionary_to_who_allows_it(order, values):
    entries = [(b"key %d" % number, values[number]) for number in order]
    data = b"d" + b"".join(encode(key) + encode(value) for key, value in entries) + b"e"
    assert decode(data, require_sorted=False) == dict(entries)
    if list(order) == sorted(order):
        assert decode(data) == dict(entries)
    else:
        with pytest.raises(BencodeError, match="not in order"):
            decode(data)


@given(VALUES, st.data())
def test_a_mutated_value_is_decoded_or_refused_with_our_error_and_nothing_else(value, data):
    changed = mutated(data, encode(value))
    for require_sorted in (True, False):
        with contextlib.suppress(BencodeError):
            decode(changed, require_sorted=require_sorted)
