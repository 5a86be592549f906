"""The report as one picture: scores, scores by length and by source, and confusion where somebody was asked again."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

MOST_SOURCES = 12
NAME = 18  # characters of a source's name


def plot(report: Mapping[str, Any], scores: Sequence[float | None]) -> bytes:
    """PNG. Nothing is drawn on a screen: the figure is made without a window system."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    confusions = _confusions(report)
    figure = Figure(figsize=(4 * (3 + len(confusions)), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 3 + len(confusions))
    axes[0].hist([score for score in scores if score is not None], bins=[place / 2 for place in range(11)])
    axes[0].set(title="scores", xlabel="expected score", ylabel="documents")
    _means(axes[1], "by length", [f"≤{one['characters'][1]}" for one in report["by_length"]], report["by_length"])
    sources = report["by_source"][:MOST_SOURCES]
    _means(axes[2], "by source", [_plain(one["source"]) for one in sources], sources)
    for axis, (title, table) in zip(axes[3:], confusions.items(), strict=True):
        axis.imshow(table, cmap="Blues", origin="lower")
        axis.set(title=title, xlabel="second score", ylabel="first score")
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=90)
    return picture.getvalue()


def _means(axis: Any, title: str, names: Sequence[str], groups: Sequence[Mapping[str, Any]]) -> None:
    axis.bar(range(len(groups)), [one["mean"] or 0.0 for one in groups])
    axis.set_xticks(range(len(groups)), names, rotation=60, ha="right", fontsize=7, parse_math=False)
    axis.set(title=title, ylabel="mean score", ylim=(0, 5))


def _plain(name: str) -> str:
    """A source's name is data: only what any font can draw."""
    return "".join(letter if 31 < ord(letter) < 127 else "?" for letter in name[:NAME])


def _confusions(report: Mapping[str, Any]) -> dict[str, Any]:
    named = {"asked again": report["self_agreement"], "second annotator": report["second_annotator"]}
    return {title: found["confusion"] for title, found in named.items() if found and "confusion" in found}
