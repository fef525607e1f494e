"""What became of the attempts at a peer: how long each phase took, how it ended, and why. Moments and seconds are monotonic.

A round begins when the peer becomes a candidate, or dials us; it ends when it has failed, is disconnected or is a candidate again. So
the three phases of a round are its wait for a slot, TCP's connect and the handshake.
"""

from typing import Final, NamedTuple

MAX_PAST_ATTEMPTS: Final = 5                            # of a record: what a table shows, and 0.5 KiB


class PhaseTimes(NamedTuple):
    """Seconds that the phases of a round took so far; of the one that lasts, what it took before it was entered again."""

    waited: float = 0.0                                 # for a slot
    connecting: float = 0.0
    handshaking: float = 0.0


class PastAttempt(NamedTuple):
    """An attempt that is over."""

    number: int                                         # of our dials at this address, from 1; 0 = it dialled us
    ended: float                                        # moment
    phases: PhaseTimes
    connected: float                                    # seconds that the connection lasted; 0 = there was none
    outcome: str                                        # one of protocol.daemon_messages.OUTCOMES
    reason: str                                         # for people


NO_PHASES: Final = PhaseTimes()


def with_attempt(history: tuple[PastAttempt, ...], attempt: PastAttempt) -> tuple[PastAttempt, ...]:
    """Return the history with one more, the newest last."""
    return (*history, attempt)[-MAX_PAST_ATTEMPTS:]
