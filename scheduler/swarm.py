"""Swarm: the peers that one torrent knows, one record for each address, and which of them is dialled next.

Considerations:
- The records, their counts and heaps are SwarmTable's.
- Sources are merged: a peer that the tracker and another peer named is one record.
- Who dials us comes from a port that nobody listens on. Its record is barred until the extension handshake (BEP 10) tells the
  right port; then it joins the record of that address, if there is one.
- The same peer at a second address is not dialled there while the first connection lives.
- What is not the peer's fault (we stopped, the daemon died or was busy, no network) costs it nothing.
- No address is dialled ten times in ten seconds, whatever the reason and whoever asks (backoff.py).
"""

from collections.abc import Iterable
from typing import Final

from protocol.daemon_messages import (
    BOTH_SEEDS,
    CANCELLED,
    DUPLICATE_PEER,
    HANDSHAKE_FAILED,
    IDLE,
    LOCAL_BUSY,
    NO_ROUTE,
    OWN_ADDRESS,
)
from protocol.limits import MAX_OWN_ADDRESSES, MAX_SWARM_PEERS
from protocol.peer_address import PeerAddress, undiallable_reason
from scheduler.attempt_history import MAX_PAST_ATTEMPTS
from scheduler.backoff import (
    IDLE_WAIT_SECONDS,
    LONGEST_WAIT_SECONDS,
    QUICK_DISCONNECT_SECONDS,
    backoff_wait,
    busy_wait,
)
from scheduler.ban_list import BanList
from scheduler.own_address import OwnAddress
from scheduler.random_source import RandomSource
from scheduler.swarm_peer import (
    CONNECTED,
    CONNECTING,
    FAILED,
    HANDSHAKING,
    INCOMING,
    MANUAL,
    QUEUED,
    UNKNOWN_PORT,
    SwarmPeer,
)
from scheduler.swarm_table import SwarmTable

OWN_ADDRESS_TEXT: Final = "our own address"
SAME_PEER_TEXT: Final = "the same peer is connected at another address"
NO_ROUTE_TEXT: Final = "this machine has no route to it"


