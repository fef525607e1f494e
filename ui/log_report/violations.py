"""The invariants that a log can show (docs/inspect.md), and the lines that break one."""

from dataclasses import dataclass, field
from typing import Final

RULES: Final = {
    "half_open": "leases, dials and handshakes under way never exceed the half-open limit",
    "rate": "in every window of w seconds at most burst + rate × w dials begin",
    "unanswered": "dials that a router remembers (120 s without an answer, 10 s refused, or under way) never exceed their limit",
    "global": "connections, dials and grants together never exceed the global limit",
    "incoming_reserve": "our own dials leave the places that are kept for incoming peers",
    "torrent": "connections, dials and grants of one torrent never exceed its limit",
    "granted": "every dial has a grant, every grant one torrent and one number",
    "one_end": "granted = connected + failed + cancelled + declined + expired + in flight: each grant ends once, and as it was",
    "lease": "a lease that nobody answers comes back",
    "pause": "nobody is granted anything while connecting is paused",
    "cancel": "no grant follows a cancel before the torrent asks again",
}
MAX_EXAMPLES: Final = 10                                # of each rule


@dataclass(frozen=True, slots=True)
class Violation:
    """One line that breaks a rule."""

    rule: str                                           # a key of RULES
    run: int                                            # of the engine, counted from 1
    line: int
    at: float                                           # monotonic seconds
    text: str
    is_after_damage: bool                               # a line of this run is missing before it: a change of a limit may be among them


@dataclass(slots=True)
class Violations:
    """How many there are of each rule, and the first ones."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[Violation]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.counts)

    @property
    def total(self) -> int:
        """How many lines break a rule."""
        return sum(self.counts.values())

    def add(self, violation: Violation) -> None:
        """One more."""
        self.counts[violation.rule] = self.counts.get(violation.rule, 0) + 1
        examples = self.examples.setdefault(violation.rule, [])
        if len(examples) < MAX_EXAMPLES:
            examples.append(violation)
