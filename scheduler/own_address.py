"""OwnAddress: under which address others see us, as they say (`yourip` of BEP 10).

A host behind a router cannot know it otherwise, and peer priorities (BEP 40) need it. A single voice means nothing: a peer may lie so
that its own addresses come first. So each host has one vote, and an address is believed once several hosts name it, and more of them
than name any other. Another one takes its place only when twice as many name it: each change makes every torrent order its candidates
anew, so a few hosts that change their minds must not bring it about. Peers on our own network see another address than those outside do, so each scope votes for itself.
"""

import ipaddress
from collections import Counter, OrderedDict
from typing import Final

from protocol.limits import MAX_ADDRESS_VOTES

MIN_VOTES: Final = 3                                    # hosts that must agree
TIMES_AS_MANY: Final = 2                                # as still name what is believed must name another one

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
        count = Counter(votes.values())
        (first, num_first), *others = count.most_common(2)
        believed = self._believed.get(scope)
        if believed == first or num_first < MIN_VOTES:
            return
        rival = others[0][1] if others else 0
        if num_first > rival and num_first >= TIMES_AS_MANY * count[believed]:
            self._believed[scope] = first
            self.version += 1


def _scope_of(ip: str) -> Scope:
    address = ipaddress.ip_address(ip)
    return address.version, address.is_global
