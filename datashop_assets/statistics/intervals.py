"""Intervals of 95%: Student's t of a mean, Wilson's of a share, and the bootstrap of anything else.

Student's t is for seeds, of which there are few; the bootstrap is for documents. Wilson's interval is for counts, and
for weighted shares by the number of documents that the weights are worth: a bootstrap of three documents that are all
positive has no width and claims certainty.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from datashop_assets.statistics.figure import Figure

Array = NDArray[np.float64]
Draws = NDArray[np.int64]  # [R, N]
ENDS = (0.025, 0.975)  # quantiles
Z = 1.959963984540054  # standard deviations of a normal distribution to the end of its interval
ROUNDED_Z = 1.96  # as reports of an encoder were made with: the fifth digit of an end is no reason to train again
RESAMPLES = 1000  # of a bootstrap
BLOCK = 2_000_000  # numbers drawn at once, 16 MB


def t_interval(values: Sequence[float] | Array, grain: float = 0.0, unit: str | None = None) -> Figure:
    """The mean of values [S] with Student's t interval; no ends for a single value.

    `grain` is the step in which they are measured, such as one question of a task: no smaller spread is believed than
    the one that rounding alone gives (`spread`).
    """
    from scipy import stats  # 1 s, which those who only need the other intervals are spared

    sample = np.asarray(values, dtype=np.float64)
    mean, count = float(sample.mean()), len(sample)
    if count < 2:
        return Figure(value=mean, n=count, unit=unit)
    reach = float(stats.t.ppf(ENDS[1], count - 1)) * (spread(sample, grain) / count**0.5)
    return Figure(value=mean, low=mean - reach, high=mean + reach, n=count, unit=unit)


def spread_of(mean: Figure) -> float | None:
    """The standard deviation of the values that `t_interval` made a mean and its ends of; None without ends."""
    from scipy import stats

    if mean.low is None or mean.high is None or not mean.n:
        return None
    return float((mean.high - mean.low) / 2 * mean.n**0.5 / stats.t.ppf(ENDS[1], mean.n - 1))


def spread(values: Array, grain: float = 0.0) -> float:
    """Standard deviation of a sample [S], at least that of rounding to steps of `grain`: `grain` / sqrt(12).

    Without it two seeds that agree to the question would have no spread at all.
    """
    return max(float(values.std(ddof=1)), grain / 12**0.5)


def effective_size(weights: Array) -> float:
    """How many equally weighted documents say as much as these (Kish, Survey sampling, 1965)."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def wilson(share: float, size: float, z: float = Z) -> Figure:
    """A share of `size` documents with Wilson's interval (1927).

    scipy's (`binomtest(...).proportion_ci(method="wilson")`) takes whole counts alone; `size` may be the
    `effective_size` of weights. `z` is how many standard deviations the interval reaches to both sides.
    """
    width = z**2 / size
    middle = (share + width / 2) / (1 + width)
    half = (share * (1 - share) * width + width**2 / 4) ** 0.5 / (1 + width)
    return Figure(value=share, low=max(0.0, middle - half), high=min(1.0, middle + half))


def exact_interval(count: int, size: int, level: float = 0.95) -> tuple[float, float]:
    """The ends of Clopper and Pearson's interval (1934) of a share: it covers the truth at least as often as it says,
    whatever the size. Wilson's does not where a share is near 1 and documents are few: 8 of 10 seem below 95%.
    """
    from scipy.special import betaincinv

    out = (1 - level) / 2
    low = float(betaincinv(count, size - count + 1, out)) if count else 0.0
    high = float(betaincinv(count + 1, size - count, 1 - out)) if count < size else 1.0
    return low, high


def correlation_by_chance(documents: int) -> float:
    """How far from its true value a rank correlation near 0 lies in 95 of 100 samples (Fisher's approximation)."""
    return ROUNDED_Z / float(np.sqrt(documents - 3)) if documents > 3 else 1.0


def bootstrap(
    figures: Callable[[Draws], Mapping[str, Array]],
    size: int,
    *,
    draws: Literal["counts", "indices"] = "counts",
    accepted: Callable[[Draws], NDArray[np.bool_]] | None = None,
    ends: tuple[float, float] = ENDS,
    seed: int = 0,
    unit: str = "documents",
) -> dict[str, Figure | None]:
    """Figures with their percentile intervals over `RESAMPLES` draws of `size` units with replacement (Efron, 1979).

    `figures` gives [R] values by name for draws [R, size]. A draw is given in `counts`, how often each unit is in it,
    which is a factor on weights and lets a figure be computed for many resamples at once; or in `indices`, the units
    themselves, for sums over rows. The two are different random streams: which one a figure was made with is part of
    its result. `accepted` [R] leaves out resamples that a figure is not defined for, such as those of one class; values
    are no numbers are left out too. A figure is None where all units together have none. `ends`: the two quantiles.
    """
    whole = np.ones((1, size), dtype=np.int64) if draws == "counts" else np.arange(size)[None]
    once = figures(whole)
    random = np.random.default_rng(seed)
    blocks = [figures(block if accepted is None else block[accepted(block)]) for block in _drawn(random, size, draws)]
    return {
        name: _figure(float(values[0]), np.concatenate([block[name] for block in blocks]), size, ends, unit)
        for name, values in once.items()
    }


def counted(indices: Draws, size: int) -> Draws:
    """Draws in indices [R, N] as draws in counts [R, size]."""
    offsets = np.arange(len(indices))[:, None] * size
    return np.bincount((indices + offsets).ravel(), minlength=len(indices) * size).reshape(len(indices), size)


def _drawn(random: np.random.Generator, size: int, draws: Literal["counts", "indices"]) -> Iterator[Draws]:
    """`RESAMPLES` rows in blocks; how they are divided into blocks changes none."""
    most = max(1, BLOCK // size)
    for start in range(0, RESAMPLES, most):
        rows = min(most, RESAMPLES - start)
        if draws == "counts":
            yield random.multinomial(size, np.full(size, 1 / size), size=rows)
        else:
            yield random.integers(0, size, (rows, size))


def _figure(value: float, resampled: Array, size: int, ends: tuple[float, float], unit: str) -> Figure | None:
    if not np.isfinite(value):
        return None
    known = resampled[np.isfinite(resampled)]
    low, high = np.quantile(known, ends).tolist() if len(known) else (None, None)
    return Figure(value=value, low=low, high=high, n=size, unit=unit)
