"""Counts by a name that a log gave: as many names as ours are, and some; what else comes is summed."""

from collections import Counter
from typing import Final

MAX_KINDS: Final = 20                                   # of outcomes or reasons; ours are below ten
OTHER: Final = "other"


def count_kind(counter: Counter[str], kind: str) -> None:
    """Count one more, under its name while there is room for names."""
    counter[kind if kind in counter or len(counter) < MAX_KINDS else OTHER] += 1
