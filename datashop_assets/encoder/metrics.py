"""How well scores agree with labels, each figure with a bootstrap interval over documents.

Every figure is weighted by importance, so it describes the sample that the documents were drawn from. The intervals are
95% percentiles over `RESAMPLES` draws with replacement: 300 put their ends within some 10% of their width and cost
0.5 s for 600 documents. Draws that miss one of the two classes are left out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, brier_score_loss, confusion_matrix, roc_auc_score

Array = NDArray[np.float64]
RESAMPLES = 300
BINS = np.linspace(0.0, 1.0, 11)
FEWEST = 5  # of each class: with fewer an interval says nothing


@dataclass(frozen=True)
class Sample:
    """Scored documents with a label, all arrays [documents] float64."""

    score: Array  # P(positive)
    label: Array  # 0 or 1
    weight: Array
    baselines: Mapping[str, Array] = field(default_factory=dict)  # other scores to stand beside
    expected: Array | None = None  # the annotator's expected score, where there is one

    def take(self, chosen: NDArray[Any], times: Array | None = None) -> "Sample":
        """The documents `chosen` (mask or indices), their weights multiplied by `times`."""
        weight = self.weight[chosen] if times is None else self.weight[chosen] * times
        baselines = {name: scores[chosen] for name, scores in self.baselines.items()}
        expected = None if self.expected is None else self.expected[chosen]
        return Sample(self.score[chosen], self.label[chosen], weight, baselines, expected)

    @property
    def fewest(self) -> int:
        """How many documents the rarer class has."""
        positives = int(self.label.sum())
        return min(positives, len(self.label) - positives)


def summary(sample: Sample, seed: int = 0) -> dict[str, Any]:
    """All figures of a sample as JSON values; no figures where a class has fewer than `FEWEST` documents."""
    counts = {"documents": len(sample.label), "positives": int(sample.label.sum())}
    if sample.fewest < FEWEST:
        return {**counts, "metrics": {}, "note": f"fewer than {FEWEST} documents of one class"}
    return {
        **counts,
        "metrics": with_intervals(measures, sample, seed),
        "confusion": confusion(sample),
        "reliability": reliability(sample, seed),
    }


def measures(sample: Sample) -> dict[str, float]:
    """Every figure once. `auc_over_x` is the AUC minus that of baseline x on the same documents."""
    label, weight, kept = sample.label, sample.weight, sample.score >= 0.5
    auc = float(roc_auc_score(label, sample.score, sample_weight=weight))
    hits = float(weight[kept & (label == 1)].sum())
    precision, recall = _ratio(hits, weight[kept].sum()), _ratio(hits, weight[label == 1].sum())
    found = {
        "auc": auc,
        "average_precision": float(average_precision_score(label, sample.score, sample_weight=weight)),
        "precision": precision,
        "recall": recall,
        "f1": _ratio(2 * hits, weight[kept].sum() + weight[label == 1].sum()),
        "precision_at_share": precision_at_share(sample.score, label, weight),
        "brier": float(brier_score_loss(label, sample.score, sample_weight=weight)),
    }
    if sample.expected is not None:
        found["spearman"] = spearman(sample.score, sample.expected, weight)
    for name, scores in sample.baselines.items():
        found[f"{name}_auc"] = float(roc_auc_score(label, scores, sample_weight=weight))
        found[f"auc_over_{name}"] = auc - found[f"{name}_auc"]
    return found


def precision_at_share(score: Array, label: Array, weight: Array) -> float:
    """Share of positives among the top-scored when exactly as much weight is kept as the positives have.

    Of documents that tie at the cut, each is kept in part, so the order of rows does not matter.
    """
    wanted = float(weight[label == 1].sum())
    order = np.argsort(-score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=np.inf))
    group_weight = np.add.reduceat(weight[order], starts)
    group_hits = np.add.reduceat((weight * label)[order], starts)
    room = np.clip(wanted - (np.cumsum(group_weight) - group_weight), 0.0, group_weight)
    return _ratio(float((group_hits * _safe(room, group_weight)).sum()), wanted)


def spearman(score: Array, expected: Array, weight: Array) -> float:
    """Weighted rank correlation: Pearson's, of weighted mid-ranks."""
    first, second = weighted_ranks(score, weight), weighted_ranks(expected, weight)
    covariance = np.cov(first, second, aweights=weight)
    return _ratio(float(covariance[0, 1]), float(np.sqrt(covariance[0, 0] * covariance[1, 1])))


def weighted_ranks(values: Array, weight: Array) -> Array:
    """For each value the weight below it plus half the weight of those equal to it."""
    place = rankdata(values, method="dense") - 1
    group = np.bincount(place, weights=weight)
    return np.asarray((np.cumsum(group) - group / 2)[place])


def confusion(sample: Sample) -> dict[str, int]:
    """Plain counts of documents at a probability of 0.5, unweighted: how much evidence there is."""
    counts = confusion_matrix(sample.label, sample.score >= 0.5, labels=[0, 1]).ravel()
    names = ("true_negatives", "false_positives", "false_negatives", "true_positives")
    return dict(zip(names, map(int, counts), strict=True))


def reliability(sample: Sample, seed: int = 0) -> list[dict[str, Any]]:
    """Ten bins of predicted probability, each with the share of positives observed in it. Empty bins are left out."""
    place = np.clip(np.digitize(sample.score, BINS) - 1, 0, len(BINS) - 2)
    bins = []
    for number in np.unique(place):
        inside = sample.take(place == number)
        observed = with_intervals(_observed, inside, seed)["observed"]
        predicted = float(np.average(inside.score, weights=inside.weight))
        edges = {"from": float(BINS[number]), "to": float(BINS[number + 1])}
        bins.append({**edges, "documents": len(inside.label), "predicted": predicted, "observed": observed})
    return bins


def _observed(sample: Sample) -> dict[str, float]:
    return {"observed": float(np.average(sample.label, weights=sample.weight))}


def with_intervals(
    function: Callable[[Sample], dict[str, float]], sample: Sample, seed: int
) -> dict[str, dict[str, float]]:
    """Each figure of `function` as {value, low, high}."""
    random = np.random.default_rng(seed)
    draws = []
    for _ in range(RESAMPLES):
        counts = random.multinomial(len(sample.label), np.full(len(sample.label), 1 / len(sample.label)))
        chosen = np.flatnonzero(counts)
        drawn = sample.take(chosen, counts[chosen].astype(np.float64))
        if function is not measures or drawn.fewest:
            draws.append(function(drawn))
    ends = {name: np.percentile([draw[name] for draw in draws], [2.5, 97.5]) for name in draws[0]}
    return {
        name: {"value": value, "low": float(ends[name][0]), "high": float(ends[name][1])}
        for name, value in function(sample).items()
    }


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def _safe(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
