"""How figures and texts of others are written on the pages."""

from collections.abc import Callable, Mapping
from typing import Any

from datashop_assets.markdown import escaped
from datashop_assets.statistics.figure import Figure

Stored = Mapping[str, float | None]  # value, low, high


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


def hours(found: Stored | None) -> str:
    """An estimate of hours as a duration with its interval."""
    return ranged(found, lambda value: took(value * 3600))


def amount(found: Stored | None) -> str:
    """An estimate of tokens or money with its interval."""
    return ranged(found, figure)


def figure(value: float | None) -> str:
    return "n/a" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def ranged(found: Stored | None, said: Callable[[float], str]) -> str:
    known = Figure.from_json(found)
    return "unknown" if known is None else known.text(said)


def interval(found: Stored | None) -> str:
    """A measured figure with its interval."""
    return "" if found is None else ranged(found, number)


def percent(part: float) -> str:
    return share(part, 1.0)


def pace(value: Any, name: str) -> str:
    """A measured pace or time, whose unit is in its name: `tokens_per_second`, `training_seconds`."""
    if name.endswith("_per_second"):
        return f"{figure(value)} {name.removesuffix('_per_second').replace('_', ' ')}/s"
    words = [word for word in name.split("_") if word != "seconds"]
    return f"{' '.join(words)} {took(value) if 'seconds' in name.split('_') else number(value)}"


def moment(finished_at: str) -> str:
    """`2026-11-26T08:02:08+00:00` to the minute."""
    return f"{finished_at[:16].replace('T', ' ')} UTC"


def rule(keep: Mapping[str, Any]) -> str:
    """The keep rule of a prompt file as a sentence's beginning."""
    if keep["fraction"] is not None:
        return f"the {share(keep['fraction'], 1.0)} of {keep['of']} that score highest"
    if keep["tokens"] is not None:
        return f"the highest scores that fit into {number(keep['tokens'])} tokens"
    if keep["threshold"] is not None:
        return f"every score from {keep['threshold']:g} upward"
    return (
        f"every score from the lowest threshold that is certified to have a precision of at least "
        f"{keep['precision']:g} (delta {keep['delta']:g}, up to {keep['labels']:,} labels, {keep['design']})"
    )


def cell(text: Any) -> str:
    """Text of others as one line of a Markdown table, where it is no markup."""
    return escaped(str(text))


FILTERS: dict[str, Callable[..., str]] = {
    one.__name__: one
    for one in (number, took, share, hours, amount, figure, cell, interval, percent, pace, moment, rule)
}
