"""MetadataDownload: the info dictionary of a magnet link, in pieces from several peers at once (BEP 9), and who lied about it.

Nothing is known but the hash of the whole. Each peer says how long the metadata is; each length that somebody says is a *candidate* of its
own, with its own pieces, so a peer that invents a length spoils nobody's else work. Pieces of one candidate come from all of its peers;
when none is left that nobody was asked for, the outstanding ones are asked for a second time elsewhere: a silent peer holds nothing up.

A whole that has a wrong hash and came from one peer convicts it. Of several senders nobody can tell who it was; so the whole is fetched
from one peer *alone*, then from the next, until it is right, and what each sender had sent before is compared with what is right: whose
piece differs lied. No honest peer is ever convicted, and a liar costs one peer's turn. A peer that is slow on purpose is passed over when
its turn is up.

A peer that refuses or does not answer is set aside for a while, each time longer. What is kept is bounded, whatever is said: the
candidate of the fewest peers is forgotten first.
"""

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final

from protocol.errors import RemoteProtocolError
from protocol.limits import MAX_KEPT_METADATA_BYTES, MAX_UNREQUESTED_METADATA
from protocol.metadata_messages import num_metadata_pieces

PIPELINE: Final = 4                                     # pieces asked for of one peer at once: some serve no more in a second
TWICE: Final = 2                                        # peers that a piece is asked of at once when there is nothing else to ask for
ANSWER_SECONDS: Final = 10.0                            # to answer a request; a piece takes a round trip
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 5.0, 320.0    # of a peer that refused or was silent, doubled each time
TURN_SECONDS: Final = 60.0                              # of a peer that is asked alone …
TURN_BYTES_PER_SECOND: Final = 1 << 16                  # … and more for what is longer than it can send in that time at this rate

PeerKey = Hashable


@dataclass(frozen=True, slots=True)
class Judged:
    """A whole came together. `metadata`: it, if its hash is right. `liars`: who sent something wrong, for certain."""

    metadata: bytes | None
    num_senders: int
    liars: frozenset[PeerKey]


@dataclass(slots=True, eq=False)
class _Peer:
    size: int
    asked: dict[int, float] = field(default_factory=dict)   # piece → moment at which its answer is late
    failures: int = 0                                   # in a row
    paused_until: float = 0.0                           # moment
    late: int = 0                                       # answers that are not awaited any more, but may come
    unrequested: int = 0                                # those that it was not asked for at all


