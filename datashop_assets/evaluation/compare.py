"""Whether two sets of models differ, by seed.

Control and candidate of one seed share their start and most of their data, so they are compared in pairs, and the unit
of inference is the seed: documents resampled under one pair of models say how sure one is of that pair, not of the
recipe. Such an interval once called two controls different that differed only in which random documents they saw.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy import stats

LEVEL = 0.95
RESAMPLES = 1000


class Verdict(StrEnum):
    BETTER = "better"
    WORSE = "worse"
    SAME = "not distinguishable"
    NONE = "no verdict: one seed has no interval"


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its bounds, both None where there is no interval."""

    estimate: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, eq=False)
class Losses:
    """Bits of the same N documents under the S models of control and candidate."""

    control: np.ndarray  # [S, N] bits
    trained: np.ndarray  # [S, N] bits
    bytes: np.ndarray  # [N] UTF-8 bytes

    def __post_init__(self) -> None:
        if self.control.shape != self.trained.shape or self.control.shape[1:] != self.bytes.shape:
            raise ValueError(
                f"losses do not pair: control {self.control.shape}, trained {self.trained.shape}, documents "
                f"{self.bytes.shape}; both models need the same seeds and the same documents"
            )
        if not self.bytes.sum() > 0:
            raise ValueError("no bytes to compare on: choose documents with text")

    def bits_a_byte(self, bits: np.ndarray) -> np.ndarray:
        """bits [S, N] -> [S]: total bits over total bytes, so that a long document counts for its length."""
        totals: np.ndarray = bits.sum(axis=1) / self.bytes.sum()
        return totals

    def of(self, chosen: np.ndarray) -> "Losses":
        """Of some documents, chosen by a mask or by indices."""
        return Losses(self.control[:, chosen], self.trained[:, chosen], self.bytes[chosen])


@dataclass(frozen=True, slots=True)
class Comparison:
    """Candidate minus control in bits per byte: below zero the candidate is better."""

    control: float
    trained: float
    over_seeds: Interval
    over_documents: Interval
    p: float | None  # of the paired t test over seeds; None for one seed
    verdict: Verdict  # of this measure by itself
    seeds: int
    documents: int
    bytes: int


def compare(losses: Losses) -> Comparison:
    control, trained = losses.bits_a_byte(losses.control), losses.bits_a_byte(losses.trained)
    interval = over_seeds(trained - control)
    return Comparison(
        control=float(control.mean()),
        trained=float(trained.mean()),
        over_seeds=interval,
        over_documents=over_documents(losses),
        p=p_value(trained - control),
        verdict=verdict(interval),
        seeds=len(control),
        documents=len(losses.bytes),
        bytes=int(losses.bytes.sum()),
    )


def over_seeds(differences: np.ndarray, grain: float = 0.0) -> Interval:
    """Mean of paired differences [S] with Student's t interval of 95%; no bounds for a single seed.

    `grain`: the step in which they are measured, such as one question of a task. Rounding alone spreads them by
    `grain` / sqrt(12), so that no less is believed: two seeds that agree to the question would have no spread at all.
    """
    mean = float(differences.mean())
    if len(differences) < 2:
        return Interval(mean)
    error = _spread(differences, grain) / len(differences) ** 0.5
    reach = float(stats.t.ppf((1 + LEVEL) / 2, len(differences) - 1)) * error
    return Interval(mean, mean - reach, mean + reach)


def p_value(differences: np.ndarray, grain: float = 0.0) -> float | None:
    """Two-sided p of the paired t test that the mean of differences [S] is zero; None for a single seed."""
    if len(differences) < 2:
        return None
    mean, spread = float(differences.mean()), _spread(differences, grain)
    if not spread:
        return 0.0 if mean else 1.0
    return float(2 * stats.t.sf(abs(mean) / spread * len(differences) ** 0.5, len(differences) - 1))


def _spread(differences: np.ndarray, grain: float) -> float:
    return max(float(differences.std(ddof=1)), grain / 12**0.5)


def over_documents(losses: Losses) -> Interval:
    """The same mean with a percentile bootstrap over documents (Efron, 1979): these models, other documents."""
    gained = (losses.trained - losses.control).mean(axis=0)  # [N] bits
    random = np.random.default_rng(0)
    count = len(gained)
    totals = np.empty(RESAMPLES)
    for resample in range(RESAMPLES):
        drawn = random.integers(0, count, count)
        totals[resample] = gained[drawn].sum() / losses.bytes[drawn].sum()
    low, high = np.quantile(totals, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(gained.sum() / losses.bytes.sum()), float(low), float(high))


def verdict(interval: Interval) -> Verdict:
    if interval.low is None or interval.high is None:
        return Verdict.NONE
    if interval.high < 0:
        return Verdict.BETTER
    return Verdict.WORSE if interval.low > 0 else Verdict.SAME


def corrected_verdict(estimate: float, p: float | None) -> Verdict:
    """The verdict of one measure among many, by its corrected p."""
    if p is None:
        return Verdict.NONE
    if p > 1 - LEVEL:
        return Verdict.SAME
    return Verdict.BETTER if estimate < 0 else Verdict.WORSE


def holm(p: Sequence[float]) -> list[float]:
    """p values [N] corrected for being N, in their order (Holm, 1979).

    Judged by them at 5%, the chance that any of the N true nulls is called a difference is 5% at most, however the
    measures depend on each other.
    """
    order = np.argsort(p, kind="stable")
    scaled = np.asarray(p, dtype=np.float64)[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return [float(each) for each in corrected]
