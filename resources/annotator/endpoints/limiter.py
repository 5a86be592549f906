"""How many requests an endpoint gets at a time: as many as it takes without pushing back.

As TCP does: one more for every good answer until the first push-back, from then on one more a round, and half after a
push-back. A round is what was under way together, so that ten refusals of one burst halve once. An answer slower than
`slow` seconds is a gentle push-back: servers batch, and one that is overloaded grows slow before it refuses.
"""


class Limiter:
    """Times are seconds of any one clock."""

    def __init__(self, *, start: int, most: int, slow: float) -> None:
        self.limit = float(min(start, most))
        self.in_flight = 0
        self._most, self._slow = most, slow
        self._reduced_at: float | None = None

    @property
    def free(self) -> bool:
        return self.in_flight < int(self.limit)

    @property
    def load(self) -> float:
        return self.in_flight / self.limit

    def answered(self, started: float, now: float) -> None:
        """A request that was sent at `started` was answered."""
        if now - started > self._slow:
            self._reduce(started, now, 0.9)
        elif self.in_flight >= int(self.limit) - 1:  # a limit that nobody reaches says nothing about the server
            step = 1.0 if self._reduced_at is None else 1.0 / self.limit
            self.limit = min(float(self._most), self.limit + step)

    def pushed_back(self, started: float, now: float) -> None:
        """A request that was sent at `started` was refused as one too many, or ran out of time."""
        self._reduce(started, now, 0.5)

    def _reduce(self, started: float, now: float, factor: float) -> None:
        if self._reduced_at is None or started > self._reduced_at:
            self.limit, self._reduced_at = max(1.0, self.limit * factor), now
