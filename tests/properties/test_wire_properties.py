"""Whatever a peer sends, however it is split: the same messages, or RemoteProtocolError, and nothing else."""

from dataclasses import astuple
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import peer_messages as wire
from protocol.errors import RemoteProtocolError
from protocol.extensions import ExtensionHandshake, build_extension_handshake, parse_extension_handshake
from protocol.handshake import HANDSHAKE_BYTES, Handshake, build_handshake, check_beginning, parse_handshake
from protocol.limits import MAX_METAINFO_BYTES
from protocol.peer_wire import NEED_DATA, PeerWire
from tests.properties.wire_streams import portions, stream_of, wire_messages


def read(data, sizes):
    """All messages in `data`, received in portions of `sizes` in turn; and why the stream was refused."""
    peer_wire, messages = PeerWire(), []
    try:
        for portion in portions(data, sizes):
            peer_wire.receive_data(portion)
            while (message := peer_wire.next_event()) is not NEED_DATA:
                messages.append(message)
    except RemoteProtocolError as error:
        return messages, str(error)
    return messages, None


SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=10)


@given(st.lists(wire_messages(), max_size=10), SIZES)
def test_messages_are_read_as_they_were_built_however_they_are_split(messages, sizes):
    assert read(stream_of(messages), sizes) == (messages, None)


@given(st.lists(wire_messages(), max_size=10), st.binary(max_size=20), SIZES)
def test_a_tail_changes_nothing_of_what_came_before(messages, tail, sizes):
    assert read(stream_of(messages) + tail, sizes)[0][:len(messages)] == messages


@given(st.lists(wire_messages(), min_size=1, max_size=6), st.data())
def test_a_stream_with_wrong_bytes_is_refused_or_read_the_same_way_however_it_is_split(messages, data):
    stream = bytearray(stream_of(messages))
    for _ in range(data.draw(st.integers(1, 4))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    whole, byte_by_byte = read(bytes(stream), [len(stream)]), read(bytes(stream), [1])
    assert whole[0] == byte_by_byte[0]
    assert (whole[1] is None) == (byte_by_byte[1] is None)


@given(st.binary(max_size=300), SIZES)
def test_any_bytes_are_messages_or_refused(data, sizes):
    read(data, sizes)


@given(st.binary(max_size=40))
def test_any_message_body_is_a_message_or_refused_and_what_is_built_of_it_is_the_body(body):
    try:
        message = wire.parse_message(memoryview(body))
    except RemoteProtocolError:
        return
    if not isinstance(message, wire.UnknownMessage):
        assert stream_of([message]) == len(body).to_bytes(4, "big") + body


@given(st.binary(min_size=20, max_size=20), st.binary(min_size=20, max_size=20), st.booleans())
def test_a_handshake_that_we_build_says_the_same_to_whom_reads_it(info_hash, peer_id, dht):
    data = build_handshake(info_hash, peer_id, dht)
    for end in range(HANDSHAKE_BYTES + 1):
        check_beginning(data[:end])
    assert astuple(parse_handshake(data)) == (info_hash, peer_id, True, True, dht)


@given(st.binary(max_size=100) | st.binary(min_size=48, max_size=48).map(lambda rest: b"\x13BitTorrent protocol" + rest))
def test_any_68_bytes_that_begin_rightly_are_a_handshake_and_nothing_else_is(data):
    is_right = len(data) == 68 and data.startswith(b"\x13BitTorrent protocol")
    if is_right:
        assert isinstance(parse_handshake(data), Handshake)
    else:
        with pytest.raises(RemoteProtocolError):
            parse_handshake(data)


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=64), st.integers(0, 65_535), st.integers(0, 1 << 20),
    st.integers(0, MAX_METAINFO_BYTES), st.dictionaries(st.sampled_from(["ut_pex", "ut_metadata", "x"]), st.integers(1, 255)),
    st.just("") | st.ip_addresses().map(str) | st.ip_addresses(v=4).map("::ffff:{}".format),
)
def test_an_extension_handshake_that_we_build_says_the_same_to_whom_reads_it(name, port, queue, size, ids, your_ip):
    ip = ip_address(your_ip) if your_ip else None
    payload = build_extension_handshake(name, port, queue, size, ids, ip.packed if ip else b"")
    expected = str(getattr(ip, "ipv4_mapped", None) or ip) if ip else ""    # an IPv4 address in the form of IPv6 is that one
    assert parse_extension_handshake(payload) == ExtensionHandshake(name, port, queue, size, ids, expected)


@given(st.data())
def test_a_wrong_extension_handshake_is_refused_or_read_within_its_bounds(data):
    payload = bytearray(build_extension_handshake("Evenswarm 0.1", 6881, 500, 1_234, {"ut_metadata": 3, "ut_pex": 1}, bytes(4)))
    for _ in range(data.draw(st.integers(0, 5))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.sampled_from(b"dlie0123456789:-\0\xff"))
    try:
        read = parse_extension_handshake(bytes(payload))
    except RemoteProtocolError:
        return
    assert read.client_name.isprintable()
    assert 0 <= read.listen_port < 65_536
    assert all(0 < number < 256 for number in read.message_ids.values())
