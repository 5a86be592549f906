"""How well two readings of the same documents agree, with bootstrap intervals.

Scores are whole numbers from 0 to 5 for kappa and confusion, and expected scores for Spearman's rho. Documents are
drawn with importance weights, and figures are weighted by them, so that they describe the sample.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Array = NDArray[np.float64]
Figure = Callable[[Array, Array, Array], float]
CLASSES = 6
RESAMPLES = 1000
FEWEST = 10  # documents: with fewer an interval says nothing
SEED = 0


def agreement(first: Array, second: Array, weights: Array) -> dict[str, Any]:
    """Quadratic-weighted kappa, Spearman's rho and exact agreement, each as {value, low, high}, and the confusion."""
    if len(first) < FEWEST:
        return {"documents": len(first), "note": f"fewer than {FEWEST} documents have both scores"}
    figures: dict[str, Figure] = {
        "quadratic_kappa": quadratic_kappa,
        "spearman": spearman,
        "same_score": same_score,
        "mean_difference": mean_difference,
    }
    intervals = {name: interval(figure, first, second, weights) for name, figure in figures.items()}
    return {"documents": len(first), **intervals, "confusion": confusion(first, second).astype(int).tolist()}


def quadratic_kappa(first: Array, second: Array, weights: Array) -> float:
    """Cohen's kappa with quadratic weights (Cohen, 1968) of scores rounded to 0 to 5; nan where all are alike."""
    observed = confusion(first, second, weights) / weights.sum()
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0))
    places = np.arange(CLASSES)
    distance = (places[:, None] - places[None]) ** 2
    by_chance = float((distance * expected).sum())
    return 1 - float((distance * observed).sum()) / by_chance if by_chance else float("nan")


def confusion(first: Array, second: Array, weights: Array | None = None) -> Array:
    """[6, 6]: the weight (or number) of documents with each pair of whole scores, rows by the first."""
    table = np.zeros((CLASSES, CLASSES))
    np.add.at(table, (whole(first), whole(second)), 1.0 if weights is None else weights)
    return table


def whole(scores: Array) -> NDArray[np.int64]:
    """Rounded as annotations are: half points upward."""
    return np.clip(np.floor(scores + 0.5), 0, CLASSES - 1).astype(np.int64)


def spearman(first: Array, second: Array, weights: Array) -> float:
    """Rank correlation with mid-ranks; weights count documents in the correlation. nan where all scores are alike."""
    x, y = rankdata(first), rankdata(second)
    x, y = x - np.average(x, weights=weights), y - np.average(y, weights=weights)
    spread = np.sqrt((weights * x * x).sum() * (weights * y * y).sum())
    return float((weights * x * y).sum() / spread) if spread > 0 else float("nan")


def same_score(first: Array, second: Array, weights: Array) -> float:
    return float(np.average(whole(first) == whole(second), weights=weights))


def mean_difference(first: Array, second: Array, weights: Array) -> float:
    """Second minus first, in points."""
    return float(np.average(second - first, weights=weights))


def interval(figure: Figure, first: Array, second: Array, weights: Array) -> dict[str, float | None]:
    """The figure with the 95% percentile interval over documents drawn with replacement (Efron, 1979)."""
    random, count = np.random.default_rng(SEED), len(first)
    found = np.empty(RESAMPLES)
    for resample in range(RESAMPLES):
        drawn = random.integers(0, count, count)
        found[resample] = figure(first[drawn], second[drawn], weights[drawn])
    low, high = np.nanquantile(found, [0.025, 0.975]) if np.isfinite(found).any() else (np.nan, np.nan)
    return {"value": finite(figure(first, second, weights)), "low": finite(low), "high": finite(high)}


def finite(value: float) -> float | None:
    """None for what is not a number, which JSON cannot hold."""
    return float(value) if np.isfinite(value) else None
