"""TorrentLife: what a torrent should be doing, what the daemon does for it, and the next step that brings the two together.

Wishes (the user's start, stop, recheck) and facts (what the daemon said, that it died) change the state; after each of them
`next_step` says what to do now, until there is nothing but to wait. The daemon holds a torrent in one of six phases:

    ABSENT ──GIVE──▶ CHECKING ──checked──▶ RESTING ──RUN──▶ RUNNING ──HALT──▶ STOPPING ──stopped──▶ RESTING
      │                 ▲                     │
    FETCH               └───────CHECK─────────┘          its death: any phase ──▶ ABSENT
      ▼
   FETCHING ──metadata known──▶ ABSENT                   of a magnet link, whose metadata peers have to send first

A wish never waits for a particular answer, so any order of messages is right, also a start in the middle of a stop.
"""

from enum import Enum
from typing import Final

# Of a torrent, as it is shown (spec §2)
STOPPED: Final = "stopped"
CHECKING: Final = "checking"
METADATA: Final = "metadata"                            # is downloading it
DOWNLOADING: Final = "downloading"
SEEDING: Final = "seeding"
ERROR: Final = "error"
STATES: Final = (STOPPED, CHECKING, METADATA, DOWNLOADING, SEEDING, ERROR)


class Phase(Enum):
    """What the daemon does with the torrent."""

    ABSENT = "it does not have it"
    FETCHING = "asks peers for the metadata"
    CHECKING = "hashes what is on disk"
    RESTING = "knows its pieces and has no peers"
    RUNNING = "takes part in the swarm"
    STOPPING = "closes connections and makes data durable"


class Step(Enum):
    """What to tell the daemon now."""

    FORGET = "that it had the torrent"
    FETCH = "to take part in the swarm for its metadata"
    GIVE = "the metadata, and to check all pieces but those known as durable"
    GIVE_UNCHECKED = "the metadata, and to check all pieces"
    CHECK = "to check all pieces"
    RUN = "to take part in the swarm"
    HALT = "to leave it"


class TorrentLife:
    """The life cycle of one torrent."""

    def __init__(self, has_metadata: bool = True) -> None:
        self.phase = Phase.ABSENT
        self.has_metadata = has_metadata
        self.wanted = False                             # the user wants it to run
        self.error = ""                                 # why it cannot; '' = it can
        self._has_daemon = False
        self._is_useless = False                        # the daemon still has it, in a state of no use
        self._recheck = False                           # the user wants all pieces hashed
        self._recheck_runs = False                      # … and that is what the daemon does now
        self._is_checked = False                        # the daemon knows which pieces are right

    # ── wishes ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Run, also after an error."""
        self.wanted, self.error = True, ""

    def stop(self) -> None:
        """Rest. An error stays shown."""
        self.wanted = self._recheck = self._recheck_runs = False

    def recheck(self) -> None:
        """Hash everything, then go on as before."""
        self._recheck, self.error = self.has_metadata, ""

    # ── facts ────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def daemon_ready(self) -> None:
        """There is a daemon; it has nothing yet."""
        self._has_daemon = True

    def daemon_lost(self) -> None:
        """It died, and with it what it knew."""
        self._recheck |= self._recheck_runs
        self._has_daemon = self._is_useless = self._recheck_runs = self._is_checked = False
        self.phase = Phase.ABSENT

    def metadata_known(self) -> bool:
        """Peers sent it; the daemon holds its connections until it is given the torrent. False: that was not asked, or was taken back."""
        if self.phase is not Phase.FETCHING:
            return False
        self.phase, self.has_metadata = Phase.ABSENT, True
        return True

    def checked(self) -> bool:
        """The daemon knows which pieces are right. False: that was not asked, or was taken back."""
        if self.phase not in (Phase.CHECKING, Phase.STOPPING):
            return False
        self._is_checked, self._recheck_runs = True, False
        self.phase = Phase.RESTING if self.phase is Phase.CHECKING else self.phase
        return True

    def stopped(self) -> bool:
        """The daemon closed all connections; what it wrote is durable. False: that was not asked, or was taken back."""
        if self.phase is not Phase.STOPPING:
            return False
        self.phase = Phase.RESTING if self._is_checked else Phase.ABSENT
        self._is_useless = not self._is_checked         # a check was cut short
        return True

    def failed(self, error: str) -> None:
        """This machine's fault; the daemon has stopped the torrent."""
        self.stop()
        self.error, self._is_useless, self._is_checked = error, True, False
        self.phase = Phase.ABSENT

    # ── what follows ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def next_step(self) -> Step | None:
        """Return what to do now, taken as done; None while there is nothing to do but wait."""
        if not self._has_daemon:
            return None
        match self.phase:
            case Phase.ABSENT if self._is_useless:                                return self._forget()
            case Phase.ABSENT if self._recheck:                                   return self._check(Step.GIVE_UNCHECKED)
            case Phase.ABSENT if self.wanted and not self.has_metadata:           return self._enter(Phase.FETCHING, Step.FETCH)
            case Phase.FETCHING if not self.wanted:                               return self._enter(Phase.STOPPING, Step.HALT)
            case Phase.ABSENT if self.wanted:                                     return self._check(Step.GIVE)
            case Phase.RESTING if self._recheck:                                  return self._check(Step.CHECK)
            case Phase.RESTING if self.wanted:                                    return self._enter(Phase.RUNNING, Step.RUN)
            case Phase.RUNNING if self._recheck or not self.wanted:               return self._enter(Phase.STOPPING, Step.HALT)
            case Phase.CHECKING if not (self.wanted or self._recheck_runs):       return self._enter(Phase.STOPPING, Step.HALT)
        return None

    def _forget(self) -> Step:
        self._is_useless = False
        return Step.FORGET

    def _check(self, step: Step) -> Step:
        self._recheck_runs, self._recheck, self._is_checked = self._recheck, False, False
        return self._enter(Phase.CHECKING, step)

    def _enter(self, phase: Phase, step: Step) -> Step:
        self.phase = phase
        return step

    @property
    def is_running(self) -> bool:
        """Tell whether it takes part in the swarm, for pieces or for metadata."""
        return self.phase in (Phase.RUNNING, Phase.FETCHING)

    @property
    def is_at_rest(self) -> bool:
        """Tell whether the daemon does nothing for it."""
        return self.phase in (Phase.ABSENT, Phase.RESTING)

    @property
    def is_checked(self) -> bool:
        """Tell whether the daemon knows which pieces are right."""
        return self._is_checked

    @property
    def waits_for(self) -> str:
        """What a torrent that is wanted waits for before it runs; '' = nothing."""
        if not self._has_daemon:
            return "waits for its I/O daemon, which is being started"
        return "" if self.is_running else self.phase.value

    def state(self, is_complete: bool) -> str:
        """Return the state as it is shown. `is_complete`: all pieces are there and durable."""
        if self.error:
            return ERROR
        if not self.has_metadata:
            return METADATA if self.wanted else STOPPED
        if self.is_running:
            return SEEDING if is_complete else DOWNLOADING
        return CHECKING if self.wanted or self._recheck or self._recheck_runs else STOPPED
