"""Figures of a scenario: shares, quantiles, the most in any window."""

import math
from collections.abc import Iterable, Sequence


def jain(values: Iterable[float]) -> float:
    """Return Jain's index of fairness: 1 when all have the same, 1/n when one has everything."""
    values = list(values)
    squares = len(values) * sum(value * value for value in values)
    return sum(values) ** 2 / squares if squares else 1.0


def quantile(values: Iterable[float], share: float) -> float:
    """Return the smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def most_in_any(moments: Sequence[float], seconds: float) -> int:
    """Return how many of the moments, in order, lie in the fullest window of so many seconds."""
    most = first = 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most
