"""The benchmark's live peers answer encrypted handshakes: against a dialler that is written here, from the same public description."""

import asyncio

import pytest

from benchmarks.dialling import obfuscated_handshake as oh

INFO_HASH, STREAM = bytes(range(20)), b"\x13BitTorrent protocol and so on"
SECRET = 98_765
SHARED = pow(int.from_bytes(oh.PUBLIC_KEY, "big"), SECRET, oh.PRIME).to_bytes(oh.KEY_BYTES, "big")


class Written(bytearray):
    """What a writer was given."""

    write = bytearray.extend


def dialled(offered: int, pad: bytes = b"pad" * 50, info_hash: bytes = INFO_HASH, pad_bytes: int = 0) -> bytes:
    """All that a dialler sends in its two messages."""
    encrypt = oh.rc4(oh.sha1(b"keyA", SHARED, info_hash))
    asked_for = bytes(one ^ other for one, other in zip(oh.sha1(b"req2", info_hash), oh.sha1(b"req3", SHARED), strict=True))
    head = bytes(8) + offered.to_bytes(4, "big") + pad_bytes.to_bytes(2, "big") + bytes(pad_bytes) + len(STREAM).to_bytes(2, "big") + STREAM
    return pow(oh.GENERATOR, SECRET, oh.PRIME).to_bytes(oh.KEY_BYTES, "big") + pad + oh.sha1(b"req1", SHARED) + asked_for + encrypt(head)


def answered(sent: bytes) -> tuple[tuple[bytes, oh.Cipher, oh.Cipher], bytes]:
    """What `answer` returns for this, and what it writes."""
    async def talk():
        reader, written = asyncio.StreamReader(), Written()
        reader.feed_data(sent[20:])
        reader.feed_eof()
        return await oh.answer(reader, written, sent[:20], INFO_HASH), bytes(written)

    return asyncio.run(talk())


def test_the_key_stream_behind_the_discarded_bytes_is_that_of_rfc_6229():
    assert oh.rc4(bytes.fromhex("0102030405"))(bytes(16)).hex() == "30abbcc7c20b01609f23ee2d5f6bb7df"


@pytest.mark.parametrize(("offered", "method"), [
    (oh.NO_ENCRYPTION, oh.NO_ENCRYPTION), (oh.RC4_ENCRYPTION, oh.RC4_ENCRYPTION), (oh.NO_ENCRYPTION | oh.RC4_ENCRYPTION, oh.NO_ENCRYPTION),
])
@pytest.mark.parametrize("pad_bytes", [0, oh.MOST_PAD_BYTES])
def test_a_dialler_gets_the_cheapest_method_that_it_offers_and_its_first_bytes_are_read(offered, method, pad_bytes):
    (stream, _, outgoing), written = answered(dialled(offered, pad_bytes=pad_bytes))
    assert stream == STREAM
    decrypt = oh.rc4(oh.sha1(b"keyB", SHARED, INFO_HASH))
    assert written[:oh.KEY_BYTES] == oh.PUBLIC_KEY
    assert decrypt(written[oh.KEY_BYTES:]) == bytes(8) + method.to_bytes(4, "big") + bytes(2)
    assert outgoing(b"hello") == (b"hello" if method == oh.NO_ENCRYPTION else decrypt(b"hello"))


@pytest.mark.parametrize(("sent", "error"), [
    (dialled(oh.NO_ENCRYPTION, info_hash=bytes(20)), oh.NotObfuscated),
    (dialled(oh.NO_ENCRYPTION, pad=bytes(oh.MOST_PAD_BYTES + 1)), oh.NotObfuscated),
    (dialled(oh.NO_ENCRYPTION, pad_bytes=oh.MOST_PAD_BYTES + 1), oh.NotObfuscated),
    (dialled(oh.NO_ENCRYPTION)[:200], asyncio.IncompleteReadError),
], ids=["another torrent", "a pad that is too long", "a second pad that is too long", "it ends"])
def test_what_is_no_handshake_for_this_torrent_is_refused(sent, error):
    with pytest.raises(error):
        answered(sent)
