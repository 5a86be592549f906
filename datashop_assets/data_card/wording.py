"""How figures and texts of others are written on the pages."""

from collections.abc import Callable, Mapping
from typing import Any

from datashop_assets.markdown import escaped

Range = Mapping[str, float | None]  # value, low, high


def number(value: Any, digits: int = 3, sign: bool = False) -> str:
    """A figure as a person reads it; `n/a` where there is none."""
    if value is None:
        return "n/a"
    if isinstance(value, float):
        return f"{value:{'+' if sign else ''}.{digits}f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.3g}%" if whole else "n/a"


def took(seconds: float) -> str:
    """A duration in the unit that suits it."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def hours(found: Range | None) -> str:
    """An estimate of hours as a duration with its interval."""
    return ranged(found, lambda value: took(value * 3600))


def amount(found: Range | None) -> str:
    """An estimate of tokens or money with its interval."""
    return ranged(found, figure)


def figure(value: float | None) -> str:
    return "n/a" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def ranged(found: Range | None, said: Callable[[float], str]) -> str:
    if found is None or found["value"] is None:
        return "unknown"
    ends = [found["low"], found["high"]]
    if None in ends or ends[0] == ends[1]:
        return said(found["value"])
    return f"{said(found['value'])} ({' to '.join(said(end) for end in ends if end is not None)})"


def cell(text: Any) -> str:
    """Text of others as one line of a Markdown table, where it is no markup."""
    return escaped(str(text))


FILTERS: dict[str, Callable[..., str]] = {
    one.__name__: one for one in (number, took, share, hours, amount, figure, cell)
}
