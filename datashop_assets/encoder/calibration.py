"""From a margin to a probability: Platt's logistic curve, two numbers that a JSON file holds.

An isotonic curve fits closer with thousands of labels; with some fifty positives it is a staircase, whose ties would
leave an exact keep fraction to chance. A logistic curve keeps every difference in rank.
Source: Platt, Probabilistic outputs for support vector machines, 1999 (with its smoothed targets).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """P(positive) = 1 / (1 + exp(-(slope * margin + intercept)))."""

    slope: float
    intercept: float

    def probability(self, margins: Array) -> Array:
        return np.asarray(1.0 / (1.0 + np.exp(-(self.slope * margins + self.intercept))))


def fit_platt(margins: Array, labels: Array, weights: Array) -> Calibration:
    """Fits on margins of documents that the model did not learn from, all arrays [documents], labels 0 and 1.

    Raises `ValueError` when a higher margin does not mean more positives.
    """
    positives, negatives = float(labels.sum()), float((1 - labels).sum())
    target = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    both = LogisticRegression(C=1e6, max_iter=1000)
    both.fit(
        np.tile(margins, 2).reshape(-1, 1),
        np.repeat([1, 0], len(margins)),
        sample_weight=np.concatenate([weights * target, weights * (1 - target)]) / weights.mean(),
    )
    found = Calibration(float(both.coef_[0, 0]), float(both.intercept_[0]))
    if found.slope <= 0:
        raise ValueError(
            "on labels it has not seen, a higher margin of the encoder means fewer positives (slope "
            f"{found.slope:.3g}, {positives:.0f} positives of {len(labels)}): it has learnt nothing. Annotate more "
            "documents, or ask a question that the annotator can answer"
        )
    return found