class _Candidate:
    """Metadata of one length."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.num_pieces = num_metadata_pieces(size)
        self.peers: dict[PeerKey, _Peer] = {}
        self.pieces: dict[int, bytes] = {}
        self.senders: dict[int, PeerKey] = {}
        self.unasked: dict[int, None] = dict.fromkeys(range(self.num_pieces))    # an ordered set: neither here nor asked for
        self.times_asked: dict[int, int] = {}           # of the pieces that somebody is asked for now
        self.suspects: dict[int, tuple[PeerKey, bytes]] = {}    # of the first whole that was wrong: piece → sender and digest
        self.alone: PeerKey | None = None               # whose turn it is, once a whole was wrong
        self.turn_ends = 0.0                            # moment
        self.had_turn: set[PeerKey] = set()

    @property
    def kept_bytes(self) -> int:
        return min(len(self.pieces) * (self.size // self.num_pieces + 1), self.size)

    def start_again(self) -> None:
        """Forget the pieces, and what was asked for."""
        self.pieces.clear()
        self.senders.clear()
        self.times_asked.clear()
        self.unasked = dict.fromkeys(range(self.num_pieces))
        for peer in self.peers.values():
            peer.late += len(peer.asked)
            peer.asked.clear()

    def release(self, peer: _Peer, piece_index: int) -> None:
        """That answer will not come."""
        del peer.asked[piece_index]
        self.times_asked[piece_index] -= 1
        if not self.times_asked[piece_index]:
            del self.times_asked[piece_index]
            if piece_index not in self.pieces:
                self.unasked[piece_index] = None

    def next_piece(self, peer: _Peer) -> int | None:
        """What to ask this peer for; None: nothing."""
        if self.unasked:
            piece_index = next(iter(self.unasked))
            del self.unasked[piece_index]
            return piece_index
        for piece_index, times in self.times_asked.items():
            if times < TWICE and piece_index not in self.pieces and piece_index not in peer.asked:
                return piece_index
        return None


class MetadataDownload:
    """Of one torrent. Peers are known by any key. Moments are monotonic seconds."""

    def __init__(self, info_hash: bytes) -> None:
        self._info_hash = info_hash
        self._candidates: dict[int, _Candidate] = {}    # by length
        self._peers: dict[PeerKey, _Peer] = {}

    @property
    def num_peers(self) -> int:
        """How many offer metadata."""
        return len(self._peers)

    def offers(self, key: PeerKey) -> bool:
        """Tell whether this peer offers metadata."""
        return key in self._peers

    @property
    def progress(self) -> tuple[int, int]:
        """Bytes that are here and bytes in all, of the candidate of which most is here; (0, 0) while nobody offers any."""
        best = max(self._candidates.values(), key=lambda candidate: (candidate.kept_bytes, len(candidate.peers)), default=None)
        return (0, 0) if best is None else (best.kept_bytes, best.size)

    @property
    def kept_bytes(self) -> int:
        """Memory that pieces take."""
        return sum(candidate.kept_bytes for candidate in self._candidates.values())

    # ── peers ────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def peer_offers(self, key: PeerKey, size: int) -> None:
        """It has metadata of `size` bytes (its caller bounds that). Raises RemoteProtocolError when it said another size before."""
        known = self._peers.get(key)
        if known is not None:
            if known.size != size:
                raise RemoteProtocolError(f"metadata of {size} bytes, it said {known.size} before")
            return
        candidate = self._candidates.setdefault(size, _Candidate(size))
        self._peers[key] = candidate.peers[key] = _Peer(size)

    def peer_left(self, key: PeerKey) -> None:
        """What it had been asked for is asked of others."""
        peer = self._peers.pop(key, None)
        if peer is None:
            return
        candidate = self._candidates[peer.size]
        for piece_index in list(peer.asked):
            candidate.release(peer, piece_index)
        del candidate.peers[key]
        if candidate.alone == key:
            self._end_turn(candidate)
        if not candidate.peers:
            del self._candidates[peer.size]

    # ── what to ask for ──────────────────────────────────────────────────────────────────────────────────────────────────

    def requests(self, now: float) -> list[tuple[PeerKey, int]]:
        """Return whom to ask for which piece now, taken as asked. To be called after each event, and as time passes."""
        asked: list[tuple[PeerKey, int]] = []
        for candidate in self._candidates.values():
            self._late(candidate, now)
            if candidate.suspects:
                self._next_turn(candidate, now)
            able = [
                (key, peer) for key, peer in candidate.peers.items()
                if now >= peer.paused_until and (not candidate.suspects or key == candidate.alone)
            ]
            while able:                                 # one each in turn, so that all have part in it
                able = [(key, peer) for key, peer in able if self._ask(candidate, key, peer, now, asked)]
        return asked

    def _ask(self, candidate: _Candidate, key: PeerKey, peer: _Peer, now: float, asked: list[tuple[PeerKey, int]]) -> bool:
        piece_index = candidate.next_piece(peer) if len(peer.asked) < PIPELINE else None
        if piece_index is None:
            return False
        candidate.times_asked[piece_index] = candidate.times_asked.get(piece_index, 0) + 1
        peer.asked[piece_index] = now + ANSWER_SECONDS
        asked.append((key, piece_index))
        return True

    def _late(self, candidate: _Candidate, now: float) -> None:
        for peer in candidate.peers.values():
            if peer.asked and min(peer.asked.values()) <= now:
                peer.late += len(peer.asked)
                for piece_index in list(peer.asked):
                    candidate.release(peer, piece_index)
                self._set_aside(peer, now)

    def _set_aside(self, peer: _Peer, now: float) -> None:
        peer.paused_until = now + min(FIRST_PAUSE_SECONDS * 2 ** peer.failures, LAST_PAUSE_SECONDS)
        peer.failures = min(peer.failures + 1, 10)

    # ── one alone ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _next_turn(self, candidate: _Candidate, now: float) -> None:
        """See that somebody has the turn, if anybody can."""
        alone = candidate.peers.get(candidate.alone)
        if alone is not None and now < candidate.turn_ends and now >= alone.paused_until:
            return
        self._end_turn(candidate)
        able = [key for key, peer in candidate.peers.items() if now >= peer.paused_until]
        if not able:
            return
        waiting = [key for key in able if key not in candidate.had_turn]
        if not waiting:
            candidate.had_turn.clear()
        candidate.alone = (waiting or able)[0]
        candidate.had_turn.add(candidate.alone)
        candidate.turn_ends = now + max(TURN_SECONDS, candidate.size / TURN_BYTES_PER_SECOND)

    def _end_turn(self, candidate: _Candidate) -> None:
        candidate.alone = None
        candidate.start_again()

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def rejected(self, key: PeerKey, piece_index: int, now: float) -> None:
        """It does not send that piece. Raises RemoteProtocolError when it says so again and again without having been asked."""
        peer = self._peers.get(key)
        if peer is None or piece_index not in peer.asked:
            self._unrequested(peer)
            return
        self._candidates[peer.size].release(peer, piece_index)
        self._set_aside(peer, now)

    def received(self, key: PeerKey, piece_index: int, total_size: int, data: bytes, now: float) -> Judged | None:
        """A piece came, as long as it must be in `total_size` bytes. Returns what became of the whole, if this was the last of it.

        Raises RemoteProtocolError when the peer contradicts itself, or sends again and again what it was not asked for.
        """
        peer = self._peers.get(key)
        if peer is not None and total_size != peer.size:
            raise RemoteProtocolError(f"metadata of {total_size} bytes, it said {peer.size} before")
        if peer is None or piece_index not in peer.asked:
            self._unrequested(peer)
            return None
        candidate = self._candidates[peer.size]
        candidate.release(peer, piece_index)
        peer.failures = 0
        if piece_index in candidate.pieces:
            return None
        candidate.unasked.pop(piece_index, None)
        candidate.pieces[piece_index] = data
        candidate.senders[piece_index] = key
        if len(candidate.pieces) == candidate.num_pieces:
            return self._judge(candidate)
        self._make_room(candidate, now)
        return None

    @staticmethod
    def _unrequested(peer: _Peer | None) -> None:
        if peer is None:
            raise RemoteProtocolError("speaks of metadata that it never offered")
        if peer.late:
            peer.late -= 1
            return
        peer.unrequested += 1
        if peer.unrequested > MAX_UNREQUESTED_METADATA:
            raise RemoteProtocolError(f"sent {peer.unrequested} pieces of metadata that nobody had asked for")

    def _judge(self, candidate: _Candidate) -> Judged:
        pieces = [candidate.pieces[piece_index] for piece_index in range(candidate.num_pieces)]
        senders = dict(candidate.senders)
        num_senders = len(set(senders.values()))
        metadata = b"".join(pieces)
        if hashlib.sha1(metadata, usedforsecurity=False).digest() == self._info_hash:
            liars = {sender for piece_index, (sender, digest) in candidate.suspects.items() if digest != _digest(pieces[piece_index])}
            return Judged(metadata, num_senders, frozenset(liars))
        self._end_turn(candidate)
        if num_senders == 1:
            return Judged(None, 1, frozenset(senders.values()))
        candidate.suspects = {index: (sender, _digest(pieces[index])) for index, sender in senders.items()}
        return Judged(None, num_senders, frozenset())

    def _make_room(self, growing: _Candidate, now: float) -> None:
        """Forget the candidate that the fewest peers stand for, when too much is kept."""
        if len(self._candidates) == 1 or self.kept_bytes <= MAX_KEPT_METADATA_BYTES:
            return
        others = [candidate for candidate in self._candidates.values() if candidate.pieces]
        weakest = min(others, key=lambda candidate: (len(candidate.peers), candidate is not growing, -candidate.kept_bytes))
        self._end_turn(weakest)
        for peer in weakest.peers.values():
            peer.paused_until = max(peer.paused_until, now + LAST_PAUSE_SECONDS)


def _digest(piece: bytes) -> bytes:
    return hashlib.sha256(piece, usedforsecurity=False).digest()
