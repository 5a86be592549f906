"""The charts of a data card, each from figures that the stages wrote."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup

from datashop_assets.data_card.drawing import FIRST, INK, MUTED, SECOND, THIRD, drawing
from datashop_assets.data_card.scan import BINS
from datashop_assets.data_card.yields import binned

MIXED = 8  # sources that have a bar of their own; the rest are one


def annotated(counts: Sequence[int]) -> Markup:
    """Annotated documents by half points of the expected score."""
    with drawing("Annotator's scores") as made:
        made.axes.bar(np.arange(len(counts)) / 2 + 0.25, counts, width=0.42, color=FIRST)
        made.axes.set(xlabel="annotator's expected score", ylabel="annotated documents")
    return made.svg


def scored(cells: pl.DataFrame, cut: float | None) -> Markup:
    """The encoder's scores over the pool, by source; the cut is a line."""
    with drawing("Encoder's scores over the pool") as made:
        axes, bottom = made.axes, np.zeros(BINS // 5)
        for colour, (source, counts) in zip((FIRST, SECOND, THIRD, MUTED), _by_source(cells, 3).items(), strict=False):
            coarse = counts.reshape(-1, 5).sum(axis=1)
            axes.bar(np.arange(len(coarse)) / 20 + 0.025, coarse, 0.045, bottom, color=colour, label=_short(source))
            bottom += coarse
        axes.set(xlabel="encoder's score", ylabel="pool documents (log)", yscale="log", xlim=(0, 1))
        axes.set_ylim(bottom=0.8)  # one document is a bar that can be seen
        _steps(axes, "{x:,.0f}")
        _cut(axes, cut)
        axes.legend()
    return made.svg


def yields(kept: Mapping[str, Sequence[float]], cut: float | None) -> Markup:
    """What share of documents and of bytes has at least each score, as `yields.yields` gives it."""
    with drawing("Yield at every cut") as made:
        axes = made.axes
        for name, colour in (("documents", FIRST), ("bytes", SECOND)):
            shares = np.array(kept[name]) / max(1, kept[name][0])
            axes.step(kept["score"], shares, where="post", color=colour, label=name)
        axes.set(xlabel="kept from this score on", ylabel="share of the pool (log)", yscale="log", xlim=(0, 1))
        _steps(axes, lambda value, _: f"{100 * value:g}%")
        _cut(axes, cut)
        axes.legend()
    return made.svg


def sources(by_source: Mapping[str, Mapping[str, int]]) -> Markup:
    """The share of bytes each source has in the pool and in what is kept."""
    largest = sorted(by_source, key=lambda name: -by_source[name]["bytes"])[:MIXED]
    shown = {_short(name): by_source[name] for name in reversed(largest)}
    rest = [found for name, found in by_source.items() if name not in largest]
    if rest:
        shown = {"all others": {key: sum(one[key] for one in rest) for key in ("bytes", "kept_bytes")}} | shown
    with drawing("Sources before and after", height=1.2 + 0.45 * len(shown)) as made:
        axes = made.axes
        for place, (key, colour) in enumerate((("kept_bytes", SECOND), ("bytes", FIRST))):
            total = max(1, sum(found[key] for found in by_source.values()))
            shares = [100 * found[key] / total for found in shown.values()]
            label = "kept" if place == 0 else "pool"
            axes.barh(np.arange(len(shown)) + 0.19 * (2 * place - 1), shares, 0.36, color=colour, label=label)
        axes.set_yticks(np.arange(len(shown)), list(shown))
        axes.set(xlabel="% of bytes")
        axes.legend(reverse=True)
    return made.svg


def comparison(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Candidate minus control in bits per byte, with intervals over seeds; left of zero is better."""
    shown = list(reversed(rows))
    with drawing("Language models: candidate minus control", height=1.0 + 0.34 * len(rows), width=6.0) as made:
        axes = made.axes
        axes.axvline(0, color=INK, linewidth=0.8)
        for place, row in enumerate(shown):
            if row["low"] is not None:
                axes.plot((row["low"], row["high"]), (place, place), color=_colour(row), linewidth=2)
            axes.plot(row["difference"], place, "o", color=_colour(row))
        names = [_measure(row) for row in shown]
        axes.set_yticks(range(len(shown)), names)
        axes.set(xlabel="bits per byte, candidate minus control")
    return made.svg


def _measure(row: Mapping[str, Any]) -> str:
    against = "" if row.get("against", "control") == "control" else f" against {row['against']}"
    return f"{row['kind']}: {_short(row['source']) or 'all'} ({row['documents']:,}){against}"


def _colour(row: Mapping[str, Any]) -> str:
    return {"better": SECOND, "worse": THIRD}.get(row["verdict"], MUTED)


def _by_source(cells: pl.DataFrame, most: int) -> dict[str, np.ndarray]:
    """Documents by bin of the largest sources, then of all others together. [BINS] each."""
    sizes = cells.group_by("source").agg(pl.col("documents").sum()).sort("documents", "source", descending=True)
    large = sizes["source"].head(most).to_list()
    found = {name: binned(cells.filter(pl.col("source") == name), ("documents",))["documents"] for name in large}
    if len(sizes) > most:
        found["all others"] = binned(cells.filter(~pl.col("source").is_in(large)), ("documents",))["documents"]
    return found


def _steps(axes: Any, written: str | Callable[[float, int], str]) -> None:
    """A logarithmic axis with ticks at 1, 2 and 5, above three decades at powers of ten, each written."""
    from matplotlib.ticker import LogLocator, NullLocator

    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,), numticks=8))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(written)


def _cut(axes: Any, cut: float | None) -> None:
    if cut is not None:
        axes.axvline(cut, color=INK, linewidth=0.9, linestyle="--", label=f"cut {cut:.3f}")


def _short(name: str) -> str:
    return name if len(name) <= 28 else f"{name[:27]}…"
