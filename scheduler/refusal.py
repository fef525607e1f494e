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
# What keeps a torrent from asking the broker at all
STOPPED: Final = "stopped"
ERROR: Final = "error"
NOT_READY: Final = "not_ready"
NO_PEERS: Final = "no_peers"
ALL_FAILED: Final = "all_failed"
ALL_BUSY: Final = "all_busy"
RULES: Final = (
    PAUSED, RETRY, TORRENT, HALF_OPEN_SHARE, GLOBAL, HALF_OPEN, UNANSWERED, ROUTER, RATE, NOT_ITS_TURN,
    STOPPED, ERROR, NOT_READY, NO_PEERS, ALL_FAILED, ALL_BUSY,
)


class Refusal(NamedTuple):
    """A rule that says no now."""

    rule: str                                           # one of RULES
    used: int = 0
    limit: float = 0                                    # what `used` is measured by; of RATE and NOT_ITS_TURN dials per second
    kept: int = 0                                       # of the limit, for others
    reason: str = ""                                    # of a pause or a decline; of an error, and what it is not ready for
    seconds: float | None = 0.0                         # until RETRY, NO_PEERS or ALL_FAILED ends by itself; None: it does not

    def sentence(self, turn_in: float = 0.0, num_waiting: int = 0) -> str:
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
            case "stopped":          return "stopped by you"
            case "error" | "not_ready":  return self.reason
            case "no_peers":         return "no peers known yet" + (f", tracker answers in {_time(self.seconds)}" if self.seconds else "")
            case "all_failed":       return f"{self._failed_ones()} failed, {self._next_try()}"
            case "all_busy":         return ""          # every peer that it knows is connected, or an attempt is under way
        rate = f"rate {self.limit:g}/s" if self.limit else "no rate limit"
        return f"its turn comes in about {_whole(turn_in)} s ({rate}, {num_waiting} torrent{'s wait' if num_waiting != 1 else ' waits'})"

    def _failed_ones(self) -> str:
        """`used` of the `limit` known peers."""
        if self.used == self.limit:
            return "the only peer" if self.used == 1 else f"all {self.used} peers"
        return "the other peer" if self.used == 1 else f"the other {self.used} peers"

    def _next_try(self) -> str:
        return "none is tried again" if self.seconds is None else f"next try in {_time(self.seconds)}"


def _time(seconds: float) -> str:
    """In whole seconds or minutes, never 0."""
    return f"{_whole(seconds)} s" if seconds < 100 else f"{round(seconds / 60)} min"


def _whole(seconds: float) -> int:
    return max(1, round(seconds))
