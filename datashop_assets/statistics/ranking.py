"""How well scores rank documents, for many weightings of the same documents at once.

Every function takes weights [R, N], a row for each weighting, and gives [R] figures. A bootstrap resample is such a
weighting: all figures of 1,000 resamples of 600 documents take 0.4 s, where 300 calls of scikit-learn took 5 s. That is
why they are not scikit-learn's and scipy's, to which tests hold them (`spearmanr` takes no weights at all). Documents
that tie in score are never told apart by their order.
"""

import numpy as np
from numpy.typing import NDArray

from datashop_assets.statistics.intervals import Array


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


def precision_recall_curve(score: Array, label: Array, weight: Array) -> tuple[Array, Array]:
    """Recall and precision of keeping every document from each distinct score on, highest score first, for one
    weighting. [N] each -> [distinct] each.

    scikit-learn's without its last point; importing that takes 4 s, which a page that only draws is spared.
    """
    hits = np.cumsum(by_score(score, (weight * label)[None])[0])
    kept = np.cumsum(by_score(score, weight[None])[0])
    return ratio(hits, np.full_like(hits, hits[-1])), ratio(hits, kept)


def spearman(score: Array, other: Array, weights: Array) -> Array:
    """Weighted rank correlation: Pearson's, of weighted mid-ranks; nan where a side has one value.

    A document of weight 3 counts as three documents, in the ranks too: ranks without weights tell how documents lie in
    the draw, not in the sample that the weights describe.
    """
    (first, varies), (second, other_varies) = _ranks(score, weights), _ranks(other, weights)
    total = weights.sum(axis=1, keepdims=True)
    first, second = (one - (weights * one).sum(axis=1, keepdims=True) / total for one in (first, second))
    covariance, *spread = (
        (weights * a * b).sum(axis=1) for a, b in ((first, second), (first, first), (second, second))
    )
    return np.where(varies & other_varies, ratio(covariance, np.sqrt(spread[0] * spread[1])), np.nan)


def _ranks(values: Array, weights: Array) -> tuple[Array, NDArray[np.bool_]]:
    """For each document [R, N] the weight of those below it plus half the weight of those equal to it, and whether
    there is more than one value among documents of some weight, [R].
    """
    groups = by_score(-values, weights)
    _, place = np.unique(values, return_inverse=True)
    return (np.cumsum(groups, axis=1) - groups / 2)[:, place], (groups > 0).sum(axis=1) > 1


def by_score(score: Array, weights: Array) -> Array:
    """Weights [R, N] summed over equal scores [R, distinct], highest score first."""
    order = np.argsort(-score, kind="stable")
    starts = np.flatnonzero(np.diff(-score[order], prepend=-np.inf))
    return np.asarray(np.add.reduceat(weights[:, order], starts, axis=1))


def ratio(part: Array, whole: Array) -> Array:
    """`part / whole`, and 0 where `whole` is 0."""
    return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=whole > 0)
