"""What can be guessed without reading: a document's length, and where it is from.

Both are logistic curves fit on the same labels as the encoder. An encoder that does not beat them has learnt the mix of
sources or the habits of length, not the rubric.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

Array = NDArray[np.float64]


class Baselines:
    """Length-only and source-only scores, fit on labelled documents."""

    def __init__(self, lengths: Sequence[int], sources: Sequence[str], labels: Array, weights: Array) -> None:
        self._sources = sorted(set(sources))
        scale = weights / weights.mean()
        self._length = LogisticRegression(max_iter=1000).fit(_curve(lengths), labels, sample_weight=scale)
        self._source = LogisticRegression(max_iter=1000).fit(self._one_hot(sources), labels, sample_weight=scale)

    def scores(self, lengths: Sequence[int], sources: Sequence[str]) -> Mapping[str, Array]:
        """P(positive) by length (characters of whole documents) and by source, each float64 [documents].

        A source never seen gets the average.
        """
        return {
            "length": np.asarray(self._length.predict_proba(_curve(lengths))[:, 1]),
            "source": np.asarray(self._source.predict_proba(self._one_hot(sources))[:, 1]),
        }

    def _one_hot(self, sources: Sequence[str]) -> Array:
        return np.array([[float(source == known) for known in self._sources] for source in sources])


def _curve(lengths: Sequence[int]) -> Array:
    """The logarithm of a length and its square: the share of positives may rise and fall with length."""
    log = np.log1p(np.asarray(lengths, dtype=np.float64)) / 10
    return np.stack([log, log**2], axis=1)
