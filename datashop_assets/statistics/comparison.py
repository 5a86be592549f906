"""Tests: whether a mean of pairs is zero, many such questions at once, and an exact test of a share.

Tests of weighted or bounded sequences that belong to one claim stand with it (`filtered_pool.certificate`).
"""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from datashop_assets.statistics.figure import LEVEL
from datashop_assets.statistics.intervals import Array, spread

POWER = 0.8  # of a difference that is called visible (Cohen, 1988)
ROUNDING = 1e-12  # of bits a byte and shares, which are near 1


def paired_p_value(differences: Array, grain: float = 0.0) -> float | None:
    """Two-sided p of the paired t test that the mean of differences [S] is zero; None for a single one.

    It agrees with `t_interval`, which knows `grain` too; scipy's `ttest_1samp` gives no number where all are alike.
    A mean or a spread within `ROUNDING` of zero is zero: what sums leave in their last digits is no difference.
    """
    from scipy import stats

    if len(differences) < 2:
        return None
    mean, deviation = float(differences.mean()), spread(differences, grain)
    if deviation <= ROUNDING:
        return 0.0 if abs(mean) > ROUNDING else 1.0
    return float(2 * stats.t.sf(abs(mean) / deviation * len(differences) ** 0.5, len(differences) - 1))


def visible_difference(deviation: float, seeds: int, power: float = POWER, level: float = LEVEL) -> float:
    """The smallest mean of paired differences, of this standard deviation over seeds, that a two-sided t test finds at
    `level` with the chance `power` (noncentral t). Infinite for one seed, which has no interval.

    The chance of finding it with the wrong sign, below one in a thousand, is left out.
    """
    from scipy import special

    if seeds < 2:
        return math.inf
    freedom = seeds - 1
    needed = special.nctdtrinc(freedom, 1 - power, special.stdtrit(freedom, (1 + level) / 2))
    return float(needed * deviation / seeds**0.5)


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


def fixed_sequence(p: Sequence[float | None]) -> list[float | None]:
    """p values [N] in the order in which they are tested, each only after all before it found a difference.

    Each becomes the largest so far, and None from the first None on (fixed-sequence testing: Maurer, Hothorn and
    Lehmacher, 1995). Judged by them at 5%, the chance that any true null is called a difference is 5% at most.
    """
    largest: list[float | None] = []
    for one in p:
        before = largest[-1] if largest else 0.0
        largest.append(None if one is None or before is None else max(before, one))
    return largest


def share_p_value(positives: int, labels: int, documents: int, share: float) -> float:
    """The chance of as many positives or more among `labels` drawn without replacement, if all `documents` held the
    most that is still below `share` (exact, hypergeometric).
    """
    from scipy import stats

    return float(stats.hypergeom.sf(positives - 1, documents, at_least(documents, share) - 1, labels))


def at_least(documents: int, share: float) -> int:
    """The fewest of `documents` that are a `share` of them, which counts as it is written: 0.07 of 100 are 7, not 8."""
    return math.ceil(documents * Fraction(repr(share)))
