"""The charts of what an encoder is worth, from labels that it had not seen."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from markupsafe import Markup

from datashop_assets.data_card.drawing import FIRST, MUTED, drawing
from datashop_assets.statistics.ranking import precision_recall_curve


def reliability(bins: Sequence[Mapping[str, Any]]) -> Markup:
    """Predicted and observed share of positives, with 95% intervals."""
    with drawing("Reliability") as made:
        made.axes.plot((0, 1), (0, 1), color=MUTED, linewidth=0.8, linestyle="--")
        where, observed = [one["predicted"] for one in bins], [one["observed"] for one in bins]
        made.axes.errorbar(where, [one["value"] for one in observed], _arms(observed), fmt="o", color=FIRST, capsize=2)
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


def _arms(observed: Sequence[Mapping[str, float]]) -> list[list[float]]:
    """Lengths of the error bars below and above."""
    below = [max(0.0, one["value"] - one["low"]) for one in observed]
    return [below, [max(0.0, one["high"] - one["value"]) for one in observed]]
