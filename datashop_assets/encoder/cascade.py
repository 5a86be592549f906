"""Two encoders in a row: fastText reads every document and passes on the share that the transformer should read.

The cut is the margin of the first encoder at or above which, weighted, `passes` of the labelled sample lie, by
predictions out of fold. A document below it keeps its order among its like, beneath every document that was passed on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datashop_assets.encoder.calibration import Calibrated
from datashop_assets.protocols.encoder import Encoder

Array = NDArray[np.float64]
BENEATH = -1e6  # what a first margin is moved by when its document is not passed on: margins stay within 1e4


@dataclass(frozen=True)
class CascadeEncoder:
    """Scores by `second` what `first` puts at `cut` or above."""

    first: Encoder
    second: Encoder
    cut: float

    @property
    def paths(self) -> Sequence[Path]:
        return (*self.first.paths, *self.second.paths)

    def margin(self, texts: Sequence[str]) -> Array:
        early = self.first.margin(texts)
        late = np.zeros(len(texts))
        chosen = np.flatnonzero(early >= self.cut).tolist()
        if chosen:
            late[chosen] = self.second.margin([texts[place] for place in chosen])
        return joined(early, late, self.cut)


@dataclass(frozen=True, slots=True)
class CascadeCalibration:
    """The second encoder's curve for what was passed on; what was not has one probability, the share found there."""

    passed: Calibrated
    beneath: float

    def probability(self, margins: Array) -> Array:
        passed = was_passed(margins)
        return np.where(passed, self.passed.probability(np.where(passed, margins, 0.0)), self.beneath)


def joined(first: Array, second: Array, cut: float) -> Array:
    """Margins of a cascade from those of its two encoders, all float64 [documents]."""
    return np.where(first >= cut, second, BENEATH + first)


def was_passed(margins: Array) -> NDArray[np.bool_]:
    """Whether the second encoder read a document, from the cascade's margin."""
    return margins > BENEATH / 2


def cut_of(first: Array, weights: Array, passes: float) -> float:
    """The margin at or above which `passes` of the weight lies, or as little more as ties allow."""
    order = np.argsort(-first, kind="stable")
    share = np.cumsum(weights[order]) / weights.sum()
    return float(first[order][np.searchsorted(share, passes)])


def cost(first: Array, labels: Array, weights: Array, cut: float) -> Mapping[str, Any]:
    """What passing on costs on labels out of fold: documents and positives, how many are lost, the weighted share."""
    passed = first >= cut
    return {
        "cut": cut,
        "passed": int(passed.sum()),
        "documents": len(labels),
        "share": float(np.average(passed, weights=weights)),
        "lost_positives": int((labels[~passed] == 1).sum()),
        "positives": int(labels.sum()),
    }
