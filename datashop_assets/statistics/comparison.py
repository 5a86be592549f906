"""Tests: whether a mean of pairs is zero, many such questions at once, and an exact test of a share.

Tests of weighted or bounded sequences that belong to one claim stand with it (`filtered_pool.certificate`).
"""

import math
from collections.abc import Sequence

import numpy as np

from datashop_assets.statistics.intervals import Array, spread


def paired_p_value(differences: Array, grain: float = 0.0) -> float | None:
    """Two-sided p of the paired t test that the mean of differences [S] is zero; None for a single one.

    It agrees with `t_interval`, which knows `grain` too; scipy's `ttest_1samp` gives no number where all are alike.
    """
    from scipy import stats

    if len(differences) < 2:
        return None
    mean, deviation = float(differences.mean()), spread(differences, grain)
    if not deviation:
        return 0.0 if mean else 1.0
    return float(2 * stats.t.sf(abs(mean) / deviation * len(differences) ** 0.5, len(differences) - 1))


def holm(p: Sequence[float]) -> list[float]:
    """p values [N] corrected for being N, in their order (Holm, 1979; scipy has no such function).

    Judged by them at 5%, the chance that any of the N true nulls is called a difference is 5% at most, however the
    measures depend on each other.
    """
    order = np.argsort(p, kind="stable")
    scaled = np.asarray(p, dtype=np.float64)[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return [float(each) for each in corrected]


def share_p_value(positives: int, labels: int, documents: int, share: float) -> float:
    """The chance of as many positives or more among `labels` drawn without replacement, if all `documents` held the
    most that is still below `share` (exact, hypergeometric).
    """
    from scipy import stats

    below = math.ceil(documents * share) - 1
    return float(stats.hypergeom.sf(positives - 1, documents, below, labels))
