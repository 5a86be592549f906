"""Keeps documents away from an endpoint that is down, and lets one through now and then to see whether it is back."""

from collections.abc import Callable

AFTER = 5  # failures in a row; where one request in ten fails by itself, five in a row are one in 100,000
FIRST_REST, LONGEST_REST = 0.5, 20.0  # seconds


class Breaker:
    """Closed: all go through. Open: none does, for a rest that doubles. Then half open: one does, and decides.

    `jitter` gives a number from 0 to 1, so that endpoints that fell together are not all tried at once.
    """

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._failures = 0
        self._rest = FIRST_REST
        self._opens: float | None = None  # when the next probe may go; None while closed
        self.probing = False

    @property
    def closed(self) -> bool:
        return self._opens is None

    def lets_through(self, now: float) -> bool:
        return self._opens is None or (now >= self._opens and not self.probing)

    def sent(self) -> None:
        """A request is on its way. While the breaker is not closed it is the probe."""
        self.probing = not self.closed

    def answered(self) -> None:
        self._failures, self._rest, self._opens, self.probing = 0, FIRST_REST, None, False

    def failed(self, now: float) -> None:
        self._failures += 1
        if self.probing or self._failures >= AFTER:
            self._opens = now + self._rest * (0.5 + self._jitter() / 2)
            self._rest = min(LONGEST_REST, 2 * self._rest)
            self._failures = 0
        self.probing = False
