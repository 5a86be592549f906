"""A mean with its interval, and sums of them."""

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

    def json(self) -> dict[str, float | None]:
        return asdict(self)


def mean(values: Sequence[float]) -> Range:
    """The mean with Student's t interval; its low end is not below zero."""
    found = np.asarray(values, dtype=np.float64)
    middle = float(found.mean())
    if len(found) < 2:
        return Range(middle)
    error = float(found.std(ddof=1)) / len(found) ** 0.5
    reach = float(stats.t.ppf(0.975, len(found) - 1)) * error
    return Range(middle, max(0.0, middle - reach), middle + reach)
