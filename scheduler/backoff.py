"""How long a peer waits for its next try.

15 s × 2ⁿ up to an hour, with jitter, for n failures and quick disconnects in a row. Dialling a peer that just said no again at
once costs a token, a half-open slot and an entry in a router's table, and it takes them from the peers that were never tried.
A peer that takes us and drops us within 30 s counts like one that refused: otherwise a full or hostile peer could have us dial it
all day. What this machine could not do (`local_busy`) waits shortly and counts for nothing.
"""

from typing import Final

from scheduler.random_source import RandomSource

FIRST_WAIT_SECONDS: Final = 15.0
LONGEST_WAIT_SECONDS: Final = 3600.0
JITTER: Final = 0.25                                    # peers that failed together are not tried together
QUICK_DISCONNECT_SECONDS: Final = 30.0                  # a connection shorter than this was none
BUSY_WAIT_SECONDS: Final = 2.0                          # the daemon's backlog of pending dials drains in about this time


def backoff_wait(strikes: int, rng: RandomSource) -> float:
    """Return the seconds until the next try after `strikes` (at least 1) failures and quick disconnects in a row."""
    longest = LONGEST_WAIT_SECONDS / (1 + JITTER)       # so that those at the top are spread as well
    doublings = min(strikes - 1, 16)                    # 2¹⁶ × 15 s is far above the longest; a float could overflow
    return min(FIRST_WAIT_SECONDS * 2.0 ** doublings, longest) * (1 + JITTER * rng.random())
