"""ReferenceBucket: the bound of starts in every window, checked start by start."""

ROUNDING = 1e-6


class ReferenceBucket:
    """Starts in every window of w seconds ≤ burst + rate × w holds exactly as long as this level never falls below 0.

    A start that no lease permitted, and a burst that is lowered below what was promised, let it: as far as the promises go.
    """

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self.rate, self.burst, self.level, self._since = rate, burst, float(burst), now
        self._lowest = 0.0

    def pass_time(self, now: float) -> None:
        self.level = float(self.burst) if self.rate == 0 else min(self.level + (now - self._since) * self.rate, float(self.burst))
        self._since = now

    def start(self) -> None:
        if self.rate:
            assert self.level - 1 >= self._lowest - ROUNDING, "more starts than burst + rate × time"
            self.start_unasked()

    def start_unasked(self) -> None:
        if self.rate:
            self.level = max(self.level - 1, -float(self.burst))

    def set_rate(self, rate: float, burst: int) -> None:
        before = float(self.burst) if self.rate == 0 else self.level            # without a limit the bucket is full at any time
        self.rate, self.burst, self.level = rate, burst, min(before, float(burst))

    def event_is_over(self, num_promised: int) -> None:
        self._lowest = min(self._lowest, self.level - num_promised) if self.level < num_promised else 0.0
