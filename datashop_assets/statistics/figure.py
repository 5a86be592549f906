"""A figure with its interval: one type, one text and one place in a manifest for every estimate of the project.

It is light, a pydantic model without numpy, so that a declaration may have it as a field of a step's result.
"""

from collections.abc import Callable, Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, model_validator

SPEC = ".3f"
NO_INTERVAL = "none"

LEVEL = 0.95


class Figure(BaseModel):
    """An estimate and its 95% interval; `low` and `high` are both None where nothing says how sure it is.

    `n` is how many units the interval is taken over, and `unit` what they are, such as `documents` or `seeds`. A figure
    that is not defined for its data (a correlation with a constant) is no `Figure` but None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    unit: str | None = None

    @model_validator(mode="after")
    def _ends_in_order(self) -> Self:
        if (self.low is None) != (self.high is None):
            raise ValueError(f"a figure has both ends of its interval or none, not {self.low} to {self.high}")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"an interval's low end {self.low} is above its high end {self.high}; exchange them")
        return self

    @classmethod
    def exact(cls, value: float) -> Self:
        """A figure that is known."""
        return cls(value=value, low=value, high=value)

    @classmethod
    def within_factor(cls, value: float, factor: float) -> Self:
        """A positive figure that somebody stated, and that may be wrong by `factor`."""
        return cls(value=value, low=value / factor, high=value * factor)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> Self | None:
        """From `{value, low, high}`; None where there is no value."""
        return None if stored is None or stored["value"] is None else cls.model_validate(stored)

    def as_json(self) -> dict[str, float | None]:
        return {"value": self.value, "low": self.low, "high": self.high}

    def times(self, factor: float) -> "Figure":
        """Value and ends times a factor that is known and not negative."""
        ends = {name: None if end is None else end * factor for name, end in (("low", self.low), ("high", self.high))}
        return self.model_copy(update={"value": self.value * factor, **ends})

    def plus(self, other: "Figure") -> "Figure":
        """Both together, ends added to ends: they may be wrong in the same direction."""
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return Figure(value=self.value + other.value)
        return Figure(value=self.value + other.value, low=self.low + other.low, high=self.high + other.high)

    def at_least(self, bound: float) -> "Figure":
        """The same with a low end that is not below `bound`: no document costs less than nothing."""
        return self if self.low is None else self.model_copy(update={"low": max(bound, self.low)})

    def text(self, write: Callable[[float], str]) -> str:
        """`0.900 (0.800 to 0.950)`, each number as `write` writes it; the value alone where the ends add nothing."""
        if self.low is None or self.high is None or self.low == self.high:
            return write(self.value)
        return f"{write(self.value)} ({write(self.low)} to {write(self.high)})"

    def interval(self, spec: str = SPEC) -> str:
        """The ends alone, `0.800 to 0.950`, or `none`."""
        if self.low is None or self.high is None:
            return NO_INTERVAL
        return f"{self.low:{spec}} to {self.high:{spec}}"

    def __format__(self, spec: str) -> str:
        return self.text(lambda number: format(number, spec or SPEC))

    def __str__(self) -> str:
        return format(self, SPEC)
