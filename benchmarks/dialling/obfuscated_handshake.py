"""The answering side of message stream encryption, as far as live peers of a benchmark need it.

libtorrent, Transmission and aria2 begin every connection with it and dial a second time in the clear when it fails, so peers
that do not know it would double their attempts. Facts: the "Message Stream Encryption" page of the Vuze wiki.

    A→B  Ya, pad    B→A  Yb, pad    A→B  HASH('req1', S), HASH('req2', SKEY) xor HASH('req3', S), then in RC4: eight zeros, the methods
    that A offers, pad, the first bytes of the stream    B→A  in RC4: eight zeros, the method, pad    then the stream in that method
"""

import asyncio
import hashlib
from collections.abc import Callable
from typing import Final

PRIME: Final = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245"
    "E485B576625E7EC6F44C42E9A63A36210000000000090563", 16)
GENERATOR: Final = 2
KEY_BYTES: Final = 96                                   # of the prime
MOST_PAD_BYTES: Final = 512
DISCARDED_BYTES: Final = 1_024                          # of the key stream
NO_ENCRYPTION, RC4_ENCRYPTION = 1, 2
VERIFICATION: Final = bytes(8)
SECRET_KEY: Final = (1 << 159) + 12_345                 # always the same, and short of randomness: there is nothing to hide, but time to save
PUBLIC_KEY: Final = pow(GENERATOR, SECRET_KEY, PRIME).to_bytes(KEY_BYTES, "big")

Cipher = Callable[[bytes], bytes]


class NotObfuscated(Exception):
    """What came is no handshake of either kind."""


def rc4(key: bytes) -> Cipher:
    """A stream that encrypts or decrypts, behind the bytes that are discarded."""
    state = list(range(256))
    swap = 0
    for index in range(256):
        swap = (swap + state[index] + key[index % len(key)]) & 255
        state[index], state[swap] = state[swap], state[index]
    first = second = 0

    def process(data: bytes) -> bytes:
        nonlocal first, second
        result = bytearray(data)
        for position, byte in enumerate(data):
            first = (first + 1) & 255
            second = (second + state[first]) & 255
            state[first], state[second] = state[second], state[first]
            result[position] = byte ^ state[(state[first] + state[second]) & 255]
        return bytes(result)

    process(bytes(DISCARDED_BYTES))
    return process


def unchanged(data: bytes) -> bytes:
    """The cipher of a stream in the clear."""
    return data


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, begun: bytes, info_hash: bytes) -> tuple[bytes, Cipher, Cipher]:
    """Shake hands with a dialler whose first bytes were `begun`.

    Return the first bytes of its stream, decrypted, and the ciphers of what else it sends and of what is sent to it. Raises
    NotObfuscated; asyncio.IncompleteReadError when it ends.
    """
    theirs = int.from_bytes(begun + await reader.readexactly(KEY_BYTES - len(begun)), "big")
    writer.write(PUBLIC_KEY)
    shared = pow(theirs, SECRET_KEY, PRIME).to_bytes(KEY_BYTES, "big")
    await _skip_until(reader, sha1(b"req1", shared))
    asked_for = bytes(one ^ other for one, other in zip(sha1(b"req2", info_hash), sha1(b"req3", shared), strict=True))
    if await reader.readexactly(20) != asked_for:
        raise NotObfuscated("another torrent")
    incoming, outgoing = rc4(sha1(b"keyA", shared, info_hash)), rc4(sha1(b"keyB", shared, info_hash))
    head = incoming(await reader.readexactly(14))
    if head[:8] != VERIFICATION:
        raise NotObfuscated("wrong key")
    offered, pad_bytes = int.from_bytes(head[8:12], "big"), int.from_bytes(head[12:], "big")
    if pad_bytes > MOST_PAD_BYTES:
        raise NotObfuscated(f"a pad of {pad_bytes} bytes")
    tail = incoming(await reader.readexactly(pad_bytes + 2))
    stream = incoming(await reader.readexactly(int.from_bytes(tail[pad_bytes:], "big")))
    method = NO_ENCRYPTION if offered & NO_ENCRYPTION else RC4_ENCRYPTION
    writer.write(outgoing(VERIFICATION + method.to_bytes(4, "big") + bytes(2)))
    return (stream, unchanged, unchanged) if method == NO_ENCRYPTION else (stream, incoming, outgoing)


async def _skip_until(reader: asyncio.StreamReader, mark: bytes) -> None:
    """Read up to the end of `mark`, which stands behind a pad of unknown length."""
    window = await reader.readexactly(len(mark))
    for _ in range(MOST_PAD_BYTES):
        if window == mark:
            return
        window = window[1:] + await reader.readexactly(1)
    if window != mark:
        raise NotObfuscated("no mark behind the pad")


def sha1(*parts: bytes) -> bytes:
    """20 bytes."""
    return hashlib.sha1(b"".join(parts)).digest()
