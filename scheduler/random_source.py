"""RandomSource: what policies need of a random generator. They import no random: whoever calls them decides about seeds."""

from collections.abc import MutableSequence
from typing import Any, Protocol


class RandomSource(Protocol):
    """`random.Random` and `random.SystemRandom` are such."""

    def random(self) -> float:
        """A number from 0 (included) to 1 (excluded)."""

    def randrange(self, stop: int, /) -> int:
        """A whole number from 0 to `stop` - 1; `stop` is at least 1."""

    def shuffle(self, items: MutableSequence[Any], /) -> None:
        """Put `items` into a random order, in place."""
