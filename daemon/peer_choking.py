"""PeerChoking: whom a torrent serves. The choker decides (scheduler/choker.py), this applies it; and what choked peers may have."""

from typing import Any, Final

from daemon.peer_greeting import FEW_PIECES, allowed_fast_pieces
from protocol.peer_messages import build_allowed_fast
from scheduler.choker import ROUND_SECONDS, ChokePeer, Choker
from scheduler.random_source import RandomSource

SOON_SECONDS: Final = 1.0                               # a place that became free is given away at most so often


class PeerChoking:
    """Of one torrent, which has `peers`, `verified`, `info_hash` and `layout`."""

    def __init__(self, torrent: Any, rng: RandomSource, slots: int) -> None:
        self._torrent = torrent
        self._rng = rng
        self._slots = slots
        self._choker = Choker(slots)
        self._num_unchoked = 0
        self._decided_at = float("-inf")
        self._is_due = False                            # a place became free, or somebody wants one

    def tick(self, now: float) -> None:
        """Decide anew when a round is over, or soon after something changed."""
        if now - self._decided_at >= (SOON_SECONDS if self._is_due else ROUND_SECONDS):
            self._decide(now)

    def peer_is_interested(self, peer: Any) -> None:
        """It wants something: at once if there is a place."""
        self._is_due = True
        if peer.am_choking and self._num_unchoked < self._slots:
            self._decide(self._torrent.clock())

    def peer_is_not_interested(self, peer: Any) -> None:
        """It wants nothing (any more): its place is free."""
        self._is_due = True

    def peer_left(self, peer: Any) -> None:
        """Its place is free."""
        if not peer.am_choking:
            self._num_unchoked -= 1
            self._is_due = True

    def offer_fast_pieces(self, peer: Any) -> None:
        """Tell a peer that has next to nothing what it may request though choked (BEP 6), so that it can begin to trade."""
        torrent = self._torrent
        if not peer.fast or peer.fast_pieces or peer.bitfield.count >= FEW_PIECES or torrent.layout.num_pieces <= FEW_PIECES:
            return
        pieces = allowed_fast_pieces(torrent.info_hash, torrent.layout.num_pieces, peer.ip)
        peer.fast_pieces = frozenset(piece_index for piece_index in pieces if piece_index in torrent.verified)
        peer.fast_blocks_left = sum(map(torrent.layout.num_blocks, peer.fast_pieces))
        if peer.fast_pieces:
            peer.send(b"".join(map(build_allowed_fast, sorted(peer.fast_pieces))))

    def _decide(self, now: float) -> None:
        torrent = self._torrent
        self._is_due = False
        self._decided_at = now
        candidates = [
            ChokePeer(peer.key, peer.peer_interested, peer.requester.is_snubbed, peer.download_rate, peer.upload_rate, peer.uploaded)
            for peer in torrent.peers.values()
        ]
        decision = self._choker.rechoke(candidates, now, self._rng, torrent.wants_nothing)
        for peer in list(torrent.peers.values()):
            should_serve = peer.key in decision.unchoked
            peer.is_optimistic = peer.key == decision.optimistic
            if should_serve and peer.am_choking:
                self._num_unchoked += 1
                peer.unchoke()
            elif not should_serve and not peer.am_choking:
                self._num_unchoked -= 1
                peer.choke()
