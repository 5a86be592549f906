"""How well scores agree with labels, for many weightings of the same documents at once.

Every function takes weights [R, N], a row for each weighting, and gives [R] figures. A bootstrap resample is such a
weighting: all figures of 1,000 resamples of 600 documents take 0.4 s, where 300 calls of scikit-learn took 5 s. Tests
hold each figure to scikit-learn's. Documents that tie in score are never told apart by their order.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Array = NDArray[np.float64]


def auc(score: Array, label: Array, weights: Array) -> Array:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting half."""
    positive, negative = by_score(score, weights * label), by_score(score, weights * (1 - label))
    below = np.cumsum(negative[:, ::-1], axis=1)[:, ::-1] - negative / 2
    return ratio((positive * below).sum(axis=1), positive.sum(axis=1) * negative.sum(axis=1))


def average_precision(score: Array, label: Array, weights: Array) -> Array:
    """Precision at each distinct score, weighted by the recall that it adds."""
    positive, everything = by_score(score, weights * label), by_score(score, weights)
    precision = ratio(np.cumsum(positive, axis=1), np.cumsum(everything, axis=1))
    return ratio((positive * precision).sum(axis=1), positive.sum(axis=1))


def precision_at_share(score: Array, label: Array, weights: Array) -> Array:
    """Share of positives among the top-scored when exactly as much weight is kept as the positives have.

    Of documents that tie at the cut, each is kept in part.
    """
    positive, everything = by_score(score, weights * label), by_score(score, weights)
    wanted = positive.sum(axis=1, keepdims=True)
    kept = np.clip(wanted - (np.cumsum(everything, axis=1) - everything), 0.0, everything)
    return ratio((positive * ratio(kept, everything)).sum(axis=1), wanted[:, 0])


def precision_recall_f1(score: Array, label: Array, weights: Array) -> tuple[Array, Array, Array]:
    """Of a score of 0.5 or more taken as positive; 0 where nothing is."""
    kept = (score >= 0.5).astype(np.float64)
    hits, chosen, positives = weights @ (kept * label), weights @ kept, weights @ label
    return ratio(hits, chosen), ratio(hits, positives), ratio(2 * hits, chosen + positives)


def macro_f1(score: Array, label: Array, weights: Array) -> Array:
    """Mean of the F1 of positives and that of negatives, at a score of 0.5."""
    of_positives = precision_recall_f1(score, label, weights)[2]
    kept = (score >= 0.5).astype(np.float64)
    hits, chosen, negatives = weights @ ((1 - kept) * (1 - label)), weights @ (1 - kept), weights @ (1 - label)
    return (of_positives + ratio(2 * hits, chosen + negatives)) / 2


def brier(score: Array, label: Array, weights: Array) -> Array:
    """Mean squared difference between probability and label."""
    return ratio(weights @ (score - label) ** 2, weights.sum(axis=1))


def spearman(score: Array, other: Array, weights: Array) -> Array:
    """Weighted rank correlation: Pearson's, of weighted mid-ranks."""
    first, second = ranks(score, weights), ranks(other, weights)
    total = weights.sum(axis=1, keepdims=True)
    first, second = (one - (weights * one).sum(axis=1, keepdims=True) / total for one in (first, second))
    covariance, *spread = (
        (weights * a * b).sum(axis=1) for a, b in ((first, second), (first, first), (second, second))
    )
    return ratio(covariance, np.sqrt(spread[0] * spread[1]))


def ranks(values: Array, weights: Array) -> Array:
    """For each document [R, N] the weight of those below it plus half the weight of those equal to it."""
    groups = by_score(-values, weights)
    place = np.asarray(rankdata(values, method="dense"), dtype=np.int64) - 1
    return np.asarray((np.cumsum(groups, axis=1) - groups / 2)[:, place])


def by_score(score: Array, weights: Array) -> Array:
    """Weights [R, N] summed over equal scores [R, distinct], highest score first."""
    order = np.argsort(-score, kind="stable")
    starts = np.flatnonzero(np.diff(-score[order], prepend=-np.inf))
    return np.asarray(np.add.reduceat(weights[:, order], starts, axis=1))


def ratio(part: Array, whole: Array) -> Array:
    """`part / whole`, and 0 where `whole` is 0."""
    return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=whole > 0)
