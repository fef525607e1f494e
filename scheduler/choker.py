"""Choker: whom to send to. One for each torrent.

Downloading: tit for tat (BEP 3). The peers that send us most are unchoked, and one more, the optimistic one, whatever
it sends: so newcomers get their first piece and we find better peers. Seeding: nobody sends us anything, so peers take
turns.

Considerations:
- The order is made anew only every ROUND_SECONDS: a choke throws away the requests on their way, and TCP needs seconds
  to get up to speed. In between, only places that became free are given away. A challenger must be INCUMBENT_BONUS
  better, so that two equal peers do not swap places all the time.
- Who was snubbed (we asked and nothing came) gets nothing back; the optimistic place alone is open to it, which is how
  it recovers.
- Only peers that are interested hold a place: each place is used. One that nobody earns is given for a try of
  OPTIMISTIC_SECONDS, in turns.
- Optimistic: a new one each OPTIMISTIC_SECONDS: who waited longest, where the wait of peers that were never unchoked
  counts NEWCOMER_WEIGHT times. BEP 3 makes them three times as likely by chance; this gives the same advantage without
  bad luck: everybody's turn comes. When the optimistic one has earned a place by what it sends, the next one is tried
  at once. With one place in all, that one is optimistic: there is nobody to compare.
- Seeding: a turn lasts TURN_BYTES, but at least TURN_SECONDS and at most LONGEST_TURN_SECONDS. Whose turn is over makes
  room for who waited longest; the slowest first, since what we can give is limited by our own line, and the fast ones
  pass it on sooner. With nobody waiting, everybody goes on.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

from scheduler.random_source import RandomSource

ROUND_SECONDS: Final = 10.0
OPTIMISTIC_SECONDS: Final = 30.0
NEWCOMER_WEIGHT: Final = 3.0
INCUMBENT_BONUS: Final = 1.1
TURN_BYTES: Final = 16 << 20
TURN_SECONDS: Final = 60.0
LONGEST_TURN_SECONDS: Final = 300.0

PeerKey = Hashable


@dataclass(frozen=True, slots=True)
class ChokePeer:
    """A connection as the choker sees it. Rates are payload bytes per second."""

    key: PeerKey
    interested: bool                                    # the peer in us
    snubbed: bool
    download_rate: float                                # from it
    upload_rate: float                                  # to it
    uploaded: int                                       # payload bytes to it since it connected


@dataclass(frozen=True, slots=True)
class ChokeDecision:
    """Who is unchoked from now on, the optimistic one included."""

    unchoked: frozenset[PeerKey]
    optimistic: PeerKey | None


class _Known:
    """What the choker remembers of a peer."""

    __slots__ = ("is_new", "since", "unchoked", "uploaded_before")

    def __init__(self, now: float) -> None:
        self.unchoked = False
        self.since = now                                # when it was unchoked, or began to wait
        self.is_new = True                              # was never unchoked
        self.uploaded_before = 0                        # when it was unchoked


class Choker:
    """Decides about all peers of one torrent together. `now` is in monotonic seconds."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._known: dict[PeerKey, _Known] = {}
        self._optimistic: PeerKey | None = None
        self._optimistic_until = 0.0
        self._next_round = 0.0

    def rechoke(self, peers: Sequence[ChokePeer], now: float, rng: RandomSource, seeding: bool) -> ChokeDecision:
        """Decide. To be called each ROUND_SECONDS, and when an unchoked peer left or somebody became interested."""
        self._meet(peers, now)
        peers = list(peers)
        rng.shuffle(peers)                              # among equals chance decides, not who connected first
        candidates = [peer for peer in peers if peer.interested]
        is_round = now >= self._next_round
        if is_round:
            self._next_round = now + ROUND_SECONDS
        if seeding:
            self._optimistic = None
            ranking = self._by_turn(candidates, now)
            regular = self._regular(ranking, self._slots, is_round)
        else:
            ranking = self._by_rate(candidates, now)
            regular = self._regular(ranking, self._slots - 1, is_round)
            self._choose_optimistic(candidates, regular, now)
        unchoked = regular if self._optimistic is None else regular | {self._optimistic}
        self._remember(peers, unchoked, now)
        return ChokeDecision(frozenset(unchoked), self._optimistic)

    def _meet(self, peers: Sequence[ChokePeer], now: float) -> None:
        """Know all that are here, forget all others."""
        self._known = {peer.key: self._known.get(peer.key) or _Known(now) for peer in peers}
        if self._optimistic not in self._known:
            self._optimistic = None

    def _by_rate(self, candidates: list[ChokePeer], now: float) -> list[PeerKey]:
        """Who sends us most; of those that send nothing, whose try is not over, then who waits, the longest first."""
        def merit(peer: ChokePeer) -> tuple[float, int, float]:
            known = self._known[peer.key]
            if not known.unchoked or peer.key == self._optimistic:
                return -peer.download_rate, 1, known.since
            return -peer.download_rate * INCUMBENT_BONUS, 0 if now - known.since < OPTIMISTIC_SECONDS else 2, known.since
        return [peer.key for peer in sorted((peer for peer in candidates if not peer.snubbed), key=merit)]

    def _by_turn(self, candidates: list[ChokePeer], now: float) -> list[PeerKey]:
        """Whose turn it still is; who waits, the longest first; whose turn is over, the fastest first."""
        def place(peer: ChokePeer) -> tuple[int, float]:
            known = self._known[peer.key]
            if not known.unchoked:
                return 1, known.since
            seconds, num_bytes = now - known.since, peer.uploaded - known.uploaded_before
            is_over = seconds >= LONGEST_TURN_SECONDS or (seconds >= TURN_SECONDS and num_bytes >= TURN_BYTES)
            return 2 if is_over else 0, -peer.upload_rate
        return [peer.key for peer in sorted(candidates, key=place)]

    def _regular(self, ranking: list[PeerKey], places: int, is_round: bool) -> set[PeerKey]:
        """The first of the ranking. Between rounds incumbents keep their places; the optimistic one gets what is left."""
        if not is_round:
            ranking = sorted(ranking, key=lambda key: (key == self._optimistic, not self._known[key].unchoked))
        return set(ranking[:max(places, 0)])

    def _choose_optimistic(self, candidates: list[ChokePeer], regular: set[PeerKey], now: float) -> None:
        choice = [peer.key for peer in candidates if peer.key not in regular]
        if self._optimistic in choice and now < self._optimistic_until:
            return
        others = [key for key in choice if key != self._optimistic] or choice
        def wait(key: PeerKey) -> float:
            known = self._known[key]
            return (now - known.since) * (NEWCOMER_WEIGHT if known.is_new else 1) if not known.unchoked else -1
        self._optimistic = max(others, key=wait, default=None)
        self._optimistic_until = now + OPTIMISTIC_SECONDS

    def _remember(self, peers: list[ChokePeer], unchoked: set[PeerKey], now: float) -> None:
        for peer in peers:
            known, is_unchoked = self._known[peer.key], peer.key in unchoked
            if is_unchoked != known.unchoked:
                known.unchoked = is_unchoked
                known.since = now
                known.uploaded_before = peer.uploaded
            known.is_new = known.is_new and not is_unchoked
