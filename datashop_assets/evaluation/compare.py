"""Whether two sets of models differ, by seed.

Control and candidate of one seed share their start and most of their data, so they are compared in pairs, and the unit
of inference is the seed: documents resampled under one pair of models say how sure one is of that pair, not of the
recipe. Such an interval once called two controls different that differed only in which random documents they saw.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from datashop_assets.statistics.comparison import paired_p_value
from datashop_assets.statistics.figure import Figure
from datashop_assets.statistics.intervals import LEVEL, Array, Draws, bootstrap, t_interval

QUANTILES = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)  # not quite 0.025: stored comparisons have ends of this very last bit


class Verdict(StrEnum):
    BETTER = "better"
    WORSE = "worse"
    SAME = "not distinguishable"
    NONE = "no verdict: one seed has no interval"


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
    over_seeds: Figure
    over_documents: Figure
    p: float | None  # of the paired t test over seeds; None for one seed
    verdict: Verdict  # of this measure by itself
    seeds: int
    documents: int
    bytes: int


def compare(losses: Losses) -> Comparison:
    control, trained = losses.bits_a_byte(losses.control), losses.bits_a_byte(losses.trained)
    interval = t_interval(trained - control, unit="seeds")
    return Comparison(
        control=float(control.mean()),
        trained=float(trained.mean()),
        over_seeds=interval,
        over_documents=over_documents(losses),
        p=paired_p_value(trained - control),
        verdict=verdict(interval),
        seeds=len(control),
        documents=len(losses.bytes),
        bytes=int(losses.bytes.sum()),
    )


def over_documents(losses: Losses) -> Figure:
    """The same mean with a bootstrap over documents: these models, other documents."""
    gained = (losses.trained - losses.control).mean(axis=0)  # [N] bits

    def difference(drawn: Draws) -> dict[str, Array]:
        return {"difference": gained[drawn].sum(axis=1) / losses.bytes[drawn].sum(axis=1)}

    found = bootstrap(difference, len(gained), draws="indices", ends=QUANTILES)["difference"]
    assert found is not None, "losses are numbers, and bytes are more than none"
    return found


def verdict(interval: Figure) -> Verdict:
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
