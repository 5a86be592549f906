"""How well scores agree with labels at a threshold, and two readings of the same documents with each other.

As in `ranking`, every figure takes weights [R, N] and gives [R], so that a bootstrap is one call; tests hold them to
scikit-learn's.
"""

import numpy as np
from numpy.typing import NDArray

from datashop_assets.statistics.intervals import Array
from datashop_assets.statistics.ranking import ratio

CLASSES = 6  # whole scores from 0 to 5


def precision_recall_f1(
    score: Array, label: Array, weights: Array, threshold: float = 0.5
) -> tuple[Array, Array, Array]:
    """Of a score of `threshold` or more taken as positive; 0 where nothing is."""
    kept = (score >= threshold).astype(np.float64)
    hits, chosen, positives = weights @ (kept * label), weights @ kept, weights @ label
    return ratio(hits, chosen), ratio(hits, positives), ratio(2 * hits, chosen + positives)


def macro_f1(score: Array, label: Array, weights: Array, threshold: float = 0.5) -> Array:
    """Mean of the F1 of positives and that of negatives, at a score of `threshold`."""
    of_positives = precision_recall_f1(score, label, weights, threshold)[2]
    kept = (score >= threshold).astype(np.float64)
    hits, chosen, negatives = weights @ ((1 - kept) * (1 - label)), weights @ (1 - kept), weights @ (1 - label)
    return (of_positives + ratio(2 * hits, chosen + negatives)) / 2


def brier(score: Array, target: Array, weights: Array) -> Array:
    """Mean squared difference between score and target, a label or a share."""
    return ratio(weights @ (score - target) ** 2, weights.sum(axis=1))


def log_loss(score: Array, target: Array, weight: Array) -> float:
    """Weighted mean cross-entropy of targets, labels or shares, under scores, in nats; for one weighting [N]."""
    clipped = np.clip(score, 1e-6, 1 - 1e-6)
    return float(np.average(-target * np.log(clipped) - (1 - target) * np.log1p(-clipped), weights=weight))


def confusion(first: Array, second: Array, weights: Array) -> Array:
    """[R, 6, 6]: the weight of documents with each pair of whole scores, rows by the first."""
    pair = np.eye(CLASSES * CLASSES)[whole(first) * CLASSES + whole(second)]
    return np.asarray((weights @ pair).reshape(-1, CLASSES, CLASSES))


def quadratic_kappa(first: Array, second: Array, weights: Array) -> Array:
    """Cohen's kappa with quadratic weights (Cohen, 1968) of scores rounded to 0 to 5; nan where all are alike."""
    observed = confusion(first, second, weights) / weights.sum(axis=1)[:, None, None]
    expected = observed.sum(axis=2)[:, :, None] * observed.sum(axis=1)[:, None, :]
    places = np.arange(CLASSES)
    distance = (places[:, None] - places[None]) ** 2
    by_chance = (distance * expected).sum(axis=(1, 2))
    return np.where(by_chance > 0, 1 - ratio((distance * observed).sum(axis=(1, 2)), by_chance), np.nan)


def same_score(first: Array, second: Array, weights: Array) -> Array:
    """Share of documents that have the same whole score twice."""
    return ratio(weights @ (whole(first) == whole(second)).astype(np.float64), weights.sum(axis=1))


def mean_difference(first: Array, second: Array, weights: Array) -> Array:
    """Second minus first, in points."""
    return np.asarray(weights @ (second - first) / weights.sum(axis=1))


def whole(scores: Array) -> NDArray[np.int64]:
    """Rounded as annotations are: half points upward."""
    return np.clip(np.floor(scores + 0.5), 0, CLASSES - 1).astype(np.int64)