class Swarm(SwarmTable):
    """What sources, dials and connections mean for the records. Nothing here raises for what peers and trackers say."""

    def __init__(self, rng: RandomSource, max_peers: int = MAX_SWARM_PEERS, own_address: OwnAddress | None = None) -> None:
        super().__init__(max_peers, own_address or OwnAddress())
        self._rng = rng
        self._bans = BanList()
        self._own: dict[PeerAddress, None] = {}         # ordered, so that the oldest can be forgotten
        self._twins: dict[SwarmPeer, list[SwarmPeer]] = {}  # connected → other addresses of the same peer

    # ── addresses ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def add(self, source: str, addresses: Iterable[PeerAddress], now: float) -> int:
        """Take addresses from `source`; return how many became candidates by that.

        Left out: what cannot be dialled, our own, banned ones, and what is more than the table holds.
        """
        before = self.num_candidates
        new = []
        for address in dict.fromkeys(addresses):
            if undiallable_reason(address) or address in self._own or self.ban_reason(address):
                continue
            if address in self._peers:
                self._named_again(self._peers[address], source, now)
            else:
                new.append(address)
        for address in new[:self._make_room(len(new), now)]:
            self._insert(SwarmPeer(address, (source,), QUEUED, now))
        return self.num_candidates - before

    def _named_again(self, peer: SwarmPeer, source: str, now: float) -> None:
        if source not in peer.sources:
            peer.sources += (source,)
            self._changed(peer)
        if peer.barred == UNKNOWN_PORT:                 # so it does listen where it dialled from
            peer.barred = ""
            if peer.state == FAILED:
                self._queue(peer, now)
        elif source == MANUAL and peer.state == FAILED and not peer.barred:
            self._queue(peer, now)                      # the user wants it now

    def we_listen(self, port: int) -> None:
        """Our port: priorities of peers at our own address follow from it."""
        self._order.own_port = port

    def set_own(self, addresses: Iterable[PeerAddress], now: float) -> None:
        """These are our own: never dial them."""
        for address in addresses:
            self._own[address] = None
            while len(self._own) > MAX_OWN_ADDRESSES:
                del self._own[next(iter(self._own))]
            if address in self._peers:
                self._bar(self._peers[address], OWN_ADDRESS_TEXT, now)

    def ban(self, address: PeerAddress, reason: str, now: float) -> None:
        """Never dial or accept this IP address again (on loopback: this port of it)."""
        self._bans.ban(address, reason)
        for peer in self._peers.values():
            if not peer.ban_reason and self._bans.reason(peer.address):
                peer.ban_reason = reason
                self._changed(peer)
                self._bar(peer, f"banned: {reason}", now)

    def unban(self, address: PeerAddress, now: float) -> None:
        """It may be dialled again; nothing if it was not banned."""
        self._bans.unban(address)
        for peer in self._peers.values():
            if peer.ban_reason and not self._bans.reason(peer.address):
                peer.ban_reason = ""
                self._changed(peer)
                peer.barred = UNKNOWN_PORT if peer.sources == (INCOMING,) else ""
                if not peer.is_busy and not peer.barred:
                    self._move(peer, QUEUED, now)

    def ban_reason(self, address: PeerAddress) -> str:
        """Return why this address is banned, or ''."""
        return self._bans.reason(address)

    def _bar(self, peer: SwarmPeer, why: str, now: float) -> None:
        peer.barred = why
        if not peer.is_busy:
            self._move(peer, FAILED, now, reason=why)

    # ── attempts ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def attempt_started(self, peer: SwarmPeer, now: float, timeout: float) -> None:
        """It is dialled."""
        peer.attempts += 1
        peer.last_attempt = now
        peer.burst.dialled(now)
        self._move(peer, CONNECTING, now, until=now + timeout)

    def deadline_moved(self, peer: SwarmPeer, until: float) -> None:
        """Its dial gets another timeout."""
        if peer.state == CONNECTING:
            peer.until = until
            self._changed(peer)

    def handshake_started(self, peer: SwarmPeer, now: float, timeout: float) -> None:
        """TCP is connected."""
        self._move(peer, HANDSHAKING, now, until=now + timeout)

    def attempt_failed(self, peer: SwarmPeer, outcome: str, reason: str, now: float) -> None:
        """The attempt led to no connection. `outcome` is one of protocol.daemon_messages.OUTCOMES."""
        peer.ends(outcome, NO_ROUTE_TEXT if reason == NO_ROUTE else reason)
        if outcome == CANCELLED:
            self._release(peer, now)
            return
        peer.last_error = NO_ROUTE_TEXT if reason == NO_ROUTE else reason or outcome
        if outcome == LOCAL_BUSY or reason == NO_ROUTE:
            peer.local_failures += 1
            self._fail(peer, now, busy_wait(peer.local_failures), peer.last_error)
            return
        peer.local_failures = 0
        if reason == OWN_ADDRESS:
            self.set_own([peer.address], now)           # bars it
            self._move(peer, FAILED, now, reason=OWN_ADDRESS_TEXT)
        elif reason == DUPLICATE_PEER:
            self._duplicate(peer, now)
        else:
            peer.failures += 1
            peer.last_failure = now
            self._fail(peer, now, self._backoff(peer), peer.last_error)

    def _duplicate(self, peer: SwarmPeer, now: float) -> None:
        """It is a peer that is connected already, so nothing is gained here while that connection lives."""
        for other in self._peers.values():
            if other is not peer and other.state == CONNECTED and other.address.ip == peer.address.ip:
                if not peer.barred:
                    peer.barred = SAME_PEER_TEXT
                    self._twins.setdefault(other, []).append(peer)
                break
        self._fail(peer, now, LONGEST_WAIT_SECONDS, SAME_PEER_TEXT)

    def _separate_twins(self, peer: SwarmPeer, now: float) -> None:
        """The connection of `peer` is closed: its other addresses may be dialled again, after a wait."""
        for twin in self._twins.pop(peer, ()):
            if self._peers.get(twin.address) is twin and twin.barred == SAME_PEER_TEXT:
                twin.barred = ""
                if not twin.is_busy:
                    self._fail(twin, now, self._backoff(twin), twin.reason)

    def _backoff(self, peer: SwarmPeer) -> float:
        return backoff_wait(max(peer.failures + peer.quick_disconnects, 1), self._rng)

    def _fail(self, peer: SwarmPeer, now: float, wait: float, reason: str) -> None:
        """Let it wait; one that is barred waits for ever."""
        self._move(peer, FAILED, now, until=None if peer.barred else now + wait, reason=reason)

    def _release(self, peer: SwarmPeer, now: float) -> None:
        """It is as it was before; no blame."""
        if not peer.barred:
            self._queue(peer, now)
        elif peer.last_success is None and peer.barred == UNKNOWN_PORT:
            self._remove(peer)                          # it was never more than a knock at the door
        else:
            self._move(peer, FAILED, now, reason=peer.barred)

    # ── connections ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def incoming(self, address: PeerAddress, now: float, timeout: float) -> SwarmPeer | None:
        """It dialled us and has a place: return its record, handshaking; None when it is busy already or there is no room."""
        peer = self._peers.get(address)
        if peer is None:
            if not self._make_room_for_incoming(now):
                return None
            peer = SwarmPeer(address, (INCOMING,), FAILED, now, reason=UNKNOWN_PORT, barred=UNKNOWN_PORT)
            self._insert(peer)
        elif peer.is_busy:
            return None
        self._move(peer, HANDSHAKING, now, until=now + timeout)
        return peer

    def connected(self, peer: SwarmPeer, client_name: str, now: float) -> None:
        """The handshake is complete."""
        peer.failures = peer.local_failures = 0
        peer.last_success = now
        peer.client_name = client_name or peer.client_name
        self._move(peer, CONNECTED, now)

    def named(self, peer: SwarmPeer, client_name: str, listen_port: int) -> None:
        """The extension handshake told its name ('' = no news), and where it listens (0 = it did not say)."""
        peer.client_name = client_name or peer.client_name
        self._changed(peer)
        if peer.barred != UNKNOWN_PORT or not 0 < listen_port <= 65_535:
            return
        address = PeerAddress(peer.address.ip, listen_port)
        known = self._peers.get(address)
        if undiallable_reason(address) or address in self._own or (known and known is not peer and known.is_busy):
            return
        peer.barred = ""
        if known is not None and known is not peer:
            self._absorb(peer, known)
        del self._peers[peer.address]
        self._gone(peer)
        peer.address = address
        self._peers[address] = peer
        self._changed(peer)
        if ban := self.ban_reason(address):
            peer.ban_reason, peer.barred = ban, f"banned: {ban}"

    def _absorb(self, peer: SwarmPeer, known: SwarmPeer) -> None:
        """Give the history of `known`, the same peer's record where it listens, to `peer` and forget `known`."""
        peer.sources = tuple(dict.fromkeys(known.sources + peer.sources))
        peer.attempts += known.attempts
        peer.quick_disconnects += known.quick_disconnects
        peer.answered_in = known.answered_in if peer.answered_in is None else peer.answered_in
        peer.burst = max(peer.burst, known.burst, key=lambda burst: burst.began)
        peer.last_attempt = known.last_attempt if peer.last_attempt is None else peer.last_attempt
        peer.last_failure = known.last_failure if peer.last_failure is None else peer.last_failure
        peer.last_error = peer.last_error or known.last_error
        peer.history = (known.history + peer.history)[-MAX_PAST_ATTEMPTS:]
        peer.downloaded += known.downloaded
        peer.uploaded += known.uploaded
        self._remove(known)

    def disconnected(
        self, peer: SwarmPeer, now: float, reason: str, *, seconds: float, downloaded: int, uploaded: int, blame: bool = True,
    ) -> None:
        """Its connection, which lasted `seconds`, is closed. Without `blame` the end was ours: it may be dialled again at once."""
        peer.ends(CONNECTED if peer.state == CONNECTED else HANDSHAKE_FAILED if blame else CANCELLED, reason)
        peer.downloaded += downloaded
        peer.uploaded += uploaded
        self._separate_twins(peer, now)
        if not blame or peer.state != CONNECTED:        # one that came in and left before its handshake was complete
            self._release(peer, now)
            return
        if reason == BOTH_SEEDS:
            self._fail(peer, now, LONGEST_WAIT_SECONDS, reason)
            return
        if reason == IDLE:
            self._fail(peer, now, IDLE_WAIT_SECONDS, reason)
            return
        peer.last_error = reason
        if reason == DUPLICATE_PEER:
            self._duplicate(peer, now)
            return
        if seconds < QUICK_DISCONNECT_SECONDS:
            peer.quick_disconnects += 1
            peer.last_failure = now
        else:
            peer.quick_disconnects = 0
        self._fail(peer, now, self._backoff(peer), reason)

    def seeds_are_wanted(self, now: float) -> None:
        """We are no seed any more: those that we parted from because both were may be dialled again."""
        for peer in self._peers.values():
            if peer.state == FAILED and peer.reason == BOTH_SEEDS and not peer.barred:
                self._queue(peer, now)
