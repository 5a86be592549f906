"""Every figure of a scored sample, each with a bootstrap interval over documents.

Figures are weighted by importance, so they describe the sample that the documents were drawn from. Draws that miss one
of the two classes are left out of the intervals.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datashop_assets.statistics import agreement, ranking
from datashop_assets.statistics.figure import Figure
from datashop_assets.statistics.intervals import ROUNDED_Z, Array, Draws, bootstrap, effective_size, wilson

BINS = np.linspace(0.0, 1.0, 11)
FEWEST = 5  # of each class: with fewer an interval says nothing


@dataclass(frozen=True)
class Sample:
    """Scored documents with a label, all arrays [documents] float64."""

    score: Array  # P(positive)
    label: Array  # 0 or 1
    weight: Array
    baselines: Mapping[str, Array] = field(default_factory=dict)  # other probabilities to stand beside
    expected: Array | None = None  # the annotator's expected score, where there is one
    margin: Array | None = None  # what documents are ranked by, where that is not the score

    def take(self, chosen: NDArray[np.bool_]) -> "Sample":
        baselines = {name: scores[chosen] for name, scores in self.baselines.items()}
        expected, margin = (None if one is None else one[chosen] for one in (self.expected, self.margin))
        return Sample(self.score[chosen], self.label[chosen], self.weight[chosen], baselines, expected, margin)

    @property
    def rank(self) -> Array:
        return self.score if self.margin is None else self.margin

    @property
    def fewest(self) -> int:
        """How many documents the rarer class has."""
        positives = int(self.label.sum())
        return min(positives, len(self.label) - positives)


Figures = dict[str, Array]  # name -> [R]


def summary(sample: Sample, seed: int = 0) -> dict[str, Any]:
    """All figures of a sample as JSON values; none where a class has fewer than `FEWEST` documents."""
    counts = {"documents": len(sample.label), "positives": int(sample.label.sum())}
    if sample.fewest < FEWEST:
        return {**counts, "metrics": {}, "note": f"fewer than {FEWEST} documents of one class"}
    return {
        **counts,
        "metrics": {name: figure.as_json() for name, figure in with_intervals(measures, sample, seed).items()},
        "confusion": confusion(sample),
        "reliability": reliability(sample),
    }


def measures(sample: Sample, weights: Array) -> Figures:
    """Every figure for weights [R, documents]. `length_auc`: that of baseline `length` on the same documents, and
    `auc_over_length` how far it is exceeded.
    """
    score, label = sample.score, sample.label
    precision, recall, _ = agreement.precision_recall_f1(score, label, weights)
    found = {
        **compared(sample, score, sample.rank, weights),
        "precision": precision,
        "recall": recall,
        "precision_at_share": ranking.precision_at_share(sample.rank, label, weights),
        "brier": agreement.brier(score, label, weights),
    }
    for name, scores in sample.baselines.items():
        found |= {f"{name}_{figure}": values for figure, values in compared(sample, scores, scores, weights).items()}
        found[f"auc_over_{name}"] = found["auc"] - found[f"{name}_auc"]
    return found


def compared(sample: Sample, score: Array, rank: Array, weights: Array) -> Figures:
    """The figures that an encoder and its baselines have in common, for probabilities and ranks [documents]."""
    label = sample.label
    found = {
        "auc": ranking.auc(rank, label, weights),
        "average_precision": ranking.average_precision(rank, label, weights),
        "f1": agreement.precision_recall_f1(score, label, weights)[2],
        "macro_f1": agreement.macro_f1(score, label, weights),
    }
    if sample.expected is not None:
        correlation = ranking.spearman(rank, sample.expected, weights)
        found["spearman"] = np.nan_to_num(correlation)  # what has one value for all says nothing of the order
    return found


def confusion(sample: Sample) -> dict[str, int]:
    """Plain counts of documents at a probability of 0.5, unweighted: how much evidence there is."""
    kept, label = sample.score >= 0.5, sample.label == 1
    return {
        "true_positives": int((kept & label).sum()),
        "false_positives": int((kept & ~label).sum()),
        "false_negatives": int((~kept & label).sum()),
        "true_negatives": int((~kept & ~label).sum()),
    }


def reliability(sample: Sample) -> list[dict[str, Any]]:
    """Ten bins of predicted probability, each with the share of positives observed in it. Empty bins are left out."""
    place = np.clip(np.digitize(sample.score, BINS) - 1, 0, len(BINS) - 2)
    bins = []
    for number in np.unique(place):
        inside = sample.take(place == number)
        predicted = float(np.average(inside.score, weights=inside.weight))
        observed = observed_share(inside)
        edges = {"from": float(BINS[number]), "to": float(BINS[number + 1])}
        bins.append({**edges, "documents": len(inside.label), "predicted": predicted, "observed": observed})
    return bins


def observed_share(sample: Sample) -> dict[str, float | None]:
    """The share of positives with Wilson's interval, for as many documents as the weights are worth. A resample of
    three documents that are all positive would say that nothing is uncertain.
    """
    share = float(np.average(sample.label, weights=sample.weight))
    return wilson(share, effective_size(sample.weight), ROUNDED_Z).as_json()


def with_intervals(function: Callable[[Sample, Array], Figures], sample: Sample, seed: int) -> dict[str, Figure]:
    """Each figure of `function` with its bootstrap interval over documents; of two classes where the sample has two."""
    found = bootstrap(
        lambda counts: function(sample, counts * sample.weight),
        len(sample.label),
        accepted=(lambda counts: of_both_classes(counts, sample.label)) if sample.fewest else None,
        seed=seed,
    )
    return {name: figure for name, figure in found.items() if figure is not None}


def of_both_classes(counts: Draws, label: Array) -> NDArray[np.bool_]:
    positives = counts @ label
    return np.asarray((positives > 0) & (positives < len(label)))
