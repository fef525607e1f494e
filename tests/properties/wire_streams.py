"""Messages of the wire as hypothesis makes them, and the bytes that say them."""

import itertools

from hypothesis import strategies as st

from protocol import peer_messages as wire

NUMBERS = st.integers(0, (1 << 32) - 1)
BLOCKS = st.tuples(NUMBERS, NUMBERS, NUMBERS)
IDS = {
    wire.Choke: wire.CHOKE, wire.Unchoke: wire.UNCHOKE, wire.Interested: wire.INTERESTED, wire.NotInterested: wire.NOT_INTERESTED,
    wire.HaveAll: wire.HAVE_ALL, wire.HaveNone: wire.HAVE_NONE, wire.Have: wire.HAVE, wire.SuggestPiece: wire.SUGGEST,
    wire.AllowedFast: wire.ALLOWED_FAST, wire.Request: wire.REQUEST, wire.Cancel: wire.CANCEL, wire.RejectRequest: wire.REJECT,
}


def messages_without_payload():
    """Keep-alives, and those that are an id only."""
    kinds = (wire.KeepAlive, wire.Choke, wire.Unchoke, wire.Interested, wire.NotInterested, wire.HaveAll, wire.HaveNone)
    return st.sampled_from([kind() for kind in kinds])


def other_messages():
    """All but `piece`."""
    return st.one_of(
        messages_without_payload(),
        *(st.builds(kind, NUMBERS) for kind in (wire.Have, wire.SuggestPiece, wire.AllowedFast)),
        *(st.builds(kind, NUMBERS, NUMBERS, NUMBERS) for kind in (wire.Request, wire.Cancel, wire.RejectRequest)),
        st.builds(wire.BitfieldReceived, st.binary(max_size=50)), st.builds(wire.Port, st.integers(0, 65_535)),
        st.builds(wire.Extended, st.integers(0, 255), st.binary(max_size=50)),
    )


def wire_messages():
    """Every kind that we know."""
    return other_messages() | st.builds(wire.Piece, NUMBERS, NUMBERS, st.binary(min_size=1, max_size=50).map(memoryview))


def bytes_of(message) -> bytes:
    """As the BEPs write it. Built here, where the product has no use for building it."""
    match message:
        case wire.KeepAlive():
            return wire.KEEP_ALIVE_BYTES
        case wire.Piece(piece_index, begin, data):
            return wire.piece_header(piece_index, begin, len(data)) + data
        case wire.BitfieldReceived(bits):
            return wire.build_bitfield(bits)
        case wire.Extended(extended_id, payload):
            return wire.build_extended(extended_id, payload)
        case wire.Port(port):
            return wire.build(wire.PORT, port.to_bytes(2, "big"))
        case _:
            fields = [getattr(message, name) for name in message.__slots__]
            return wire.build(IDS[type(message)], b"".join(number.to_bytes(4, "big") for number in fields))


def stream_of(messages) -> bytes:
    """One after the other."""
    return b"".join(map(bytes_of, messages))


def portions(data, sizes):
    """Cut `data` into portions of `sizes`, in turn and again."""
    start = 0
    for size in itertools.cycle(sizes):
        if start >= len(data):
            return
        yield data[start:start + size]
        start += size
