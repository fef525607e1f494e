"""OwnAddress: under which address others see us, as they say (`yourip` of BEP 10).

A host behind a router cannot know it otherwise, and peer priorities (BEP 40) need it. A single voice means nothing: a peer may lie so
that its own addresses come first. So each host has one vote, and an address is believed once several hosts name it, and more of them
than name any other. Peers on our own network see another address than those outside do, so each scope votes for itself.
"""

import ipaddress
from collections import Counter, OrderedDict
from typing import Final

from protocol.limits import MAX_ADDRESS_VOTES

MIN_VOTES: Final = 3                                    # hosts that must agree

Scope = tuple[int, bool]                                # IP version, and whether it is about the world or the own network


class OwnAddress:
    """One for all torrents of an engine. `version` grows when something else is believed."""

    def __init__(self) -> None:
        self.version = 0
        self._votes: dict[Scope, OrderedDict[str, str]] = {}    # voter's ip → ours, the newest last
        self._believed: dict[Scope, str] = {}

    def seen_by(self, voter_ip: str, own_ip: str) -> None:
        """The host at `voter_ip` says that it sees us as `own_ip`; another family than its own is no answer."""
        scope = _scope_of(voter_ip)
        own = ipaddress.ip_address(own_ip)
        if own.version != scope[0] or own.is_unspecified or own.is_multicast:
            return
        votes = self._votes.setdefault(scope, OrderedDict())
        votes.pop(voter_ip, None)
        votes[voter_ip] = own_ip
        if len(votes) > MAX_ADDRESS_VOTES:
            votes.popitem(last=False)
        self._count(scope, votes)

    def as_seen_by(self, peer_ip: str) -> str:
        """Return our address as this peer sees it, or '' while nobody knows."""
        return self._believed.get(_scope_of(peer_ip), "") if self._believed else ""

    def _count(self, scope: Scope, votes: OrderedDict[str, str]) -> None:
        (first, num_first), *others = Counter(votes.values()).most_common(2)
        is_clear = num_first >= MIN_VOTES and all(num_votes < num_first for _, num_votes in others)
        if is_clear and self._believed.get(scope) != first:
            self._believed[scope] = first
            self.version += 1


def _scope_of(ip: str) -> Scope:
    address = ipaddress.ip_address(ip)
    return address.version, address.is_global
