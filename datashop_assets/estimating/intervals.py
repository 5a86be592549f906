"""Figures with their intervals: of a mean, of a stated figure, and of sums."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True, slots=True)
class Range:
    """An estimate with the ends of its 95% interval; both ends None where there is nothing to tell the spread from."""

    value: float
    low: float | None = None
    high: float | None = None

    def times(self, factor: float) -> "Range":
        return Range(*(None if one is None else one * factor for one in (self.value, self.low, self.high)))  # type: ignore[arg-type]

    def plus(self, other: "Range") -> "Range":
        """Both together, ends added to ends: they may be wrong in the same direction."""
        ends = [(self.low, other.low), (self.high, other.high)]
        low, high = (None if one is None or two is None else one + two for one, two in ends)
        return Range(self.value + other.value, low, high)

    def json(self) -> dict[str, float | None]:
        return asdict(self)


def exactly(value: float) -> Range:
    return Range(value, value, value)


def stated(value: float, within: float) -> Range:
    """A figure that somebody stated, and that may be wrong by the factor `within`."""
    return Range(value, value / within, value * within)


def mean(values: Sequence[float]) -> Range:
    """The mean with Student's t interval; its low end is not below zero."""
    found = np.asarray(values, dtype=np.float64)
    middle = float(found.mean())
    if len(found) < 2:
        return Range(middle)
    error = float(found.std(ddof=1)) / len(found) ** 0.5
    reach = float(stats.t.ppf(0.975, len(found) - 1)) * error
    return Range(middle, max(0.0, middle - reach), middle + reach)
