"""How long a peer waits for its next try.

15 s × 2ⁿ up to an hour, with jitter, for n failures and quick disconnects in a row. Dialling a peer that just said no again at
once costs a token, a half-open slot and an entry in a router's table, and it takes them from the peers that were never tried.
A peer that takes us and drops us within 30 s counts like one that refused: otherwise a full or hostile peer could have us dial it
all day. What this machine could not do (`local_busy`, no route) is no strike: it waits shortly, and longer only while this machine
goes on to be unable.

Whatever the reason, and whoever asks for it (a user who starts and stops, a source that names a peer again and again): no address sees
ten dials of ours in ten seconds. Each record counts its dials for that.
"""

from dataclasses import dataclass
from typing import Final

from scheduler.random_source import RandomSource

FIRST_WAIT_SECONDS: Final = 15.0
LONGEST_WAIT_SECONDS: Final = 3600.0
JITTER: Final = 0.25                                    # peers that failed together are not tried together
QUICK_DISCONNECT_SECONDS: Final = 30.0                  # a connection shorter than this was none
BUSY_WAIT_SECONDS: Final = 2.0                          # the daemon's backlog of pending dials drains in about this time
LONGEST_BUSY_WAIT_SECONDS: Final = 60.0                 # a firewall of ours that forbids one address does not change sooner
IDLE_WAIT_SECONDS: Final = 300.0                        # a peer that was of no use for this long will not be at once
BURST_SECONDS: Final = 10.0
MAX_BURST_DIALS: Final = 4                              # two bursts may touch: at most 8 dials in any 10 s


def backoff_wait(strikes: int, rng: RandomSource) -> float:
    """Return the seconds until the next try after `strikes` (at least 1) failures and quick disconnects in a row."""
    longest = LONGEST_WAIT_SECONDS / (1 + JITTER)       # so that those at the top are spread as well
    doublings = min(strikes - 1, 16)                    # 2¹⁶ × 15 s is far above the longest; a float could overflow
    return min(FIRST_WAIT_SECONDS * 2.0 ** doublings, longest) * (1 + JITTER * rng.random())


def busy_wait(times: int) -> float:
    """Return the seconds until the next try when this machine could not dial `times` (at least 1) times in a row."""
    return min(BUSY_WAIT_SECONDS * 2.0 ** min(times - 1, 16), LONGEST_BUSY_WAIT_SECONDS)


@dataclass(slots=True)
class DialBurst:
    """The dials of one address within BURST_SECONDS of the first of them. Moments are monotonic seconds."""

    began: float = float("-inf")
    num_dials: int = 0

    def dialled(self, now: float) -> None:
        """One more; it begins a new burst when the last one is over."""
        if not self.is_recent(now):
            self.began, self.num_dials = now, 0
        self.num_dials += 1

    def is_recent(self, now: float) -> bool:
        """Tell whether the burst is not over yet."""
        return now < self.began + BURST_SECONDS

    def free_at(self, now: float) -> float:
        """Return the moment from which it may be dialled: now, or when the burst is over."""
        return self.began + BURST_SECONDS if self.num_dials >= MAX_BURST_DIALS and self.is_recent(now) else now
