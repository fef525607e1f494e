"""SwarmPeer: all that a torrent remembers of one peer address. One record feeds row, counts and log, so they agree."""

import math
from dataclasses import dataclass, field
from typing import Final

from protocol.peer_address import PeerAddress
from scheduler.attempt_history import NO_PHASES, PastAttempt, PhaseTimes, with_attempt
from scheduler.backoff import DialBurst

# The state of a record is the state of its row (spec §3)
QUEUED: Final = "queued"                                # a candidate: it may be dialled now
CONNECTING: Final = "connecting"
HANDSHAKING: Final = "handshaking"
CONNECTED: Final = "connected"
FAILED: Final = "failed"                                # waits for `until`, or is never dialled again when that is None
STATES: Final = (QUEUED, CONNECTING, HANDSHAKING, CONNECTED, FAILED)
BUSY_STATES: Final = frozenset((CONNECTING, HANDSHAKING, CONNECTED))

# Where addresses come from
INCOMING: Final = "incoming"
MANUAL: Final = "manual"
MAGNET: Final = "magnet"                                # x.pe of a link
REMEMBERED: Final = "remembered"                        # from before this start

UNKNOWN_PORT: Final = "it dialled us, the port where it listens is not known"


@dataclass(slots=True, eq=False)
class SwarmPeer:
    """The record of one address. Moments are monotonic seconds of the engine. Only Swarm changes `state`."""

    address: PeerAddress
    sources: tuple[str, ...]                            # in the order in which they named it
    state: str
    since: float                                        # when it came into `state`
    until: float | None = None                          # deadline of the attempt, or moment of the next try
    reason: str = ""                                    # why it is in `state`, for people
    attempts: int = 0                                   # dials
    failures: int = 0                                   # in a row
    quick_disconnects: int = 0                          # in a row
    local_failures: int = 0                             # dials in a row that this machine could not do: nobody's fault
    burst: DialBurst = field(default_factory=DialBurst) # its dials of the last seconds
    answered_in: float | None = None                    # seconds from a dial to TCP's answer, also a refusal, the last time
    last_attempt: float | None = None
    last_success: float | None = None                   # handshake complete, in either direction
    last_failure: float | None = None
    last_error: str = ""
    barred: str = ""                                    # why it is never dialled; '' = it may be
    ban_reason: str = ""                                # '' = not banned
    client_name: str = ""                               # '' = never told
    downloaded: int = 0                                 # payload bytes of the closed connections
    uploaded: int = 0
    phases: PhaseTimes = NO_PHASES                      # of this round, of the last one while it is failed
    outcome: str = ""                                   # of the last attempt, one of daemon_messages.OUTCOMES; '' = none has ended
    ended_by: str = ""                                  # why that ended, for people
    history: tuple[PastAttempt, ...] = ()               # of the rounds before this one, the newest last
    dialled_us: bool = False                            # in this round

    def enter(self, state: str, now: float, until: float | None, reason: str) -> None:
        """Change the state. For SwarmTable alone, which counts; `ends` comes before the end of an attempt."""
        self._end_phase(max(now - self.since, 0.0))
        if self.is_busy and state not in BUSY_STATES:
            lasted = max(now - self.since, 0.0) if self.state == CONNECTED else 0.0
            number = 0 if self.dialled_us else self.attempts
            self.history = with_attempt(self.history, PastAttempt(number, now, self.phases, lasted, self.outcome, self.ended_by))
        if state == QUEUED or (self.state == FAILED and state in BUSY_STATES):
            self.phases, self.dialled_us = NO_PHASES, state == HANDSHAKING
        self.state, self.since, self.until, self.reason = state, now, until, reason

    def ends(self, outcome: str, reason: str) -> None:
        """The attempt or the connection is over; the state that follows is entered next."""
        self.outcome, self.ended_by = outcome, reason or outcome

    def _end_phase(self, seconds: float) -> None:
        phases = self.phases
        match self.state:
            case "queued":       self.phases = phases._replace(waited=phases.waited + seconds)
            case "connecting":   self.phases = phases._replace(connecting=phases.connecting + seconds)
            case "handshaking":  self.phases = phases._replace(handshaking=phases.handshaking + seconds)

    @property
    def source(self) -> str:
        """Where we know it from, in one text."""
        return ", ".join(self.sources)

    @property
    def is_busy(self) -> bool:
        """Tell whether it is being dialled or connected."""
        return self.state in BUSY_STATES

    @property
    def next_try(self) -> float | None:
        """The moment from which it may be dialled again; None when it may be now, is busy, or never will."""
        return self.until if self.state == FAILED else None

    def candidate_rank(self) -> tuple[int, float]:
        """Key of the order in which candidates are dialled, the smallest first.

        Never tried, then succeeded before, then least recently failed. Tried without a verdict (a dial of ours that was cancelled
        or that this machine could not do) is next to never tried.
        """
        last_attempt = -math.inf if self.last_attempt is None else self.last_attempt
        if self.last_success is not None:
            return (1, last_attempt)
        if self.last_failure is not None:
            return (2, self.last_failure)
        return (0, last_attempt)

    def uselessness(self) -> tuple[bool, bool, int]:
        """Key of the order in which records are forgotten, the greatest first: never dialled again, never reached, most failures."""
        return (bool(self.barred), self.last_success is None, self.failures + self.quick_disconnects)

    @property
    def is_worth_less_than_untried(self) -> bool:
        """Tell whether an address that was never tried may take its place."""
        return self.state == FAILED and self.uselessness() > (False, True, 0)
