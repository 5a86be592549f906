"""The charts of a data card, each from figures that the steps wrote.

A chart is SVG that stands inside a page: text stays text, and colours are the page's, light or dark. matplotlib writes
colours as hex numbers. Each name below has a number of its own, which is replaced by the page's CSS variable of that
name.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from markupsafe import Markup

from datashop_assets.data_card.documents import BINS, binned
from datashop_assets.encoder.results import ReliabilityBin
from datashop_assets.filtered_pool.results import Selection
from datashop_assets.statistics.ranking import precision_recall_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, LINE, FIRST, SECOND, THIRD = (f"#0{n}0{n}0{n}" for n in range(1, 7))
VARIABLES = {INK: "ink", MUTED: "muted", LINE: "line", FIRST: "first", SECOND: "second", THIRD: "third"}
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text, not outlines: a third of the size, and it can be searched
    "text.parse_math": False,  # a source called `$x$` is a name
    "font.size": 9.0,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
}
REM = 6.6  # of the page's text to an inch of a chart: letters are as large in both
FONTS = re.compile(r" font-family: [^;]*;")  # thirteen of them on every text; the page names its own
OUTER = re.compile(r' (?:width|height)="[^"]*pt"')
MIXED = 8  # sources that have a bar of their own; the rest are one


class Chart:
    """A chart being drawn: `axes` while it is, `svg` afterwards."""

    def __init__(self, axes: "Axes") -> None:
        self.axes = axes
        self.svg = Markup("")


@contextmanager
def drawing(name: str, width: float = 4.6, height: float = 2.9) -> Iterator[Chart]:
    """A chart of `width` by `height` inches. `name` is read aloud and makes the ids unique."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # A font without some sign is no fault: the reader's own font draws the text.
    with mpl.rc_context({**SETTINGS, "svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        figure = Figure(figsize=(width, height), layout="constrained")
        made = Chart(figure.add_subplot())
        yield made
        made.svg = _svg(figure, name)


def _svg(figure: "Figure", name: str) -> Markup:
    """The figure without its XML head, as wide as the page allows and no wider than drawn, its ids prefixed."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    head, rest = text.split(">", 1)
    label = Markup(' role="img" aria-label="{}" style="max-width: {:.1f}rem">').format(
        name, REM * figure.get_figwidth()
    )
    text = (
        OUTER.sub("", head) + str(label) + FONTS.sub("", re.sub(r"<metadata>.*?</metadata>", "", rest, flags=re.DOTALL))
    )
    prefix = re.sub(r"\W+", "-", name)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", text)
    for number, variable in VARIABLES.items():
        text = text.replace(number, f"var(--{variable})")
    return Markup(text)  # noqa: S704 - matplotlib escapes what it writes; the test with hostile names holds it


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


def sources(by_source: Mapping[str, Selection]) -> Markup:
    """The share of bytes each source has in the pool and in what is kept."""
    largest = sorted(by_source, key=lambda name: -by_source[name].bytes)[:MIXED]
    shown = {_short(name): (by_source[name].kept_bytes, by_source[name].bytes) for name in reversed(largest)}
    rest = [found for name, found in by_source.items() if name not in largest]
    if rest:
        shown = {"all others": (sum(one.kept_bytes for one in rest), sum(one.bytes for one in rest))} | shown
    totals = sum(one.kept_bytes for one in by_source.values()), sum(one.bytes for one in by_source.values())
    with drawing("Sources before and after", height=1.2 + 0.45 * len(shown)) as made:
        axes = made.axes
        for place, (label, colour) in enumerate((("kept", SECOND), ("pool", FIRST))):
            shares = [100 * found[place] / max(1, totals[place]) for found in shown.values()]
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


def reliability(bins: Sequence[ReliabilityBin]) -> Markup:
    """Predicted and observed share of positives, with 95% intervals."""
    with drawing("Reliability") as made:
        made.axes.plot((0, 1), (0, 1), color=MUTED, linewidth=0.8, linestyle="--")
        observed = [one.observed for one in bins]
        below = [max(0.0, one.value - one.low) for one in observed if one.low is not None]
        above = [max(0.0, one.high - one.value) for one in observed if one.high is not None]
        where, values = [one.predicted for one in bins], [one.value for one in observed]
        made.axes.errorbar(where, values, [below, above], fmt="o", color=FIRST, capsize=2)
        made.axes.set(xlabel="encoder's score", ylabel="share of positive labels", xlim=(0, 1.02), ylim=(0, 1.02))
    return made.svg


def precision_recall(unseen: pl.DataFrame) -> Markup:
    """Precision at every recall on unseen labels."""
    with drawing("Precision by recall") as made:
        if 0 < unseen["label"].sum() < len(unseen):
            recall, precision = precision_recall_curve(
                *(unseen[name].to_numpy() for name in ("score", "label", "weight"))
            )
            made.axes.step(recall, precision, where="pre", color=FIRST)
        made.axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    return made.svg


def agreement(unseen: pl.DataFrame) -> Markup:
    """Annotator against encoder on labelled documents that the encoder had not seen."""
    with drawing("Annotator and encoder") as made:
        axes = made.axes
        axes.plot(unseen["expected_score"], unseen["score"], "o", color=FIRST, alpha=0.35, markersize=3)
        axes.set(xlabel="annotator's expected score", ylabel="encoder's score", ylim=(0, 1.02))
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
