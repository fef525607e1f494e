"""BanList: addresses that a torrent does not deal with any more, and why.

A ban is kept apart from the record of the peer, so that forgetting a record lifts no ban. It names the IP address, whatever the
port, for a new port costs nothing. Loopback is the exception: there many programs share one address, and the bad one must not take
the others along.
"""

from protocol.limits import MAX_BANNED_ADDRESSES
from protocol.peer_address import PeerAddress


class BanList:
    """Bounded; the oldest ban is forgotten first."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}              # by ip, or ip:port on loopback; in the order of the bans

    def __len__(self) -> int:
        return len(self._reasons)

    def ban(self, address: PeerAddress, reason: str) -> None:
        """Ban `address`; again: for the new reason."""
        name = _name(address)
        self._reasons.pop(name, None)
        self._reasons[name] = reason
        if len(self._reasons) > MAX_BANNED_ADDRESSES:
            del self._reasons[next(iter(self._reasons))]

    def unban(self, address: PeerAddress) -> None:
        """It is not banned any more; nothing if it was not."""
        self._reasons.pop(_name(address), None)

    def reason(self, address: PeerAddress) -> str:
        """Return why `address` is banned; '' when it is not."""
        return self._reasons.get(_name(address), "") if self._reasons else ""


def _name(address: PeerAddress) -> str:
    return str(address) if address.ip.startswith("127.") or address.ip == "::1" else address.ip
