"""Refusal: the rule that says no to a torrent, with its numbers, and the sentence that people read.

The function that refuses returns one of these, and the sentence is made of the same numbers: there is no second copy of a rule that
could say something else.
"""

from typing import Final, NamedTuple

PAUSED: Final = "paused"
RETRY: Final = "retry"
TORRENT: Final = "torrent"
HALF_OPEN_SHARE: Final = "half_open_share"
GLOBAL: Final = "global"
HALF_OPEN: Final = "half_open"
UNANSWERED: Final = "unanswered"
ROUTER: Final = "router"
RATE: Final = "rate"
NOT_ITS_TURN: Final = "not_its_turn"
RULES: Final = (PAUSED, RETRY, TORRENT, HALF_OPEN_SHARE, GLOBAL, HALF_OPEN, UNANSWERED, ROUTER, RATE, NOT_ITS_TURN)


class Refusal(NamedTuple):
    """A rule that says no now."""

    rule: str                                           # one of RULES
    used: int = 0
    limit: float = 0                                    # what `used` is measured by; of RATE and NOT_ITS_TURN dials per second
    kept: int = 0                                       # of the limit, for others
    reason: str = ""                                    # of a pause or a decline
    seconds: float = 0.0                                # until RETRY ends

    def sentence(self, turn_in: float, num_waiting: int) -> str:
        """Return it in words. `turn_in` is in how many seconds the turn of the torrent comes, of `num_waiting` that wait."""
        kept = f", {self.kept} kept for incoming" if self.kept else ""
        match self.rule:
            case "paused":           return f"paused: {self.reason}"
            case "retry":            return f"it declined its last slot ({self.reason}), it is asked again in {_whole(self.seconds)} s"
            case "torrent":          return f"this torrent's limit: {self.used} of {self.limit}{kept}"
            case "half_open_share":  return f"its share of the half-open slots is in use ({self.used} of {self.limit})"
            case "global":           return f"global limit: {self.used} of {self.limit} connections{kept}"
            case "half_open":        return f"waits: all {self.limit} half-open slots are in use"
            case "unanswered":       return f"waits: {self.used} of {self.limit} unanswered dials that the router remembers{self.reason}"
            case "router":           return f"waits: {self.used} of {self.limit} connections and dials{self.reason}"
        rate = f"rate {self.limit:g}/s" if self.limit else "no rate limit"
        return f"its turn comes in about {_whole(turn_in)} s ({rate}, {num_waiting} torrent{'s wait' if num_waiting != 1 else ' waits'})"


def _whole(seconds: float) -> int:
    return max(1, round(seconds))
