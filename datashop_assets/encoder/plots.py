"""Two plots of a report as PNG: whether probabilities are kept, and what precision each recall costs."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from datashop_assets.encoder.metrics import Sample
from datashop_assets.statistics.ranking import precision_recall_curve

INCHES, DOTS = (4.5, 4.0), 110


def reliability(summary: Mapping[str, Any]) -> bytes:
    """Predicted probability against the share of positives observed, with intervals, a point for each bin."""
    figure, axes = _axes("predicted probability", "share of positives")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    bins = summary.get("reliability", [])
    if bins:
        predicted = [one["predicted"] for one in bins]
        value, low, high = (np.array([one["observed"][end] for one in bins]) for end in ("value", "low", "high"))
        ends = np.clip([value - low, high - value], 0, None)
        axes.errorbar(predicted, value, yerr=ends, fmt="o", markersize=4, capsize=2)
        for one, height in zip(bins, value, strict=True):
            axes.annotate(
                str(one["documents"]), (one["predicted"], height), (4, -9), textcoords="offset points", size=7
            )
    return _png(figure)


def precision_recall(sample: Sample) -> bytes:
    """The curve of the encoder, those of its baselines, and the share of positives that chance reaches."""
    figure, axes = _axes("recall", "precision")
    for name, scores in {"encoder": sample.rank, **sample.baselines}.items():
        recall, precision = precision_recall_curve(scores, sample.label, sample.weight)
        axes.step(recall, precision, where="post", label=name, linewidth=1.8 if name == "encoder" else 1)
    axes.axhline(float(np.average(sample.label, weights=sample.weight)), color="0.7", linewidth=1, label="chance")
    axes.legend(loc="lower left", fontsize=8, frameon=False)
    return _png(figure)


def _axes(across: str, up: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=INCHES, dpi=DOTS, layout="constrained")
    axes = figure.add_subplot(xlabel=across, ylabel=up, xlim=(0, 1.02), ylim=(0, 1.02))
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
