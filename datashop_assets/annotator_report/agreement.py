"""How well two readings of the same documents agree, with bootstrap intervals over documents.

Scores are whole numbers from 0 to 5 for kappa and confusion, and expected scores for Spearman's rho. Documents are
drawn with importance weights, and figures are weighted by them, so that they describe the sample.
"""

from typing import Any

import numpy as np

from datashop_assets.statistics import agreement as figures
from datashop_assets.statistics.intervals import Array, Draws, bootstrap, counted
from datashop_assets.statistics.ranking import spearman

FEWEST = 10  # documents: with fewer an interval says nothing
UNDEFINED = {"value": None, "low": None, "high": None}


def agreement(first: Array, second: Array, weights: Array) -> dict[str, Any]:
    """Quadratic-weighted kappa, Spearman's rho and exact agreement, each as {value, low, high}, and the confusion.

    first, second, weights: [N]. A figure that is not defined, such as the rho of scores that are all alike, has None
    for all three.
    """
    size = len(first)
    if size < FEWEST:
        return {"documents": size, "note": f"fewer than {FEWEST} documents have both scores"}

    def of(drawn: Draws) -> dict[str, Array]:
        resampled = counted(drawn, size) * weights
        return {
            "quadratic_kappa": figures.quadratic_kappa(first, second, resampled),
            "spearman": spearman(first, second, resampled),
            "same_score": figures.same_score(first, second, resampled),
            "mean_difference": figures.mean_difference(first, second, resampled),
        }

    intervals = {
        name: UNDEFINED if figure is None else figure.as_json()
        for name, figure in bootstrap(of, size, draws="indices").items()
    }
    [confusion] = figures.confusion(first, second, np.ones((1, size)))
    return {"documents": size, **intervals, "confusion": confusion.astype(int).tolist()}
