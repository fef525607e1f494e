"""Timeline: one run cut into bins. When it is longer than the bins reach, each two become one: memory does not grow with time."""

from array import array
from collections.abc import Iterator
from typing import Final

NUM_BINS: Final = 120
FIRST_BIN_SECONDS: Final = 1.0


class BinCounts:
    """A count for each bin."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values = array("Q", bytes(8 * NUM_BINS))

    def halve(self) -> None:
        """Each two bins become one."""
        merged = [self.values[place] + self.values[place + 1] for place in range(0, NUM_BINS, 2)]
        self.values = array("Q", merged + [0] * (NUM_BINS - len(merged)))


class BinPeaks(BinCounts):
    """The highest value in each bin."""

    __slots__ = ()

    def halve(self) -> None:
        """Each two bins become one."""
        merged = [max(self.values[place], self.values[place + 1]) for place in range(0, NUM_BINS, 2)]
        self.values = array("Q", merged + [0] * (NUM_BINS - len(merged)))

    def raise_to(self, place: int, value: int) -> None:
        """The value was reached in this bin."""
        if value > self.values[place]:
            self.values[place] = value


class Timeline:
    """Bins of equal length from `began`, and the series that are kept in them."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.bin_seconds = FIRST_BIN_SECONDS
        self.place = 0                                  # the bin of the last moment
        self.num_halved = 0
        self._series: list[BinCounts] = []

    def keep(self, series: BinCounts) -> None:
        """Halve this one too."""
        self._series.append(series)

    @property
    def num_used(self) -> int:
        """How many bins have begun."""
        return self.place + 1

    def advance(self, at: float) -> Iterator[tuple[int, float]]:
        """Go on to this moment. Yields (bin, moment) for each bin that began on the way."""
        while at - self.began >= NUM_BINS * self.bin_seconds:
            self._halve()
        wanted = max(int((at - self.began) / self.bin_seconds), self.place)
        while self.place < wanted:
            self.place += 1
            yield self.place, self.began + self.place * self.bin_seconds

    def _halve(self) -> None:
        for series in self._series:
            series.halve()
        self.bin_seconds *= 2
        self.place //= 2
        self.num_halved += 1
